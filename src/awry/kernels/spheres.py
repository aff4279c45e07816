"""Isolating spheres: which of a few small balls hold a row, and how lonely those balls lie."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: Rows taken at a time, so that their columns stay in the cache.
_BLOCK = 512


@njit(cache=True, nogil=True)
def squared_distances(columns: FloatArray, centre: FloatArray, out: FloatArray) -> None:
    """Squared distances from ``centre`` (d,) to each column of ``columns`` (d, n), into ``out``.

    Features are added in one order whatever the block, so a row that lies on a ball's rim in
    training lies on it in scoring.
    """
    out[:] = 0.0
    for j in range(centre.size):
        c, column = centre[j], columns[j]
        for i in range(out.size):
            gap = column[i] - c
            out[i] += gap * gap


@njit(cache=True, nogil=True)
def surround(centres: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Balls around ``centres`` (t, m, d): squared radii and isolation, each (t, m).

    A ball reaches to the nearest other centre of its group of m. Its isolation is
    ``1 - radius of that centre's ball / own radius``, zero where both are zero.
    """
    t, m, _ = centres.shape
    radii, isolation = np.empty((t, m)), np.zeros((t, m))
    distances, nearest = np.empty(m), np.empty(m, np.int64)
    for g in range(t):
        columns = centres[g].T.copy()
        for k in range(m):
            squared_distances(columns, centres[g, k], distances)
            distances[k] = np.inf
            nearest[k] = distances.argmin()
            radii[g, k] = distances[nearest[k]]
        for k in range(m):
            if radii[g, k] > 0.0:
                isolation[g, k] = 1.0 - np.sqrt(radii[g, nearest[k]] / radii[g, k])
    return radii, isolation


@njit(cache=True, nogil=True)
def isolate(
    X: FloatArray, centres: FloatArray, radii: FloatArray, isolation: FloatArray
) -> FloatArray:
    """Mean over groups of the isolation of the smallest ball around each row of ``X`` (n, d), (n,).

    A row in none of a group's balls counts 1.
    """
    n = len(X)
    t, m = radii.shape
    out = np.zeros(n)
    distances, smallest, found = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    for first in range(0, n, _BLOCK):
        block = X[first : first + _BLOCK].T.copy()
        size = block.shape[1]
        near = distances[:size]
        for g in range(t):
            smallest[:size] = np.inf
            found[:size] = 1.0
            for k in range(m):
                squared_distances(block, centres[g, k], near)
                radius, alone = radii[g, k], isolation[g, k]
                for i in range(size):
                    inside = near[i] <= radius < smallest[i]
                    new_radius = radius if inside else smallest[i]
                    new_found = alone if inside else found[i]
                    smallest[i], found[i] = new_radius, new_found
            for i in range(size):
                out[first + i] += found[i]
        for i in range(size):
            out[first + i] /= t
    return out
