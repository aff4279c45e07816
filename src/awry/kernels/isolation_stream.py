"""Online isolation trees: histograms that split where rows gather and merge where they leave.

Node ``i`` has children ``2 i + 1`` and ``2 i + 2``. ``count`` (nodes,) int64, ``box`` (nodes, 2, d)
the smallest and the largest values, ``feature`` (nodes,) int64, -1 for a leaf, ``value`` (nodes,)
of the split; for a forest all have the trees first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from awry.kernels.random_cut import _GOLDEN, _mix, _uniform


@njit(cache=True, nogil=True)
def run(x, count, box, feature, value, ring, seeds, clock, leaf_size, learn, out):  # type: ignore[no-untyped-def]
    """Write to ``out`` (n,) the scores 2 ^ (-mean depth / depth of a random tree).

    Parameters
    ----------
    x : (n, d)
    count, box, feature, value : the forest
    ring : (window, d), the rows that the forest holds
    seeds : (t,) uint64, the state of each tree's generator
    clock : (1,) rows learnt
    leaf_size : rows at which the root splits; a node at depth k splits at 2^k times as many
    learn : whether each row is learnt, and the oldest forgotten, before the next is scored
    """
    trees, window = count.shape[0], ring.shape[0]
    for i in range(x.shape[0]):
        size = min(clock[0], window)
        total = 0.0
        for tree in range(trees):
            total += _depth(x[i], count[tree], feature[tree], value[tree], leaf_size)
        usual = _random_depth(size, leaf_size)
        out[i] = 2.0 ** (-total / trees / usual) if usual > 0 else np.nan
        if not learn:
            continue
        slot = clock[0] % window
        limit = _random_depth(min(size + 1, window), leaf_size)
        for tree in range(trees):
            c, b, f, v = count[tree], box[tree], feature[tree], value[tree]
            seeds[tree] = _learn(x[i], c, b, f, v, leaf_size, limit, seeds[tree])
            if clock[0] >= window:
                _forget(ring[slot], c, b, f, v, leaf_size)
        ring[slot] = x[i]
        clock[0] += 1


@njit(cache=True, nogil=True)
def _random_depth(size, leaf_size):  # type: ignore[no-untyped-def]
    """Depth of a random tree on ``size`` rows."""
    return np.log2(size / leaf_size) if size > leaf_size else 0.0


@njit(cache=True, nogil=True)
def _depth(row, count, feature, value, leaf_size):  # type: ignore[no-untyped-def]
    node, depth = 0, 0
    while feature[node] >= 0:
        node = 2 * node + 1 + (row[feature[node]] > value[node])
        depth += 1
    return depth + _random_depth(count[node], leaf_size)


@njit(cache=True, nogil=True)
def _learn(row, count, box, feature, value, leaf_size, limit, seed):  # type: ignore[no-untyped-def]
    """Algorithm 2 of the paper; returns the state of the generator."""
    node, depth = 0, 0
    while True:
        _take(row, node, count, box)
        if feature[node] < 0:
            break
        node = 2 * node + 1 + (row[feature[node]] > value[node])
        depth += 1
    if count[node] >= leaf_size << depth and depth < limit:
        rows = np.empty((count[node], len(row)))
        for i in range(rows.shape[0]):
            for j in range(len(row)):
                seed += _GOLDEN
                rows[i, j] = box[node, 0, j] + _uniform(seed) * (box[node, 1, j] - box[node, 0, j])
        seed = _grow(rows, node, depth, count, box, feature, value, leaf_size, limit, seed)
    return seed


@njit(cache=True, nogil=True)
def _take(row, node, count, box):  # type: ignore[no-untyped-def]
    """Count ``row`` at ``node`` and put it into its box; where there was none, it is the box."""
    for j in range(len(row)):
        box[node, 0, j] = min(box[node, 0, j], row[j]) if count[node] > 0 else row[j]
        box[node, 1, j] = max(box[node, 1, j], row[j]) if count[node] > 0 else row[j]
    count[node] += 1


@njit(cache=True, nogil=True)
def _grow(rows, top, top_depth, count, box, feature, value, leaf_size, limit, seed):  # type: ignore[no-untyped-def]
    """Split the leaf ``top`` as if ``rows``, drawn evenly from its box, were what it holds."""
    at = np.full(rows.shape[0], top)
    # Nodes below `top` come in ranges of twice as many, one range a level.
    first, end, depth = top, top + 1, top_depth
    while depth < limit and 2 * end < len(count):
        for node in range(first, end):
            if count[node] < leaf_size << depth:
                feature[node] = -1
                count[2 * node + 1] = count[2 * node + 2] = 0
                continue
            seed += _GOLDEN
            j = np.int64(_mix(seed) % np.uint64(rows.shape[1]))
            low, high = np.inf, -np.inf
            for i in range(len(at)):
                if at[i] == node:
                    low, high = min(low, rows[i, j]), max(high, rows[i, j])
            seed += _GOLDEN
            feature[node], value[node] = j, low + _uniform(seed) * (high - low)
            for child in (2 * node + 1, 2 * node + 2):
                count[child], feature[child] = 0, -1
            for i in range(len(at)):
                if at[i] == node:
                    child = 2 * node + 1 + (rows[i, j] > value[node])
                    at[i] = child
                    _take(rows[i], child, count, box)
        first, end, depth = 2 * first + 1, 2 * end + 1, depth + 1
    return seed


@njit(cache=True, nogil=True)
def _forget(row, count, box, feature, value, leaf_size):  # type: ignore[no-untyped-def]
    """Algorithm 3 of the paper: nodes that hold too few are leaves again."""
    node, depth = 0, 0
    while True:
        count[node] = max(count[node] - 1, 0)
        if feature[node] < 0:
            break
        if count[node] < leaf_size << depth:
            feature[node] = -1
            break
        node = 2 * node + 1 + (row[feature[node]] > value[node])
        depth += 1
    while node > 0:
        node = (node - 1) // 2
        left, right = 2 * node + 1, 2 * node + 2
        for j in range(len(row)):
            # A child that holds none has no box.
            if count[left] > 0 and count[right] > 0:
                box[node, 0, j] = min(box[left, 0, j], box[right, 0, j])
                box[node, 1, j] = max(box[left, 1, j], box[right, 1, j])
            elif count[left] > 0:
                box[node, 0, j], box[node, 1, j] = box[left, 0, j], box[left, 1, j]
            elif count[right] > 0:
                box[node, 0, j], box[node, 1, j] = box[right, 0, j], box[right, 1, j]
