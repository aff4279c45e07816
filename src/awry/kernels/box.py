"""Quadratic programmes in a box, by coordinate descent."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@njit(cache=True, nogil=True)
def solve_box(
    K: FloatArray, b: FloatArray, upper: FloatArray, tolerance: float, max_sweeps: int
) -> FloatArray:
    """The ``a`` in ``0 <= a <= upper`` with the least ``a K a / 2 - b a``, shape (k,).

    Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear SVM", ICML 2008, with
    the gradient kept up, as ``K`` is small. Each step solves for one coordinate exactly; a sweep in
    which none moves by more than ``tolerance`` in the norm of ``K`` is the last.

    Parameters
    ----------
    K : ndarray of shape (k, k)
        Positive semidefinite, with a positive diagonal.
    b, upper : ndarray of shape (k,)
    """
    a = np.zeros(b.size)
    gradient = -b
    for _ in range(max_sweeps):
        moved = 0.0
        for i in range(b.size):
            best = min(max(a[i] - gradient[i] / K[i, i], 0.0), upper[i])
            step = best - a[i]
            if step != 0.0:
                a[i] = best
                gradient += K[i] * step
                moved = max(moved, abs(step) * np.sqrt(K[i, i]))
        if moved <= tolerance:
            break
    return a
