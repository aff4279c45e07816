"""`awry drift`: what changed between two tables, and by how much."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import options
from awry.cli.view import as_json, number_words, progress, table
from awry.core.errors import DataError, about
from awry.core.progress import track

#: As in :mod:`awry.drift.table`, which is imported only when the command runs.
_NUMBERS = ["ks", "cvm", "wasserstein", "energy", "psi", "kl", "js"]
_LEVELS = ["chi_square", "g", "psi", "kl", "js"]
#: Formats whose rows leave out what they do not have.
_OBJECTS = ("json", "jsonl")
_CORRECTIONS = {"bh": "benjamini_hochberg", "bonferroni": "bonferroni", "none": None}


@click.command()
@click.argument("reference")
@click.argument("current")
@click.option("--format", "format_", help="csv, parquet, arrow, json or jsonl; else sniffed.")
@click.option(
    "--test",
    type=click.Choice(_NUMBERS),
    default="ks",
    show_default=True,
    help="How numbers are compared.",
)
@click.option(
    "--category-test",
    type=click.Choice(_LEVELS),
    default="chi_square",
    show_default=True,
    help="How categories are compared.",
)
@click.option(
    "--joint",
    type=click.Choice(["mmd", "classifier", "pca"]),
    help="Compare all numbers at once too.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Level of significance, after the correction.",
)
@click.option(
    "--correction",
    type=click.Choice(list(_CORRECTIONS)),
    default="bh",
    show_default=True,
    help="For asking about many features: Benjamini-Hochberg, or Bonferroni.",
)
@click.option(
    "--min-effect",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    help="Moves smaller than this, in the unit of the test, do not matter.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="COLUMN=KIND",
    help="What a column is: number, category, boolean, time, text, identifier.",
)
@click.option("--ignore", metavar="COLUMNS", help="Columns not to compare.")
@click.option("--report", type=options.Target(), help="Write a report here (HTML).")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 where something drifted.")
@options.showing
def drift(
    reference: str,
    current: str,
    format_: str | None,
    test: str,
    category_test: str,
    joint: str | None,
    alpha: float,
    correction: str,
    min_effect: float,
    kinds: tuple[str, ...],
    ignore: str | None,
    report: str | None,
    fail_on_drift: bool,
    json_: bool,
    quiet: bool,
) -> None:
    """Say which columns of CURRENT moved away from REFERENCE, and by how much.

    A column drifted where chance explains the difference poorly (--alpha) and the difference is
    large enough to matter (--min-effect), or where it is gone. Exits with 0; with --fail-on-drift
    with 1 where something drifted, and with 2 where there were too few rows to test anything.

    \b
    awry drift january.parquet february.parquet --report drift.html
    """
    from awry.data.readers import open_source
    from awry.drift.table import TableDrift

    settings: dict[str, Any] = {
        "numbers": test, "levels": category_test, "joint": joint, "alpha": alpha,
        "correction": _CORRECTIONS[correction], "min_effect": min_effect,
        "kinds": options.pairs(kinds, "--kind") or None, "ignore": options.names(ignore),
    }  # fmt: skip
    with progress(quiet=quiet or json_):
        sources = [open_source(path, format=format_) for path in (reference, current)]
        old, new = (source.read() for source in track("reading", sources))
        with about(sources[0].name):
            fitted = TableDrift(**settings).fit(old)
        with about(sources[1].name):
            change = fitted.test(new, sparse=sources[1].format in _OBJECTS)
    for source in sources:
        change.notes.extend(f"{source.name}: set aside {problem}" for problem in source.problems)
    if report:
        from awry.report.drift_page import write_drift

        write_drift(change, report, reference=reference, current=current, settings=settings)
    if json_:
        click.echo(as_json({"reference": reference, "current": current, **change.to_dict()}))
    else:
        show(change)
        if report:
            click.echo(f"report written to {report}")
    if fail_on_drift and change:
        click.get_current_context().exit(1)
    if fail_on_drift and not change.tested:
        raise DataError("too few rows to test anything", remedy="give more on both sides")


def show(change: Any) -> None:
    """Print every feature, those that drifted first."""
    rows = []
    for f in change.features:
        figures = [number_words(v) if f.tested else "" for v in (f.effect, f.adjusted)]
        rows.append([f.feature, _verdict(f), *figures, f.change, f.test])
    if change.joint is not None:
        found = change.joint
        rows.append(["all numbers", _verdict(found), number_words(found.effect),
                     number_words(found.p_value), "", found.test])  # fmt: skip
    table(["feature", "", "effect", "p, corrected", "what became of it", "test"], rows)
    for note in change.notes:
        click.echo(f"note: {note}")
    untested = f"{len(change.untested)} not tested; " if change.untested else ""
    click.echo(
        f"{len(change.drifted)} of {len(change.features)} features drifted; "
        f"{untested}{change.rows_reference:,} rows of reference, {change.rows_current:,} new ones"
    )


def _verdict(found: Any) -> str:
    if found.drifted:
        return "drifted"
    if found.significant:
        return "too small to matter"
    if not getattr(found, "tested", True):  # of all numbers at once there is one only if tested
        return "too few values to test"
    return "may be chance" if found.material else ""
