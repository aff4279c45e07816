"""Histogram kernels against numpy's histogram and digitize, and the penalised likelihood."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from awry.kernels import histograms as kernels

RNG = np.random.default_rng(0)

# Values that lie on edges, constant columns and large offsets are where bins go wrong.
COLUMNS = np.array([
    RNG.normal(size=2000),
    RNG.integers(0, 11, 2000).astype(float),
    RNG.integers(0, 30, 2000) / 10,
    np.full(2000, 3.0),
    1e9 + RNG.uniform(size=2000),
])  # fmt: skip


def _range(columns):
    low, high = columns.min(axis=1), columns.max(axis=1)
    pad = np.where(low == high, 0.5, 0.0)
    return low - pad, high + pad


@pytest.mark.parametrize("bins", [1, 2, 10, 97])
def test_counts_are_numpys(bins):
    low, high = _range(COLUMNS)
    counts = np.zeros((len(COLUMNS), bins), np.int64)
    kernels.add_counts(COLUMNS, low, high, np.full(len(COLUMNS), bins), counts)
    for column, got in zip(COLUMNS, counts, strict=True):
        np.testing.assert_array_equal(got, np.histogram(column, bins)[0])


def test_counts_of_differing_bins_add_up_over_blocks():
    low, high = _range(COLUMNS)
    bins = np.array([3, 10, 7, 2, 5])
    counts = np.zeros((5, 10), np.int64)
    for part in np.array_split(COLUMNS, 7, axis=1):
        kernels.add_counts(part.copy(), low, high, bins, counts)
    for column, got, k in zip(COLUMNS, counts, bins, strict=True):
        np.testing.assert_array_equal(got[:k], np.histogram(column, k)[0])
        assert not got[k:].any()


@pytest.mark.parametrize("right", [False, True])
def test_look_up_is_digitize(right):
    low, high = _range(COLUMNS)
    bins = np.full(5, 10)
    table = np.tile(np.arange(12.0), (5, 1))
    got = kernels.look_up(COLUMNS, low, high, bins, table, 0.0, right)
    for column, first, last, row in zip(COLUMNS, low, high, got, strict=True):
        edges = np.linspace(first, last, 11)
        expected = np.clip(np.digitize(column, edges, right=right), 1, 10)
        np.testing.assert_array_equal(row, expected)


def test_look_up_outside_the_histogram():
    table = np.array([[-1.0, 1.0, 2.0, 3.0, 4.0, -2.0, 99.0]])
    x = np.array([[-1e300, -0.6, -0.4, 0.0, 4.0, 4.4, 4.6, 1e300]])
    args = np.array([0.0]), np.array([4.0]), np.array([4]), table
    assert kernels.look_up(x, *args, 0.5, True)[0].tolist() == [-1, -1, 1, 1, 4, 4, -2, -2]
    assert kernels.look_up(x, *args, 0.0, False)[0].tolist() == [-1, -1, -1, 1, 4, -2, -2, -2]


@pytest.mark.parametrize(
    "x",
    [
        RNG.normal(size=400),
        RNG.uniform(size=300),
        np.concatenate([RNG.normal(size=200), RNG.normal(9, 0.2, 200)]),
        np.array([1.0, 2.0, 4.0]),
    ],
)
def test_best_bins_has_the_largest_penalised_likelihood(x):
    most = int(len(x) / np.log(len(x)))
    assert kernels.best_bins(np.sort(x)) == oracles.best_bins(x, most)


def test_best_bins_of_a_constant_and_a_single_value():
    assert kernels.best_bins(np.full(50, 7.0)) == 1
    assert kernels.best_bins(np.array([7.0])) == 1
