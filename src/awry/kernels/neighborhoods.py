"""What the shape of a neighbourhood tells: chains through it, and the angles it is seen under."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True, nogil=True)
def chaining_distance(Q: FloatArray, points: FloatArray, places: IntArray) -> FloatArray:
    """Average chaining distance of each query (COF, definition 5), shape (m,).

    The chain begins at the query and takes in, one after the other, whichever neighbour is nearest
    to those already in it; early links count more.

    Parameters
    ----------
    Q : ndarray of shape (m, d)
    points : ndarray of shape (n, d)
    places : ndarray of shape (m, k)
        The neighbours of each query among ``points``.
    """
    m, k = places.shape
    out, gaps, waiting = np.zeros(m), np.empty(k), np.empty(k, np.int64)
    for i in range(m):
        for j in range(k):
            waiting[j] = places[i, j]
            gaps[j] = _square(Q[i], points[waiting[j]])
        for left in range(k, 0, -1):
            nearest = np.argmin(gaps[:left])
            weight = 2.0 * left / (k * (k + 1))
            out[i] += weight * np.sqrt(gaps[nearest])
            taken = waiting[nearest]
            gaps[nearest], waiting[nearest] = gaps[left - 1], waiting[left - 1]
            for j in range(left - 1):
                gaps[j] = min(gaps[j], _square(points[taken], points[waiting[j]]))
    return out


@njit(cache=True, nogil=True)
def angle_variance(Q: FloatArray, points: FloatArray, places: IntArray) -> FloatArray:
    """Angle-based outlier factor of each query (ABOD, definition 1), shape (m,).

    The variance, over pairs of neighbours, of the scalar product of the differences from the query
    divided by their squared lengths; each pair weighs the reciprocal of the lengths' product.

    Parameters
    ----------
    Q, points, places
        As in :func:`chaining_distance`. A neighbour that coincides with the query is passed over.
    """
    m, k = places.shape
    out, sides, squares = np.zeros(m), np.empty((k, Q.shape[1])), np.empty(k)
    for i in range(m):
        filled = 0
        for place in places[i]:
            sides[filled] = points[place] - Q[i]
            squares[filled] = _square(points[place], Q[i])
            filled += squares[filled] > 0.0
        total, mean, spread = 0.0, 0.0, 0.0
        for a in range(filled):
            for b in range(a):
                product = 0.0
                for f in range(Q.shape[1]):
                    product += sides[a, f] * sides[b, f]
                value = product / squares[a] / squares[b]
                weight = 1.0 / np.sqrt(squares[a]) / np.sqrt(squares[b])
                # West's update: two sums would cancel for far queries, whose angles hardly differ.
                total += weight
                step = value - mean
                mean += step * weight / total
                spread += weight * step * (value - mean)
        if total > 0.0:
            out[i] = spread / total
    return out


@njit(cache=True, nogil=True)
def _square(a: FloatArray, b: FloatArray) -> float:
    total = 0.0
    for f in range(len(a)):
        t = a[f] - b[f]
        total += t * t
    return total
