import numpy as np
import pytest

from awry.detectors.series.rolling_quantile import RollingQuantile
from oracles_series import quantile_band


@pytest.mark.parametrize(("window", "low", "high"), [(2, 0.0, 1.0), (17, 0.1, 0.8), (100, 0.02, 1)])
def test_bands_against_their_oracle(window: int, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    train, x = rng.normal(size=150), np.round(rng.normal(size=300), 1)
    x[50:60] = np.nan
    x[5:9] = 1e6
    model = RollingQuantile(window=window, low=low, high=high).fit(train)
    bounds = quantile_band(x, train, window, low, high).T
    least = 0.05 * 1.4826 * np.median(np.abs(train - np.median(train)))
    expected, below, above = (b[:, 0] for b in model.band(x))
    np.testing.assert_allclose(expected, bounds[1], atol=1e-9)
    np.testing.assert_allclose(below, np.minimum(bounds[0], bounds[1] - least), atol=1e-9)
    np.testing.assert_allclose(above, np.maximum(bounds[2], bounds[1] + least), atol=1e-9)


def test_the_edge_of_the_band_scores_one_on_skewed_points() -> None:
    rng = np.random.default_rng(0)
    x = rng.exponential(size=6000)
    model = RollingQuantile(window=500, low=0.05, high=0.95, warmup=1000).fit(x)
    outside = model.decision_scores_[1000:] > 1
    band = np.log(1 / 0.95), np.log(20)
    assert abs(outside.mean() - 0.10) < 0.015
    low, high = model.band([np.nan]).low[0, 0], model.band([np.nan]).high[0, 0]
    np.testing.assert_allclose((low, high), band, rtol=0.5)
    scores = model.decision_function([[low]])[0], model.decision_function([[high]])[0]
    np.testing.assert_allclose(scores, 1.0)


def test_the_training_points_stand_in_until_the_window_is_full() -> None:
    train = np.random.default_rng(0).normal(10.0, 2.0, size=1000)
    model = RollingQuantile(window=200, low=0.1, high=0.9)
    start = model._start(model._check_input(train, reset=True))
    np.testing.assert_allclose(np.median(start.ring), np.median(train), rtol=1e-2)
    np.testing.assert_allclose(np.quantile(start.ring, 0.9), np.quantile(train, 0.9), rtol=1e-2)
    # They leave in random order: what is left after half of them is still like them.
    half = start.ring[0, 100:]
    np.testing.assert_allclose(np.median(half), np.median(train), atol=0.6)
