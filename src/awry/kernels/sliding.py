"""Order statistics of the last points of a series, kept sorted; the state is changed in place.

``ring`` and ``ordered`` (d, window) hold the last points of each channel, by age and by size, and
``oldest`` (d,) where the oldest lies in ``ring``. Both are always full.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def median_band(x, ring, ordered, oldest, center, scale):  # type: ignore[no-untyped-def]
    """Median and scaled median absolute deviation of the window that ends at each point (T, d).

    A missing point leaves the window alone.
    """
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            if not np.isnan(x[t, j]):
                _slide(ring[j], ordered[j], oldest, j, x[t, j])
            center[t, j] = _quantile(ordered[j], 0.5)
            scale[t, j] = 1.4826 * _deviation(ordered[j], center[t, j])


@njit(cache=True)
def quantile_band(x, ring, ordered, oldest, low, high, bounds):  # type: ignore[no-untyped-def]
    """Low quantile, median and high quantile of the window before each point; (3, T, d)."""
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            bounds[0, t, j] = _quantile(ordered[j], low)
            bounds[1, t, j] = _quantile(ordered[j], 0.5)
            bounds[2, t, j] = _quantile(ordered[j], high)
            if not np.isnan(x[t, j]):
                _slide(ring[j], ordered[j], oldest, j, x[t, j])


@njit(cache=True)
def _slide(ring, ordered, oldest, j, value):  # type: ignore[no-untyped-def]
    """Put ``value`` in the place of the oldest point; those between the two move up by one."""
    gone = ring[oldest[j]]
    ring[oldest[j]] = value
    oldest[j] = (oldest[j] + 1) % len(ring)
    at = np.searchsorted(ordered, gone)
    while at + 1 < len(ordered) and ordered[at + 1] < value:
        ordered[at] = ordered[at + 1]
        at += 1
    while at > 0 and ordered[at - 1] > value:
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = value


@njit(cache=True)
def _quantile(ordered, share):  # type: ignore[no-untyped-def]
    """As numpy's: linear between the two order statistics around it."""
    place = share * (len(ordered) - 1)
    below = int(place)
    if below + 1 >= len(ordered):
        return ordered[below]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


@njit(cache=True)
def _deviation(ordered, center):  # type: ignore[no-untyped-def]
    """Median of ``|ordered - center|``: the nearest half, taken from the middle outwards."""
    n = len(ordered)
    right = np.searchsorted(ordered, center)
    left = right - 1
    last = before = 0.0
    for _ in range(n // 2 + 1):
        before = last
        if right >= n or (left >= 0 and center - ordered[left] <= ordered[right] - center):
            last = center - ordered[left]
            left -= 1
        else:
            last = ordered[right] - center
            right += 1
    return last if n % 2 else 0.5 * (before + last)
