"""`awry bench`: published benchmarks beside other libraries."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from awry.cli import options
from awry.cli.view import as_json, progress, table

#: Detectors run when none are named: those that are cheap enough for 10,000 rows.
DEFAULT = (
    "auto,isolation_forest,extended_isolation_forest,fair_cut_forest,random_histogram_forest,inne,"
    "ecod,copod,hbos,pca,loda,mcd,gmm,knn,lof,cblof,kmeans,ocsvm"
)


def _rivals(text: str) -> list[str]:
    """The names of the peers that ``text`` asks for."""
    from awry.bench.peers import peers

    known = list(peers())
    if text in ("all", "none"):
        return known if text == "all" else []
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
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="Folder of .npz files.",
)
@click.option("--detectors", default=DEFAULT, show_default=True, help="Between commas.")
@click.option(
    "--peers",
    "rivals",
    default="all",
    show_default=True,
    help="PyOD's, scikit-learn's and isotree's: all, none, or names between commas.",
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["transductive", "train_on_normal"]),
    help="Both by default.",
)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--sets", metavar="NAMES", help="Only these sets, between commas.")
@click.option("-o", "--out", type=options.Target(), help="JSON of all scores; resumes from it.")
@click.option("--markdown", type=options.Target(), help="Write the tables here.")
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

    names, chosen = options.names(detectors) or [], protocols or benchmark.PROTOCOLS
    with progress(quiet=quiet or json_):
        scores = benchmark.run(
            data, names, rivals=_rivals(rivals), protocols=chosen, seeds=seeds,
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
