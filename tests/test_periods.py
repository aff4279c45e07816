"""Periods: those that are there are found, none in noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from awry.data.periods import dominant_period, find_periods

HOURS = np.arange(24 * 7 * 8)
LOAD = np.sin(2 * np.pi * HOURS / 24) + 0.5 * np.sin(4 * np.pi * HOURS / 24) + (HOURS // 24 % 7 < 5)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("n", [200, 1000, 4000])
def test_no_period_in_noise(n):
    found = []
    for seed in range(25):
        white = noise(n, seed)
        found += [find_periods(x) for x in (white, white.cumsum(), lfilter([1], [1, -0.9], white))]
        found.append(find_periods(white.cumsum(), 3600))
    # The level of each test is 1e-5, but the spectrum's highest peaks are what is tested.
    assert sum(map(bool, found)) <= 1, found


@pytest.mark.parametrize("step", [None, 3600.0])
@pytest.mark.parametrize("level", [0.0, 0.3, 0.5])
def test_day_and_week(step, level):
    assert find_periods(LOAD + level * noise(len(LOAD)), step) == [24, 168]


def test_trend_missing_values_and_spikes_do_not_hide_them():
    rng = np.random.default_rng(1)
    x = LOAD + 0.5 * noise(len(LOAD)) + 0.05 * HOURS
    x[rng.random(len(x)) < 0.1] = np.nan
    x[300:400] = np.nan
    x[rng.integers(0, len(x), 8)] += 50.0
    assert find_periods(x, 3600) == [24, 168]


def test_a_wandering_level_does_not_hide_the_day():
    assert find_periods(3 * LOAD + 0.3 * noise(len(LOAD)).cumsum(), 3600)[0] == 24


@pytest.mark.parametrize(
    ("period", "shape"),
    [
        (50, lambda phase: 5.0 * (phase == 0)),
        (37, lambda phase: 1.0 * (phase < 9)),
        (24, lambda phase: np.sin(phase * np.pi / 6) + 0.4 * np.sin(phase * np.pi / 12)),
        (12, lambda phase: phase / 6),
    ],
)
def test_odd_shapes(period, shape):
    x = shape(np.arange(1200) % period) + 0.2 * noise(1200)
    assert find_periods(x) == [period]


def test_two_seasons_that_do_not_nest():
    t = np.arange(900)
    x = np.sin(2 * np.pi * t / 10) + np.sin(2 * np.pi * t / 37) + 0.3 * noise(900)
    assert find_periods(x) == [10, 37]


def test_week_and_year_of_days():
    t = np.arange(365 * 3)
    x = 3 * np.sin(2 * np.pi * t / 365.25) + (t % 7 < 5) + 0.3 * noise(len(t))
    assert find_periods(x, 86_400) == [7, 365]


def test_minutes_of_a_week_show_the_day():
    x = np.sin(2 * np.pi * np.arange(10_080) / 1440) + 0.5 * noise(10_080)
    assert find_periods(x, 60) == [1440]


@pytest.mark.parametrize("x", [np.ones(100), np.full(50, np.nan), np.arange(5.0), np.arange(300.0)])
def test_nothing_to_find(x):
    assert find_periods(x) == []
    assert find_periods(x, 3600) == []
    assert dominant_period(x) is None


def test_the_dominant_period_survives_missing_values():
    x = np.sin(2 * np.pi * np.arange(600) / 30)
    x[np.random.default_rng(0).random(600) < 0.2] = np.nan
    x[100:117] = np.nan  # not a whole number of periods: dropping it would shift the phase
    assert dominant_period(x) == 30
