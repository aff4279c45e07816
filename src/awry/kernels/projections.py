"""Rows seen along directions: sparse projections, and distances along principal components.

Rows come as columns (d, m). Each is summed in the same order whatever m, which a matrix product
does not promise.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from awry.kernels.columns import FloatArray, IntArray


@njit(cache=True, nogil=True)
def project(columns: FloatArray, features: IntArray, weights: FloatArray) -> FloatArray:
    """Sums of ``weights`` (k, s) times the ``features`` (k, s) of ``columns`` (d, m): (k, m)."""
    out = np.zeros((features.shape[0], columns.shape[1]))
    for c in range(features.shape[0]):
        for s in range(features.shape[1]):
            x, weight = columns[features[c, s]], weights[c, s]
            for i in range(x.size):
                out[c, i] += weight * x[i]
    return out


# numpy's error model: division by zero gives infinity, and checks for it do not slow the loops.
@njit(cache=True, nogil=True, error_model="numpy")
def standardize(columns: FloatArray, centre: FloatArray, scale: FloatArray) -> None:
    """Subtract ``centre`` (d,) from ``columns`` (d, m) and divide by ``scale`` (d,), in place."""
    for j in range(columns.shape[0]):
        x, middle, unit = columns[j], centre[j], scale[j]
        for i in range(x.size):
            x[i] = (x[i] - middle) / unit


@njit(cache=True, nogil=True, error_model="numpy")
def direction_distances(
    columns: FloatArray, directions: FloatArray, weights: FloatArray
) -> FloatArray:
    """Sum over the ``directions`` (k, d) of the distance to each, over ``weights`` (k,): (m,)."""
    out = np.zeros(columns.shape[1])
    squares = np.empty(columns.shape[1])
    for c in range(directions.shape[0]):
        squares[:] = 0.0
        for j in range(columns.shape[0]):
            x, along = columns[j], directions[c, j]
            for i in range(x.size):
                squares[i] += (x[i] - along) ** 2
        out += np.sqrt(squares) * (1.0 / weights[c])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def component_variances(
    columns: FloatArray, directions: FloatArray, variances: FloatArray
) -> FloatArray:
    """Sum over the ``directions`` (k, d) of the squared coordinate over its variance: (m,)."""
    out = np.zeros(columns.shape[1])
    coordinates = np.empty(columns.shape[1])
    for c in range(directions.shape[0]):
        coordinates[:] = 0.0
        for j in range(columns.shape[0]):
            x, along = columns[j], directions[c, j]
            for i in range(x.size):
                coordinates[i] += x[i] * along
        out += coordinates**2 * (1.0 / variances[c])
    return out
