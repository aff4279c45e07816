"""Single values far from what was expected are found whatever their windows colour."""

import numpy as np
import pandas as pd
import pytest

import awry
from awry.core.series import Series
from awry.core.surprise import Surprise
from awry.data.strays import departures, lifted, usual

HOUR = 3600.0


def hours(seed: int = 0, n: int = 1_440) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    return 20 + 6 * np.sin(2 * np.pi * np.arange(n) / 24) + noise


def judged(x: np.ndarray) -> awry.Result:
    times = pd.date_range("2026-01-01", periods=len(x), freq="h")
    return awry.detect(pd.DataFrame({"time": times, "x": x}))


def test_three_spikes_in_a_short_series_are_found_and_little_else():
    x = hours()
    x[[500, 800, 1_100]] = 55, 50, -10
    found = judged(x).finding().events
    assert [(e.first, e.kind) for e in found] == [(500, "spike"), (800, "spike"), (1_100, "dip")]


def test_a_spike_is_found_beside_a_shift_that_lasts():
    x = hours()
    x[500], x[1_200:] = 55, x[1_200:] + 15
    places = {e.first for e in judged(x).finding().events}
    assert {500, 1_200} <= places


def test_clean_series_keep_their_rate():
    flagged = sum(int(judged(hours(seed, 2_000)).labels.sum()) for seed in range(3))
    assert flagged <= 0.004 * 6_000


def test_what_happens_often_is_a_habit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2_000)
    x[rng.choice(2_000, 60, replace=False)] += 12
    far = departures(Series(x[:, None], None), HOUR)
    known, scores = Surprise().fit([usual(far)]), np.ones(2_000)
    np.testing.assert_array_equal(lifted(scores, far, known, 0, 3.0), scores)
    few = np.where(np.arange(2_000) < 300, far, np.minimum(far, 1.0))
    few[100] = 12.0
    assert lifted(scores, few, known, 0, 3.0)[100] > 3.0


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_what_never_varied_has_finite_scores(value):
    x = np.full(400, value)
    x[300] += 5
    assert np.isfinite(judged(x).scores).all()
