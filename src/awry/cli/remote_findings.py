"""`awry remote`: what was found, and what people say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from awry.cli import remote_view as view
from awry.cli.options import Target
from awry.cli.view import when
from awry.client import Client

_status = click.option("--status", type=click.Choice(["open", "acknowledged", "resolved"]),
                       help="Now.")  # fmt: skip
_verdict = click.Choice(["confirmed", "false_alarm"])
_note = click.option("--note", default="", help="Why.")
_feature = click.option("--feature", metavar="COLUMN", help="That shows it.")


@click.command()
@click.argument("event", required=False, type=click.IntRange(1), metavar="[ID]")
@view.source
@click.option("--model", metavar="NAME", help="That judged.")
@_status
@view.severity
@_feature
@click.option("--incident", type=click.IntRange(1), metavar="ID", help="Of this incident.")
@view.since
@view.until
@view.limit
@view.json_
@click.pass_obj
def events(client: Client, event: int | None, limit: int, json_: bool, **filters: Any) -> None:
    """List the newest events, or tell why of the one with ID."""
    if event is None:
        found = view.first(client.events, limit, **filters)
        rows = [
            [str(e["id"]), when(e["start"]), e["source"], e["severity"], e["status"], e["verdict"],
             e["summary"]]
            for e in found
        ]  # fmt: skip
        view.show(
            found, ["id", "at", "source", "severity", "status", "verdict", "what"], rows, json_
        )
        return
    one = client.event(event)
    view.show(one, ["", ""], _told(one), json_)


def _told(event: dict[str, Any]) -> list[list[Any]]:
    """What there is to say of an event, line by line."""
    told = ("source", "model", "severity", "status", "verdict", "items", "score", "summary")
    rows = [["at", when(event["start"])], *([key, event[key]] for key in told)]
    rows += [["why", view.why([reason])] for reason in event["reasons"]]
    return rows + [[f"{f['verdict']} by {f['by']}", f["note"]] for f in event["feedback"]]


@click.command()
@click.argument("event", type=click.IntRange(1), metavar="ID")
@click.argument("verdict", type=_verdict)
@_note
@view.json_
@click.pass_obj
def feedback(client: Client, event: int, verdict: str, note: str, json_: bool) -> None:
    """Say what the event with ID was."""
    made = client.feedback(event, verdict, note=note)
    view.say(
        made, [f"event {event} is {made['verdict'].replace('_', ' ')}: {made['status']}"], json_
    )


@click.command()
@click.argument("event", type=click.IntRange(1), metavar="ID")
@click.argument("status", type=click.Choice(["open", "acknowledged", "resolved"]))
@view.json_
@click.pass_obj
def status(client: Client, event: int, status: str, json_: bool) -> None:
    """Open, acknowledge or resolve the event with ID."""
    made = client.set_status(event, status)
    view.say(made, [f"event {event} is {made['status']}"], json_)


@click.command()
@click.argument("event", type=click.IntRange(1), metavar="ID")
@click.option("-o", "--out", type=Target(), required=True, help="Write it here, as SVG.")
@click.pass_obj
def picture(client: Client, event: int, out: str) -> None:
    """Draw the event with ID and what surrounds it."""
    Path(out).write_text(client.picture(event), "utf-8")


@click.command()
@view.source
@click.option("--model", metavar="NAME", help="That judged.")
@_status
@view.severity
@_feature
@view.since
@view.until
@view.limit
@view.json_
@click.pass_obj
def anomalies(client: Client, limit: int, json_: bool, **filters: Any) -> None:
    """List the newest flagged items."""
    found = view.first(client.anomalies, limit, **filters)
    rows = [
        [when(a["at"]), a["source"], a["item"], a["score"], a["severity"], a["model"], a["version"]]
        for a in found
    ]
    head = ["at", "source", "item", "score", "severity", "model", "version"]
    view.show(found, head, rows, json_)


@click.command()
@view.source
@_status
@view.severity
@_feature
@view.since
@view.until
@view.limit
@view.json_
@click.pass_obj
def incidents(client: Client, limit: int, json_: bool, **filters: Any) -> None:
    """List the newest incidents: events that belong together."""
    found = view.first(client.incidents, limit, **filters)
    rows = [
        [str(i["id"]), when(i["start"]), i["source"], i["severity"], i["status"], i["events"],
         i["summary"]]
        for i in found
    ]  # fmt: skip
    head = ["id", "at", "source", "severity", "status", "events", "what"]
    view.show(found, head, rows, json_)


@click.command()
@view.source
@view.json_
@click.pass_obj
def counts(client: Client, source: str | None, json_: bool) -> None:
    """Count the events of each status and verdict."""
    found = client.event_counts(source)
    rows = [[word, n] for part in ("status", "verdict") for word, n in found[part].items()]
    view.show(found, ["", "events"], rows, json_)


@click.command()
@click.argument("source")
@view.since
@view.until
@click.option("--now", "minutes", type=click.IntRange(1), metavar="MINUTES",
              help="Of requests in these last minutes alone.")  # fmt: skip
@view.json_
@click.pass_obj
def rates(
    client: Client, source: str, since: str | None, until: str | None, minutes: int | None,
    json_: bool,
) -> None:  # fmt: skip
    """Tell what was judged and flagged of SOURCE, hour by hour."""
    if minutes is not None:
        view.facts(client.rates_now(source, minutes=minutes), json_, "rows", "flagged")
        return
    found = client.rates(source, since=since, until=until)
    rows = [
        [when(r["at"]), r["model"], r["version"], r["rows"], r["flagged"],
         r["quantiles"].get("0.99")]
        for r in found
    ]  # fmt: skip
    head = ["hour", "model", "version", "rows", "flagged", "score, 99 %"]
    view.show(found, head, rows, json_)


# -- review ---------------------------------------------------------------------------------------


@click.command()
@click.argument("model")
@click.argument("event", required=False, type=click.IntRange(1), metavar="[ID]")
@click.argument("verdict", required=False, type=_verdict)
@_note
@view.json_
@click.pass_obj
def review(
    client: Client, model: str, event: int | None, verdict: str | None, note: str, json_: bool
) -> None:
    """Ask about the event of MODEL that teaches most, once the one with ID is answered.

    \b
    awry remote review payments
    awry remote review payments 17 false_alarm --note "a planned sale"
    """
    if (event is None) != (verdict is None):
        raise click.UsageError("give an event's ID and a verdict on it, or neither")
    found = (
        client.question(model)
        if event is None or verdict is None
        else client.answer(model, event, verdict, note=note)
    )
    asked = found["question"]
    rows = [["event", str(asked["id"])], *_told(asked)] if asked else []
    so_far = f"{found['confirmed']:,} confirmed, {found['false_alarms']:,} false alarms"
    view.show(found, ["", ""], rows, json_, f"{so_far}, {found['left']:,} left")


@click.command()
@click.argument("model")
@click.option(
    "--rate",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Share of normal items that may be flagged; what the model states by default.",
)
@click.option("--apply", is_flag=True, help="Keep a version of MODEL with it, to be promoted.")
@view.json_
@click.pass_obj
def threshold(client: Client, model: str, rate: float | None, apply: bool, json_: bool) -> None:
    """Tell the threshold that the verdicts on events of MODEL speak for."""
    if apply:
        made = client.apply_threshold(model, rate=rate)
        words = f"{model} has version {made['version']}, with the threshold {made['threshold']:.4g}"
        view.say(made, [words], json_)
        return
    told = ("threshold", "was", "rate", "interval", "flagged", "flagged_before", "reason")
    view.facts(client.proposed_threshold(model, rate=rate), json_, *told)
