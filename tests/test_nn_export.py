"""Export: onnxruntime's scores are awry's, for any number of rows, in the columns' own units."""

from __future__ import annotations

import json

import click
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from awry import io
from awry.cli import app
from awry.core import registry
from awry.core.errors import DataError, ModelError
from awry.detectors.tabular.autoencoder import AutoEncoder
from awry.detectors.tabular.vae import VAE
from awry.nn import export

RNG = np.random.default_rng(0)
#: A column in the billions of which the last digits matter.
X = RNG.normal(size=(300, 4)) * [1, 1e-3, 1e3, 0.5] + [0, 0, 0, 1e9]
X[:, 2] = X[:, 0] * 1e3
DETECTORS = [
    AutoEncoder(epochs=3, random_state=0),
    *(VAE(epochs=3, random_state=0, score_type=s) for s in ("elbo", "kl", "mahalanobis")),
]


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
def test_scores_are_equal_in_onnxruntime(detector, tmp_path):
    path = tmp_path / "model.onnx"
    facts = detector.fit(X).to_onnx(path)
    assert facts["bytes"] == path.stat().st_size
    for rows in (X, X[:1], X[:7]):
        np.testing.assert_allclose(
            export.run_onnx(path, rows), detector.decision_function(rows), rtol=1e-4, atol=1e-4
        )


def test_eight_bits_are_smaller_and_rank_alike(tmp_path):
    detector = AutoEncoder(hidden=[256, 128], epochs=5, random_state=0).fit(X)
    whole, small = (
        detector.to_onnx(tmp_path / "m.onnx", int8=int8, rows=X) for int8 in (False, True)
    )
    assert whole["difference"] < 1e-4 < small["difference"]
    assert small["bytes"] < 0.4 * whole["bytes"]
    assert small["rank_correlation"] > 0.8
    odd = np.vstack([X, X[:10] + 6 * X.std(axis=0) * np.array([1, 1, -1, 1])])
    scores = export.run_onnx(tmp_path / "m.onnx", odd)
    assert scores[300:].min() > np.quantile(scores[:300], 0.98)


def test_a_file_that_scores_otherwise_is_refused(tmp_path, monkeypatch):
    detector = AutoEncoder(epochs=1, random_state=0).fit(X)
    monkeypatch.setattr(export, "run_onnx", lambda path, rows: np.zeros(len(rows)))
    with pytest.raises(ModelError, match="do not use the file"):
        detector.to_onnx(tmp_path / "m.onnx")


def run(*args):
    return app.main(args=[*map(str, args)], prog_name="awry", standalone_mode=False)


def test_the_command_exports_a_saved_model(tmp_path, capsys):
    csv, model, onnx = tmp_path / "x.csv", tmp_path / "m.awry", tmp_path / "m.onnx"
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(city=["Rome", "Oslo"] * 150)
    frame.to_csv(csv, index=False)
    run("fit", csv, "--save", model, "-d", "autoencoder", "-p", "epochs=3")
    capsys.readouterr()
    run("export", model, "--onnx", onnx, "--int8", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["class"] == "AutoEncoder"
    assert facts["bytes"] == onnx.stat().st_size < facts["bytes_32_bit"]
    run("export", model, "--onnx", onnx)
    assert "scores differ by" in capsys.readouterr().out
    saved = io.load(model)
    rows = saved.encoder_.transform(frame)
    assert rows.shape[1] == len(facts["columns"])
    np.testing.assert_allclose(
        export.run_onnx(onnx, rows), saved.detector_.decision_function(rows), rtol=1e-4, atol=1e-4
    )
    assert facts["threshold"] == pytest.approx(saved.threshold_)
    onnx.unlink()
    run("export", model, "--onnx")
    assert onnx.is_file()
    with pytest.raises(click.BadParameter, match="the model itself"):
        run("export", model, "--onnx", model)
    run("fit", csv, "--save", model, "-d", "ecod")
    with pytest.raises(DataError, match="the scores of ECOD are not those of one trained network"):
        run("export", model, "--onnx", onnx)


def test_all_that_export_are_named_where_others_are_refused():
    cards = [c for c in registry.cards() if hasattr(registry.get(c.name), "to_onnx")]
    others = {c.name for c in cards if c.family != "networks"}
    assert others == {"deep_sad", "devnet", "prenet"}
    networks = {c.name for c in registry.cards() if c.family == "networks"}
    assert networks - {c.name for c in cards} == {"online_autoencoder"}


@pytest.mark.filterwarnings("ignore:.*are few for a network")
def test_of_series_the_command_says_windows_and_no_threshold(tmp_path, capsys):
    at = np.arange(200)
    times = pd.date_range("2026-01-01", periods=200, freq="min")
    csv, model = tmp_path / "s.csv", tmp_path / "m.awry"
    frame = pd.DataFrame({"time": times, "a": np.sin(at / 4), "b": np.cos(at / 4)})
    frame.to_csv(csv, index=False)
    setting = ("-d", "lstm_forecaster", "-p", "epochs=1", "-p", "hidden=4", "-p", "window=16")
    run("fit", csv, "--save", model, *setting)
    capsys.readouterr()
    run("export", model, "--onnx")
    said = capsys.readouterr().out
    assert "from windows of 16 points x 2 channels to a score each" in said
    assert "  threshold" not in said
    assert "smooths" not in said
    windows = np.random.default_rng(0).normal(size=(5, 16, 2))
    detector = io.load(model).detector_
    np.testing.assert_allclose(
        export.run_onnx(tmp_path / "m.onnx", windows),
        detector._apply(detector.network_.terms, windows).sum(axis=(1, 2)),
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    run("fit", csv, "--save", model, *setting, "-p", "errors=smoothed")
    capsys.readouterr()
    run("export", model, "--onnx", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["window"] == 16
    assert "the mean over 105 points" in facts["left_out"]
    assert "threshold" not in facts
    frame.melt("time", var_name="host").to_csv(csv, index=False)
    run("fit", csv, "--save", model, "--by", "host", *setting)
    assert len(io.load(model).parts_) == 2
    with pytest.raises(DataError, match="a detector per series"):
        run("export", model, "--onnx")
