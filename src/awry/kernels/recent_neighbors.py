"""The nearest of the latest rows, exactly; and the neighbours of these, kept as rows come and go.

The latest rows are the columns of a ring (d, window), in which distances to all of them are worked
out side by side.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Added to the mean reachability distance, as in scikit-learn.
_FLOOR = 1e-10


@njit(cache=True, nogil=True)
def _distances(row, ring, n, out):  # type: ignore[no-untyped-def]
    """Write the distances of ``row`` (d,) to the first ``n`` columns of ``ring`` to ``out``."""
    out[:n] = 0.0
    for j in range(len(row)):
        for p in range(n):
            gap = ring[j, p] - row[j]
            out[p] += gap * gap
    for p in range(n):
        out[p] = np.sqrt(out[p])


@njit(cache=True, nogil=True)
def _smallest(distances, n, skip, places, values):  # type: ignore[no-untyped-def]
    """Write the smallest of ``distances[:n]``, without ``skip``'s, in order; how many there are."""
    held, most = 0, len(values)
    for p in range(n):
        if p != skip and (held < most or distances[p] < values[held - 1]):
            held = _insert(p, distances[p], held, places, values)
    return held


@njit(cache=True, nogil=True)
def _insert(place, value, held, places, values):  # type: ignore[no-untyped-def]
    """Put a place where it belongs by its value; the last falls out where there is no room."""
    at = min(held, len(values) - 1)
    while at > 0 and values[at - 1] > value:
        places[at], values[at] = places[at - 1], values[at - 1]
        at -= 1
    places[at], values[at] = place, value
    return min(held + 1, len(values))


@njit(cache=True, nogil=True)
def distances(x, ring, clock, k, mean, learn, out):  # type: ignore[no-untyped-def]
    """Write the distances to the k nearest to ``out`` (n,), NaN where there are fewer.

    Parameters
    ----------
    x : (n, d)
    ring : (d, window)
    clock : (1,) rows learnt
    k : neighbours
    mean : whether the mean of the k distances is meant, not the largest
    learn : whether each row takes the oldest's place before the next is scored
    """
    window = ring.shape[1]
    far, places, values = np.empty(window), np.empty(k, dtype=np.int32), np.empty(k)
    for i in range(x.shape[0]):
        n = min(clock[0], window)
        _distances(x[i], ring, n, far)
        if _smallest(far, n, -1, places, values) < k:
            out[i] = np.nan
        else:
            out[i] = values.mean() if mean else values[k - 1]
        if learn:
            ring[:, clock[0] % window] = x[i]
            clock[0] += 1


@njit(cache=True, nogil=True)
def factors(x, ring, near, away, held, clock, k, learn, out):  # type: ignore[no-untyped-def]
    """Write local outlier factors to ``out`` (n,), NaN where there are too few rows.

    Parameters
    ----------
    x, ring, clock, k, learn : as for :func:`distances`
    near, away : (window, more than k), the neighbours of the latest rows, nearest first
    held : (window,) how many of these there are: at least k, where there are as many rows
    """
    window, most = near.shape
    far, places, values = np.empty(window), np.empty(most + 1, dtype=np.int32), np.empty(most + 1)
    for i in range(x.shape[0]):
        n = min(clock[0], window)
        _distances(x[i], ring, n, far)
        found = _smallest(far, n, -1, places, values)
        out[i] = np.nan
        if n > k:
            total = 0.0
            for j in range(k):
                total += _density(near[places[j]], away[places[j]], away, k)
            out[i] = total / k / _density(places, values, away, k)
        if learn:
            slot = clock[0] % window
            if clock[0] >= window:
                _forget(slot, near, away, held)
            ring[:, slot] = x[i]
            _learn(slot, n, far, ring, near, away, held, k)
            held[slot] = 0
            for j in range(found):
                if places[j] != slot and held[slot] < most:
                    near[slot, held[slot]], away[slot, held[slot]] = places[j], values[j]
                    held[slot] += 1
            clock[0] += 1


@njit(cache=True, nogil=True)
def _density(places, values, away, k):  # type: ignore[no-untyped-def]
    """Local reachability density of what has these neighbours."""
    total = 0.0
    for j in range(k):
        total += max(values[j], away[places[j], k - 1])
    return 1.0 / (total / k + _FLOOR)


@njit(cache=True, nogil=True)
def _forget(slot, near, away, held):  # type: ignore[no-untyped-def]
    """Take ``slot`` from the neighbours of all."""
    for p in range(len(held)):
        for j in range(held[p]):
            if near[p, j] == slot:
                held[p] -= 1
                for later in range(j, held[p]):
                    near[p, later], away[p, later] = near[p, later + 1], away[p, later + 1]
                break


@njit(cache=True, nogil=True)
def _learn(slot, n, far, ring, near, away, held, k):  # type: ignore[no-untyped-def]
    """Let ``slot``, which ``far`` is the distance to, be a neighbour of those it is near to.

    Who is left with fewer than k neighbours looks for as many as there is room for. As rows come
    about as often as they go, this is seldom.
    """
    window = near.shape[0]
    other = np.empty(window)
    now = n if n == window else n + 1
    for p in range(now):
        if p == slot:
            continue
        # All that there are besides the new one, the row itself apart.
        complete = held[p] == now - 2
        if complete or (held[p] > 0 and far[p] < away[p, held[p] - 1]):
            held[p] = _insert(slot, far[p], held[p], near[p], away[p])
        elif held[p] < k:
            _distances(ring[:, p].copy(), ring, now, other)
            held[p] = _smallest(other, now, p, near[p], away[p])
