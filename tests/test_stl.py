"""STL and what the decompositions share: residual tests, new series, causality, bands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from awry.detectors.series._residuals import _past_median, residual_moments
from awry.detectors.series.stl import STL

DAY = np.sin(2 * np.pi * np.arange(480) / 24)


def noisy(x: np.ndarray, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return x + np.random.default_rng(seed).normal(0, level, len(x))


def test_an_ordinary_value_out_of_season_stands_out():
    x = noisy(DAY)
    x[246] = -1.0  # the low of the day at its high
    scores = STL().fit(x).decision_scores_
    assert scores.argmax() == 246
    assert scores[246] > 10
    assert np.median(np.delete(scores, 246)) == pytest.approx(0.6745, rel=0.02)


@pytest.mark.parametrize("test", ["mad", "iqr", "gesd"])
def test_scales_are_the_standard_deviation_of_normal_residuals(test):
    rng = np.random.default_rng(0)
    rest = rng.normal(3.0, 2.0, 20_000)
    rest[:600] = 500.0
    center, scale = residual_moments(rest, test, 0.1, 0.05)
    assert center == pytest.approx(3.0, abs=0.15)
    assert scale == pytest.approx(2.0, rel=0.06)


def test_a_short_new_series_is_judged_at_its_phase():
    times = pd.date_range("2024-03-01", periods=480, freq="h")
    model = STL(period=24).fit(pd.Series(noisy(DAY), times))
    later = pd.date_range("2024-03-21 05:00", periods=9, freq="h")  # five hours left out
    day = np.sin(2 * np.pi * (np.arange(9) + 5) / 24)
    assert model.decision_function(pd.Series(day, later)).max() < 6
    assert model.decision_function(pd.Series(-day, later)).max() > 8
    # Without times it follows at once, where the same values are five hours late.
    assert STL(period=24).fit(noisy(DAY)).decision_function(day).max() > 6


def test_causal_scores_follow_the_last_cycle():
    model = STL(period=24, causal=True).fit(noisy(DAY))
    new = noisy(DAY[:96], seed=1)
    new[50] += 2.0
    scores = model.decision_function(new)
    assert scores.argmax() == 50
    changed = new.copy()
    changed[60:] = 9.0
    np.testing.assert_array_equal(model.decision_function(changed)[:60], scores[:60])


def test_the_past_median_leaves_out_the_point_itself():
    values = np.arange(6.0)[:, None] ** 2
    found = _past_median(np.zeros((3, 1)), values)[:, 0]
    whole = np.r_[np.zeros(3), values[:, 0]]
    np.testing.assert_array_equal(found, [np.median(whole[t : t + 3]) for t in range(6)])


@pytest.mark.parametrize("size", [1.0, 3.0, 10.0, 1000.0])
def test_no_spike_is_too_large_to_be_seen(size):
    x = noisy(DAY)
    x[100] += size
    scores = STL(period=24).fit(x).decision_scores_
    assert scores.argmax() == 100
    assert scores[100] > 5 * size


def test_the_band_holds_what_scores_below_its_width():
    x = noisy(DAY)
    x[100] += 3.0
    model = STL(period=24).fit(x)
    band = model.band(x, width=4.0)
    outside = (x < band.low[:, 0]) | (x > band.high[:, 0])
    np.testing.assert_array_equal(outside, model.decision_scores_ > 4.0)
    assert outside[100]


def test_missing_values_are_not_judged_and_a_drifting_level_is_followed():
    x = noisy(DAY + np.linspace(0, 50, 480) ** 1.2)
    x[30:34] = np.nan
    x[300] += 2.0
    model = STL(period=24).fit(x)
    assert model.decision_scores_.argmax() == 300
    assert (model.decision_scores_[30:34] == model.neutral_).all()


def test_two_periods_are_needed():
    with pytest.raises(ValueError, match="at least two periods long, 2 x 300 points, got 480"):
        STL(period=300).fit(DAY)
