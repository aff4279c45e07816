"""Distance of a series' recent statistics to all those before, point by point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from awry.core.inputs import FloatArray, IntArray

#: Statistics of each window: mean, standard deviation, largest, smallest and range.
N_STATISTICS = 5


class Past(NamedTuple):
    """What is kept of one set of windows, for d channels of p statistics each.

    Attributes
    ----------
    values : ndarray of shape (d, w)
        The last values, a ring.
    rows : ndarray of shape (d, capacity, p)
        The last descriptions, a ring.
    first, sums, squares : ndarray of shape (d, p)
        The first description, and the sums and squares of what later ones differ from it.
    clock : ndarray of shape (d,)
        Points taken so far.
    """

    values: FloatArray
    rows: FloatArray
    first: FloatArray
    sums: FloatArray
    squares: FloatArray
    clock: IntArray


def past(d: int, windows: tuple[int, ...], capacity: int) -> Past:
    """The past before the first point."""
    p = N_STATISTICS * len(windows)
    values, rows = np.zeros((d, max(windows))), np.zeros((d, capacity, p))
    first, sums, squares = np.zeros((3, d, p))
    return Past(values, rows, first, sums, squares, np.zeros(d, dtype=np.int64))


@njit(cache=True)
def distances(x, windows, state, out):  # type: ignore[no-untyped-def]
    """Distance of each point's description to the nearest that is half its longest window older.

    ``x`` and ``out`` (T, d). A missing value is skipped and gets NaN, as do points before any can
    be compared.
    """
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[t, j] = np.nan if np.isnan(x[t, j]) else _next(x[t, j], windows, state, j)


@njit(cache=True)
def _next(value, windows, state, j):  # type: ignore[no-untyped-def]
    values, rows = state.values[j], state.rows[j]
    size, capacity, age = len(values), len(rows), state.clock[j]
    if age == 0:
        values[:] = value
    values[age % size] = value
    row = _describe(values, age, windows)
    if age == 0:
        state.first[j] = row
    nearest = np.nan
    if age >= size:
        nearest = _nearest(row, rows, age, size, capacity, _weights(state, j, age))
    for i in range(len(row)):
        step = row[i] - state.first[j, i]
        state.sums[j, i] += step
        state.squares[j, i] += step * step
    rows[age % capacity] = row
    state.clock[j] = age + 1
    return nearest


@njit(cache=True)
def _describe(values, age, windows):  # type: ignore[no-untyped-def]
    """Statistics of the windows that end at point ``age`` of the ring ``values``."""
    row = np.empty(N_STATISTICS * len(windows))
    size = len(values)
    for k, window in enumerate(windows):
        total, low, high = 0.0, np.inf, -np.inf
        for i in range(window):
            value = values[(age - i) % size]
            total += value
            low, high = min(low, value), max(high, value)
        mean, squares = total / window, 0.0
        for i in range(window):
            squares += (values[(age - i) % size] - mean) ** 2
        at = N_STATISTICS * k
        row[at], row[at + 1] = mean, np.sqrt(squares / window)
        row[at + 2], row[at + 3], row[at + 4] = high, low, high - low
    return row


@njit(cache=True)
def _weights(state, j, age):  # type: ignore[no-untyped-def]
    """One over the variance of each statistic so far; of one that never varied, over its square."""
    weights = np.empty(state.sums.shape[1])
    for i in range(len(weights)):
        step = state.sums[j, i] / age
        variance = state.squares[j, i] / age - step * step
        level = state.first[j, i] * state.first[j, i] + 1e-6
        weights[i] = 1.0 / variance if variance > 1e-12 * level else 1.0 / level
    return weights


@njit(cache=True, fastmath=True)
def _nearest(row, rows, age, size, capacity, weights):  # type: ignore[no-untyped-def]
    best = np.inf
    for past in range(max(0, age - capacity), age - size // 2 + 1):
        other = rows[past % capacity]
        total = 0.0
        for i in range(len(row)):
            total += weights[i] * (row[i] - other[i]) ** 2
            if total >= best:
                break
        best = min(best, total)
    return np.sqrt(best)


@njit(cache=True)
def records(scores, kept, clock, out):  # type: ignore[no-untyped-def]
    """Scores above all of the last ones, 0 else; ``scores`` and ``out`` (T, d), ``kept`` (d, r)."""
    size = kept.shape[1]
    for j in range(scores.shape[1]):
        for t in range(len(scores)):
            score = scores[t, j]
            if np.isnan(score):
                out[t, j] = np.nan
                continue
            high = 0.0
            for i in range(size):
                high = max(high, kept[j, i])
            out[t, j] = score if score > high else 0.0
            kept[j, clock[j] % size] = score
            clock[j] += 1
