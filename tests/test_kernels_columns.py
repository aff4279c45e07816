"""Kernels on single columns against their oracles, scipy and worked examples."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

import oracles
from awry.kernels import columns as kernels

RNG = np.random.default_rng(0)

#: A second column, so that numpy sums the rows of the table one after the other.
X_ZERO = np.zeros(700)

COLUMNS = {
    "normal": RNG.normal(size=700),
    "heavy tails": np.exp(4 * RNG.normal(size=700)) * RNG.choice([-1.0, 1.0], 700),
    "integers": RNG.integers(-3, 4, 700).astype(float),
    "constant": np.full(700, 2.5),
    "large offset": 1.7e9 + RNG.integers(0, 90, 700) / 7,
    "signed zeros": RNG.choice([-0.0, 0.0, 1.0], 700),
    "undecided by leading bits": np.append(0.0, 1e15 + RNG.integers(0, 40, 699) / 8),
    "two extremes": np.array([1e308, -1e308] * 350),
}

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@pytest.mark.parametrize("name", COLUMNS)
def test_sort_with_order_is_an_argsort(name):
    x = COLUMNS[name]
    values, order = kernels.sort_with_order(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(x[order], values)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(x)))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=70))
@settings(max_examples=60, deadline=None)
def test_sort_with_order_on_any_doubles(values):
    x = np.array(values)
    ascending, order = kernels.sort_with_order(x)
    np.testing.assert_array_equal(ascending, np.sort(x))
    np.testing.assert_array_equal(x[order], ascending)


@pytest.mark.parametrize("spacing", [2.0**-38, 2.0**-50])
def test_sort_mends_what_the_packed_bits_cannot_tell_apart(spacing):
    # A span of all doubles leaves too few bits for neighbours: few of them to put right by
    # insertion with the wide spacing, all of them with the narrow one.
    x = np.concatenate([[-1e300, 1e300], 1 + RNG.permutation(50_000) * spacing])
    values, order = kernels.sort_with_order(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(x[order], values)


@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_of_copies_in_blocks(order):
    X = np.array(RNG.normal(size=(5000, 3)), order=order)
    columns = kernels.columns_of(X)
    np.testing.assert_array_equal(columns, X.T)
    assert columns.flags.c_contiguous
    assert not np.shares_memory(columns, X)
    blocks = list(kernels.column_blocks(X))
    assert len(blocks) > 1
    for rows, block in blocks:
        np.testing.assert_array_equal(block, X[rows].T)
    assert sum(block.shape[1] for _, block in blocks) == len(X)


def test_total_is_the_same_for_one_row_as_for_many():
    columns = RNG.normal(size=(300, 50)) * 10.0 ** RNG.integers(-8, 8, (300, 50))
    alone = [kernels.total(columns[:, [i]].copy())[0] for i in range(50)]
    np.testing.assert_array_equal(kernels.total(columns), alone)
    np.testing.assert_allclose(kernels.total(columns), columns.sum(axis=0))


@pytest.mark.parametrize("name", COLUMNS)
def test_skew_sign_is_scipys(name):
    X = np.column_stack([COLUMNS[name], COLUMNS[name] ** 2 if name != "two extremes" else X_ZERO])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, on constants and overflow
        expected = np.sign(np.nan_to_num(skew(X, axis=0)))
    np.testing.assert_array_equal([kernels.skew_sign(c) for c in X.T.copy()], expected)


def test_skew_sign_of_symmetric_and_skewed():
    assert kernels.skew_sign(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])) == 0
    assert kernels.skew_sign(np.array([0.0, 0.0, 0.0, 1.0])) == 1
    assert kernels.skew_sign(np.array([0.0, 0.0, 0.0, -1.0])) == -1


@pytest.mark.parametrize("copula", [False, True])
@pytest.mark.parametrize("sign", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("name", ["normal", "integers", "heavy tails", "constant"])
def test_tails_match_counting(name, sign, copula):
    train = np.sort(COLUMNS[name])
    between = train[:-1] + np.diff(train) / 2
    x = np.concatenate([train[::-1], between, [train[0] - 1, train[-1] + 1, -np.inf, np.inf]])
    table = kernels.surprises(len(train))
    expected = oracles.tails(train, x, sign, copula)
    many = kernels.column_tails(train, sign, table, x, copula)
    few = kernels.few_tails(train[None], np.array([sign]), table, x[:, None], copula)
    np.testing.assert_allclose(many, expected, atol=1e-12)
    np.testing.assert_array_equal(few[0], many)


def test_tails_rise_beyond_the_training_range():
    train = np.arange(10.0)
    table = kernels.surprises(10)
    inside, outside = kernels.column_tails(train, 1.0, table, np.array([9.0, 9.5]), False)
    np.testing.assert_allclose([inside, outside], np.log([10, 11]))


@given(st.lists(finite, min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_medcouple_matches_all_pairs(values):
    x = np.sort(np.array(values))
    assert kernels.medcouple(x) == pytest.approx(oracles.medcouple(x), abs=1e-12)


@pytest.mark.parametrize("name", ["normal", "integers", "heavy tails", "constant"])
def test_medcouple_matches_all_pairs_on_columns(name):
    for size in (9, 10, 60, 61):
        x = np.sort(COLUMNS[name][:size])
        assert kernels.medcouple(x) == pytest.approx(oracles.medcouple(x), abs=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_medcouple_where_most_pairs_tie_at_an_end(sign):
    x = np.sort(sign * np.array([-3.0, -2, -1, 0, 0, 0, 0]))
    assert kernels.medcouple(x) == oracles.medcouple(x) == -sign


def test_medcouple_properties():
    x = np.sort(RNG.exponential(size=5000))
    value = kernels.medcouple(x)
    # Brys et al. 2004: mirrored data change the sign; location and scale change nothing.
    assert kernels.medcouple(-x[::-1]) == pytest.approx(-value, abs=1e-12)
    assert kernels.medcouple(7 + 3 * x) == pytest.approx(value, abs=1e-12)
    assert value == pytest.approx(1 / 3, abs=0.03)  # close to the exponential's medcouple
    assert kernels.medcouple(np.array([-1.0, 0.0, 1.0])) == 0


#: Rosner (1983), the 54 values also worked through in the NIST handbook, section 1.3.5.17.3.
ROSNER = np.array([
    -0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56, 1.58, 1.65,
    1.69, 1.70, 1.76, 1.77, 1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24,
    2.26, 2.35, 2.37, 2.40, 2.47, 2.54, 2.62, 2.64, 2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59,
    3.68, 4.30, 4.64, 5.34, 5.42, 6.01,
])  # fmt: skip


def test_extreme_deviates_of_rosners_example():
    deviates, lows = kernels.extreme_deviates(ROSNER, 10)
    published = [3.118, 2.942, 3.179, 2.810, 2.815, 2.848, 2.279, 2.310, 2.101, 2.067]
    np.testing.assert_allclose(deviates, published, atol=1.1e-3)
    assert lows.tolist()[:4] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["normal", "heavy tails", "integers", "constant"])
def test_extreme_deviates_match_deletion(name):
    x = np.sort(COLUMNS[name])[::7].copy()
    deviates, lows = kernels.extreme_deviates(x, 60)
    expected, removed = oracles.extreme_deviates(x, 60)
    np.testing.assert_allclose(deviates, expected, rtol=1e-9, atol=1e-12)
    low = lows[-1]
    left = x[low : len(x) - (60 - low)]
    np.testing.assert_array_equal(np.sort(np.append(left, removed)), x)


def test_extreme_deviates_survive_cancellation():
    # After the huge values are gone, what is left must not be lost in their rounding.
    x = np.sort(np.concatenate([RNG.normal(size=50), [1e9, 1e12, -1e15]]))
    deviates, _ = kernels.extreme_deviates(x, 10)
    np.testing.assert_allclose(deviates, oracles.extreme_deviates(x, 10)[0], rtol=1e-9)
