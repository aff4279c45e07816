"""Walks down isolation trees that note how far rows lie from the thresholds they pass."""

from __future__ import annotations

import numpy as np
from numba import njit

from awry.core.inputs import FloatArray, IntArray
from awry.kernels.trees import IndexArray


@njit(cache=True, nogil=True)
def walk_deviations(
    X: FloatArray,
    feature: IndexArray,
    threshold: FloatArray,
    left: IndexArray,
    value: FloatArray,
    roots: IndexArray,
    height: IntArray,
) -> FloatArray:
    """Sums over trees of leaf values and of mean deviations, for rows ``X`` (n, d): (n, 2).

    A tree's mean deviation is that of |x - threshold| over the nodes on a row's path; 0 where the
    tree is a single leaf. The trees are those of :class:`awry.kernels.trees.Forest`.
    """
    out = np.zeros((X.shape[0], 2))
    for i in range(X.shape[0]):
        for t in range(height.size):
            k, total, steps = roots[t], 0.0, 0
            while left[k] != k:
                away = X[i, feature[k]] - threshold[k]
                total += abs(away)
                steps += 1
                k = left[k] + np.uint32(away > 0)
            out[i, 0] += value[k]
            if steps:
                out[i, 1] += total / steps
    return out
