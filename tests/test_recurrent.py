"""Recurrent autoencoder and forecaster: what they rebuild, foretell and find, and the threshold."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from awry.core.threshold import Dynamic, make_threshold  # noqa: E402
from awry.detectors.series.lstm_autoencoder import LSTMAutoEncoder  # noqa: E402
from awry.detectors.series.lstm_forecaster import LSTMForecaster, _smoothed  # noqa: E402
from awry.nn.errors import ErrorGaussian  # noqa: E402
from awry.nn.recurrent import RecurrentForecasterNetwork  # noqa: E402

RNG = np.random.default_rng(0)
AT = np.arange(600)
CALM = np.column_stack([np.sin(AT / 4), np.cos(AT / 4)]) + RNG.normal(0, 0.05, (600, 2))
CHEAP = {"window": 16, "stride": 2, "hidden": [12], "epochs": 12, "lr": 0.02, "random_state": 0}


def _with_odd_shape():
    odd = CALM.copy()
    odd[400:406, 1] = 0.0
    return odd


@pytest.mark.parametrize("bottleneck", ["last", "sequence"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_odd_shape_is_what_cannot_be_told_anew(bottleneck, cell):
    latent = 4 if bottleneck == "sequence" else None
    detector = LSTMAutoEncoder(bottleneck=bottleneck, cell=cell, latent=latent, **CHEAP).fit(CALM)
    scores = detector.decision_function(_with_odd_shape())
    assert 395 <= scores.argmax() <= 411
    assert detector.explain(_with_odd_shape()).values[scores.argmax()].argmax() == 1
    assert detector.history_["loss"][-1] < 0.5 * detector.history_["loss"][0]


def test_the_last_state_is_all_that_is_told_from():
    network = LSTMAutoEncoder(**{**CHEAP, "epochs": 1}).fit(CALM).network_
    x = torch.randn(3, 16, 2, dtype=torch.float64)
    with torch.no_grad():
        codes = network.encoder(x)[:, -1:].expand(-1, 16, -1)
        told = network.to_x(network.decoder(codes)).flip(1)
        torch.testing.assert_close(network.rebuild(x), told)
    sequence = LSTMAutoEncoder(bottleneck="sequence", **{**CHEAP, "epochs": 1}).fit(CALM).network_
    y = x.clone()
    y[:, 10:] += 1.0  # In the second of two codes, which the first 8 steps do not know of.
    with torch.no_grad():
        same = sequence.rebuild(x)[:, :8], sequence.rebuild(y)[:, :8]
        assert torch.equal(*same)
        assert not torch.allclose(sequence.rebuild(x)[:, 8:], sequence.rebuild(y)[:, 8:])


def test_terms_of_errors_sum_to_the_mahalanobis_distance():
    errors = RNG.normal(size=(500, 3)) @ RNG.normal(size=(3, 3)) + [1.0, 0.0, -2.0]
    gaussian = ErrorGaussian(3).double()
    gaussian.measure(torch.tensor(part) for part in np.array_split(errors, 7))
    away = errors - errors.mean(axis=0)
    distance = np.einsum("ij,ij->i", away @ np.linalg.inv(np.cov(errors.T, bias=True)), away)
    terms = gaussian(torch.tensor(errors)).numpy()
    np.testing.assert_allclose(terms.sum(axis=1), distance)
    flat = ErrorGaussian(2)
    flat.measure([torch.zeros(10, 2)])
    assert torch.isfinite(flat(torch.ones(1, 2))).all()


def test_every_point_is_foretold_from_each_step_before():
    network = RecurrentForecasterNetwork(
        2, [5], horizon=3, skipped=4, absolute=False, cell="lstm", dropout=0.0
    ).double()
    x = torch.randn(2, 9, 2, dtype=torch.float64)
    said = network.to_next(network.layers(x)).reshape(2, 9, 3, 2)
    errors = network.errors_ahead(x)
    assert errors.shape == (2, 6, 3, 2)
    for t in range(3, 9):
        for ahead in (1, 2, 3):
            torch.testing.assert_close(
                errors[:, t - 3, ahead - 1], x[:, t] - said[:, t - ahead, ahead - 1]
            )
    terms = network.terms(x)
    assert terms.shape == x.shape
    assert not terms[:, :4].any()


def test_a_point_that_is_not_expected_is_found_and_its_channel_named():
    odd = CALM.copy()
    odd[400, 0] += 1.0
    detector = LSTMForecaster(causal=True, **CHEAP).fit(CALM)
    scores = detector.decision_function(odd)
    assert 400 <= scores.argmax() <= 403
    assert detector.explain(odd).values[400].argmax() == 0
    assert (scores[:15] == detector.neutral_).all()
    with pytest.raises(ValueError, match="horizon must be at most half the window of 16 points"):
        LSTMForecaster(horizon=9, **CHEAP).fit(CALM)


def test_smoothed_errors_are_exponential_means():
    x = RNG.random((40, 1))
    x[5:9] = np.nan
    found = _smoothed(x, 4)
    for t in (0, 4, 12, 39):
        weights = np.where(np.isnan(x[: t + 1, 0]), 0.0, 0.6 ** np.arange(t, -1, -1.0))
        mean = (weights * np.nan_to_num(x[: t + 1, 0])).sum() / weights.sum()
        assert found[t, 0] == pytest.approx(mean)
    assert np.isnan(found[5:9]).all()


def test_telemanom_flags_an_event_and_little_else():
    odd = CALM.copy()
    odd[400:412, 0] *= -1.0
    rule = "dynamic"
    detector = LSTMForecaster(errors="smoothed", smoothing=5, contamination=rule, **CHEAP).fit(odd)
    flagged = np.flatnonzero(detector.labels_)
    assert len(flagged)
    assert flagged.min() >= 398
    assert flagged.max() <= 425


def test_the_dynamic_threshold_lets_go_what_does_not_stand_out():
    scores = 1.0 + 0.1 * RNG.random(1000)
    scores[100:103], scores[500:502] = 5.0, 4.9
    assert Dynamic().fit(scores).predict(scores).sum() == 5
    # The lower of two events is hardly above the rest.
    scores[500:502] = 1.2
    loose, strict = Dynamic(prune=0.0).fit(scores), make_threshold("dynamic:0.2").fit(scores)
    assert strict.predict(scores).sum() == 3
    assert loose.threshold_ <= strict.threshold_
    assert Dynamic().fit(np.ones(50)).predict(np.ones(50)).sum() == 0


def test_the_export_scores_windows(tmp_path):
    pytest.importorskip("onnxruntime")
    detector = LSTMForecaster(cell="lstm", **{**CHEAP, "epochs": 1}).fit(CALM)
    assert detector.to_onnx(tmp_path / "m.onnx")["difference"] < 1e-4
