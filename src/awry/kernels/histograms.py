"""Equal-width histograms of many columns at once: counting, looking up, choosing the bins.

The histogram of a column has ``bins`` bins between ``low`` and ``high``, with the edges
``numpy.histogram`` sets: low + k (high - low) / bins. They are made again where they are needed,
since that, unlike reading them, is done for several values at a time.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from awry.kernels.columns import FloatArray, IntArray, first_from

#: Most bins :func:`best_bins` considers; its cost is their square.
_MOST_BINS = 1000


@njit(cache=True, nogil=True)
def add_counts(
    columns: FloatArray, low: FloatArray, high: FloatArray, bins: IntArray, counts: IntArray
) -> None:
    """Add to ``counts`` (d, max(bins)) the values of ``columns`` (d, m) in each bin [a, b).

    The last bin is closed; values beyond the histogram count in the outermost bins. ``low``,
    ``high`` and ``bins`` have shape (d,).
    """
    inner = np.empty(columns.shape[1], np.int32)
    for j in range(columns.shape[0]):
        _bins(columns[j], low[j], high[j], bins[j], False, inner)
        for k in inner:
            counts[j, k] += 1


@njit(cache=True, nogil=True)
def look_up(
    columns: FloatArray,
    low: FloatArray,
    high: FloatArray,
    bins: IntArray,
    table: FloatArray,
    tol: float,
    right: bool,
) -> FloatArray:
    """What ``table`` (d, max(bins) + 2) says of each value of ``columns`` (d, m), shape (d, m).

    Its first entry is for values below the histogram, entry ``bins[j] + 1`` for those above, by
    more than ``tol`` times the width of a bin; nearer ones take the outermost bin. ``right`` makes
    the bins (a, b] in place of [a, b).
    """
    out = np.empty(columns.shape)
    inner = np.empty(columns.shape[1], np.int32)
    for j in range(columns.shape[0]):
        x, entries = columns[j], table[j]
        slack = tol * (high[j] - low[j]) / bins[j]
        below, above, beyond = low[j] - slack, high[j] + slack, np.int32(bins[j] + 1)
        _bins(x, low[j], high[j], bins[j], right, inner)
        for i in range(x.size):
            k = np.int32(inner[i] + 1)
            k = np.int32(0) if x[i] < below else k
            k = beyond if x[i] > above else k
            out[j, i] = entries[k]
    return out


@njit(cache=True, nogil=True)
def _bins(
    x: FloatArray, low: float, high: float, bins: int, right: bool, out: NDArray[np.int32]
) -> None:
    """The bin of each value of ``x`` (m,); the first or last one outside the range."""
    step, scale, top = (high - low) / bins, bins / (high - low), bins - 1.0
    for i in range(x.size):
        k = (x[i] - low) * scale
        k = k if k > 0.0 else 0.0
        k = np.float64(np.int32(k if k < top else top))
        # The product rounds, so it may be one off; the edges decide.
        k -= 1.0 if (k > 0.0) & (x[i] < k * step + low) else 0.0
        k += 1.0 if (k < top) & (x[i] >= (k + 1.0) * step + low) else 0.0
        k -= 1.0 if right & (k > 0.0) & (x[i] == k * step + low) else 0.0
        out[i] = np.int32(k)


@njit(cache=True, nogil=True)
def best_bins(x: FloatArray) -> int:
    """Number of equal-width bins that suits the ascending ``x`` (n,) best.

    Birgé & Rozenholc, "How many bins should be put in a regular histogram", ESAIM P&S 2006,
    equation 2.1: the D that maximises the log likelihood less D - 1 + (log D)^2.5, over
    1 <= D <= n / log n; here D <= 1000 too.
    """
    n, low, width = x.size, x[0], x[-1] - x[0]
    best, best_gain = 1, -np.inf
    if width == 0:
        return best
    for bins in range(1, int(min(n / np.log(max(n, 2)), _MOST_BINS)) + 1):
        gain = -(bins - 1 + np.log(bins) ** 2.5)
        start = 0
        for k in range(1, bins + 1):
            stop = first_from(x, low + width * k / bins, start, False) if k < bins else n
            if stop > start:
                gain += (stop - start) * np.log(bins * (stop - start) / n)
            start = stop
        if gain > best_gain:
            best, best_gain = bins, gain
    return best
