"""Network detectors of series: windows in, scores of points out; the convolutional autoencoder."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from awry import io  # noqa: E402
from awry.core.windows import Overlap, starts, windows  # noqa: E402
from awry.detectors import deep_series  # noqa: E402
from awry.detectors.deep import FewRowsWarning  # noqa: E402
from awry.detectors.series.conv_autoencoder_series import ConvAutoEncoderSeries  # noqa: E402

RNG = np.random.default_rng(0)
AT = np.arange(900)
CALM = np.column_stack([np.sin(AT / 4), np.cos(AT / 4)]) + RNG.normal(0, 0.05, (900, 2))
CHEAP = {"window": 24, "epochs": 15, "hidden": [16, 8], "lr": 5e-3, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return ConvAutoEncoderSeries(**CHEAP).fit(CALM)


def _points(terms, first, n, how, stride):
    """The slow, obvious twin of ``Overlap``."""
    length = terms.shape[1]
    found = np.full((n, terms.shape[2]), np.nan)
    for p in range(n):
        said = [
            (i, p - f)
            for i, f in enumerate(first)
            if f <= p < f + length
            and (
                how in ("mean", "max")
                or (how == "last" and p - f == length - 1)
                or (how == "centre" and length // 2 <= p - f < length // 2 + stride)
                or (how == "centre" and f == 0 and p < length // 2)
                or (how == "centre" and f == n - length and p - f >= length // 2)
            )
        ]
        parts = np.array([terms[i, k] for i, k in said])
        if said:
            most = parts[parts.sum(axis=1).argmax()] if how == "max" else parts.mean(axis=0)
            found[p] = most
    return found


@pytest.mark.parametrize("how", ["mean", "max", "centre", "last"])
@pytest.mark.parametrize("stride", [1, 3])
def test_steps_of_windows_are_spread_over_points(how, stride):
    first = starts(40, 7, stride)[np.r_[0:5, 8:12]] if stride == 3 else starts(40, 7)[::2]
    terms = RNG.random((len(first), 7, 2))
    overlap = Overlap(40, 7, stride, how)
    for part in np.array_split(np.arange(len(first)), 4):
        overlap.add(first[part], terms[part])
    np.testing.assert_allclose(overlap.result(), _points(terms, first, 40, how, stride))


def test_a_point_is_the_mean_of_the_errors_that_windows_make_at_it(fitted):
    z = (windows(CALM, 24) - CALM.mean(axis=0)) / CALM.std(axis=0)
    with torch.no_grad():
        x = torch.tensor(z)
        padded = x.transpose(1, 2)
        rebuilt = fitted.network_.decoder(fitted.network_.encoder(padded)).transpose(1, 2)
    errors = ((x - rebuilt) ** 2).numpy()
    p = 100
    expected = np.mean([errors[f, p - f] for f in range(p - 23, p + 1)], axis=0)
    np.testing.assert_allclose(fitted.explain(CALM).values[p], expected)
    np.testing.assert_allclose(fitted.decision_scores_[p], expected.sum())


@pytest.mark.parametrize("spread", ["mean", "max", "centre"])
def test_an_odd_shape_is_found_at_its_place_and_in_its_channel(fitted, spread):
    odd = CALM.copy()
    odd[500:506, 1] = 0.0
    found = fitted.set_params(spread=spread)
    scores = found.decision_function(odd)
    fitted.set_params(spread="mean")
    assert 495 <= scores.argmax() <= 511
    assert found.explain(odd).values[scores.argmax()].argmax() == 1
    assert np.median(scores[499:507]) > 10 * np.median(scores)


def test_windows_are_never_all_in_memory(fitted, monkeypatch):
    taken = []
    whole = fitted.decision_function(CALM)

    class Watched(deep_series._Windows):
        def __getitem__(self, rows):
            cut = super().__getitem__(rows)
            taken.append(cut.size)
            return cut

    monkeypatch.setattr(deep_series, "_Windows", Watched)
    monkeypatch.setattr(deep_series, "_CELLS", 24 * 2 * 100)
    np.testing.assert_allclose(fitted.decision_function(CALM), whole, rtol=1e-9)
    assert max(taken) <= 24 * 2 * 100
    taken.clear()
    detector = ConvAutoEncoderSeries(**{**CHEAP, "epochs": 1}, batch_size=50).fit(CALM)
    assert detector.window_ == 24
    assert max(taken) <= 24 * 2 * 100


def test_a_hole_is_neither_learnt_nor_judged(fitted):
    holed = CALM.copy()
    holed[200:240] = np.nan
    scores = fitted.decision_function(holed)
    assert (scores[201:239] == fitted.neutral_).all()
    np.testing.assert_allclose(scores[300:], fitted.decision_function(CALM)[300:], rtol=1e-9)
    assert np.isfinite(fitted.explain(holed).values).all()


def test_the_export_scores_windows(fitted, tmp_path):
    pytest.importorskip("onnxruntime")
    facts = fitted.to_onnx(tmp_path / "m.onnx")
    assert facts["difference"] < 1e-4
    with pytest.raises(ValueError, match=r"rows must be windows \(n, 24, 2\), got the shape"):
        fitted.to_onnx(tmp_path / "m.onnx", rows=CALM)


def test_a_loaded_model_scores_bit_for_bit_the_same(fitted):
    again = io.loads(io.dumps(fitted))
    assert np.array_equal(again.decision_function(CALM), fitted.decision_function(CALM))


def test_the_window_is_the_period_but_not_long():
    detector = ConvAutoEncoderSeries(epochs=1, hidden=[4, 4], random_state=0)
    assert detector.fit(CALM).window_ == 25  # 2 pi 4 points
    slow = np.sin(np.arange(1500) / 30)
    assert detector.fit(slow).window_ == 64


def test_few_windows_are_warned_of():
    with pytest.warns(FewRowsWarning, match="77 windows of 2 channels are few for a network"):
        ConvAutoEncoderSeries(**CHEAP).fit(CALM[:100])


def test_parameters_of_all_networks_of_series_are_spelt_out():
    params = ConvAutoEncoderSeries().get_params()
    assert {"window", "stride", "spread", "causal", "epochs", "contamination"} <= set(params)
    for words in ("window : int or None", "epochs : int or None", "kernel_size : int"):
        assert (ConvAutoEncoderSeries.__doc__ or "").count(words) == 1
