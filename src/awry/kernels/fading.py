"""Counts that fade: histograms of projections, and random grids kept by hashing.

Counts are held in the weight of the row to come, ``clock[0]``, which grows from row to row in place
of all counts shrinking; ``clock[1]`` is the weight of all rows so far. Before it overflows all are
divided by it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_LARGE = 1e200


@njit(cache=True, nogil=True)
def _tick(clock, growth, counts):  # type: ignore[no-untyped-def]
    """Pass to the next row."""
    clock[1] += clock[0]
    clock[0] *= growth
    if clock[0] > _LARGE:
        counts /= clock[0]
        clock[1] /= clock[0]
        clock[0] = 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def histograms(x, features, weights, low, width, counts, clock, growth, learn, out):  # type: ignore[no-untyped-def]
    """Write the mean of -log2 p over projections to ``out`` (n,).

    Parameters
    ----------
    x : (n, d)
    features, weights : (k, m), the projections
    low, width : (k,), where the histograms begin and the width of their bins
    counts : (k, bins + 2), the first and last for what lies outside
    clock : see above
    growth : of the weight from row to row
    learn : whether each row is counted before the next is scored
    """
    k, bins = counts.shape
    at = np.empty(k, dtype=np.int64)
    for i in range(x.shape[0]):
        prior = 0.5 * clock[0]
        all_ = clock[1] + prior * bins
        total = 0.0
        for p in range(k):
            z = 0.0
            for j in range(features.shape[1]):
                z += weights[p, j] * x[i, features[p, j]]
            place = np.floor((z - low[p]) / width[p]) + 1.0
            at[p] = np.int64(min(max(place, 0.0), bins - 1.0))
            total -= np.log2((counts[p, at[p]] + prior) / all_)
        out[i] = total / k
        if learn:
            for p in range(k):
                counts[p, at[p]] += clock[0]
            _tick(clock, growth, counts)


@njit(cache=True, nogil=True, error_model="numpy")
def grids(x, first, features, shift, side, seeds, counts, clock, growth, learn, out):  # type: ignore[no-untyped-def]
    """Write how much emptier than could be the cells of the rows are to ``out`` (n,), in bits.

    Parameters
    ----------
    x : (n, d)
    first : (m + 1,), where each grid's features begin in the next two
    features, shift : (total,)
    side : (m,) of the cells
    seeds : (m, w) uint64, odd
    counts : (m, w, buckets), a count-min sketch of each grid
    clock, growth, learn : as for :func:`histograms`
    """
    grids_, hashes, buckets = counts.shape
    at = np.empty((grids_, hashes), dtype=np.int64)
    for i in range(x.shape[0]):
        total = 0.0
        for g in range(grids_):
            key = np.uint64(0x9E3779B97F4A7C15)
            for j in range(first[g], first[g + 1]):
                cell = np.int64(np.floor((x[i, features[j]] + shift[j]) / side[g]))
                key = (key ^ np.uint64(cell)) * np.uint64(0xBF58476D1CE4E5B9)
                key ^= key >> np.uint64(29)
            least = np.inf
            for h in range(hashes):
                mixed = key * seeds[g, h]
                mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
                at[g, h] = np.int64((mixed >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32))
                least = min(least, counts[g, h, at[g, h]])
            total += np.log2(1.0 + least / clock[0])
        out[i] = np.log2(1.0 + clock[1] / clock[0]) - total / grids_
        if learn:
            for g in range(grids_):
                for h in range(hashes):
                    counts[g, h, at[g, h]] += clock[0]
            _tick(clock, growth, counts)
