"""What text is read as, and that a reading once settled holds."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from awry.data import parse

UTC = dt.UTC


def _read(cells):
    text = pa.array(cells, pa.string())
    typed, unfit = parse.apply(text, parse.settle(text))
    return typed.to_pylist(), unfit.tolist()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2", "-3", "+4"], [1, 2, -3, 4]),
        (["1", "2.5", "1e3", ".5", "5."], [1, 2.5, 1000, 0.5, 5]),
        ([" 1 ", "2\t"], [1, 2]),
        (["1,234", "2,345,678.5", "7"], [1234, 2345678.5, 7]),
        (["1.234,5", "3,25", "7"], [1234.5, 3.25, 7]),
        (["1,5", "2,75"], [1.5, 2.75]),
        (["1 234", "2\u00a0345\u202f678,5"], [1234, 2345678.5]),
        (["1'234.5", "22"], [1234.5, 22]),
        (["1,23,456.50", "12,34,567"], [123456.5, 1234567]),
        (["$1,200.50", "-$3", "$-4", "($5.25)", "$ 7"], [1200.5, -3, -4, -5.25, 7]),
        (["EUR 5", "EUR 6,5", "EUR 1.000"], [5, 6.5, 1000]),
        (["5,50 €", "1.000,00 €"], [5.5, 1000]),
        (["12%", "3.5 %"], [12, 3.5]),
        (["12 kg", "3kg"], [12, 3]),
        (["−5", "3"], [-5, 3]),
        (["inf", "-Infinity", "∞", "3"], [np.inf, -np.inf, np.inf, 3]),
        (["1e999", "2"], [np.inf, 2]),
        (["", "NA", "n/a", "#N/A", "NULL", "None", "nan", "NaT", "-", "?", "3"], [None] * 10 + [3]),
        (["true", "FALSE", "True"], [True, False, True]),
        (["yes", "no", ""], [True, False, None]),
    ],
)
def test_numbers_and_truths(cells, values):
    assert _read(cells) == (values, [])


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "008", "123"],  # leading zeros name something
        ["00ff", "01ff"],
        ["12345678901234567890", "1"],
        ["1.2.3", "2.0.1"],
        ["10.0.0.1", "10.0.0.2"],
        ["$5", "€6", "£7", "¥8"],  # no one currency
        ["A1", "A2"],
        ["inf", "inf"],
        ["no", "no"],
        ["2024-13-01", "2024-02-30"],
        ["1-800-555", "1-900-111"],
        ["a", "1", "2"],
    ],
)
def test_what_stays_text(cells):
    assert _read(cells) == (cells, [])


DAY = dt.datetime(2024, 1, 31)
HALF = dt.timedelta(microseconds=500_000)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["2024-01-31", "2024-02-01"], [DAY, dt.datetime(2024, 2, 1)]),
        (["2024-01-31 13:05", "2024-01-31T13:05:06.5"],
         [DAY.replace(hour=13, minute=5), DAY.replace(hour=13, minute=5, second=6) + HALF]),
        (["2024-01-31T13:05:06.123456789", "2024-01-31"],
         [DAY.replace(hour=13, minute=5, second=6, microsecond=123456), DAY]),
        (["2024/1/31", "2024.2.1"], [DAY, dt.datetime(2024, 2, 1)]),
        (["2024-01", "2024-02"], [dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 1)]),
        (["20240131", "20240201"], [DAY, dt.datetime(2024, 2, 1)]),
        (["20240131T120000", "20240201T130000"],
         [DAY.replace(hour=12), dt.datetime(2024, 2, 1, 13)]),
        (["2024-01-31T12:00:00Z", "2024-01-31T12:00:00+02:00", "2024-01-31 12:00-0530"],
         [DAY.replace(hour=12, tzinfo=UTC), DAY.replace(hour=10, tzinfo=UTC),
          DAY.replace(hour=17, minute=30, tzinfo=UTC)]),
        (["2024-01-31T12:00:00Z", "2024-01-31T12:00:00"], [DAY.replace(hour=12, tzinfo=UTC)] * 2),
        (["31/01/2024", "01/02/2024"], [DAY, dt.datetime(2024, 2, 1)]),
        (["01/31/2024", "02/01/2024"], [DAY, dt.datetime(2024, 2, 1)]),
        (["31.1.24 1:05 pm", "1.2.24 12:00 am"],
         [DAY.replace(hour=13, minute=5), dt.datetime(2024, 2, 1)]),
        (["31 Jan 2024", "1 February 2024"], [DAY, dt.datetime(2024, 2, 1)]),
        (["Wed, 31 Jan 2024 12:00:00 GMT"], [DAY.replace(hour=12, tzinfo=UTC)]),
        (["31/Jan/2024:12:00:00 -0700"], [DAY.replace(hour=19, tzinfo=UTC)]),
        (["Jan 31, 2024", "February 1st, 2024 5:00 PM"], [DAY, dt.datetime(2024, 2, 1, 17)]),
        (["Wed Jan 31 12:00:00 2024"], [DAY.replace(hour=12)]),
        (["12:30", "23:59:59"], [dt.datetime(1970, 1, 1, 12, 30),
          dt.datetime(1970, 1, 1, 23, 59, 59)]),
        (["31/12/69", "31/12/68"], [dt.datetime(1969, 12, 31), dt.datetime(2068, 12, 31)]),
    ],
)  # fmt: skip
def test_times(cells, values):
    assert _read(cells) == (values, [])


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["01/02/2024", "02/02/2024", "03/02/2024"], "dmy"),  # the days go up one by one
        (["02/01/2024", "02/02/2024", "02/03/2024"], "mdy"),
        (["05/06/2024", "07/06/2024", "01/07/2024"], "dmy"),
        (["03/04/2024"], "mdy"),  # nothing tells: as slashes are mostly used
        (["03.04.2024"], "dmy"),
    ],
)
def test_day_or_month_first_is_settled_over_the_column(cells, order):
    reading = parse.settle(pa.array(cells))
    assert (reading["order"], reading["ambiguous"]) == (order, True)


def test_odd_values_do_not_turn_a_column_to_text():
    rng = np.random.default_rng(0)
    numbers = [str(v) for v in rng.integers(0, 1000, 200)]
    numbers[17], numbers[150] = "error", "12 apples"
    values, unfit = _read(numbers)
    assert unfit == [17, 150]
    assert values[17] is None
    assert values[0] == int(numbers[0])
    days = [f"2024-01-{d:02d}" for d in range(1, 31)] + ["soon"]
    assert _read(days)[1] == [30]
    # A tenth is the most that may be odd.
    assert parse.settle(pa.array([*numbers[:80], *["word"] * 10]))["type"] == "text"


def test_the_format_is_told_from_all_of_a_long_column_not_its_head():
    cells = ["12"] * 30_000 + ["word"] * 30_000
    assert parse.settle(pa.array(cells)) == {"type": "text"}


@pytest.mark.parametrize("cells", [["1", "2.5", "x", ""], ["2024-01-01", "x", "2024-01-02 10:00"]])
def test_reading_does_not_depend_on_how_rows_are_cut(cells):
    reading = parse.settle(pa.array([c for c in cells if c != "x"]))
    whole = parse.apply(pa.array(cells), reading)[0].to_pylist()
    assert [parse.apply(pa.array([c]), reading)[0][0].as_py() for c in cells] == whole


def test_all_dates_of_a_century_are_read_as_the_calendar_has_them():
    days = np.arange("1950-01-01", "2050-01-01", 11, dtype="M8[D]")
    written = [f"{d.day:02d}/{d.month:02d}/{d.year} 07:08:09" for d in days.astype(object)]
    found = parse.apply(pa.array(written), parse.settle(pa.array(written)))[0]
    expected = days.astype("M8[us]") + np.timedelta64((7 * 60 + 8) * 60 + 9, "s")
    np.testing.assert_array_equal(found.to_numpy(), expected)
