"""`awry remote`: models, which version answers, and which is tried."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import options
from awry.cli import remote_view as view
from awry.cli.remote_view import pieces
from awry.cli.view import progress, when
from awry.client import Client


@click.command()
@click.argument("name", required=False)
@click.option("--version", type=click.IntRange(1), help="Of NAME; its champion by default.")
@view.json_
@click.pass_obj
def models(client: Client, name: str | None, version: int | None, json_: bool) -> None:
    """List the models, or tell all of the model NAME."""
    if name is None:
        found = client.models()
        rows = [[m["name"], m["champion"], m["versions"], when(m["created"])] for m in found]
        view.show(found, ["name", "champion", "versions", "made"], rows, json_)
        return
    one = client.model(name, version)
    told = ("model", "version", "champion", "method", "rows", "threshold", "threshold_reason")
    rows = [[key.replace("_", " "), one[key]] for key in told]
    view.show(one, ["", ""], [*rows, ["columns", one["columns"]]], json_)


@click.command()
@click.argument("name")
@click.argument("dataset")
@click.option("--method", default="auto", show_default=True, help="See awry detectors.")
@options.param()
@click.option("-t", "--threshold", metavar="RULE", help="See awry detect.")
@click.option("--context", metavar="COLUMNS", help="Judge rows given these columns; or auto.")
@click.option("--by", metavar="COLUMNS", help="One detector per value of these columns.")
@click.option("--ignore", metavar="COLUMNS", help="Columns not to look at.")
@click.option("--label", metavar="COLUMN", help="Column of labels: not judged.")
@click.option("--promote", is_flag=True, help="Put the new version in charge at once.")
@view.wait
@view.json_
@click.pass_obj
def train(
    client: Client,
    name: str,
    dataset: str,
    params: tuple[str, ...],
    threshold: str | None,
    context: str | None,
    by: str | None,
    ignore: str | None,
    wait: bool,
    json_: bool,
    **asked: Any,
) -> None:
    """Train the next version of the model NAME on DATASET, as a job."""
    given = {
        **asked,
        "params": options.parameters(asked["method"], options.pairs(params, "--param")),
        "threshold": None if threshold is None else options.literal(threshold),
        "context": "auto" if context == "auto" else options.names(context),
        "by": options.names(by),
        "ignore": options.names(ignore),
    }
    job = client.train(name, dataset, **{k: v for k, v in given.items() if v})
    if not wait:
        view.say(job, [f"job {job['id']} is {job['state']}"], json_)
        return
    with progress(quiet=json_):
        done = client.wait(job["id"], timeout=float("inf"))
    view.say(done, [f"{name} has version {done['result']['version']}"], json_)


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--force", is_flag=True, help="Also where it failed on the golden set.")
@view.json_
@click.pass_obj
def promote(client: Client, name: str, version: int, force: bool, json_: bool) -> None:
    """Put VERSION of the model NAME in charge."""
    _in_charge(client.promote(name, version, force=force), json_)


@click.command()
@click.argument("name")
@view.json_
@click.pass_obj
def rollback(client: Client, name: str, json_: bool) -> None:
    """Put the version of the model NAME in charge that was before."""
    _in_charge(client.rollback(name), json_)


def _in_charge(made: dict[str, Any], json_: bool) -> None:
    view.say(made, [f"version {made['version']} of {made['model']} is in charge"], json_)


# -- trials ---------------------------------------------------------------------------------------


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@view.json_
@click.pass_obj
def shadow(client: Client, name: str, version: int, json_: bool) -> None:
    """Let VERSION of the model NAME judge what the champion answers, unseen."""
    _tried(client.shadow(name, version), json_)


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.argument("share", type=click.FloatRange(0, 1, min_open=True, max_open=True))
@click.option("--key", metavar="COLUMN", help="Whose value decides who answers; else the request.")
@view.json_
@click.pass_obj
def ab(client: Client, name: str, version: int, share: float, key: str | None, json_: bool) -> None:
    """Let VERSION of the model NAME answer a SHARE of the requests."""
    _tried(client.ab(name, version, share, key=key), json_)


@click.command()
@click.argument("name")
@click.option("--end", is_flag=True, help="Try it no longer.")
@view.json_
@click.pass_obj
def challenger(client: Client, name: str, end: bool, json_: bool) -> None:
    """Tell which version of the model NAME is tried."""
    if not end:
        _tried(client.challenger(name), json_)
        return
    client.end_trial(name)
    view.say({"model": name, "tried": None}, [f"no version of {name} is tried"], json_)


def _tried(made: dict[str, Any], json_: bool) -> None:
    how = "in the shadow" if made["stage"] == "shadow" else f"on {made['share']:.4g} of requests"
    words = f"version {made['version']} of {made['model']} is tried {how}"
    view.say(made, [f"{words} beside version {made['champion']}"], json_)


@click.command()
@click.argument("name")
@view.json_
@click.pass_obj
def comparison(client: Client, name: str, json_: bool) -> None:
    """Compare the champion of the model NAME with the version that is tried."""
    found = client.comparison(name)
    rate, times, precision = found["alert_rate"], found["latency_ms"], found["auprc"]
    sides = ("champion", "challenger")
    rows = [
        ["share flagged", *(view.interval(rate[side]) for side in sides)],
        *(
            [f"latency {q}, ms", *(view.interval(times[side][q]) for side in sides)]
            for q in ("p50", "p95")
        ),
        ["average precision", *(view.interval(precision[side]) for side in sides)],
    ]
    head = ["", f"version {found['champion']}", f"version {found['challenger']}"]
    agreed = f"{found['rows']:,} rows judged by both, agreement {view.interval(found['agreement'])}"
    view.show(found, head, rows, json_, agreed)


@click.command()
@click.argument("name")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--label", metavar="COLUMN", default="label", show_default=True,
              help="Of FILE: 1 for an anomaly, 0 for none.")  # fmt: skip
@click.option("--clear", is_flag=True, help="Empty it first.")
@view.json_
@click.pass_obj
def golden(
    client: Client, name: str, file: str | None, label: str, clear: bool, json_: bool
) -> None:
    """Tell how the champion of NAME does on its golden set, once the rows of FILE are added."""
    if clear:
        client.clear_golden(name)
    for rows in pieces(file) if file else ():
        if label not in rows[0]:
            raise click.BadParameter(f"{file} has no column {label!r}", param_hint="--label")
        labels = [row.pop(label) for row in rows]
        client.golden(name, rows, labels)
    found = client.golden(name)
    told = ("version", "rows", "anomalies", "passed", "recall", "false_alarms", "reason")
    view.facts(found, json_, *told)
