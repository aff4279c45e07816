"""Autoregression: coefficients, recursive against batch least squares, what outliers may not do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from awry.detectors.series.autoregression import Autoregression


def ar2(n: int = 4000, seed: int = 0) -> np.ndarray:
    return lfilter([1.0], [1.0, -1.2, 0.5], np.random.default_rng(seed).normal(size=n))


def test_finds_the_coefficients_and_the_scale_of_the_errors():
    model = Autoregression(order=2, period=None, ridge=1e-6, forgetting=1.0).fit(ar2())
    np.testing.assert_allclose(model.state_.coef[0], [0, 1.2, -0.5], atol=0.05)
    assert model.state_.scale[0] * model.state_.unit[0] == pytest.approx(1.0, rel=0.05)


def test_recursive_least_squares_equals_the_batch():
    rng = np.random.default_rng(0)
    x = lfilter([1.0], [1.0, -0.7], rng.uniform(-1, 1, 600))  # errors within the clipping limit
    model = Autoregression(order=1, ridge=1e-3, forgetting=1.0, warmup=100).fit(x)
    z = (x - model.state_.center[0]) / model.state_.unit[0]
    design = np.column_stack([np.ones(599), z[:-1]])
    rows = np.r_[0:99, 99:599]
    # The warm-up is learnt by the start and then once more, point by point, as is all that follows.
    gram = design[rows].T @ design[rows] + design[:99].T @ design[:99]
    moment = design[rows].T @ z[1:][rows] + design[:99].T @ z[1:100]
    first = np.array([1.0, z[0]])  # the cycle before the first point is taken to be the first one
    gram, moment = gram + np.outer(first, first), moment + first * z[0]
    np.testing.assert_allclose(model.state_.coef[0], np.linalg.solve(gram, moment), atol=1e-4)


def test_an_outlier_does_not_make_the_next_points_odd():
    x = np.sin(np.arange(900) / 4) + np.random.default_rng(0).normal(0, 0.05, 900)
    calm = Autoregression(warmup=300).fit(x).decision_scores_
    x[600] += 20.0
    odd = Autoregression(warmup=300).fit(x).decision_scores_
    assert odd[600] > 50
    assert odd[601:].max() < 2 * calm[601:].max()


def test_the_season_counts():
    rng = np.random.default_rng(0)
    x = np.tile(rng.normal(size=50), 20) + rng.normal(0, 0.1, 1000)
    x[800] += 1.5
    assert Autoregression(order=2, warmup=400).fit(x).state_.lags.tolist() == [2, 50]
    assert Autoregression(order=2, warmup=400).fit(x).decision_scores_.argmax() == 800
    without = Autoregression(order=2, period=3, warmup=400).fit(x).decision_scores_
    assert without[800] < 4


def test_it_follows_a_series_that_changes():
    x = np.r_[
        ar2(1500), 5.0 + lfilter([1.0], [1.0, 0.6], np.random.default_rng(1).normal(size=3000))
    ]
    scores = Autoregression(forgetting=0.99, warmup=500).fit(x).decision_scores_
    assert np.median(scores[4000:]) < 1.0


def test_the_band_is_what_scores_below_its_width():
    x = ar2(800)
    model = Autoregression(warmup=300).fit(x[:700])
    band, scores = model.band(x[700:], width=2.0), model.decision_function(x[700:])
    inside = (x[700:] > band.low[:, 0]) & (x[700:] < band.high[:, 0])
    np.testing.assert_array_equal(inside, scores < 2.0)
