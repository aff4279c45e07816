"""Calendar context: hours, weekends, holidays, daylight saving, few values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from awry.detectors.series.calendar_context import CalendarContext


def office(start: str, days: int, zone: str | None = None, off=()) -> pd.Series:
    times = pd.date_range(start, periods=24 * days, freq="h", tz=zone)
    busy = (times.hour >= 8) & (times.hour < 18) & (times.day_of_week < 5)
    busy &= ~np.isin(times.strftime("%Y-%m-%d"), list(off))
    noise = np.random.default_rng(0).normal(size=len(times))
    return pd.Series(10.0 * busy + noise, times)


def test_a_busy_night_and_an_idle_day_are_odd():
    x = office("2024-01-01", 56)
    x["2024-01-24 03:00"], x["2024-02-06 11:00"] = 10.0, 0.0
    scores = pd.Series(CalendarContext().fit(x).decision_scores_, x.index)
    assert set(scores.nlargest(2).index.astype(str)) == {
        "2024-01-24 03:00:00", "2024-02-06 11:00:00"
    }  # fmt: skip


def test_clocks_put_forward_change_nothing():
    model = CalendarContext().fit(office("2024-02-01", 56, "Europe/Berlin"))
    summer = office("2024-04-02", 20, "Europe/Berlin")
    assert np.mean(model.decision_function(summer) > 4) < 0.01
    # The same instants by a clock that stays: every working day begins and ends an hour off.
    shifted = summer.tz_convert("Etc/GMT-1")
    assert np.mean(model.decision_function(shifted) > 4) > 0.05


def test_holidays_are_days_of_their_own():
    off = ["2024-01-10", "2024-02-07", "2024-03-06", "2024-04-03"]
    x = office("2024-01-01", 119, off=off)
    holiday = slice("2024-04-03 09:00", "2024-04-03 16:00")
    without = CalendarContext().fit(x[:"2024-03-31"])
    known = CalendarContext(holidays=off).fit(x[:"2024-03-31"])
    assert np.median(without.decision_function(x[holiday])) > 4
    assert np.median(known.decision_function(x[holiday])) < 2.5


def test_few_values_lean_on_the_context_around():
    x = office("2024-01-01", 8)  # each hour of a weekday once, of Monday twice
    model = CalendarContext(shrinkage=4.0).fit(x)
    ninth, all_ninths = model.centers_[2, 9, 0], np.median(x[(x.index.hour == 9)])
    working = np.median(x[(x.index.hour == 9) & (x.index.day_of_week < 5)])
    wide = all_ninths + 4 / 12 * (np.median(x) - all_ninths)
    middle = working + 4 / 10 * (wide - working)
    one = x[(x.index.hour == 9) & (x.index.day_of_week == 2)].iloc[0]
    assert ninth == pytest.approx(one + 4 / 5 * (middle - one))


def test_without_times_there_is_one_context():
    x = np.random.default_rng(0).normal(size=200)
    scores = CalendarContext().fit(x).decision_scores_
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(np.abs(x - np.median(x))))


def test_slots_must_divide_the_day():
    with pytest.raises(ValueError, match=r"slot must be a divisor of 1440.*got 50"):
        CalendarContext(slot=50).fit(office("2024-01-01", 8))
