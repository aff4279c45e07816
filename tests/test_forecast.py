"""Forecast: intervals that hold what they say, seasons, every model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from awry.detectors.series.forecast import Forecast

pytest.importorskip("statsmodels")


@pytest.mark.parametrize("model", ["ets", "arima", "mstl"])
def test_a_value_out_of_season_stands_out(model):
    t = np.arange(240)
    x = 2 * np.sin(2 * np.pi * t / 12) + 0.02 * t + np.random.default_rng(0).normal(0, 0.1, 240)
    x[150] -= 1.5
    detector = Forecast(model, period=12).fit(x)
    assert detector.decision_scores_.argmax() == 150
    assert detector.periods_ == [12]
    new = np.r_[x[:100], x[100:150] * 1.0]
    new[80] += 1.5
    assert detector.decision_function(new).argmax() == 80


@pytest.mark.parametrize("model", ["ets", "arima"])
def test_the_interval_holds_its_share(model):
    x = lfilter([1.0], [1.0, -0.9], np.random.default_rng(0).normal(size=1500))
    detector = Forecast(model, order=1, coverage=0.8).fit(x[:1000])
    assert np.mean(detector.decision_function(x[1000:]) < 1) == pytest.approx(0.8, abs=0.05)
    band = detector.band(x)
    inside = (x > band.low[:, 0]) & (x < band.high[:, 0])
    assert np.mean(inside[20:]) == pytest.approx(0.8, abs=0.05)
    # An AR(1) is best foretold by 0.9 of the last value.
    foretold = band.expected[21:, 0]
    assert np.std(foretold - 0.9 * x[20:-1]) < 0.35


def test_too_few_points():
    with pytest.raises(ValueError, match="10 points at least, got 6"):
        Forecast().fit(np.arange(6.0))
