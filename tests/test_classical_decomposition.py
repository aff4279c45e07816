"""Classical decomposition against statsmodels, additive and multiplicative."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.series.classical_decomposition import ClassicalDecomposition, moving_trend

seasonal = pytest.importorskip("statsmodels.tsa.seasonal")


@pytest.mark.parametrize("period", [7, 12])
@pytest.mark.parametrize("model", ["additive", "multiplicative"])
def test_equals_statsmodels(period, model):
    t = np.arange(150)
    rng = np.random.default_rng(0)
    x = 10 + 0.1 * t + np.sin(2 * np.pi * t / period) + rng.normal(0, 0.2, 150)
    peer = seasonal.seasonal_decompose(x, model=model, period=period)
    parts = ClassicalDecomposition(model=model)._split(x, [period])
    np.testing.assert_allclose(parts.seasons[0], peer.seasonal, rtol=1e-10)
    inner = ~np.isnan(peer.trend)
    np.testing.assert_allclose(parts.trend[inner], peer.trend[inner], rtol=1e-10)


def test_the_trend_goes_on_straight_at_the_ends():
    for period in (5, 8):
        np.testing.assert_allclose(
            moving_trend(3.0 + 2.0 * np.arange(40), period), 3.0 + 2.0 * np.arange(40)
        )


def test_multiplicative_residuals_are_shares():
    t = np.arange(480)
    rng = np.random.default_rng(0)
    x = np.exp(t / 120) * (2 + np.sin(2 * np.pi * t / 24)) * np.exp(rng.normal(0, 0.02, 480))
    x[60] *= 1.3  # small beside the values at the end
    model = ClassicalDecomposition(period=24, model="multiplicative").fit(x)
    assert model.decision_scores_.argmax() == 60
    band = model.band(x, width=4.0)
    outside = (x < band.low[:, 0]) | (x > band.high[:, 0])
    np.testing.assert_array_equal(outside, model.decision_scores_ > 4.0)
    with pytest.raises(ValueError, match="needs values above 0, got -"):
        ClassicalDecomposition(period=24, model="multiplicative").fit(x - 5)
