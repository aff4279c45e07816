"""Isolation trees whose splits combine several features: growing, walking, attributing.

The layout is that of :mod:`awry.kernels.trees`; a test is a plane over ``q`` features: a row goes
right where ``sum_j weight[k, j] * (x[feature[k, j]] - centre[k, j]) > threshold[k]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from awry.kernels.trees import (
    BLOCK,
    FloatArray,
    IndexArray,
    IntArray,
    LeafValue,
    State,
    fill_means,
    split_range,
    uniform,
)


class PlaneForest(NamedTuple):
    """Trees of hyperplane splits; see :class:`awry.kernels.trees.Forest`.

    Attributes
    ----------
    feature : ndarray of shape (m, q), uint32
    weight, centre : ndarray of shape (m, q)
        Weight is zero at leaves and where fewer than q features vary.
    threshold, left, value, roots, height
        As in :class:`awry.kernels.trees.Forest`.
    """

    feature: IndexArray
    weight: FloatArray
    centre: FloatArray
    threshold: FloatArray
    left: IndexArray
    value: FloatArray
    roots: IndexArray
    height: IntArray

    @property
    def base(self) -> float:
        """Sum of the root values: what a row drawn from the grown-on rows gets on average."""
        return float(self.value[self.roots[:-1]].sum())


@njit(cache=True, nogil=True)
def normal(state: State) -> float:
    """A standard normal number (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(state)))
    return float(radius * np.cos(2.0 * np.pi * uniform(state)))


@njit(cache=True, nogil=True)
def pick_varying(X: FloatArray, rows: IntArray, columns: IntArray, q: int, state: State) -> int:
    """Move up to ``q`` features that vary among ``rows`` to the front of ``columns``; how many."""
    found = 0
    for j in range(columns.size):
        k = j + int(uniform(state) * (columns.size - j))
        columns[j], columns[k] = columns[k], columns[j]
        low, high = split_range(X, rows, columns[j])
        if low < high:
            columns[found], columns[j] = columns[j], columns[found]
            found += 1
            if found == q:
                break
    return found


@njit(cache=True, nogil=True)
def project(
    X: FloatArray,
    rows: IntArray,
    feature: IntArray,
    weight: FloatArray,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """Signed position of ``rows`` along a plane's normal, into ``out``."""
    for i in range(rows.size):
        total = 0.0
        for j in range(feature.size):
            total += weight[j] * (X[rows[i], feature[j]] - centre[j])
        out[i] = total


@njit(cache=True, nogil=True)
def draw_plane(
    X: FloatArray,
    rows: IntArray,
    features: IntArray,
    unit: FloatArray,
    weight: FloatArray,
    centre: FloatArray,
    state: State,
) -> None:
    """A normal of random direction and a point drawn from the box around ``rows``.

    Hariri et al., algorithm 2, in coordinates divided by ``unit``.
    """
    for j in range(features.size):
        low, high = split_range(X, rows, features[j])
        u = uniform(state)
        weight[j] = normal(state) / unit[features[j]]
        centre[j] = low * (1.0 - u) + high * u


@njit(cache=True, nogil=True)
def draw_direction(
    X: FloatArray,
    rows: IntArray,
    features: IntArray,
    weight: FloatArray,
    centre: FloatArray,
    state: State,
) -> None:
    """Random weights for the features as standardised among ``rows``."""
    for j in range(features.size):
        f = features[j]
        low, high = split_range(X, rows, f)
        mean = square = 0.0
        for i in rows:
            mean += (X[i, f] - low) / (high - low)
        mean /= rows.size
        for i in rows:
            square += ((X[i, f] - low) / (high - low) - mean) ** 2
        centre[j] = low * (1.0 - mean) + high * mean
        weight[j] = normal(state) / (np.sqrt(square / rows.size) * (high - low))


@njit(cache=True, nogil=True)
def fairest_cut(x: FloatArray) -> float:
    """The threshold that leaves the least pooled variance of ``x`` (n,) on its two sides.

    That is where the sum of squares between the sides is greatest. NaN where all values are equal.
    """
    x = np.sort(x)
    n, mean = x.size, x.mean()
    most, cut, below = -1.0, np.nan, 0.0
    for i in range(1, n):
        below += x[i - 1] - mean  # what lies above sums to minus this
        if x[i - 1] < x[i]:
            between = below * below * (1.0 / i + 1.0 / (n - i))
            if between > most:
                middle = 0.5 * x[i - 1] + 0.5 * x[i]
                most, cut = between, middle if middle < x[i] else x[i - 1]
    return cut


@njit(cache=True, nogil=True)
def grow_planes(
    X: FloatArray,
    columns: IntArray,
    unit: FloatArray,
    q: int,
    max_depth: int,
    fair: bool,
    seed: int,
) -> tuple[IndexArray, FloatArray, FloatArray, FloatArray, IndexArray, IntArray, IntArray]:
    """Grow one tree on all rows of ``X`` (n, d), on planes over up to ``q`` of ``columns``.

    With ``fair`` a direction is drawn and cut where the pooled standard deviation falls most,
    otherwise the plane is drawn whole, which may leave a side empty.

    Returns
    -------
    feature, weight, centre, threshold, left : as in :class:`PlaneForest`, with indices from 0
    depth, count : ndarray of shape (m,), int64
    """
    n = X.shape[0]
    capacity = 2 * n - 1 if fair else 2 * n * (max_depth + 1)
    if max_depth < 40:
        capacity = min(capacity, (2 << max_depth) - 1)
    state = np.array([seed], dtype=np.uint64)
    feature = np.zeros((capacity, q), np.uint32)
    weight, centre = np.zeros((capacity, q)), np.zeros((capacity, q))
    threshold = np.full(capacity, np.inf)
    left = np.arange(capacity).astype(np.uint32)
    depth = np.zeros(capacity, np.int64)
    start, count = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
    rows, along = np.arange(n), np.empty(n)
    count[0] = n
    size, node = 1, 0
    while node < size:
        begin, end = start[node], start[node] + count[node]
        here, position = rows[begin:end], along[begin:end]
        used = 0
        if here.size > 1 and depth[node] < max_depth:
            used = pick_varying(X, here, columns, q, state)
        if used > 0:
            f, w, c = columns[:used], weight[node, :used], centre[node, :used]
            cut = 0.0
            if fair:
                draw_direction(X, here, f, w, c, state)
            else:
                draw_plane(X, here, f, unit, w, c, state)
            project(X, here, f, w, c, position)
            if fair:
                cut = fairest_cut(position)
            if np.isfinite(cut):
                threshold[node] = cut
                for j in range(used):
                    feature[node, j] = f[j]
                i, j = 0, here.size
                while i < j:
                    if position[i] > cut:
                        j -= 1
                        here[i], here[j] = here[j], here[i]
                        position[i], position[j] = position[j], position[i]
                    else:
                        i += 1
                left[node] = size
                start[size], count[size] = begin, i
                start[size + 1], count[size + 1] = begin + i, here.size - i
                depth[size] = depth[size + 1] = depth[node] + 1
                size += 2
            else:
                weight[node] = 0.0
        node += 1
    return (
        feature[:size], weight[:size], centre[:size], threshold[:size], left[:size], depth[:size],
        count[:size],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def side(
    x: FloatArray, feature: IndexArray, weight: FloatArray, centre: FloatArray, threshold: float
) -> np.uint32:
    """1 where the row ``x`` (d,) lies beyond the plane, else 0."""
    total = 0.0
    for j in range(feature.size):
        total += weight[j] * (x[feature[j]] - centre[j])
    return np.uint32(total > threshold)


@njit(cache=True, nogil=True)
def walk_planes(
    X: FloatArray,
    feature: IndexArray,
    weight: FloatArray,
    centre: FloatArray,
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
                    right = side(block[i], feature[k], weight[k], centre[k], threshold[k])
                    at[i] = left[k] + right
            for i in range(m):
                sums[i] += value[at[i]]
    return out


@njit(cache=True, nogil=True)
def attribute_planes(
    X: FloatArray,
    feature: IndexArray,
    weight: FloatArray,
    centre: FloatArray,
    threshold: FloatArray,
    left: IndexArray,
    value: FloatArray,
    roots: IndexArray,
    height: IntArray,
) -> FloatArray:
    """Share each row's sum among features: shape (n, d); the parts add to the sum less the base.

    As :func:`awry.kernels.trees.attribute`; the features of a plane share the change of a step by
    how far each moved the row off the plane's centre.
    """
    out = np.zeros(X.shape)
    q = feature.shape[1]
    parts = np.empty(q)
    for i in range(X.shape[0]):
        for t in range(height.size):
            k = roots[t]
            while left[k] != k:
                total = 0.0
                for j in range(q):
                    parts[j] = abs(weight[k, j] * (X[i, feature[k, j]] - centre[k, j]))
                    total += parts[j]
                right = side(X[i], feature[k], weight[k], centre[k], threshold[k])
                child = left[k] + right
                change = value[child] - value[k]
                for j in range(q):
                    share = parts[j] / total if total > 0.0 else 1.0 / q
                    out[i, feature[k, j]] += change * share
                k = child
    return out


def grow_plane_forest(
    X: FloatArray,
    leaf_value: LeafValue,
    rng: np.random.Generator,
    *,
    n_trees: int,
    n_rows: int,
    n_features: int,
    max_depth: int,
    fair: bool,
) -> PlaneForest:
    """Grow a forest, each tree on its own ``n_rows`` rows of ``X`` (n, d).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    leaf_value : function (depth, count) -> value
    rng : Generator
    n_features : int
        Features of a plane, q.
    fair : bool
        Cut where the pooled standard deviation falls most (fair-cut forest), or draw the whole
        plane (extended isolation forest).
    """
    n, d = X.shape
    unit = np.array([spread if spread > 0.0 else 1.0 for spread in X.std(axis=0)])
    trees, roots, height = [], [0], []
    for _ in range(n_trees):
        rows = rng.choice(n, n_rows, replace=False, shuffle=False) if n_rows < n else slice(None)
        seed = int(rng.integers(2**63))
        *planes, left, depth, count = grow_planes(
            np.require(X[rows], np.float64, ["C", "W"]), np.arange(d), unit, n_features, max_depth,
            fair, seed,
        )  # fmt: skip
        value = leaf_value(depth, count)
        fill_means(left, count, value)
        trees.append((*planes, left + np.uint32(roots[-1]), value))
        roots.append(roots[-1] + len(value))
        height.append(depth[-1])
    feature, weight, centre, threshold, left, value = map(np.concatenate, zip(*trees, strict=True))
    return PlaneForest(
        feature, weight, centre, threshold, left, value, np.array(roots, np.uint32),
        np.array(height),
    )  # fmt: skip
