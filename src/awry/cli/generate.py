"""`awry generate`: realistic data with labelled anomalies."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from awry.cli import options
from awry.cli.view import progress
from awry.core.progress import report

_NAMES = ["financial_transactions", "network_traffic", "iot_sensors", "user_behavior"]


@click.command()
@click.argument("name", type=click.Choice(_NAMES))
@click.option(
    "-n", "--rows", type=click.IntRange(1), help="Rows; endless to standard output if left out."
)
@click.option("-o", "--out", type=options.Target(), help=".csv, .parquet or .jsonl.")
@click.option(
    "--anomaly-rate", type=click.FloatRange(0, 0.5), help="Expected share of anomalous rows."
)
@click.option("--kinds", metavar="KINDS", help="Kinds to plant, between commas; all by default.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Rows a second.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def generate(
    name: str,
    rows: int | None,
    out: str | None,
    anomaly_rate: float | None,
    kinds: str | None,
    rate: float | None,
    seed: int,
    quiet: bool,
) -> None:
    """Write rows of the simulated world NAME.

    \b
    awry generate financial_transactions --rows 100000 --out transactions.parquet
    awry generate network_traffic --rate 100        # endless JSON lines
    """
    options: dict[str, Any] = {"seed": seed}
    if anomaly_rate is not None:
        options["anomaly_rate"] = anomaly_rate
    if kinds is not None:
        options["kinds"] = [kind.strip() for kind in kinds.split(",")]
    if out is None:
        _print_lines(name, rows, rate, options)
        return
    if rate is not None:
        raise click.UsageError("--rate is for a stream to standard output, not for --out")
    with progress(quiet=quiet):
        _write_file(name, rows or 10_000, Path(out), options)
    click.echo(f"{rows or 10_000:,} rows written to {out}")


def _print_lines(name: str, rows: int | None, rate: float | None, options: dict[str, Any]) -> None:
    from awry.data.generate import stream

    # Ctrl-C is how an endless stream is ended.
    with contextlib.suppress(KeyboardInterrupt):
        for i, row in enumerate(stream(name, rate=rate, **options)):
            if i == rows:
                return
            sys.stdout.write(json.dumps(row, default=str) + "\n")
            if rate is not None:
                sys.stdout.flush()


def _write_file(name: str, rows: int, out: Path, options: dict[str, Any]) -> None:
    import pyarrow as pa

    from awry.cli.writing import Writer
    from awry.data.generate import generate_batches

    done = 0
    with Writer(str(out)) as writer:
        for frame in generate_batches(name, rows, **options):
            writer.write_table(pa.Table.from_pandas(frame, preserve_index=False))
            done += len(frame)
            report(f"generate {name}", done, rows)
