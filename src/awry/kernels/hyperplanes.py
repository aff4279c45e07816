"""Isolation trees whose splits combine several features: growing, walking, attributing.

The layout is that of :mod:`awry.kernels.trees`; a test is a plane over a few features: a row goes
right where ``sum_j weight[k, j] * z[feature[k, j]] > threshold[k]``, with ``z = x - origin``, which
keeps the digits of data far from zero.
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
    is_sound,
    split_range,
    uniform,
)

#: Features of a plane are held in threes, a number that the compiler can unroll.
LANES = 3
_1, _2 = np.uint32(1), np.uint32(2)


class PlaneForest(NamedTuple):
    """Trees of hyperplane splits; see :class:`awry.kernels.trees.Forest`.

    Attributes
    ----------
    feature : ndarray of shape (m, q), uint32
        q is a multiple of three, see ``LANES``.
    weight : ndarray of shape (m, q)
        Zero for what is not in the plane, and at leaves.
    centre : ndarray of shape (m, q)
        A point of z amid the rows that were split; explanations measure from it.
    threshold, left, value, roots, height
        As in :class:`awry.kernels.trees.Forest`.
    origin : ndarray of shape (d,)
    """

    feature: IndexArray
    weight: FloatArray
    centre: FloatArray
    threshold: FloatArray
    left: IndexArray
    value: FloatArray
    roots: IndexArray
    height: IntArray
    origin: FloatArray

    @property
    def base(self) -> float:
        """Sum of the root values: what a row drawn from the grown-on rows gets on average."""
        return float(self.value[self.roots[:-1]].sum())

    def is_sound(self, d: int) -> bool:
        """Whether walks over ``d`` features stay inside the arrays."""
        shape = self.feature.shape
        return (
            len(shape) == 2
            and shape[1] >= LANES
            and shape[1] % LANES == 0
            and self.weight.shape == self.centre.shape == shape
            and self.origin.shape == (d,)
            and is_sound(self, d)
        )


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
def position(z: FloatArray, feature: IndexArray, weight: FloatArray) -> float:
    """How far the row ``z`` (d,) reaches along a plane's normal, added up as in the walk."""
    along = 0.0
    for j in range(0, feature.size, LANES):
        along += (
            weight[j] * z[feature[j]]
            + weight[j + 1] * z[feature[j + 1]]
            + weight[j + 2] * z[feature[j + 2]]
        )
    return along


@njit(cache=True, nogil=True)
def draw_plane(
    Z: FloatArray,
    rows: IntArray,
    features: IntArray,
    unit: FloatArray,
    weight: FloatArray,
    centre: FloatArray,
    state: State,
) -> float:
    """A plane of random direction through a point drawn from the box around ``rows``.

    Hariri et al., algorithm 2, in coordinates divided by ``unit``; returns the threshold.
    """
    threshold = 0.0
    for j in range(features.size):
        low, high = split_range(Z, rows, features[j])
        u = uniform(state)
        weight[j] = normal(state) / unit[features[j]]
        centre[j] = low * (1.0 - u) + high * u
        threshold += weight[j] * centre[j]
    return threshold


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
    Z: FloatArray, columns: IntArray, n_features: int, max_depth: int, fair: bool, seed: int
) -> tuple[IndexArray, FloatArray, FloatArray, FloatArray, IndexArray, IntArray, IntArray]:
    """Grow one tree on all rows of ``Z`` (n, d), on planes over ``n_features`` of ``columns``.

    With ``fair`` a direction is drawn and cut where the pooled variance falls most, otherwise the
    plane is drawn whole, which may leave a side empty.

    Returns
    -------
    feature, weight, centre, threshold, left : as in :class:`PlaneForest`, with indices from 0
    depth, count : ndarray of shape (m,), int64
    """
    n, d = Z.shape
    q = LANES * ((n_features + LANES - 1) // LANES)
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
    rows, along, unit = np.arange(n), np.empty(n), np.empty(d)
    for j in range(d):
        unit[j] = Z[:, j].std()
    count[0] = n
    size, node = 1, 0
    while node < size:
        begin, end = start[node], start[node] + count[node]
        here, reach = rows[begin:end], along[begin:end]
        used = 0
        if here.size > 1 and depth[node] < max_depth:
            used = pick_varying(Z, here, columns, n_features, state)
        if used > 0:
            f, w, c = columns[:used], weight[node], centre[node]
            cut = 0.0
            if fair:
                draw_direction(Z, here, f, w, c, state)
            else:
                cut = draw_plane(Z, here, f, unit, w, c, state)
            for j in range(used):
                feature[node, j] = f[j]
            for i in range(here.size):
                reach[i] = position(Z[here[i]], feature[node], w)
            if fair:
                cut = fairest_cut(reach)
            if np.isfinite(cut):
                threshold[node] = cut
                i, j = 0, here.size
                while i < j:
                    if reach[i] > cut:
                        j -= 1
                        here[i], here[j] = here[j], here[i]
                        reach[i], reach[j] = reach[j], reach[i]
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
    origin: FloatArray,
) -> FloatArray:
    """Sum over trees of the value of the leaf each row of ``X`` (n, d) ends in; shape (n,)."""
    n, d = X.shape
    last = np.uint32(feature.shape[1] - LANES)
    out = np.zeros(n)
    at, along = np.empty(BLOCK, np.uint32), np.empty(BLOCK)
    Z = np.empty((min(n, BLOCK), d))
    for first in range(0, n, BLOCK):
        sums = out[first : first + BLOCK]
        m = sums.size
        for i in range(m):
            for j in range(d):
                Z[i, j] = X[first + i, j] - origin[j]
        for t in range(height.size):
            at[:m] = roots[t]
            for _ in range(height[t]):
                along[:m] = 0.0
                for j in range(np.uint32(0), last, np.uint32(LANES)):
                    for i in range(m):
                        k = at[i]
                        along[i] += (
                            weight[k, j] * Z[i, feature[k, j]]
                            + weight[k, j + _1] * Z[i, feature[k, j + _1]]
                            + weight[k, j + _2] * Z[i, feature[k, j + _2]]
                        )
                for i in range(m):
                    k = at[i]
                    reach = along[i] + (
                        weight[k, last] * Z[i, feature[k, last]]
                        + weight[k, last + _1] * Z[i, feature[k, last + _1]]
                        + weight[k, last + _2] * Z[i, feature[k, last + _2]]
                    )
                    at[i] = left[k] + np.uint32(reach > threshold[k])
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
    origin: FloatArray,
) -> FloatArray:
    """Share each row's sum among features: shape (n, d); the parts add to the sum less the base.

    As :func:`awry.kernels.trees.attribute`; the features of a plane share the change of a step by
    how far each moved the row from the plane's centre.
    """
    out = np.zeros(X.shape)
    q = feature.shape[1]
    moved = np.empty(q)
    for i in range(X.shape[0]):
        z = X[i] - origin
        for t in range(height.size):
            k = roots[t]
            while left[k] != k:
                total = 0.0
                for j in range(q):
                    moved[j] = abs(weight[k, j] * (z[feature[k, j]] - centre[k, j]))
                    total += moved[j]
                along = position(z, feature[k], weight[k])
                child = left[k] + np.uint32(along > threshold[k])
                if total == 0.0:
                    moved[0] = total = 1.0
                change = (value[child] - value[k]) / total
                for j in range(q):
                    out[i, feature[k, j]] += change * moved[j]
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
        Features of a plane.
    fair : bool
        Cut where the pooled standard deviation falls most (fair-cut forest), or draw the whole
        plane (extended isolation forest).
    """
    n, d = X.shape
    with np.errstate(over="ignore"):
        origin = np.nan_to_num(X.mean(axis=0))
    trees, roots, height = [], [0], []
    for _ in range(n_trees):
        rows = rng.choice(n, n_rows, replace=False, shuffle=False) if n_rows < n else slice(None)
        seed = int(rng.integers(2**63))
        *planes, left, depth, count = grow_planes(
            np.ascontiguousarray(X[rows]) - origin, np.arange(d), n_features, max_depth, fair, seed
        )  # fmt: skip
        value = leaf_value(depth, count)
        fill_means(left, count, value)
        trees.append((*planes, left + np.uint32(roots[-1]), value))
        roots.append(roots[-1] + len(value))
        height.append(depth[-1])
    feature, weight, centre, threshold, left, value = map(np.concatenate, zip(*trees, strict=True))
    return PlaneForest(
        feature, weight, centre, threshold, left, value, np.array(roots, np.uint32),
        np.array(height), origin,
    )  # fmt: skip
