"""What columns are taken for, and that it is said in words and plain data."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from awry.core.errors import DataError
from awry.core.state import from_state, to_state
from awry.data import wording
from awry.data.columns import profile
from awry.data.kinds import words_of

N = 400
RNG = np.random.default_rng(0)
SENTENCES = [f"the {RNG.choice(['cat', 'dog'])} number {i} sat on mat {i * 7}" for i in range(N)]

#: name → (values, kind)
CASES = {
    "amount": (RNG.lognormal(size=N), "number"),
    "children": (RNG.poisson(2, N), "number"),  # few distinct whole numbers are counts
    "x1": (RNG.integers(0, 3, N), "number"),
    "rating": (RNG.permutation(N), "number"),  # each once, but in no order
    "odometer": (np.cumsum(RNG.integers(1, 50, N)), "number"),  # rises, but by no ones
    "year": (np.arange(1600, 1600 + N), "number"),
    "price": ([f"${v:,.2f}" for v in RNG.lognormal(8, 1, N)], "number"),
    "order_id": (RNG.permutation(10**6)[:N], "identifier"),
    "orderId": (np.arange(N) + 7, "identifier"),
    "whatever": (np.arange(N), "identifier"),  # counts the rows
    "index": (np.cumsum(RNG.integers(1, 5, N)), "identifier"),
    "hash": ([f"{i * 2654435761 % 2**32:08x}" for i in range(N)], "identifier"),
    "uuid": ([f"{i:08d}-0000-4000-8000-{i:012d}" for i in range(N)], "identifier"),
    "customer_id": (RNG.integers(0, 40, N), "category"),  # repeats: names a customer
    "zip": (RNG.integers(10_000, 10_020, N), "category"),
    "status_code": (RNG.choice([200, 301, 404, 500], N), "category"),
    "plz": ([f"{v:05d}" for v in RNG.integers(1000, 1020, N)], "category"),
    "channel1": (RNG.integers(0, 40, N), "number"),
    "account": (RNG.integers(0, 10**5, N), "number"),
    "city": (RNG.choice(["Rome", "Oslo", "Lima"], N), "category"),
    "only": (pa.array(["yes please" if i % 3 else None for i in range(N)]), "category"),
    "template": ([f"{'abc'[i % 3]} was opened at the front door" for i in range(N)], "category"),
    "flag": (RNG.random(N) < 0.1, "boolean"),
    "bit": (RNG.integers(0, 2, N), "boolean"),
    "answer": (RNG.choice(["yes", "no"], N), "boolean"),
    "at": (np.arange(N) * 3600 + 1_700_000_000, "time"),
    "event_time": (np.arange(N) * 3_600_000 + 1_700_000_000_000, "time"),
    "day": ([20_240_000 + 100 * (1 + i % 12) + 1 + i % 28 for i in range(N)], "time"),
    "when": ([f"{1 + i % 28}.{1 + i % 12}.2024" for i in range(N)], "time"),
    "clock": ([f"{i % 24:02d}:{i % 60:02d}" for i in range(N)], "time"),
    "big": (np.arange(N) * 3601 + 1_700_000_000, "number"),  # no name says time
    "stamp": (pd.date_range("2024-01-01", periods=N, freq="h"), "time"),
    "comment": (SENTENCES, "text"),
    "steady": (np.full(N, 7.5), "constant"),
    "label": (["A"] * N, "constant"),
    "nothing": (pa.nulls(N), "empty"),
    "blank": ([" ", "NA", "-", ""] * (N // 4), "empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_kinds(name):
    values, kind = CASES[name]
    found, _ = profile({name: pa.array(values), "other": RNG.normal(size=N)})
    assert found.kind == kind, found.why
    assert found.why
    assert found.describe().startswith(f"{name}: ")
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_sequence_alone_is_data():
    (found,) = profile({"value": np.arange(100)})
    assert (found.kind, found.why) == ("number", "there is nothing else to judge the rows by")


def test_duplicates_of_any_type_are_found_and_near_ones_are_not():
    x = RNG.normal(size=N)
    near = x.copy()
    near[N // 2] += 1e-9
    table = {
        "a": x, "b": x.copy(), "near": near, "i": (9 * x).round(), "j": (9 * x).round().astype(int),
        "s": CASES["city"][0], "t": list(CASES["city"][0]), "k": np.ones(N), "l": np.ones(N),
    }  # fmt: skip
    found = {p.name: p for p in profile(table)}
    assert {n: p.stats["of"] for n, p in found.items() if p.kind == "duplicate_of"} == {
        "b": "a", "j": "i", "t": "s",
    }  # fmt: skip
    assert found["l"].kind == "constant"
    assert found["b"].describe() == "b: the same as 'a', left out"


def test_statistics_are_those_of_the_values():
    x = RNG.normal(size=N)
    x[:4] = np.nan
    x[4:6] = np.inf, -np.inf
    (number,) = profile({"x": x})
    finite = x[np.isfinite(x)]
    stats = number.stats
    assert (stats["n"], stats["missing"], stats["present"], stats["infinite"]) == (N, 4, N - 4, 2)
    assert (stats["min"], stats["max"]) == (finite.min(), finite.max())
    np.testing.assert_allclose(
        stats["quantiles"], np.quantile(finite, [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    (city,) = profile({"city": ["b", "a", "b ", None, "c"]})
    assert city.stats["levels"] == [["b", 2], ["a", 1], ["c", 1]]
    assert (city.stats["distinct"], city.stats["missing"]) == (3, 1)
    (unfit,) = profile({"n": [*map(str, range(50)), "oops"]})
    assert (unfit.stats["unfit"], unfit.stats["missing"]) == (1, 0)
    assert "1 not readable" in unfit.describe()


def test_large_tables_are_sampled_but_their_ends_are_exact():
    x = RNG.normal(size=300_000)
    x[123_457] = 99.0
    (found,) = profile({"x": x})
    assert found.stats["max"] == 99.0
    assert abs(found.stats["quantiles"][2] - np.median(x)) < 0.02


def test_kinds_given_by_hand_are_kept():
    table = {
        "zip": [1, 2, 2, 1],
        "n": ["1", "2", "2", "1"],
        "ts": [0, 1, 2, 3],
        "w": ["a b", "c", "d", "e"],
    }
    given = {"zip": "number", "n": "category", "ts": "identifier", "w": "text"}
    assert {p.name: p.kind for p in profile(table, given)} == given
    assert profile({"s": [10, 20, 30]}, {"s": "category"})[0].kind == "category"
    (when,) = profile({"s": [1_700_000_000, 1_700_000_500]}, {"s": "time"})
    assert (when.kind, when.reading) == ("time", {"type": "epoch", "unit": "s"})


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"y": "number"}, "column 'y': there is no such column; choose one of x"),
        ({"x": "integer"}, "'integer' is no kind; choose one of number, category"),
        ({"x": "number"}, "column 'x': the values are not numbers"),
        ({"x": "time"}, "column 'x': the values are not times"),
    ],
)
def test_kinds_that_cannot_be_are_errors(kinds, said):
    with pytest.raises(DataError, match=said):
        profile({"x": ["a", "b"]}, kinds)


def test_descriptions():
    table = {
        "amount": ["$1.50", "$2.00", "$9,200.00", None],
        "city": ["Rome", "Rome", "Oslo", "Rome"],
        "when": ["01/02/2024", "02/02/2024", "03/02/2024", "04/02/2024"],
        "ts": pa.array([1_700_000_000, 1_700_003_600, None, 1_700_010_800]),
        "c": [5.0] * 4,
    }
    assert [p.describe() for p in profile(table)] == [
        "amount: number from $1.5 to $9,200, mostly $1.55 … $8,280; 25 % missing",
        "city: category of 2 levels, mostly Rome (75 %), Oslo (25 %)",
        "when: time from 2024-02-01 to 2024-02-04, "
        "read as day first (which could not be told for sure)",
        "ts: time from 2023-11-14 22:13:20 UTC to 2023-11-15 01:13:20 UTC, read as s since 1970; "
        "25 % missing",
        "c: always 5, left out but watched for change",
    ]


def test_typical_hours_go_over_midnight():
    start = np.datetime64("2024-01-01T22:00", "us")
    times = (
        start
        + np.arange(200) % 5 * np.timedelta64(1, "h")
        + np.arange(200) * np.timedelta64(24, "h")
    )
    (found,) = profile({"t": pa.array(times)})
    assert found.typical() == "22:00 … 02:59"


def test_profiles_are_saved_without_pickle():
    found = profile({"a": [1.5, 2.5], "t": ["2024-01-01", "2024-01-02"]})
    arrays: list[np.ndarray] = []
    tree = json.loads(json.dumps(to_state(found, arrays)))
    assert from_state(tree, arrays) == found


def test_words_of_names():
    assert words_of("merchantZIPCode") == ["merchant", "zipcode"]
    assert words_of("Unnamed: 0") == ["unnamed"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (9200, "9,200"), (0.00123456, "0.001235"), (-12.5, "-12.5"), (1e12, "1e+12"),
     (1e-9, "1e-09"), (float("nan"), "missing"), (float("-inf"), "-∞"), (999999.5, "1,000,000")],
)  # fmt: skip
def test_numbers_in_words(value, text):
    assert wording.number(value) == text
