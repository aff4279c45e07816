"""MSTL: values odd for the week though ordinary for the day."""

from __future__ import annotations

import numpy as np
import pandas as pd

from awry.detectors.series.mstl import MSTL

AT = np.arange(24 * 7 * 6)


def load(seed: int = 0) -> np.ndarray:
    day = np.sin(2 * np.pi * AT / 24) * (1 + (AT // 24 % 7 < 5))
    return day + np.random.default_rng(seed).normal(0, 0.1, len(AT))


def test_periods_are_found_and_a_working_day_on_a_weekend_stands_out():
    times = pd.date_range("2024-01-01", periods=len(AT), freq="h")
    x = load()
    saturday = slice(24 * 7 * 3 + 24 * 5 + 3, 24 * 7 * 3 + 24 * 5 + 10)
    x[saturday] *= 2.0
    model = MSTL().fit(pd.Series(x, times))
    assert model.periods_ == [24, 168]
    top = np.argsort(model.decision_scores_)[-5:]
    assert ((top >= saturday.start) & (top < saturday.stop)).all()


def test_every_season_goes_on_when_causal():
    model = MSTL(period=[24, 168], causal=True).fit(load())
    new = load(1)[: 24 * 7]
    # A day earlier in the week the weekend comes too soon.
    assert np.median(model.decision_function(np.roll(new, -24))[72:]) > 1.5 * np.median(
        model.decision_function(new)[72:]
    )
