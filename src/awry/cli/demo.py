"""`awry demo`: the main job on real data that ships with awry."""

from __future__ import annotations

from pathlib import Path

import click

from awry.cli.detect import show
from awry.cli.view import progress


@click.command()
@click.option("--folder", default="awry-demo", show_default=True, type=click.Path(file_okay=False))
def demo(folder: str) -> None:
    """Find the odd ones among 367 breast masses, without their diagnoses, and write a report."""
    from awry import run
    from awry.cli.writing import Writer
    from awry.data import samples

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    source, label = samples.path("wdbc"), "malignant"
    with progress():
        result = run.detect(source, label=label)
        with Writer(str(target / "anomalies.csv")) as writer:
            writer.write(result)
        report = result.report(target / "report.html")
    show(result, 10)
    truth = run.labels_of(source, label)
    odd = int(truth.sum())
    found = int(truth[result.top(odd)].sum())
    click.echo(
        f"The diagnoses, which the detector did not see: {found} of the {odd} malignant "
        f"masses are among the {odd} highest scores."
    )
    click.echo(f"every row: {target / 'anomalies.csv'}")
    click.echo(f"report:    {report.resolve().as_uri()}")
