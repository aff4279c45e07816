"""`awry remote`: alerts, the rules they follow, whether they were told, and who did what."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import remote_view as view
from awry.cli.view import when
from awry.client import Client

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command()
@click.option("--state", type=click.Choice(["firing", "resolved"]), help="Now.")
@view.severity
@click.option("--rule", metavar="NAME", help="That fired it.")
@view.limit
@view.json_
@click.pass_obj
def alerts(client: Client, limit: int, json_: bool, **filters: Any) -> None:
    """List alerts, those that began last first."""
    found = view.first(client.alerts, limit, **filters)
    rows = [
        [str(a["id"]), when(a["started"]), a["rule"], a["severity"], a["state"], a["count"],
         a["acknowledged_by"], a["summary"]]
        for a in found
    ]  # fmt: skip
    head = ["id", "since", "rule", "severity", "state", "times", "seen to by", "what"]
    view.show(found, head, rows, json_)


@click.command()
@click.argument("alert", type=click.IntRange(1), metavar="ID")
@view.json_
@click.pass_obj
def acknowledge(client: Client, alert: int, json_: bool) -> None:
    """Say that somebody sees to the alert with ID: it is told no more."""
    made = client.acknowledge(alert)
    view.say(made, [f"alert {alert} is seen to by {made['acknowledged_by']}"], json_)


@click.command()
@click.argument("file", required=False, type=_FILE)
@view.json_
@click.pass_obj
def rules(client: Client, file: str | None, json_: bool) -> None:
    """List the rules of alerts, once those of FILE are put in their place.

    \b
    awry remote rules --json > rules.json
    awry remote rules rules.json
    """
    if file is None:
        found = client.alert_rules()
    else:
        given = view.document(file)
        # As the API takes them, or as `--json` prints them.
        found = client.set_alert_rules(given["rules"] if isinstance(given, dict) else given)
    rows = [
        [r["name"], r["kind"], r["source"] or r["model"], r["severity"], r["window"], r["cooldown"],
         r["sinks"], r["enabled"]]
        for r in found
    ]  # fmt: skip
    head = ["name", "kind", "of", "severity", "window, s", "cool-down, s", "sinks", "enabled"]
    view.show(found, head, rows, json_)


@click.command()
@click.option("--state", type=click.Choice(["waiting", "done", "dead"]), help="Now.")
@click.option("--sink", metavar="NAME", help="That was to be told.")
@view.limit
@view.json_
@click.pass_obj
def deliveries(client: Client, limit: int, json_: bool, **filters: Any) -> None:
    """List what sinks were to be told, the newest first."""
    found = view.first(client.alert_deliveries, limit, **filters)
    rows = [
        [str(d["id"]), when(d["created"]), d["sink"], d["message"]["rule"], d["message"]["status"],
         d["state"], d["attempts"], d["error"]]
        for d in found
    ]  # fmt: skip
    head = ["id", "at", "sink", "rule", "of", "state", "tries", "error"]
    view.show(found, head, rows, json_)


@click.command()
@view.limit
@view.json_
@click.pass_obj
def audit(client: Client, limit: int, json_: bool) -> None:
    """List who did what, the newest first."""
    found = view.first(client.audit, limit)
    rows = [[when(a["at"]), a["by"], a["action"], a["object"]] for a in found]
    view.show(found, ["at", "by", "did", "to"], rows, json_)
