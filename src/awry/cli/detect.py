"""`awry detect`: from a file to explained anomalies."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import options
from awry.cli.view import as_json, number_words, progress, table
from awry.cli.writing import OUT_HELP, Writer

#: Columns listed one by one; more are told by kind, and listed in the report.
MAX_LISTED = 12
#: Rows or cells set aside that are told one by one, and sorts of them that are counted.
SHOWN_PROBLEMS = 5


@click.command()
@options.reading
@options.judging
@click.option("-o", "--out", type=options.Target(), help=OUT_HELP)
@click.option("--report", type=options.Target(), help="Write an HTML report here.")
@click.option("--save", type=options.Target(), help="Save the fitted model here.")
@click.option(
    "--top", type=click.IntRange(0), default=10, show_default=True, help="Rows or events to show."
)
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with 1 if anything was flagged.")
@options.showing
def detect(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    label: str | None,
    out: str | None,
    report: str | None,
    save: str | None,
    top: int,
    fail_on_anomaly: bool,
    json_: bool,
    quiet: bool,
    **judging: Any,
) -> None:
    """Find the anomalies in FILE, say why, and write what was found.

    FILE is CSV (plain, gz, zst), Parquet, Arrow, JSON or JSONL, a database URL with --query, or -
    for standard input. Several files are read as one table.

    \b
    awry detect transactions.parquet
    awry detect access.csv.gz --context hour --report report.html --out odd.csv
    awry detect metrics.csv --by host,metric --report report.html
    awry detect postgresql://localhost/shop --query 'select * from orders'
    """
    from awry import io, run

    settings = options.settings(**judging)
    with progress(quiet=quiet or json_):
        result = run.detect(files, label=label, query=query, format=format_, **settings)
        if save:
            io.save(result.model, save)
        if out:
            with Writer(out) as writer:
                writer.write(result)
        if report:
            result.report(report)
    if json_:
        facts = result.to_dict(top)
        warned = click.get_current_context().find_object(list) or []
        click.echo(as_json(facts | {"notes": facts["notes"] + warned}))
    else:
        show(result, top)
        for what, path in (("rows", out), ("report", report), ("model", save)):
            if path:
                click.echo(f"{what} written to {path}")
    if fail_on_anomaly and result.labels.any():
        click.get_current_context().exit(1)


def _column_lines(columns: list[dict[str, str]]) -> list[str]:
    """What columns were taken for: one by one, or by kind where there are many."""
    if len(columns) <= MAX_LISTED:
        return [f"{c['column']}: {c['description']}" for c in columns]
    kinds: dict[str, list[str]] = {}
    for column in columns:
        kinds.setdefault(column["kind"], []).append(column["column"])
    return [
        f"{kind} ({len(names)}): {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
        for kind, names in kinds.items()
    ]


def show(result: Any, top: int) -> None:
    """Print what was read, what was found and why."""
    from awry.cli.series import series_lines, show_events
    from awry.series_result import SeriesResult

    series = isinstance(result, SeriesResult)
    facts = result.to_dict(top)
    model = facts["detector"]
    click.echo(f"{result.source}: {len(result):,} rows, {len(facts['columns'])} columns")
    for line in _column_lines(facts["columns"]):
        click.echo(f"  {line}")
    for line in series_lines(result) if series else []:
        click.echo(line)
    for note in facts["notes"]:
        click.echo(f"  note: {note}")
    for problem in facts["problems"][:SHOWN_PROBLEMS]:
        click.echo(f"  set aside: {problem}")
    if facts["set_aside"] > SHOWN_PROBLEMS:
        click.echo(f"  set aside in all: {facts['set_aside']:,}")
        for sort in facts["sorts_of_problems"][:SHOWN_PROBLEMS]:
            click.echo(f"    {sort}")
    click.echo(f"detector: {model['class']}" + (f", {model['choice']}" if model["choice"] else ""))
    rate = facts["flagged"] / max(len(result), 1)
    stated = facts["stated_rate"]
    click.echo(
        f"flagged: {facts['flagged']:,} rows ({rate:.2%}) with a score above "
        f"{number_words(facts['threshold'])}, {facts['threshold_reason']}"
        + (f"; clean data would see about {stated:.2%} flagged" if stated is not None else "")
    )
    if series:
        show_events(result, top)
        return
    if not facts["top"]:
        return
    ids = [k for k in facts["top"][0] if k not in ("row", "score", "severity", "reasons")][:2]
    table(
        ["row", *ids, "score", "severity", "why"],
        [
            [
                str(row["row"]),
                *(row[name] for name in ids),
                row["score"],
                row["severity"] or "-",
                "; ".join(
                    f"{r['column']} {r['value']} (typical {r['typical']})" for r in row["reasons"]
                ),
            ]
            for row in facts["top"]
        ],
    )
