"""`awry remote`: data sets, judging them, and jobs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click

from awry.cli import options
from awry.cli import remote_view as view
from awry.cli.view import progress, when
from awry.client import Client
from awry.core.progress import report


@click.command()
@click.argument("name", required=False)
@view.json_
@click.pass_obj
def datasets(client: Client, name: str | None, json_: bool) -> None:
    """List the data sets, or tell of the one called NAME."""
    found: Any = client.datasets() if name is None else client.dataset(name)
    rows = [
        [d["name"], d["rows"], len(d["columns"]), when(d["created"])]
        for d in ([found] if name else found)
    ]
    view.show(found, ["name", "rows", "columns", "uploaded"], rows, json_)


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--format", "format_", help="csv, parquet, arrow, json or jsonl; else sniffed.")
@view.json_
@click.pass_obj
def upload(client: Client, name: str, file: str, format_: str | None, json_: bool) -> None:
    """Upload FILE as the data set NAME."""
    made = client.upload(name, file, format=format_)
    aside = made["problems"]["total"]
    lines = [f"{name}: {made['rows']:,} rows, {len(made['columns'])} columns"]
    lines += [f"  set aside: {what}" for what in made["problems"]["first"][:5]]
    view.say(made, lines + ([f"  set aside in all: {aside:,}"] if aside else []), json_)


@click.command()
@click.argument("dataset")
@view.json_
@click.pass_obj
def stats(client: Client, dataset: str, json_: bool) -> None:
    """Tell what the columns of DATASET hold."""
    found = client.stats(dataset)
    rows = [[c["name"], c["kind"], c["missing"], c["description"]] for c in found["columns"]]
    view.show(found, ["column", "kind", "missing", "description"], rows, json_)


@click.command()
@click.argument("dataset")
@view.json_
@click.pass_obj
def delete(client: Client, dataset: str, json_: bool) -> None:
    """Delete the data set DATASET."""
    client.delete_dataset(dataset)
    view.say({"deleted": dataset}, [f"{dataset} is deleted"], json_)


# -- judging --------------------------------------------------------------------------------------


@click.command()
@click.argument("file", required=False)
@click.option("--dataset", metavar="NAME", help="Judge this data set, as a job, in place of FILE.")
@click.option("--model", metavar="NAME", help="The model that is to answer.")
@click.option("--version", type=click.IntRange(1), help="Of the model; its champion by default.")
@click.option("--method", default="auto", show_default=True, help="See awry detectors.")
@click.option("-t", "--threshold", metavar="RULE", help="See awry detect.")
@click.option("-o", "--out", type=options.Target(), help="Write all of a job's rows here, Parquet.")
@click.option("--top", type=click.IntRange(0), default=10, show_default=True, help="Rows to show.")
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with 1 if anything was flagged.")
@view.json_
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
    asked = {k: options.literal(v) if k == "threshold" else v for k, v in asked.items() if v}
    with progress(quiet=json_):
        rows, flagged, top_rows = (
            _job_rows(ctx.obj, str(dataset), out, top, asked)
            if file is None
            else _file_rows(ctx.obj, file, top, asked)
        )
    shown = [[r["row"], r["score"], r["severity"], view.why(r["reasons"])] for r in top_rows]
    view.show(
        {"rows": rows, "flagged": flagged, "top": top_rows},
        ["row", "score", "severity", "why"], shown, json_, f"{flagged:,} of {rows:,} rows flagged",
    )  # fmt: skip
    if fail_on_anomaly and flagged:
        ctx.exit(1)


def _file_rows(
    client: Client, file: str, top: int, asked: dict[str, Any]
) -> tuple[int, int, list[dict[str, Any]]]:
    """Judge the rows of a file, some at a time; how many, how many flagged, the oddest."""
    done, flagged, found = 0, 0, []
    for rows in view.pieces(file):
        answer = client.detect(rows, explain=True, **asked)
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


@click.command()
@click.argument("job", required=False, metavar="[ID]")
@click.option("--cancel", is_flag=True, help="Stop it.")
@view.wait
@view.limit
@view.json_
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
    view.show(found, ["id", "kind", "state", "of", "queued", "error"], rows, json_)
