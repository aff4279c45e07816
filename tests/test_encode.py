"""Any table becomes finite numbers that keep its order, its oddities and its sources."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone

from awry.core.errors import DataError
from awry.core.state import from_state, to_state
from awry.data.encode import TableEncoder
from awry.data.encoders import FAR, MAX_LEVELS, Scaled

N = 1000
RNG = np.random.default_rng(0)


def _mixed() -> pa.Table:
    rng = np.random.default_rng(1)
    gaps = rng.normal(size=N)
    gaps[::25] = np.nan
    hours = (rng.normal(13, 3, N) % 24 * 3600).astype(int)
    words = np.array(["disk", "is", "full", "on", "host", "node", "again", "today"])
    return pa.table(
        {
            "id": [f"row-{i:05d}" for i in range(N)],
            "at": pa.array((1_704_067_200 + np.arange(N) * 3_600 * 24 + hours).astype("M8[s]")),
            "amount": rng.lognormal(3, 1, N),
            "gaps": gaps,
            "city": rng.choice(["Rome", "Oslo", "Lima"], N, p=[0.7, 0.25, 0.05]),
            "shop": [f"s{v}" for v in rng.zipf(1.5, N) % 300],
            "flag": rng.random(N) < 0.02,
            "note": [" ".join(rng.choice(words, 6)) for _ in range(N)],
            "same": np.full(N, "A"),
            "copy": pa.array(gaps),
        }
    )


MIXED = _mixed()
ENCODER = TableEncoder().fit(MIXED)


def _column(encoder: TableEncoder, data, name: str) -> np.ndarray:
    return encoder.transform(data)[:, encoder.feature_names_.index(name)]


def _with(changes: dict, row: int = 0) -> pa.Table:
    rows = MIXED.slice(row, 1).to_pylist()
    return pa.Table.from_pylist([{**rows[0], **changes}], schema=MIXED.schema)


def test_a_clean_numeric_table_is_only_shifted_and_scaled():
    X = RNG.normal([0, 100, -5], [1, 50, 0.01], size=(N, 3))
    encoder = TableEncoder()
    Z = encoder.fit_transform(X)
    assert encoder.feature_names_ == ["x0", "x1", "x2"]
    np.testing.assert_allclose(np.median(Z, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(Z.std(axis=0), 1, atol=0.1)
    for x, z in zip(X.T, Z.T, strict=True):
        np.testing.assert_allclose(np.polyval(np.polyfit(x, z, 1), x), z, atol=1e-9)


def test_features_know_their_sources():
    assert ENCODER.transform(MIXED).shape == (N, len(ENCODER.feature_names_))
    assert len(ENCODER.feature_sources_) == len(ENCODER.feature_names_)
    assert set(ENCODER.feature_sources_) == {"at", "amount", "gaps", "city", "shop", "flag", "note"}
    assert all(
        n.startswith(s)
        for n, s in zip(ENCODER.feature_names_, ENCODER.feature_sources_, strict=True)
    )
    assert ENCODER.source_names_ == MIXED.column_names
    assert ENCODER.id_columns_ == ["id"]
    assert ENCODER.time_column_ == "at"
    assert len(ENCODER.feature_names_) <= 2.5 * MIXED.num_columns


def test_every_form_of_a_table_gives_the_same_matrix():
    X = ENCODER.transform(MIXED)
    assert np.isfinite(X).all()
    frame = MIXED.to_pandas()
    for form in (
        frame,
        MIXED.to_batches()[0],
        MIXED.to_pydict(),
        MIXED.to_pylist(),
        frame[::-1][::-1],
    ):
        np.testing.assert_array_equal(ENCODER.transform(form), X)
    shuffled = MIXED.select(MIXED.column_names[::-1]).append_column("more", pa.nulls(N))
    np.testing.assert_array_equal(ENCODER.transform(shuffled), X)


@pytest.mark.parametrize("size", [1, 7, 333])
def test_batches_do_not_matter(size):
    table = MIXED.slice(0, 20 * size)
    X, new = ENCODER.transform(table), ENCODER.novelty(table)
    parts = [table.slice(i, size) for i in range(0, len(table), size)]
    np.testing.assert_array_equal(np.vstack([ENCODER.transform(p) for p in parts]), X)
    np.testing.assert_array_equal(np.vstack([ENCODER.novelty(p) for p in parts]), new)
    chunked = pa.concat_tables(parts)
    np.testing.assert_array_equal(ENCODER.transform(chunked), X)
    whole = TableEncoder().fit(table).transform(table)
    np.testing.assert_array_equal(TableEncoder().fit(chunked).transform(chunked), whole)


def test_saved_state_encodes_the_same():
    arrays: list[np.ndarray] = []
    tree = json.loads(json.dumps(to_state(ENCODER, arrays)))
    loaded = from_state(tree, arrays)
    np.testing.assert_array_equal(loaded.transform(MIXED), ENCODER.transform(MIXED))
    assert loaded.check(_with({"same": "B"})) == ENCODER.check(_with({"same": "B"}))
    assert clone(ENCODER).get_params() == {"codes": False, "kinds": None}


# -- numbers --------------------------------------------------------------------------------------


def test_missing_values_are_typical_and_flagged():
    flag = _column(ENCODER, MIXED, "gaps is missing")
    missing = np.isnan(MIXED["gaps"].to_numpy())
    np.testing.assert_array_equal(flag > 0, missing)
    assert flag.max() == pytest.approx(np.log(0.96 / 0.04))  # the log of the odds
    np.testing.assert_array_equal(_column(ENCODER, MIXED, "gaps")[missing], 0.0)
    assert "amount is missing" not in ENCODER.feature_names_


def test_columns_missing_together_share_one_flag():
    x, y = RNG.normal(size=(2, N))
    x[:30] = y[:30] = np.nan
    assert TableEncoder().fit({"x": x, "y": y}).feature_names_ == ["x", "x is missing", "y"]


def test_infinities_lie_just_beyond_the_range():
    x = RNG.normal(size=N)
    x[0], x[1] = np.inf, -np.inf
    encoder = TableEncoder().fit({"x": x})
    z = _column(encoder, {"x": x}, "x")
    finite = z[2:]
    margin = 0.1 * np.ptp(finite)
    assert z[0] == pytest.approx(finite.max() + margin)
    assert z[1] == pytest.approx(finite.min() - margin)
    assert (_column(encoder, {"x": x}, "x is infinite") > 0).sum() == 2


def test_heavy_tails_are_drawn_in_but_keep_their_order():
    rng = np.random.default_rng(2)
    x = np.exp(rng.normal(0, 4, N)) * rng.choice([-1, 1], N)
    z = _column(TableEncoder().fit({"x": x}), {"x": x}, "x")
    assert np.abs(z).max() < 30 < np.abs(x).max() / np.median(np.abs(x))
    np.testing.assert_array_equal(np.argsort(z, kind="stable"), np.argsort(x, kind="stable"))
    # One outlier is no heavy tail: it stays as far out as it is.
    y = np.append(rng.normal(size=N - 1), 1000.0)
    z = _column(TableEncoder().fit({"y": y}), {"y": y}, "y")
    assert z[-1] == pytest.approx(1000, rel=0.1)
    assert _column(TableEncoder().fit({"y": y}), {"y": [1e300, 1e200]}, "y")[0] < 1e3 * FAR


def test_a_column_that_is_mostly_one_value_keeps_a_sane_scale():
    x = np.zeros(N)
    x[:5] = 1.0, 2.0, 3.0, 4.0, 5.0
    z = Scaled.fit(x).apply(x)
    assert z.max() == pytest.approx(5 / x.std())
    # Rounding noise around one value is no deviation.
    noisy = 0.3 + np.where(RNG.random(N) < 0.5, 1e-17, 0) + x
    assert np.abs(Scaled.fit(noisy).apply(noisy)).max() < 40


# -- categories, truths ---------------------------------------------------------------------------


def test_rarer_levels_are_odder_and_unseen_ones_the_oddest():
    shops = MIXED["shop"].to_pylist()
    rarity = _column(ENCODER, MIXED, "shop: rarity")
    counts = {s: shops.count(s) for s in shops}
    for i, j in RNG.integers(0, N, (200, 2)):
        if counts[shops[i]] != counts[shops[j]]:
            rarer = counts[shops[i]] < counts[shops[j]]
            assert rarer == (rarity[i] > rarity[j])
            # The difference is that of the logarithms of the frequencies.
            expected = np.log(counts[shops[j]] / counts[shops[i]])
            assert rarity[i] - rarity[j] == pytest.approx(expected)
    assert _column(ENCODER, _with({"shop": "never seen"}), "shop: rarity")[0] > rarity.max()
    assert _column(ENCODER, _with({"shop": None}), "shop: rarity")[0] > rarity.max()


def test_few_levels_get_a_column_each_and_many_do_not():
    names = [n for n in ENCODER.feature_names_ if n.startswith("city")]
    assert names == ["city: rarity", "city: is Rome", "city: is Oslo", "city: is Lima"]
    np.testing.assert_array_equal(
        _column(ENCODER, MIXED, "city: is Oslo"), (np.array(MIXED["city"]) == "Oslo").astype(float)
    )
    assert [n for n in ENCODER.feature_names_ if n.startswith("shop")] == ["shop: rarity"]


def test_width_is_bounded_whatever_the_levels():
    many = {"c": [f"v{i % 40_000}" for i in range(80_000)], "x": RNG.normal(size=80_000)}
    encoder = TableEncoder({"c": "category"}).fit(many)
    assert encoder.transform({"c": ["v1"], "x": [0.0]}).shape[1] <= 2
    assert all(len(p.encoding.names) <= MAX_LEVELS for p in encoder.parts_ if p.role == "level")


def test_the_rarer_truth_is_the_odder():
    z = _column(ENCODER, MIXED, "flag: is true")
    flag = MIXED["flag"].to_numpy(zero_copy_only=False)
    share = flag.mean()
    np.testing.assert_allclose(z, np.where(flag, np.log((1 - share) / share), 0))
    even = TableEncoder().fit({"b": [True, False] * 50})
    assert sorted(set(_column(even, {"b": [True, False]}, even.feature_names_[0]))) == [0.0, 1.0]


def test_levels_are_the_same_whatever_type_they_come_as():
    encoder = TableEncoder({"code": "category"}).fit({"code": [200, 200, 200, 404, 500, 200]})
    forms = [[200, 404], [200.0, 404.0], ["200", " 404"], np.array([200, 404], np.int16)]
    first = encoder.transform({"code": forms[0]})
    assert first[0] @ first[1] != first[1] @ first[1]
    for form in forms:
        np.testing.assert_array_equal(encoder.transform({"code": form}), first)
        assert not encoder.novelty({"code": form}).any()


# -- times, text ----------------------------------------------------------------------------------


def test_hours_that_are_seldom_are_odd():
    z = _column(ENCODER, MIXED, "at: unusual hour")
    hours = np.array([t.hour for t in MIXED["at"].to_pylist()])
    assert z[np.isin(hours, [0, 1, 2, 3, 4])].min() > z[np.isin(hours, [12, 13, 14])].max() + 1
    assert _column(ENCODER, _with({"at": None}), "at: unusual hour")[0] == 0.0


def test_the_circle_of_the_day_is_there_where_numbers_depend_on_it():
    seconds = np.arange(2000) * 1800.0
    load = np.sin(seconds / 86_400 * 2 * np.pi) + 0.1 * RNG.normal(size=2000)
    table = {"t": pa.array(seconds.astype("M8[s]")), "load": load}
    encoder = TableEncoder().fit(table)
    assert encoder.feature_names_ == ["t: hour (sine)", "t: hour (cosine)", "load"]
    Z = encoder.transform(table)
    np.testing.assert_allclose((Z[:, :2] ** 2).sum(axis=1), 1)
    midnight = np.flatnonzero(seconds % 86_400 == 0)
    before = midnight[1:] - 1
    assert np.linalg.norm(Z[midnight[1:], :2] - Z[before, :2], axis=1).max() < 0.2
    idle = TableEncoder().fit({**table, "load": RNG.normal(size=2000)})
    assert idle.feature_names_ == ["load"]  # every hour is alike: the clock says nothing


def test_a_second_time_says_how_long_something_took():
    start = 1_700_000_000 + np.arange(N) * 60
    took = RNG.exponential(300, N)
    table = {
        "start": pa.array((start * 10**6).astype("M8[us]")),
        "end": pa.array(((start + took) * 1e6).astype("M8[us]")),
    }
    z = _column(TableEncoder().fit(table), table, "end since start")
    np.testing.assert_array_equal(np.argsort(z), np.argsort(took))


def test_time_itself_makes_no_later_row_odd():
    later = _with({"at": MIXED["at"][0].as_py() + pd.Timedelta(days=5 * 7 * 52)})
    np.testing.assert_allclose(
        ENCODER.transform(later), ENCODER.transform(MIXED.slice(0, 1)), atol=1e-9
    )


def test_odd_text_is_odd():
    usual = ENCODER.transform(MIXED)
    columns = [i for i, n in enumerate(ENCODER.feature_names_) if n.startswith("note")]
    assert len(columns) <= 7
    spread = usual[:, columns].std(axis=0)
    for text in ("DROP TABLE users; -- 0x1F", "disk disk disk zyxwv", "disk " * 200):
        odd = ENCODER.transform(_with({"note": text}))[0, columns]
        assert (np.abs(odd) > 4 * np.maximum(spread, 1)).any(), text


# -- what was never seen --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "column", "said"),
    [
        ({"same": "B"}, "same", "'B' was always 'A'"),
        ({"copy": 99.0}, "copy", "'99.0' was always the same as 'gaps'"),
        ({"amount": None}, "amount", "is missing and never was"),
        ({"amount": float("inf")}, "amount", "'inf' was never infinite"),
        ({"city": "Paris"}, "city", "'Paris' is a level that was never seen"),
        ({"at": None}, "at", "is missing and never was"),
    ],
)
def test_what_training_ruled_out_is_told(change, column, said):
    table = pa.concat_tables([MIXED.slice(1, 3), _with(change)])
    new = ENCODER.novelty(table)
    expected = np.zeros_like(new)
    expected[3, MIXED.column_names.index(column)] = True
    np.testing.assert_array_equal(new, expected)
    (problem,) = ENCODER.check(table)
    assert (problem.row, problem.column) == (4, column)
    assert str(problem) == f"row 4, column {column!r}: {said}"


def test_training_rows_hold_nothing_new():
    assert not ENCODER.novelty(MIXED).any()
    assert not ENCODER.check(MIXED)
    # New levels are no news where levels often come that were not seen before.
    open_ended = TableEncoder({"u": "category"}).fit({"u": [f"u{i % 700}" for i in range(N)]})
    assert not open_ended.novelty({"u": ["another"]}).any()


def test_values_of_another_type_are_told_and_encoded_as_missing():
    table = {"n": RNG.normal(size=N), "t": pa.array((np.arange(N) * 3600).astype("M8[s]"))}
    encoder = TableEncoder().fit(table)
    new = {"n": ["1.5", "many"], "t": ["2024-01-01", "soon"]}
    problems = [str(p) for p in encoder.check(new)]
    assert problems == [
        "row 2, column 'n': 'many' is not a number",
        "row 2, column 't': 'soon' is not a time",
    ]
    X = encoder.transform(new)
    assert np.isfinite(X).all()
    assert X[1, 0] == 0.0
    assert X[0, 0] == encoder.transform({"n": [1.5], "t": [None]})[0, 0]


@pytest.mark.parametrize(
    ("training", "new", "said"),
    [
        ([True], [True, False], "'False' was always 'true'"),
        (["true"], [True, False], "'False' was always 'true'"),
        (["true"], ["TRUE", "maybe"], "'maybe' is neither 'true' nor 'false'"),
        ([True, False], ["false", "maybe"], "'maybe' is a level that was never seen"),
        (["yes", "no", "no", "no"], ["no", "maybe"], "'maybe' is neither 'yes' nor 'no'"),
    ],
)
def test_booleans_are_watched_however_they_are_written(training, new, said):
    encoder = TableEncoder().fit({"x": RNG.normal(size=N), "b": training * (N // len(training))})
    table = {"x": [0.0, 0.0], "b": new}
    assert [str(p) for p in encoder.check(table)] == [f"row 2, column 'b': {said}"]
    assert encoder.novelty(table)[:, 1].tolist() == [False, True]
    assert np.isfinite(encoder.transform(table)).all()


def test_missing_columns_are_an_error_and_extra_ones_a_note():
    with pytest.raises(DataError, match="column 'amount': the table lacks this column"):
        ENCODER.transform(MIXED.drop_columns(["amount"]))
    (problem,) = ENCODER.check(MIXED.append_column("more", pa.nulls(N)))
    assert (problem.column, problem.what) == (
        "more",
        "is not a column known from training and is ignored",
    )
    with pytest.raises(DataError, match="no rows"):
        TableEncoder().fit(MIXED.slice(0, 0))
    assert ENCODER.transform(MIXED.slice(0, 0)).shape == (0, len(ENCODER.feature_names_))


# -- words ----------------------------------------------------------------------------------------


def test_values_and_what_is_typical_are_told_in_words():
    prices = TableEncoder().fit(
        {"p": [f"€ {v}" for v in RNG.permutation(100) + 1], "q": [True, False] * 50}
    )
    assert prices.show("p", "€ 9200") == prices.show("p", 9200) == "€9,200"
    assert prices.typical_text("p") == "€5.95 … €95.05"
    assert prices.typical("p") | {"text": ""} == {
        "kind": "number", "text": "", "low": pytest.approx(5.95), "median": 50.5,
        "high": pytest.approx(95.05),
    }  # fmt: skip
    assert prices.typical("q")["levels"] == {"false": 0.5, "true": 0.5}
    assert (prices.show("q", True), prices.show("q", None)) == ("true", "missing")
    assert ENCODER.typical_text("city").startswith("Rome (7")
    assert ENCODER.show("at", MIXED["at"][0].as_py()).startswith("2024-01-01 ")
    assert ENCODER.typical_text("id") == "nothing"
    assert ENCODER.typical_text("same") == "A"
    for name in MIXED.column_names:
        json.dumps(ENCODER.typical(name), allow_nan=False)
        assert ENCODER.show(name, MIXED[name][0].as_py())


def test_seconds_of_the_rows():
    table = {
        "when": ["2024-01-01T00:00:00+01:00", None, "2024-01-01T00:00:00Z"],
        "x": [1.0, 2.0, 4.0],
    }
    encoder = TableEncoder().fit(table)
    np.testing.assert_array_equal(encoder.seconds(table), [1704063600.0, np.nan, 1704067200.0])
    assert TableEncoder().fit({"x": [1.0, 2.0, 4.0]}).seconds(table) is None
