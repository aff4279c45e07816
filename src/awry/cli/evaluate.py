"""`awry evaluate` and `awry compare`: how good detectors are where labels are known."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import options
from awry.cli.view import as_json, progress, table

#: Metrics shown beside each other, of those that the data has.
SHOWN = (
    "vus_pr", "vus_roc", "auroc", "auprc", "best_f1", "f1", "precision", "recall",
    "precision_at_k", "event_f1", "range_f1", "affiliation_f1", "cpu_seconds",
)  # fmt: skip


@click.command()
@options.reading
@options.judging
@click.option("--report", type=options.Target(), help="Write ROC and PR curves here (HTML).")
@options.showing
def evaluate(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    label: str | None,
    report: str | None,
    json_: bool,
    quiet: bool,
    **judging: Any,
) -> None:
    """Measure a detector on FILE, whose --label COLUMN says which rows are anomalies.

    The labels are used to measure only, unless the threshold or the detector asks for them.

    \b
    awry evaluate cards.csv --label is_fraud -d isolation_forest
    """
    from awry import run
    from awry.report.curves import write_curves

    if label is None:
        raise click.UsageError(
            "--label COLUMN must name the column that says which rows are anomalies"
        )
    with progress(quiet=quiet or json_):
        found = run.evaluate(
            files, label=label, query=query, format=format_, **options.settings(**judging)
        )
        if report:
            write_curves([found], report)
    if json_:
        click.echo(as_json(found.to_dict()))
        return
    table(["metric", found.name], [[k, v] for k, v in found.to_dict()["metrics"].items()])
    if report:
        click.echo(f"report written to {report}")


@click.command()
@options.reading
@click.option(
    "-d",
    "--detectors",
    "named",
    metavar="NAMES",
    help="Detectors between commas, or 'all' those of tables; some well-known ones else.",
)
@options.ruling
@click.option("--report", type=options.Target(), help="Write ROC and PR curves here (HTML).")
@options.showing
def compare(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    label: str | None,
    named: str | None,
    report: str | None,
    json_: bool,
    quiet: bool,
    **ruling: Any,
) -> None:
    """Measure several detectors side by side on FILE.

    \b
    awry compare cards.csv --label is_fraud --detectors auto,isolation_forest,knn
    """
    from awry import run
    from awry.report.curves import write_curves

    if label is None:
        raise click.UsageError(
            "--label COLUMN must name the column that says which rows are anomalies"
        )
    names = run.comparable() if named == "all" else options.names(named)
    if names is not None and not names:
        raise click.BadParameter("names no detector", param_hint="--detectors")
    settings = options.settings(names[0] if names else "auto", **ruling)
    with progress(quiet=quiet or json_):
        found = run.compare(files, names, label=label, query=query, format=format_, **settings)
        if report:
            write_curves(found, report)
    if json_:
        click.echo(as_json([one.to_dict() for one in found]))
        return
    shown = [key for key in SHOWN if any(key in one.metrics for one in found)]
    table(
        ["detector", *shown],
        [[one.name, *(one.to_dict()["metrics"].get(key) for key in shown)] for one in found],
    )
    if report:
        click.echo(f"report written to {report}")
