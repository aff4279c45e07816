"""`awry export`: saved networks for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from awry.cli import options
from awry.cli.view import as_json, number_words


@click.command()
@click.argument("model", type=click.Path(dir_okay=False))
@click.option(
    "--onnx",
    required=True,
    is_flag=False,
    flag_value="",
    type=options.Target(),
    help="Where to write the ONNX model; without FILE, beside MODEL.",
)
@click.option("--int8", is_flag=True, help="Keep weights in 8 bits: smaller, less exact.")
@click.option("--json", "json_", is_flag=True, help="Print JSON for machines.")
def export(model: str, onnx: str, int8: bool, json_: bool) -> None:
    """Write the network in the saved MODEL as ONNX: encoded rows, or windows, in, scores out.

    \b
    awry export model.awry --onnx
    awry export model.awry --onnx network.onnx
    """
    beside = str(Path(model).with_suffix(".onnx"))
    onnx = onnx or options.Target().convert(beside, None, None)
    if Path(onnx).resolve() == Path(model).resolve():
        raise click.BadParameter("that is the model itself", param_hint="--onnx")
    facts = _export(model, onnx, int8)
    if json_:
        click.echo(as_json(facts))
        return
    width = len(facts["columns"])
    taken = f"{width:,} encoded columns to a score"
    if "window" in facts:
        taken = f"windows of {facts['window']:,} points x {width:,} channels to a score each"
    click.echo(f"{facts['class']} written to {onnx}: {facts['bytes']:,} bytes, from {taken}")
    click.echo(
        f"  tried in onnxruntime: scores differ by {facts['difference']:.1e} of 1 + score at most, "
        f"ranks agree by {facts['rank_correlation']:.4f}"
    )
    if "bytes_32_bit" in facts:
        click.echo(f"  in 32 bits it would take {facts['bytes_32_bit']:,} bytes")
    if "threshold" in facts:
        click.echo(f"  threshold {number_words(facts['threshold'])}")
    if "left_out" in facts:
        click.echo(f"  not in the file: {facts['left_out']}")
        click.echo("  so the model's threshold does not hold for the scores it gives")


def _export(model: str, onnx: str, int8: bool) -> dict[str, Any]:
    """Write the file and say what is in it."""
    import tempfile

    from awry import io
    from awry.core.errors import DataError

    saved = io.load(model)
    detector = getattr(saved, "detector_", saved)
    if not hasattr(detector, "to_onnx"):
        raise DataError(
            f"the scores of {type(detector).__name__} are not those of one trained network",
            source=model,
            remedy="export one of the family 'networks', deep_sad, devnet or prenet; a distilled "
            "network learns what another detector says",
        )
    if len(getattr(saved, "parts_", ())) > 1:
        raise DataError("holds a detector per series", source=model, remedy="fit one series")
    if getattr(saved, "groups_", None):
        raise DataError("holds a detector per group", source=model, remedy="fit without --by")
    facts = detector.to_onnx(onnx, int8=int8)
    if int8:
        with tempfile.TemporaryDirectory() as folder:
            facts["bytes_32_bit"] = detector.to_onnx(Path(folder) / "model.onnx")["bytes"]
    encoder = getattr(saved, "encoder_", None)
    names = getattr(encoder, "feature_names_", getattr(detector, "feature_names_in_", None))
    width = range(detector.n_features_in_)
    if "left_out" not in facts:
        facts["threshold"] = float(saved.threshold_)
    return {
        "onnx": onnx,
        "class": type(detector).__name__,
        "columns": [f"x{j}" for j in width] if names is None else [str(n) for n in names],
        **facts,
    }
