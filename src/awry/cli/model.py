"""`awry fit`, `awry score` and `awry explain`: models that outlive the data they learnt from."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import options
from awry.cli.view import as_json, number_words, progress, table
from awry.cli.writing import OUT_HELP, Writer


@click.command()
@options.reading
@options.judging
@click.option("--save", required=True, type=options.Target(), help="Where to save it.")
@options.showing
def fit(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    label: str | None,
    save: str,
    json_: bool,
    quiet: bool,
    **judging: Any,
) -> None:
    """Learn what is normal from FILE and save the model.

    \b
    awry fit last_month.parquet --save model.awry
    """
    from awry import io, run

    with progress(quiet=quiet or json_):
        model = run.fit(
            files, label=label, query=query, format=format_, **options.settings(**judging)
        )
        io.save(model, save, about={"source": list(files), "rows": len(model.train_scores_)})
    facts: dict[str, Any] = {
        "saved": save,
        "rows": len(model.train_scores_),
        "threshold": model.threshold_,
        "detector": model.describe(),
        "columns": model.column_words(),
    }
    if json_:
        click.echo(as_json(facts))
    else:
        click.echo(
            f"{facts['detector']['class']} fitted on {facts['rows']:,} rows, threshold "
            f"{number_words(model.threshold_)}; saved to {save}"
        )


@click.command()
@options.reading
@click.option(
    "-m", "--model", required=True, type=click.Path(dir_okay=False), help="A saved model."
)
@click.option("-o", "--out", type=options.Target(), help=OUT_HELP)
@click.option(
    "--columns",
    type=click.Choice(["ids", "all"]),
    default="ids",
    show_default=True,
    help="Columns of the source to keep in --out.",
)
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with 1 if anything was flagged.")
@options.showing
def score(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    model: str,
    out: str | None,
    columns: str,
    fail_on_anomaly: bool,
    json_: bool,
    quiet: bool,
) -> None:
    """Score FILE, of any size, with a saved model, batch by batch (series as a whole).

    \b
    awry score today.parquet --model model.awry --out scored.parquet
    """
    from contextlib import nullcontext

    from awry import run
    from awry.core.stages import StageSums

    judge = run.load_model(model)
    sums = StageSums(_detectors(judge))
    rows, flagged, problems = 0, 0, 0
    severities = {"warning": 0, "critical": 0, "emergency": 0}
    with progress(quiet=quiet or json_), Writer(out, columns) if out else nullcontext() as writer:
        for result in run.score(files, judge, query=query, format=format_):
            sums.add()
            rows += len(result)
            flagged += int(result.labels.sum())
            problems += result.problems.total
            for level, name in enumerate(severities, start=1):
                severities[name] += int((result.severity == level).sum())
            if writer is not None:
                writer.write(result)
    facts: dict[str, Any] = {
        "rows": rows,
        "flagged": flagged,
        **severities,
        "set_aside": problems,
        "out": out,
    }
    if sums.stages:
        facts["stages"] = [stage.told() for stage in sums.stages]
    if json_:
        click.echo(as_json(facts))
    else:
        click.echo(f"{rows:,} rows scored, {flagged:,} flagged ({flagged / max(rows, 1):.2%})")
        for name, count in severities.items():
            click.echo(f"  {name}: {count:,}")
        for stage in sums.stages:
            click.echo(f"  {stage}")
        if problems:
            click.echo(f"  set aside: {problems:,} rows or cells that could not be read")
        if out:
            click.echo(f"rows written to {out}")
    if fail_on_anomaly and flagged:
        click.get_current_context().exit(1)


@click.command()
@options.reading
@click.option(
    "-m", "--model", required=True, type=click.Path(dir_okay=False), help="A saved model."
)
@click.option(
    "--row",
    "rows",
    type=click.IntRange(1),
    multiple=True,
    help="Number of a row, from 1; may be repeated. The highest scores by default.",
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True)
@options.showing
def explain(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    model: str,
    rows: tuple[int, ...],
    top: int,
    json_: bool,
    quiet: bool,
) -> None:
    """Say why rows of FILE are odd: what each column added to the score.

    \b
    awry explain today.parquet --model model.awry --row 4711
    """
    from awry import run
    from awry.cli.series import explain_rows, show_rows
    from awry.series_result import SeriesResult

    with progress(quiet=quiet or json_):
        result = run.judge(files, model, query=query, format=format_)
        picks = [_position(result, row) for row in rows] or result.top(top).tolist()
    if isinstance(result, SeriesResult):
        if json_:
            click.echo(as_json(explain_rows(result, picks)))
        else:
            show_rows(result, picks)
        return
    with progress(quiet=quiet or json_):
        why = result.model.explain(result.table.take(picks))
        reasons = result.explain(picks, k=len(why.names))
    if json_:
        click.echo(as_json([
            {"row": int(result.rows[i]), "score": why.total[at], "base": why.base[at],
             "contributions": dict(zip(why.names, why.values[at].tolist(), strict=True)),
             "reasons": [vars(r) for r in reasons[at]]}
            for at, i in enumerate(picks)
        ]))  # fmt: skip
        return
    for at, i in enumerate(picks):
        table(
            ["column", "value", "typical", "contribution"],
            [
                [r.column, r.value, r.typical, f"{why.values[at, why.names.index(r.column)]:+.4g}"]
                for r in reasons[at]
            ],
            title=(
                f"row {result.rows[i]:,}: score {number_words(why.total[at])} = "
                f"{number_words(why.base[at])} + contributions (threshold "
                f"{number_words(result.threshold)}); columns that lower it are left out"
            ),
        )


def _detectors(model: Any) -> list[Any]:
    """All of a model, of whatever kind."""
    if hasattr(model, "parts_"):
        return [part.detector for part in model.parts_]
    return [model.detector_, *model.groups_.values()]


def _position(result: Any, row: int) -> int:
    import numpy as np

    found = np.flatnonzero(result.rows == row)
    if not len(found):
        raise click.BadParameter(
            f"row {row} is not among the {len(result):,} rows read", param_hint="--row"
        )
    return int(found[0])
