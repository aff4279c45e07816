"""Every way to hold a table becomes the same plain one."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from awry.core.errors import DataError
from awry.data.tables import as_table, from_values, unique_names

COLUMNS = {"n": [1, 2], "x": [0.5, None], "s": ["a", None], "b": [True, False]}
ROWS = [{"n": 1, "x": 0.5, "s": "a", "b": True}, {"n": 2, "x": None, "s": None, "b": False}]


@pytest.mark.parametrize(
    "data",
    [
        COLUMNS,
        ROWS,
        pa.table(COLUMNS),
        pa.record_batch(COLUMNS),
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).astype({"s": "category", "n": "Int64"}),
        pd.DataFrame(COLUMNS, index=["u", "v"]),
        pa.concat_tables([pa.table(COLUMNS).slice(0, 1), pa.table(COLUMNS).slice(1)]),
        {"n": np.array([1, 2]), "x": pa.array([0.5, None]), "s": pd.Series(["a", None]),
         "b": pa.chunked_array([[True], [False]])},
    ],
    ids=["dict", "rows", "table", "batch", "frame", "nullable", "indexed", "chunks", "mixed"],
)  # fmt: skip
def test_every_form_gives_the_same_table(data):
    assert as_table(data).to_pydict() == COLUMNS


def test_arrays_and_nested_rows():
    assert as_table(np.eye(2)).to_pydict() == {"x0": [1.0, 0.0], "x1": [0.0, 1.0]}
    assert as_table([{"a": {"b": {"c": 1}}, "l": [1]}, {}]).to_pydict() == {
        "a.b.c": [1, None],
        "l": ["[1]", None],
    }
    nested = pa.table({"s": pa.array([{"p": {"q": 1}}, None])})
    assert as_table(nested).to_pydict() == {"s.p.q": [1, None]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5, None], [1.0, 2.5, None]),
        ([1, decimal.Decimal("0.5"), np.float32(2)], [1.0, 0.5, 2.0]),
        ([2**70, 1], [float(2**70), 1.0]),
        ([1, "a", None, True], ["1", "a", None, "true"]),
        ([float("nan"), 1.0], [None, 1.0]),
        ([pd.NA, 1], [None, 1]),
        ([dt.date(2024, 1, 2)], [dt.datetime(2024, 1, 2)]),
        ([dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 3)], ["2024-01-02", "2024-01-02T03:00:00"]),
        ([pd.Timestamp("2024-01-01 12:00", tz="Asia/Tokyo"), pd.NaT],
         [dt.datetime(2024, 1, 1, 3, tzinfo=dt.UTC), None]),
        ([dt.timedelta(days=1)], [86_400.0]),
        ([dt.time(1, 2, 3)], [dt.datetime(1970, 1, 1, 1, 2, 3)]),
        ([b"ok", b"\xff"], ["ok", "ff"]),
        (["\ud800"], ["?"]),
        ([pd.Period("2024-01")], ["2024-01"]),
        ([{"b": 1}, [1, 2], {3}], ['{"b": 1}', "[1, 2]", "[3]"]),
        ([1 + 2j], ["(1+2j)"]),
        ([], []),
    ],
)  # fmt: skip
def test_any_values_become_one_plain_column(values, expected):
    assert from_values(values).to_pylist() == expected


def test_names_are_made_distinct_without_touching_good_ones():
    assert unique_names(["a", "a", "a_2", "", " b ", "b"]) == [
        "a",
        "a_3",
        "a_2",
        "column_4",
        "b",
        "b_2",
    ]
    frame = pd.DataFrame([[1, 2, 3]], columns=["x", "x", 7])
    assert as_table(frame).column_names == ["x", "x_2", "7"]
    wide = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    assert as_table(wide).column_names == ["a.b", "a.c"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (3, "cannot be made of int; give a pyarrow Table"),
        ([1, 2], "cannot be made of list"),
        (np.zeros(3), "cannot be made of ndarray"),
        ({"a": 1}, "column 'a': holds int, not a column"),
        ({"a": [1], "b": [1, 2]}, "differ in length"),
    ],
)
def test_what_is_no_table_is_said(data, said):
    with pytest.raises(DataError, match=said):
        as_table(data)
