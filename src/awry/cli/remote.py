"""`awry remote`: a running service, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from awry.cli import options
from awry.cli.pipes import outlive_peers
from awry.cli.view import as_json, progress, table, when
from awry.client import Client, ServiceError
from awry.core.optional import optional
from awry.core.plain import plain
from awry.core.progress import report

#: Rows of a file that are sent at a time.
_AT_ONCE = 1_000
_URL = "http://127.0.0.1:8000"


class UnavailableError(click.ClickException):
    """The service does not answer, or cannot now: worth trying again."""

    exit_code = 3


class _Remote(click.Group):
    """Tells what went wrong in a line, whichever command it was."""

    def invoke(self, ctx: click.Context) -> Any:
        httpx = optional("httpx2", extra="server", needed_by="awry remote")
        outlive_peers()
        try:
            return super().invoke(ctx)
        except ServiceError as error:
            kind = UnavailableError if error.status >= 500 else click.ClickException
            raise kind(str(error)) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnavailableError(f"{ctx.params['url']} does not answer: {error}") from error
        except TimeoutError as error:
            raise UnavailableError(str(error)) from error


@click.group(cls=_Remote)
@click.option("--url", envvar="AWRY_URL", default=_URL, show_default=True, show_envvar=True,
              help="Where the service is.")  # fmt: skip
@click.option("--key", envvar=["AWRY_KEY", "AWRY_API_KEY"], show_envvar=True, help="Its API key.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0,
              show_default=True, help="Seconds to wait for an answer.")  # fmt: skip
@click.pass_context
def remote(ctx: click.Context, url: str, key: str | None, timeout: float) -> None:
    """Ask a service that `awry serve` runs, here or elsewhere.

    Exits with 2 where the service refuses, 3 where it does not answer or cannot now.

    \b
    export AWRY_URL=https://awry.example AWRY_KEY=awry_...
    awry remote upload payments-2024 payments.parquet
    awry remote train payments payments-2024 --wait
    awry remote events --status open
    """
    ctx.obj = ctx.with_resource(Client(url, key=key, timeout=timeout))


_json = click.option("--json", "json_", is_flag=True, help="Print JSON for machines.")
_wait = click.option("--wait/--no-wait", default=False, help="Until the job is done.")
_limit = click.option("--limit", type=click.IntRange(1), default=20, show_default=True)


# -- data sets ------------------------------------------------------------------------------------


@remote.command()
@_json
@click.pass_obj
def datasets(client: Client, json_: bool) -> None:
    """List the data sets."""
    found = client.datasets()
    rows = [[d["name"], d["rows"], len(d["columns"]), when(d["created"])] for d in found]
    _show(found, ["name", "rows", "columns", "uploaded"], rows, json_)


@remote.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--format", "format_", help="csv, parquet, arrow, json or jsonl; else sniffed.")
@_json
@click.pass_obj
def upload(client: Client, name: str, file: str, format_: str | None, json_: bool) -> None:
    """Upload FILE as the data set NAME."""
    made = client.upload(name, file, format=format_)
    aside = made["problems"]["total"]
    lines = [f"{name}: {made['rows']:,} rows, {len(made['columns'])} columns"]
    lines += [f"  set aside: {what}" for what in made["problems"]["first"][:5]]
    _say(made, lines + ([f"  set aside in all: {aside:,}"] if aside else []), json_)


@remote.command()
@click.argument("dataset")
@_json
@click.pass_obj
def stats(client: Client, dataset: str, json_: bool) -> None:
    """Tell what the columns of DATASET hold."""
    found = client.stats(dataset)
    rows = [[c["name"], c["kind"], c["missing"], c["description"]] for c in found["columns"]]
    _show(found, ["column", "kind", "missing", "description"], rows, json_)


# -- judging --------------------------------------------------------------------------------------


@remote.command()
@click.argument("file", required=False)
@click.option("--dataset", metavar="NAME", help="Judge this data set, as a job, in place of FILE.")
@click.option("--model", metavar="NAME", help="The model that is to answer.")
@click.option("--version", type=click.IntRange(1), help="Of the model; its champion by default.")
@click.option("--method", default="auto", show_default=True, help="See awry detectors.")
@click.option("-t", "--threshold", metavar="RULE", help="See awry detect.")
@click.option("-o", "--out", type=options.Target(), help="Write all of a job's rows here, Parquet.")
@click.option("--top", type=click.IntRange(0), default=10, show_default=True, help="Rows to show.")
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with 1 if anything was flagged.")
@_json
@click.pass_context
def detect(
    ctx: click.Context,
    file: str | None,
    dataset: str | None,
    out: str | None,
    top: int,
    fail_on_anomaly: bool,
    json_: bool,
    **asked: Any,
) -> None:
    """Judge the rows of FILE, or those of a data set of the service.

    \b
    awry remote detect today.csv --model payments
    awry remote detect --dataset payments-2024 --model payments -o scored.parquet
    """
    if (file is None) == (dataset is None):
        raise click.UsageError("give FILE or --dataset, one of the two")
    if out and dataset is None:
        raise click.UsageError("--out is for the rows of a --dataset")
    asked = {k: options._value(v) if k == "threshold" else v for k, v in asked.items() if v}
    with progress(quiet=json_):
        rows, flagged, top_rows = (
            _job_rows(ctx.obj, str(dataset), out, top, asked)
            if file is None
            else _file_rows(ctx.obj, file, top, asked)
        )
    shown = [[r["row"], r["score"], r["severity"], _why(r["reasons"])] for r in top_rows]
    _show(
        {"rows": rows, "flagged": flagged, "top": top_rows},
        ["row", "score", "severity", "why"], shown, json_, f"{flagged:,} of {rows:,} rows flagged",
    )  # fmt: skip
    if fail_on_anomaly and flagged:
        ctx.exit(1)


def _file_rows(
    client: Client, file: str, top: int, asked: dict[str, Any]
) -> tuple[int, int, list[dict[str, Any]]]:
    """Judge the rows of a file, some at a time; how many, how many flagged, the oddest."""
    from awry.data.readers import open_source

    done, flagged, found = 0, 0, []
    for batch in open_source(file).batches():
        rows = [plain(row) for row in batch.to_pylist()]
        for begin in range(0, len(rows), _AT_ONCE):
            answer = client.detect(rows[begin : begin + _AT_ONCE], explain=True, **asked)
            found += [
                {**one, "row": done + one["row"] + 1} for one in answer["results"] if one["anomaly"]
            ]
            # The oddest are enough, however long the file is.
            found = sorted(found, key=lambda one: -one["score"])[:top]
            done, flagged = done + answer["rows"], flagged + answer["flagged"]
            report("judging", done, None)
    return done, flagged, found


def _job_rows(
    client: Client, dataset: str, out: str | None, top: int, asked: dict[str, Any]
) -> tuple[int, int, list[dict[str, Any]]]:
    """Judge a data set of the service as a job."""
    job = client.wait(client.detect_batch(dataset, **asked)["id"], timeout=float("inf"))
    if out:
        client.download(job["id"], Path(out))
    rows = islice(client.results(job["id"], flagged=True, page=max(top, 1)), top)
    return job["result"]["rows"], job["result"]["flagged"], list(rows)


# -- models ---------------------------------------------------------------------------------------


@remote.command()
@click.argument("name", required=False)
@click.option("--version", type=click.IntRange(1), help="Of NAME; its champion by default.")
@_json
@click.pass_obj
def models(client: Client, name: str | None, version: int | None, json_: bool) -> None:
    """List the models, or tell all of the model NAME."""
    if name is None:
        found = client.models()
        rows = [[m["name"], m["champion"], m["versions"], when(m["created"])] for m in found]
        _show(found, ["name", "champion", "versions", "made"], rows, json_)
        return
    one = client.model(name, version)
    told = ("model", "version", "champion", "method", "rows", "threshold", "threshold_reason")
    rows = [[key.replace("_", " "), one[key]] for key in told]
    _show(one, ["", ""], [*rows, ["columns", one["columns"]]], json_)


@remote.command()
@click.argument("name")
@click.argument("dataset")
@click.option("--method", default="auto", show_default=True, help="See awry detectors.")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE",
              help="A parameter of the detector; may be repeated.")  # fmt: skip
@click.option("-t", "--threshold", metavar="RULE", help="See awry detect.")
@click.option("--context", metavar="COLUMNS", help="Judge rows given these columns; or auto.")
@click.option("--by", metavar="COLUMNS", help="One detector per value of these columns.")
@click.option("--ignore", metavar="COLUMNS", help="Columns not to look at.")
@click.option("--label", metavar="COLUMN", help="Column of labels: not judged.")
@click.option("--promote", is_flag=True, help="Put the new version in charge at once.")
@_wait
@_json
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
        "params": options._params(asked["method"], options.pairs(params, "--param")),
        "threshold": None if threshold is None else options._value(threshold),
        "context": "auto" if context == "auto" else options.names(context),
        "by": options.names(by),
        "ignore": options.names(ignore),
    }
    job = client.train(name, dataset, **{k: v for k, v in given.items() if v})
    if not wait:
        _say(job, [f"job {job['id']} is {job['state']}"], json_)
        return
    with progress(quiet=json_):
        done = client.wait(job["id"], timeout=float("inf"))
    _say(done, [f"{name} has version {done['result']['version']}"], json_)


@remote.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@_json
@click.pass_obj
def promote(client: Client, name: str, version: int, json_: bool) -> None:
    """Put VERSION of the model NAME in charge."""
    _in_charge(client.promote(name, version), json_)


@remote.command()
@click.argument("name")
@_json
@click.pass_obj
def rollback(client: Client, name: str, json_: bool) -> None:
    """Put the version of the model NAME in charge that was before."""
    _in_charge(client.rollback(name), json_)


def _in_charge(made: dict[str, Any], json_: bool) -> None:
    _say(made, [f"version {made['version']} of {made['model']} is in charge"], json_)


# -- jobs, events ---------------------------------------------------------------------------------


@remote.command()
@click.argument("job", required=False, metavar="[ID]")
@click.option("--cancel", is_flag=True, help="Stop it.")
@_wait
@_limit
@_json
@click.pass_obj
def jobs(
    client: Client, job: str | None, cancel: bool, wait: bool, limit: int, json_: bool
) -> None:
    """List the newest jobs, or tell of, await or cancel the one with ID."""
    if job is None and (cancel or wait):
        raise click.UsageError("--cancel and --wait are for one job; give its ID")
    if job is None:
        found: Any = client.jobs(limit=limit)
    elif wait:
        found = client.wait(job, timeout=float("inf"))
    else:
        found = client.cancel(job) if cancel else client.job(job)
    rows = [
        [j["id"], j["kind"], j["state"], j["request"].get("name") or j["request"]["dataset"],
         when(j["created"]), (j["error"] or {}).get("what")]
        for j in ([found] if job else found)
    ]  # fmt: skip
    _show(found, ["id", "kind", "state", "of", "queued", "error"], rows, json_)


@remote.command()
@click.argument("event", required=False, type=click.IntRange(1), metavar="[ID]")
@click.option("--source", metavar="NAME", help="A data set, a stream, or a model.")
@click.option("--status", type=click.Choice(["open", "acknowledged", "resolved"]), help="Now.")
@click.option("--severity", type=click.Choice(["warning", "critical", "emergency"]),
              help="This or graver.")  # fmt: skip
@click.option("--since", metavar="TIME", help="ISO 8601.")
@_limit
@_json
@click.pass_obj
def events(
    client: Client, event: int | None, limit: int, json_: bool, **filters: str | None
) -> None:
    """List the newest events, or tell why of the one with ID."""
    if event is None:
        found = list(islice(client.events(limit=min(limit, 1_000), **filters), limit))
        rows = [
            [str(e["id"]), when(e["start"]), e["source"], e["severity"], e["status"], e["verdict"],
             e["summary"]]
            for e in found
        ]  # fmt: skip
        _show(found, ["id", "at", "source", "severity", "status", "verdict", "what"], rows, json_)
        return
    one = client.event(event)
    told = ("source", "model", "severity", "status", "verdict", "items", "score", "summary")
    rows = [["at", when(one["start"])], *([key, one[key]] for key in told)]
    rows += [["why", _why([reason])] for reason in one["reasons"]]
    rows += [[f"{f['verdict']} by {f['by']}", f["note"]] for f in one["feedback"]]
    _show(one, ["", ""], rows, json_)


@remote.command()
@click.argument("event", type=click.IntRange(1), metavar="ID")
@click.argument("verdict", type=click.Choice(["confirmed", "false_alarm"]))
@click.option("--note", default="", help="Why.")
@_json
@click.pass_obj
def feedback(client: Client, event: int, verdict: str, note: str, json_: bool) -> None:
    """Say what the event with ID was."""
    made = client.feedback(event, verdict, note=note)
    _say(made, [f"event {event} is {made['verdict'].replace('_', ' ')}: {made['status']}"], json_)


@remote.command()
@_json
@click.pass_context
def ready(ctx: click.Context, json_: bool) -> None:
    """Tell whether what the service depends on answers; exit with 3 where something does not."""
    found = ctx.obj.ready()
    rows = [
        [name, "answers" if one["ok"] else one["error"], one.get("latency_ms")]
        for name, one in found["dependencies"].items()
    ]
    _show(found, ["", "", "ms"], rows, json_)
    if not found["ready"]:
        ctx.exit(UnavailableError.exit_code)


# -- showing --------------------------------------------------------------------------------------


def _show(
    found: Any, head: Sequence[str], rows: Sequence[Sequence[Any]], json_: bool, *lines: str
) -> None:
    """Print what was answered, as JSON or as a table."""
    _say(found, lines, json_)
    if not json_ and (rows or not lines):
        table(head, rows)


def _say(found: Any, lines: Sequence[str], json_: bool) -> None:
    """Print what was answered, as JSON or in words."""
    for line in [as_json(found)] if json_ else lines:
        click.echo(line)


def _why(reasons: Any) -> str:
    """Reasons in words; a job's are words already."""
    if not isinstance(reasons, list):
        return reasons or ""
    return "; ".join(f"{r['column']} {r['value']} (typical {r['typical']})" for r in reasons)
