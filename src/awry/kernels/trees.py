"""Isolation trees with axis-parallel splits on flat arrays: growing, walking, attributing.

Siblings lie next to each other, so one array of left children says where a walk goes: a row at node
``k`` moves to ``left[k] + (x[feature[k]] > threshold[k])``. A leaf is its own left child with
threshold infinity, so a finished walk stands still and rows advance in lockstep without branches.
Children come after their parents. Indices are unsigned, which spares numba's wrap-around checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.uint32]
#: State of the random generator, of shape (1,).
State = NDArray[np.uint64]
#: From the depth of nodes and the rows they hold to what they add to a row's sum.
LeafValue = Callable[[IntArray, IntArray], FloatArray]

#: Rows that walk a tree together: many enough to hide the latency of loads, few enough for L1.
BLOCK = 256


class Forest(NamedTuple):
    """Trees over one set of nodes; tree t is the nodes ``roots[t]:roots[t + 1]``, root first.

    Attributes
    ----------
    feature : ndarray of shape (m,), uint32
    threshold : ndarray of shape (m,)
        Infinity at leaves.
    left : ndarray of shape (m,), uint32
        Left child; the right one is the next node. A leaf's own index at leaves.
    value : ndarray of shape (m,)
        What a leaf adds to a row's sum; at inner nodes the mean of the leaves below, each weighted
        with the rows it was grown on.
    roots : ndarray of shape (t + 1,), uint32
    height : ndarray of shape (t,), int64
        Steps from a tree's root to its deepest leaf.
    """

    feature: IndexArray
    threshold: FloatArray
    left: IndexArray
    value: FloatArray
    roots: IndexArray
    height: IntArray

    @property
    def base(self) -> float:
        """Sum of the root values: what a row drawn from the grown-on rows gets on average."""
        return float(self.value[self.roots[:-1]].sum())

    def is_sound(self, d: int) -> bool:
        """Whether walks over ``d`` features stay inside the arrays."""
        return self.feature.ndim == 1 and is_sound(self, d)


def is_sound(forest: Any, d: int) -> bool:
    """Whether walks over ``d`` features stay inside the arrays of ``forest``, of either kind."""
    feature, left, roots = (
        forest.feature,
        forest.left.astype(np.int64),
        forest.roots.astype(np.int64),
    )
    own = np.arange(len(left))
    inner = left != own
    if roots[0] != 0 or roots[-1] != len(own) or (np.diff(roots) < 1).any():
        return False
    end = np.repeat(roots[1:], np.diff(roots))
    return bool(
        forest.threshold.shape == forest.value.shape == own.shape == feature.shape[:1]
        and ((feature >= 0) & (feature < d)).all()
        and ((left > own) & (left + 1 < end))[inner].all()
        and np.isposinf(forest.threshold[~inner]).all()
        and forest.height.shape == roots[1:].shape
        and ((forest.height >= 0) & (forest.height < np.diff(roots))).all()
    )


def average_path_length(n: int) -> FloatArray:
    """Mean depth of an unsuccessful search in a binary search tree of 0, 1, …, ``n`` items.

    ``c(i) = 2 H(i - 1) - 2 (i - 1) / i`` (Liu et al., equation 1), with exact harmonic numbers in
    place of the paper's logarithmic estimate. Shape (n + 1,), c(0) = c(1) = 0.
    """
    i = np.arange(1, n + 1)
    harmonic = np.cumsum(1.0 / i) - 1.0 / i
    return np.concatenate([[0.0], 2.0 * harmonic - 2.0 * (i - 1) / i])


@njit(cache=True, nogil=True)
def uniform(state: State) -> float:
    """A number in [0, 1) from SplitMix64 (Steele et al., 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def between(low: float, high: float, state: State) -> float:
    """A threshold in [low, high), so that ``low`` goes left and ``high`` goes right."""
    u = uniform(state)
    threshold = low * (1.0 - u) + high * u  # does not overflow where high - low would
    return threshold if low <= threshold < high else low


@njit(cache=True, nogil=True)
def split_range(X: FloatArray, rows: IntArray, f: int) -> tuple[float, float]:
    """Least and greatest value of feature ``f`` among ``rows``."""
    low = high = X[rows[0], f]
    for i in range(1, rows.size):
        value = X[rows[i], f]
        low, high = min(low, value), max(high, value)
    return low, high


@njit(cache=True, nogil=True)
def pick_uniform(
    X: FloatArray, rows: IntArray, columns: IntArray, state: State
) -> tuple[int, float, float]:
    """A feature drawn evenly from those of ``columns`` that vary among ``rows``, and its range."""
    for j in range(columns.size):
        k = j + int(uniform(state) * (columns.size - j))
        columns[j], columns[k] = columns[k], columns[j]
        low, high = split_range(X, rows, columns[j])
        if low < high:
            return columns[j], low, high
    return columns[0], 0.0, 0.0


@njit(cache=True, nogil=True)
def pick_by_kurtosis(
    X: FloatArray, rows: IntArray, columns: IntArray, state: State
) -> tuple[int, float, float]:
    """A feature drawn with weight log(kurtosis + 1) among ``rows``, and its range.

    Putina et al., section 3.2; kurtosis is the fourth standardised moment, 3 for a normal.
    """
    weights = np.zeros(columns.size)
    for j in range(columns.size):
        f = columns[j]
        low, high = split_range(X, rows, f)
        if not low < high:
            continue
        mean = 0.0
        for i in rows:
            mean += (X[i, f] - low) / (high - low)
        mean /= rows.size
        second = fourth = 0.0
        for i in rows:
            square = ((X[i, f] - low) / (high - low) - mean) ** 2
            second += square
            fourth += square * square
        weights[j] = np.log1p(rows.size * fourth / (second * second))
    target = uniform(state) * weights.sum()
    chosen = 0
    for j in range(columns.size):
        if weights[j] > 0.0:
            chosen = j
            target -= weights[j]
            if target < 0.0:
                break
    low, high = split_range(X, rows, columns[chosen])
    return columns[chosen], low, high


@njit(cache=True, nogil=True)
def partition(X: FloatArray, rows: IntArray, f: int, threshold: float) -> int:
    """Reorder ``rows`` so that those with ``x[f] <= threshold`` come first; return how many."""
    i, j = 0, rows.size
    while i < j:
        if X[rows[i], f] <= threshold:
            i += 1
        else:
            j -= 1
            rows[i], rows[j] = rows[j], rows[i]
    return i


@njit(cache=True, nogil=True)
def grow(
    X: FloatArray, columns: IntArray, max_depth: int, by_kurtosis: bool, seed: int
) -> tuple[IndexArray, FloatArray, IndexArray, IntArray, IntArray]:
    """Grow one tree on all rows of ``X`` (n, d), splitting on ``columns`` (reordered in place).

    A node becomes a leaf at ``max_depth``, with one row, or when no column varies in it.

    Returns
    -------
    feature, threshold, left : as in :class:`Forest`, with indices from 0
    depth, count : ndarray of shape (m,), int64
        Of each node: edges above it and rows that reached it.
    """
    n = X.shape[0]
    capacity = 2 * n - 1
    if max_depth < 40:
        capacity = min(capacity, (2 << max_depth) - 1)
    state = np.array([seed], dtype=np.uint64)
    feature = np.zeros(capacity, np.uint32)
    threshold = np.full(capacity, np.inf)
    left = np.arange(capacity).astype(np.uint32)
    depth = np.zeros(capacity, np.int64)
    start = np.zeros(capacity, np.int64)
    count = np.zeros(capacity, np.int64)
    rows = np.arange(n)
    count[0] = n
    size, node = 1, 0
    while node < size:  # nodes are split in the order of their index: breadth first
        here = rows[start[node] : start[node] + count[node]]
        if here.size > 1 and depth[node] < max_depth:
            if by_kurtosis:
                f, low, high = pick_by_kurtosis(X, here, columns, state)
            else:
                f, low, high = pick_uniform(X, here, columns, state)
            if low < high:
                feature[node], threshold[node] = f, between(low, high, state)
                n_left = partition(X, here, f, threshold[node])
                left[node] = size
                start[size], count[size] = start[node], n_left
                start[size + 1] = start[node] + n_left
                count[size + 1] = here.size - n_left
                depth[size] = depth[size + 1] = depth[node] + 1
                size += 2
        node += 1
    return feature[:size], threshold[:size], left[:size], depth[:size], count[:size]


@njit(cache=True, nogil=True)
def fill_means(left: IndexArray, count: IntArray, value: FloatArray) -> None:
    """Set ``value`` at inner nodes to the mean of their leaves, weighted with ``count``."""
    for k in range(left.size - 1, -1, -1):
        child = left[k]
        if child != k:
            a, b = count[child], count[child + 1]
            value[k] = (a * value[child] + b * value[child + 1]) / (a + b)


@njit(cache=True, nogil=True)
def walk(
    X: FloatArray,
    feature: IndexArray,
    threshold: FloatArray,
    left: IndexArray,
    value: FloatArray,
    roots: IndexArray,
    height: IntArray,
) -> FloatArray:
    """Sum over trees of the value of the leaf each row of ``X`` (n, d) ends in; shape (n,)."""
    n = X.shape[0]
    out = np.zeros(n)
    at = np.empty(BLOCK, np.uint32)
    for first in range(0, n, BLOCK):
        block, sums = X[first : first + BLOCK], out[first : first + BLOCK]
        m = sums.size
        for t in range(height.size):
            at[:m] = roots[t]
            for _ in range(height[t]):
                for i in range(m):
                    k = at[i]
                    at[i] = left[k] + np.uint32(block[i, feature[k]] > threshold[k])
            for i in range(m):
                sums[i] += value[at[i]]
    return out


@njit(cache=True, nogil=True)
def find_leaves(
    X: FloatArray, feature: IndexArray, threshold: FloatArray, left: IndexArray, roots: IndexArray
) -> IndexArray:
    """The leaf each row of ``X`` (n, d) ends in, in each of t trees; node numbers, shape (n, t)."""
    n, n_trees = X.shape[0], roots.size - 1
    out = np.empty((n, n_trees), np.uint32)
    for i in range(n):
        for t in range(n_trees):
            k = roots[t]
            while left[k] != k:
                k = left[k] + np.uint32(X[i, feature[k]] > threshold[k])
            out[i, t] = k
    return out


@njit(cache=True, nogil=True)
def attribute(
    X: FloatArray,
    feature: IndexArray,
    threshold: FloatArray,
    left: IndexArray,
    value: FloatArray,
    roots: IndexArray,
    height: IntArray,
) -> FloatArray:
    """Share each row's sum among features: shape (n, d).

    A step from a node to its child changes the mean of the leaves below; the change is credited to
    the feature that was tested (Saabas' decomposition), so that
    ``base + attribute(...).sum(axis=1) == walk(...)`` with ``base`` the sum of the root values.
    """
    out = np.zeros(X.shape)
    for i in range(X.shape[0]):
        for t in range(height.size):
            k = roots[t]
            while left[k] != k:
                child = left[k] + np.uint32(X[i, feature[k]] > threshold[k])
                out[i, feature[k]] += value[child] - value[k]
                k = child
    return out


def grow_forest(
    X: FloatArray,
    leaf_value: LeafValue,
    rng: np.random.Generator,
    *,
    n_trees: int,
    n_rows: int,
    n_columns: int,
    max_depth: int,
    by_kurtosis: bool = False,
) -> Forest:
    """Grow a forest, each tree on its own ``n_rows`` rows and ``n_columns`` columns of ``X``.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    leaf_value : function (depth, count) -> value
        What leaves add to a row's sum, given their depth and the rows they hold.
    rng : Generator
        Rows and columns are drawn without replacement.
    by_kurtosis : bool, default=False
        Draw split features with weight log(kurtosis + 1) instead of evenly.
    """
    n, d = X.shape
    trees, roots, height = [], [0], []
    for _ in range(n_trees):
        rows = rng.choice(n, n_rows, replace=False, shuffle=False) if n_rows < n else slice(None)
        columns = rng.choice(d, n_columns, replace=False)
        seed = int(rng.integers(2**63))
        feature, threshold, left, depth, count = grow(
            np.require(X[rows], np.float64, ["C", "W"]), columns, max_depth, by_kurtosis, seed
        )
        value = leaf_value(depth, count)
        fill_means(left, count, value)
        trees.append((feature, threshold, left + np.uint32(roots[-1]), value))
        roots.append(roots[-1] + len(value))
        height.append(depth[-1])  # breadth first: the last node is a deepest one
    feature, threshold, left, value = map(np.concatenate, zip(*trees, strict=True))
    return Forest(feature, threshold, left, value, np.array(roots, np.uint32), np.array(height))
