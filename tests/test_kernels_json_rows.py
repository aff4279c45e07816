"""Rows of numbers read from JSON: as Python reads them, or not at all."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awry.kernels.decimals import double_of
from awry.kernels.json_rows import Keys, read_rows

NAMES = ["a", "amount paid", "größe"]
KEYS = Keys.of(NAMES)
BITS = [b"", b"0", b"-", b".", b"e", b" ", b'"', b"}", b"]", b",", b"[", b"\0"]
VALUES = st.none() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False)


def body_of(rows: list[list[Any]], **options: Any) -> bytes:
    data = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return json.dumps({"model": "m", "data": data}, ensure_ascii=False, **options).encode()


def expected(rows: list[Any]) -> np.ndarray:
    return np.array([[math.nan if v is None else v for v in row] for row in rows], dtype=float)


@given(st.integers(0, 2**64 - 1), st.integers(-345, 330))
def test_a_double_is_the_nearest_or_none_is_told(digits: int, exponent: int) -> None:
    found = double_of(np.uint64(digits), exponent)
    assert math.isnan(found) or found == float(f"{digits}e{exponent}")


def test_most_doubles_are_told() -> None:
    rng = np.random.default_rng(0)
    made = np.exp(rng.uniform(-300, 300, 2_000))
    parts = [f"{value:.16e}".split("e") for value in made]
    found = [double_of(np.uint64(a.replace(".", "")), int(e) - 16) for a, e in parts]
    told = np.isfinite(found)
    assert told.mean() > 0.99
    assert np.array_equal(np.array(found)[told], made[told])


@pytest.mark.parametrize(
    ("digits", "exponent"),
    # Exactly between two doubles, to be rounded to the even one below and above.
    [(2**53 + 1, 0), (2**53 + 3, 0), (9007199254740993, 0), (2**60 + 2**7, 0), (5, -324)],
)
def test_ties_and_the_smallest_are_right_or_left_alone(digits: int, exponent: int) -> None:
    found = double_of(np.uint64(digits), exponent)
    assert math.isnan(found) or found == float(f"{digits}e{exponent}")


@given(
    st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=4),
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")]),
)
def test_rows_are_as_python_reads_them_or_left_alone(
    rows: list[list[Any]], indent: Any, separators: tuple[str, str]
) -> None:
    body = body_of(rows, indent=indent, separators=separators)
    found = read_rows(body, KEYS)
    if found is not None:
        values, begin, end = found
        np.testing.assert_array_equal(values, expected(rows))
        rest = json.loads(body[:begin] + b"[]" + body[end:])
        assert rest == {"model": "m", "data": []}


@given(st.lists(st.lists(st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-9),
                         min_size=3, max_size=3), min_size=1, max_size=4))  # fmt: skip
def test_usual_numbers_are_read(rows: list[list[float]]) -> None:
    found = read_rows(body_of(rows), KEYS)
    assert found is not None
    assert found[0].tolist() == rows


@given(st.data())
def test_what_is_no_json_is_left_alone(data: st.DataObject) -> None:
    body = bytearray(body_of([[1.5, -2e3, None], [10, 0.25, 7e-2]]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        size = data.draw(st.integers(0, 2))
        body[at : at + size] = data.draw(st.sampled_from(BITS))
    found = read_rows(bytes(body), KEYS)
    if found is not None:
        values, begin, end = found
        read = json.loads(bytes(body[begin:end]))
        assert [list(row) for row in read] == [NAMES] * len(read)
        np.testing.assert_array_equal(values, expected([row.values() for row in read]))


@pytest.mark.parametrize(
    "rows",
    ["", "{}", '{"a":1}', '{"b":1,"a":2}', '{"a":1,"b":2,"c":3}', '{"a":"1","b":2}',
     '{"a":01,"b":2}', '{"a":+1,"b":2}', '{"a":1.,"b":2}', '{"a":.5,"b":2}', '{"a":1e,"b":2}',
     '{"a":-,"b":2}', '{"a":1e999,"b":2}', '{"a":nul,"b":2}', '{"a":NaN,"b":2}',
     '{"a":true,"b":2}', '{"a":1,"b":2},', '{"a":1,"b":[2]}', '{"a":1,"b":2} {"a":1,"b":2}',
     '{"a":12345678901234567890123,"b":2}'],
)  # fmt: skip
def test_what_is_out_of_the_ordinary_is_left_alone(rows: str) -> None:
    assert read_rows(f'{{"data":[{rows}]}}'.encode(), Keys.of("ab")) is None


@pytest.mark.parametrize("body", [b"", b"[", b"[{", b'{"data":[{"a":1', b"{}[", b"}"])
def test_what_breaks_off_is_left_alone(body: bytes) -> None:
    assert read_rows(body, Keys.of("a")) is None
