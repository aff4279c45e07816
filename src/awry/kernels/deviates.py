"""The tests for several outliers: critical values and removals, by mean or by median."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.stats import t as student

from awry.core.inputs import FloatArray


def critical_deviates(n: int, steps: int, alpha: float, tests: int = 1) -> FloatArray:
    """Critical values λ of the first ``steps`` removals from ``n`` values (Rosner 1983, eq. 2.5).

    Parameters
    ----------
    alpha : float
        Level of the test, shared among so many ``tests`` (Bonferroni).
    """
    rest = n - np.arange(steps)
    t = student.isf(alpha / (2 * rest * tests), rest - 2)
    return (rest - 1) * t / np.sqrt((rest - 2 + t**2) * rest)


@njit(cache=True)
def _median_deviation(x, first, last, median):  # type: ignore[no-untyped-def]
    """Median of |x - median| over the ascending ``x[first : last + 1]``.

    Deviations ascend to both sides of the median: the middle ones are those of the tightest
    window of half the values, found by halving.
    """
    size = last - first + 1
    half = (size + 1) // 2
    total = 0.0
    for k in (half, size // 2 + 1):  # the k-th smallest deviation; two where size is even
        low, high = first, last - k + 1
        while low < high:
            mid = (low + high) // 2
            if median - x[mid] > x[mid + k] - median:
                low = mid + 1
            else:
                high = mid
        total += max(median - x[low], x[low + k - 1] - median)
    return 0.5 * total


@njit(cache=True)
def median_deviates(x, steps):  # type: ignore[no-untyped-def]
    """Extreme deviates of the ascending ``x`` (n,) from the median in scaled median deviations.

    Returns R (steps,), 0 where the deviation vanishes; how many of the first i values removed were
    low ones (steps + 1,); and median and scale of what was left at each step (steps + 1,).
    """
    deviates, lows = np.zeros(steps), np.zeros(steps + 1, np.int64)
    centres, scales = np.empty(steps + 1), np.empty(steps + 1)
    first, last = 0, x.size - 1
    for i in range(steps + 1):
        size = last - first + 1
        median = 0.5 * (x[first + (size - 1) // 2] + x[first + size // 2])
        scale = 1.4826 * _median_deviation(x, first, last, median)
        centres[i], scales[i] = median, scale
        if i == steps:
            break
        low, high = median - x[first], x[last] - median
        is_low = low > high
        if scale > 0:
            deviates[i] = max(low, high) / scale
        first, last = first + is_low, last - (not is_low)
        lows[i + 1] = lows[i] + is_low
    return deviates, lows, centres, scales
