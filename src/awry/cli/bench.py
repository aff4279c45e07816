"""`awry bench`: published benchmarks beside other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from awry.cli import options
from awry.cli.options import F
from awry.cli.view import as_json, progress, table

#: Detectors run when none are named: those that are cheap enough for 10,000 rows.
DEFAULT = (
    "auto,isolation_forest,extended_isolation_forest,fair_cut_forest,random_histogram_forest,inne,"
    "ecod,copod,hbos,pca,loda,mcd,gmm,knn,lof,cblof,kmeans,ocsvm"
)


#: The same of series, and of those that go over a series once.
DEFAULT_SERIES = (
    "series_auto,window_statistics,matrix_profile,sub_pca,sub_knn,sub_lof,sub_isolation_forest,"
    "k_shape,spectral_residual,seasonal_ewma,stl,autoregression"
)
DEFAULT_ONLINE = "novelty,ewma,spot,seasonal_ewma,left_matrix_profile"

_data = click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="The benchmark's folder.",
)
_peers = click.option(
    "--peers",
    "rivals",
    default="all",
    show_default=True,
    help="Other libraries' detectors: all, none, or names between commas.",
)
_sets = click.option("--sets", metavar="NAMES", help="Only these sets, between commas.")
_out = click.option(
    "-o", "--out", type=options.Target(), help="JSON of all scores; resumes from it."
)
_markdown = click.option("--markdown", type=options.Target(), help="Write the tables here.")


def _detectors(default: str) -> Callable[[F], F]:
    return click.option("--detectors", default=default, show_default=True, help="Between commas.")


def _rivals(text: str, known: Sequence[str]) -> list[str]:
    """The names of the peers that ``text`` asks for."""
    if text in ("all", "none"):
        return list(known) if text == "all" else []
    chosen = options.names(text) or []
    for name in chosen:
        if name not in known:
            raise click.BadParameter(
                f"{name!r} is not one of {', '.join(known)}", param_hint="--peers"
            )
    return chosen


@click.group()
def bench() -> None:
    """Run a published benchmark beside other libraries."""


@bench.command()
@_data
@_detectors(DEFAULT)
@_peers
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["transductive", "train_on_normal"]),
    help="Both by default.",
)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@_sets
@_out
@_markdown
@click.option("--per-set", is_flag=True, help="Also print every set.")
@options.showing
def adbench(
    data: str,
    detectors: str,
    rivals: str,
    protocols: tuple[str, ...],
    seeds: int,
    sets: str | None,
    out: str | None,
    per_set: bool,
    markdown: str | None,
    json_: bool,
    quiet: bool,
) -> None:
    """ADBench's tables (Han et al., NeurIPS 2022): AUROC and AUPRC per set, mean and mean rank.

    \b
    awry bench adbench --data ../shared/data/adbench --seeds 5 --out adbench.json
    """
    from awry.bench import adbench as benchmark
    from awry.bench.peers import peers

    names, chosen = options.names(detectors) or [], protocols or benchmark.PROTOCOLS
    with progress(quiet=quiet or json_):
        scores = benchmark.run(
            data, names, rivals=_rivals(rivals, list(peers())), protocols=chosen, seeds=seeds,
            sets=options.names(sets), out=out,
        )  # fmt: skip
    if markdown:
        Path(markdown).write_text(benchmark.markdown(scores, chosen), encoding="utf-8")
    if json_:
        summaries = {p: [asdict(s) for s in benchmark.summarise(scores, p)] for p in chosen}
        click.echo(as_json({"summary": summaries, "scores": [asdict(s) for s in scores]}))
        return
    for protocol in chosen:
        rows = benchmark.summarise(scores, protocol)
        table(
            ["detector", "sets", "AUROC", "AUPRC", "mean rank", "± over seeds", "CPU s"],
            [[r.detector, r.sets, *(round(v, 4) for v in (r.auroc, r.auprc, r.rank, r.spread)),
              round(r.cpu_seconds, 2)] for r in rows],
            title=f"{protocol}, {seeds} seeds: mean over sets of AUROC and AUPRC",
        )  # fmt: skip
        if per_set:
            for metric in ("auroc", "auprc"):
                values = benchmark.per_set(scores, protocol, metric)
                sets_ = sorted({d for by_set in values.values() for d in by_set})
                shown = [row.detector for row in rows]
                table(
                    ["set", *shown],
                    [
                        [d, *(round(values[n].get(d, float("nan")), 3) for n in shown)]
                        for d in sets_
                    ],
                    title=f"{protocol}: {metric.upper()} per set",
                )


@bench.command()
@_data
@_detectors(DEFAULT_SERIES)
@_peers
@click.option("--sets", default="smap_msl,asd,wsd,aiops", show_default=True, help="Between commas.")
@click.option("--series", type=click.IntRange(1), help="At most so many of each set.")
@click.option(
    "--channels",
    multiple=True,
    type=click.Choice(["all", "first"]),
    default=["all"],
    show_default=True,
    help="Which channels detectors see; may be given twice.",
)
@_out
@_markdown
@options.showing
def tsb(
    data: str,
    detectors: str,
    rivals: str,
    sets: str,
    series: int | None,
    channels: tuple[str, ...],
    out: str | None,
    markdown: str | None,
    json_: bool,
    quiet: bool,
) -> None:
    """Labelled series: VUS-PR and more on each set, fitted on the training part without labels.

    \b
    awry bench tsb --data ../shared/data/series --series 12 --out tsb.json
    """
    from awry.bench import tsb as benchmark
    from awry.bench.peers import peers

    known = [name for name in benchmark.WINDOW_PEERS if name in peers()]
    with progress(quiet=quiet or json_):
        outcome = benchmark.run(
            data, options.names(detectors) or [], rivals=_rivals(rivals, known),
            sets=options.names(sets), series=series, channels=channels, out=out,
        )  # fmt: skip
    if markdown:
        Path(markdown).write_text(benchmark.markdown(outcome), encoding="utf-8")
    summaries = benchmark.groups(outcome.scores)
    if json_:
        click.echo(as_json({"summary": summaries, **asdict(outcome)}))
        return
    for title, rows in summaries.items():
        table(benchmark.HEAD, [benchmark.table_row(row) for row in rows], title=title)
    for line in (*benchmark.NOTES, *benchmark.remarks(outcome)):
        click.echo(line)


@bench.command()
@_data
@_detectors(DEFAULT_ONLINE)
@click.option(
    "--results", type=click.Path(file_okay=False), help="Write NAB's own result files here."
)
@click.option("-o", "--out", type=options.Target(), help="JSON of all scores.")
@_markdown
@options.showing
def nab(
    data: str,
    detectors: str,
    results: str | None,
    out: str | None,
    markdown: str | None,
    json_: bool,
    quiet: bool,
) -> None:
    """The Numenta Anomaly Benchmark: one causal pass over each file, one setting for all.

    \b
    awry bench nab --data ../shared/data/nab --results results
    """
    from awry.bench import nab as benchmark

    with progress(quiet=quiet or json_):
        scores = benchmark.run(data, options.names(detectors) or [], results=results, out=out)
    if markdown:
        Path(markdown).write_text(benchmark.markdown(scores), encoding="utf-8")
    if json_:
        click.echo(as_json([asdict(s) for s in scores]))
        return
    for threshold, title in benchmark.TITLES.items():
        table(benchmark.HEAD, benchmark.rows(scores, threshold), title=title)
    for line in benchmark.remarks(scores):
        click.echo(line)
