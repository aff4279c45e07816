"""Days, holidays and stretches of the day."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from awry.data.calendar import HOLIDAY, day_kinds, holiday_dates, slots


def test_kinds_and_slots_are_those_of_pandas():
    times = pd.date_range("1969-12-01 00:10", periods=3000, freq="37min")
    values = times.to_numpy()
    np.testing.assert_array_equal(
        day_kinds(values, holiday_dates(None, 1970, 1970)), times.day_of_week
    )
    np.testing.assert_array_equal(slots(values, 60), times.hour)
    np.testing.assert_array_equal(slots(values, 15), times.hour * 4 + times.minute // 15)
    off = day_kinds(values, holiday_dates(["1969-12-25", datetime.date(1970, 1, 1)], 1969, 1970))
    np.testing.assert_array_equal(
        off == HOLIDAY, np.isin(times.strftime("%m-%d"), ["12-25", "01-01"])
    )


def test_countries_and_what_is_none():
    pytest.importorskip("holidays")
    germany = holiday_dates("DE", 2024, 2025)
    assert {"2024-10-03", "2025-12-26"} <= set(germany.astype(str))
    assert "2024-08-15" not in germany.astype(str)
    assert "2024-01-06" in holiday_dates("de-BY", 2024, 2024).astype(str)
    with pytest.raises(ValueError, match="country's ISO code or a list of days, got 'XX'"):
        holiday_dates("XX", 2024, 2024)
    with pytest.raises(ValueError, match="dates such as"):
        holiday_dates(["soon"], 2024, 2024)
