"""The quick way of rows to scores: the same as the way of tables, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awry import io
from awry.data.encode import TableEncoder
from awry.data.serve import RowEncoder
from awry.data.tables import as_table
from awry.model import Model

rng = np.random.default_rng(0)
N = 400


def mixed() -> dict[str, list[Any]]:
    """A table with a column of every kind."""

    def some(values: Any, every: int) -> list[Any]:
        return [None if i % every == 3 else v for i, v in enumerate(values)]

    amount = rng.normal(50, 5, N).tolist()
    return {
        "amount": amount,
        "gap": some(rng.normal(0, 1, N).tolist(), 9),
        "heavy": np.exp(rng.normal(0, 4, N)).tolist(),
        "edge": [float("inf") if i % 50 == 7 else v for i, v in enumerate(rng.normal(size=N))],
        "count": rng.integers(0, 30, N).tolist(),
        "price": [f"€ {v:,.2f}" for v in rng.uniform(1, 5_000, N)],
        "plain": [f"{v:.3f}" for v in rng.normal(size=N)],
        "dirty": ["?!" if i % 40 == 5 else f"{v:.3f}" for i, v in enumerate(rng.normal(size=N))],
        "city": some(rng.choice(["Rome", "Oslo", "Bonn", "Lima", "Cairo", "Quito"], N), 11),
        "zip_code": rng.choice([10115, 80331, 20095], N).tolist(),
        "ok": (rng.random(N) < 0.9).tolist(),
        "flag": rng.choice(["yes", "no"], N).tolist(),
        "always": ["EUR"] * N,
        "never": [None] * N,
        "twin": list(amount),
        "order_id": [f"A{i:05d}" for i in range(N)],
        "when": [f"2024-03-{1 + i % 28:02d}T{i % 24:02d}:{i % 60:02d}:00" for i in range(N)],
        "updated": [1.7e9 + 977 * i for i in range(N)],
        "due": [f"{1 + i % 28:02d}/{1 + i % 12:02d}/2024" for i in range(N)],
        "note": [" ".join(rng.choice(["paid", "late", "again", "by", "card", "cash"], 6)) + f" {i}"
                 for i in range(N)],
    }  # fmt: skip


TABLE = mixed()
ENCODER = TableEncoder().fit(TABLE)
NAMES = ENCODER.source_names_
_anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["", " Rome ", "NA", "1.5", "1e3", "€ 7.00", "-3", "true", "yes",
                       "2024-02-30", "2024-01-05", "inf", "5", "31/12/2024", "10115", "EUR", 5.0,
                       1e200, -1e305, 10**400, 10115.0, 1, 0, 2**63, 1e16, [1, "a"], [], {}])
)  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row of training with some cells replaced."""
    i = draw(st.integers(0, N - 1))
    row = {name: TABLE[name][i] for name in NAMES}
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4)):
        row[name] = draw(_anything | st.sampled_from(TABLE[draw(st.sampled_from(NAMES))]))
    return row


def columns(given_: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in given_] for name in NAMES}


def test_every_kind_is_in_the_table() -> None:
    kinds = {p.kind for p in ENCODER.profiles_}
    assert kinds >= {"number", "category", "boolean", "time", "text", "identifier", "constant",
                     "empty", "duplicate_of"}  # fmt: skip


def test_training_rows_are_encoded_as_by_tables() -> None:
    found = RowEncoder(ENCODER).encode(TABLE)
    np.testing.assert_array_equal(found.X, ENCODER.transform(TABLE))
    np.testing.assert_array_equal(found.novel, ENCODER.novelty(TABLE))
    assert not found.unfit[:, [NAMES.index(c) for c in NAMES if c != "dirty"]].any()
    assert found.unfit[:, NAMES.index("dirty")].sum() == 10


@settings(max_examples=60)
@given(given_=st.lists(rows(), min_size=1, max_size=3))
def test_any_rows_are_encoded_as_each_is_by_a_table(given_: list[dict[str, Any]]) -> None:
    quick = RowEncoder(ENCODER)
    found = quick.encode(columns(given_))
    again = quick.encode(columns(given_))  # from memory
    for i, row in enumerate(given_):
        one = as_table(columns([row]))
        # The last bit of a logarithm depends on the place in the processor's vector.
        np.testing.assert_allclose(found.X[i], ENCODER.transform(one)[0], rtol=1e-14)
        problems = {p.column: p.what for p in reversed(ENCODER.check(one))}
        assert {c for c, new in zip(NAMES, found.novel[i], strict=True) if new} == set(problems)
        for name, what in problems.items():
            assert quick.news(name, row) == what
        wrong = {c for c, what in problems.items() if what.startswith(("is not a", "is neither"))}
        assert {c for c, bad in zip(NAMES, found.unfit[i], strict=True) if bad} == wrong
    np.testing.assert_array_equal(found.X, again.X)
    np.testing.assert_array_equal(found.novel, again.novel)


def test_a_matrix_of_numbers_is_the_same_as_their_columns() -> None:
    quick = RowEncoder(ENCODER)
    some = {name: values[:50] for name, values in TABLE.items()}
    numbers = np.array([[np.nan if v is None else v for v in some[c]]
                        if not isinstance(some[c][0], str) else [0.0] * 50
                        for c in quick.number_names]).T  # fmt: skip
    other = {**some, **dict(zip(quick.number_names, numbers.T.tolist(), strict=True))}
    found, expected = quick.encode(other, numbers), quick.encode(other)
    np.testing.assert_array_equal(found.X, expected.X)
    np.testing.assert_array_equal(found.novel, expected.novel)


@pytest.mark.parametrize("name", ["city", "zip_code", "ok"])
def test_what_clients_send_does_not_fill_the_memory(name: str) -> None:
    quick = RowEncoder(ENCODER)
    column = next(c for c in quick._looked_up if c.profile.name == name)
    row = {c: [v[0]] for c, v in TABLE.items()}
    for i in range(20):
        assert quick.encode({**row, name: [f"new {i}"]}).novel[0, NAMES.index(name)]
    assert len(column._text) + len(column._rest) <= 2


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("isolation_forest").fit(as_table(TABLE))


@settings(max_examples=25)
@given(given_=st.lists(rows(), min_size=1, max_size=4))
def test_scores_are_those_of_tables(model: Model, given_: list[dict[str, Any]]) -> None:
    found = model.score_columns(columns(given_)).scores
    for score, row in zip(found, given_, strict=True):
        table = as_table(columns([row]))
        expected = model._learnt_score(table) + model.novelty_step_ * model._novelty(table).sum()
        np.testing.assert_allclose(score, expected, rtol=1e-12)


def test_few_rows_of_a_table_score_as_among_many(model: Model) -> None:
    table = as_table(TABLE)
    many = model.score(table)
    np.testing.assert_allclose(model.score(table.slice(0, 64)), many[:64], rtol=1e-12)
    np.testing.assert_allclose(model.score(table.slice(5, 1)), many[5:6], rtol=1e-12)
    loaded = io.loads(io.dumps(model))
    np.testing.assert_array_equal(loaded.score(table.slice(0, 9)), model.score(table.slice(0, 9)))
