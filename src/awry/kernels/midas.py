"""Count-min sketches of edges and nodes in a stream, and their chi-squared scores.

``current``, ``total`` and ``score`` (kinds, rows, buckets) are sketches: of edges, and where there
are three kinds also of sources and of targets. ``seeds`` (kinds, rows, 2) uint64, odd.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_SOURCE, _TARGET = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)


@njit(cache=True, nogil=True)
def _bucket(key, seeds, buckets):  # type: ignore[no-untyped-def]
    h = (key ^ seeds[0]) * seeds[1]
    h = (h ^ (h >> _HALF)) * _SOURCE
    return np.int64(((h >> _HALF) * np.uint64(buckets)) >> _HALF)


@njit(cache=True, nogil=True)
def whole(x, before, out):  # type: ignore[no-untyped-def]
    """Write ``x`` (n, 3) to ``out`` as integers, the times less ``before``.

    Return the flat place of the first value that is no whole number, else -1.
    """
    for i in range(x.shape[0]):
        for j in range(3):
            out[i, j] = np.int64(x[i, j])
            if float(out[i, j]) != x[i, j]:
                return 3 * i + j
        out[i, 2] -= before
    return -1


@njit(cache=True, nogil=True)
def turn(current, total, score, tick, decay, threshold):  # type: ignore[no-untyped-def]
    """Pass from ``tick`` to a later one: fade the current counts, by 0 to forget them.

    With a ``threshold`` >= 0 the current counts enter the totals only where the score is below it;
    elsewhere the totals grow by their own mean (conditional merge).
    """
    for i in range(current.size):
        if threshold >= 0:
            if score.flat[i] < threshold:
                total.flat[i] += current.flat[i]
            elif tick > 1:
                total.flat[i] += total.flat[i] / (tick - 1)
        current.flat[i] *= decay


@njit(cache=True, nogil=True, error_model="numpy")
def run(edges, current, total, score, seeds, clock, decay, threshold, learn, out, why):  # type: ignore[no-untyped-def]
    """Write the scores of edges to ``out`` (n,) and the kind that gives each to ``why`` (n,).

    Parameters
    ----------
    edges : (n, 3) int64, source, target and tick from 1 on
    current, total, score, seeds : see above
    clock : (1,) the tick that the sketches are at
    decay, threshold : as for :func:`turn`
    learn : whether each edge is counted before the next is scored
    """
    kinds, rows, buckets = current.shape
    at = np.empty(rows, dtype=np.int64)
    for i in range(edges.shape[0]):
        source, target = np.uint64(edges[i, 0]), np.uint64(edges[i, 1])
        if learn and edges[i, 2] > clock[0]:
            turn(current, total, score, clock[0], decay, threshold)
            clock[0] = edges[i, 2]
        t = float(max(edges[i, 2], clock[0]))
        out[i], why[i] = -1.0, 0
        for kind in range(kinds):
            key = source * _SOURCE + target * _TARGET
            if kind == 1:
                key = source * _SOURCE
            elif kind == 2:
                key = target * _TARGET
            a = s = np.inf
            for row in range(rows):
                at[row] = _bucket(key, seeds[kind, row], buckets)
                a = min(a, current[kind, row, at[row]] + 1.0)
                s = min(s, total[kind, row, at[row]] + (threshold < 0))
            value = _surprise(a, s, t, threshold >= 0)
            if learn:
                for row in range(rows):
                    current[kind, row, at[row]] += 1.0
                    if threshold < 0:
                        total[kind, row, at[row]] += 1.0
                    else:
                        score[kind, row, at[row]] = value
            if value > out[i]:
                out[i], why[i] = value, kind


@njit(cache=True, nogil=True)
def _surprise(a, s, t, past):  # type: ignore[no-untyped-def]
    """Chi-squared of ``a`` in this tick beside ``s`` in all ``t``, or in the ``t - 1`` before."""
    if s == 0.0 or t <= 1.0:
        return 0.0
    gap = a + s - a * t if past else a * t - s
    return gap * gap / (s * (t - 1.0))
