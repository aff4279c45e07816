"""Columns one at a time: sorting, empirical tails, medcouple, extreme studentised deviates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
WordArray = NDArray[np.uint64]

#: Rows copied at a time when a matrix is turned into columns: a block stays in the cache.
_BLOCK = 2048


def columns_of(X: FloatArray) -> FloatArray:
    """The columns of ``X`` (n, d) as contiguous rows, shape (d, n); always a copy."""
    columns = np.empty(X.shape[::-1])
    for start in range(0, len(X), _BLOCK):
        columns[:, start : start + _BLOCK] = X[start : start + _BLOCK].T
    return columns


def column_blocks(X: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Successive blocks of the rows of ``X`` (n, d) as columns (d, m), with their places."""
    for start in range(0, len(X), _BLOCK):
        rows = slice(start, start + _BLOCK)
        yield rows, columns_of(X[rows])


@njit(cache=True, nogil=True)
def total(columns: FloatArray) -> FloatArray:
    """Sum of ``columns`` (d, m), from first to last whatever m; shape (m,)."""
    out = np.zeros(columns.shape[1])
    for j in range(columns.shape[0]):
        for i in range(columns.shape[1]):
            out[i] += columns[j, i]
    return out


def sort_with_order(x: FloatArray) -> tuple[FloatArray, IntArray]:
    """``x`` (n,) in ascending order, and the positions its values came from.

    An argsort at the price of a sort: the leading bits of each value, read as an integer of the
    same order, share a word with its position. What the dropped bits leave undecided is put right
    afterwards. ``x`` must not hold NaN.
    """
    bits = max(1, (len(x) - 1).bit_length())
    # Memory comes from numpy throughout: it asks for large pages, numba does not.
    packed, values = np.empty(len(x), np.uint64), np.empty(len(x))
    _pack(x, bits, packed)
    packed.sort()
    if not _unpack(x, packed, bits, values) and not _mend(packed, values, 16 * len(x)):
        order = np.argsort(x)
        return x[order], order
    packed &= np.uint64((1 << bits) - 1)
    return values, packed.view(np.int64)


@njit(cache=True, nogil=True)
def _ordered(word: np.int64) -> np.int64:
    """An integer that orders as the double whose bits are ``word``."""
    return word ^ ((word >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))


@njit(cache=True, nogil=True)
def _pack(x: FloatArray, bits: int, packed: WordArray) -> None:
    words = x.view(np.int64)
    low = high = _ordered(words[0])
    for word in words:
        low, high = min(low, _ordered(word)), max(high, _ordered(word))
    base, width, shift = np.uint64(low), np.uint64(bits), np.uint64(0)
    while ((np.uint64(high) - base) >> shift) >> np.uint64(64 - bits):
        shift += np.uint64(1)
    for i in range(x.size):
        packed[i] = (((np.uint64(_ordered(words[i])) - base) >> shift) << width) | np.uint64(i)


@njit(cache=True, nogil=True)
def _unpack(x: FloatArray, packed: WordArray, bits: int, values: FloatArray) -> bool:
    """Fill ``values``; return whether they ascend already."""
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    for r in range(x.size):
        values[r] = x[np.int64(packed[r] & mask)]
    ascending = True
    for r in range(1, x.size):
        ascending &= values[r - 1] <= values[r]
    return ascending


@njit(cache=True, nogil=True)
def _mend(packed: WordArray, values: FloatArray, moves: int) -> bool:
    """Sort ``values`` that nearly ascend by insertion; give up after so many moves."""
    for r in range(1, values.size):
        value, word, i = values[r], packed[r], r
        while i > 0 and values[i - 1] > value and moves > 0:
            values[i], packed[i] = values[i - 1], packed[i - 1]
            i, moves = i - 1, moves - 1
        values[i], packed[i] = value, word
    return moves > 0


@njit(cache=True, nogil=True)
def skew_sign(x: FloatArray) -> float:
    """Sign of the skewness of ``x`` (n,); 0 where the values are equal to within rounding.

    Sums run from first to last, as numpy's over the rows of a table do, so that even the sign of
    a skewness that is nothing but rounding agrees with ``scipy.stats.skew(X, axis=0)``.
    """
    mean = 0.0
    for value in x:
        mean += value
    mean /= x.size
    second = third = 0.0
    for value in x:
        deviation = value - mean
        square = deviation * deviation
        second += square
        third += square * deviation
    if second / x.size <= (2.220446049250313e-16 * mean) ** 2 or np.isnan(third):
        return 0.0
    return float(np.sign(third))


def surprises(n: int) -> FloatArray:
    """-log(k / n) for the counts k = 0 to n of n training values, shape (n + 1,).

    No value, k = 0, counts as one in n + 1: finite, and more than any training value has.
    """
    table = -np.log(np.maximum(np.arange(n + 1), 1) / n)
    table[0] = np.log(n + 1)
    return table


def column_tails(
    train: FloatArray, skew: float, table: FloatArray, x: FloatArray, copula: bool
) -> FloatArray:
    """Tail scores of the values ``x`` (m,) against the sorted training column ``train`` (n,).

    With l and r the surprises (``table``) of the counts of training values <= x and >= x, ECOD's
    score is max(l, r), and COPOD's (``copula``) the larger of the one on the side of the skew and
    the mean of both; with no skew both are l + r. The values are sorted and merged with the
    column, which for many of them is much faster than searching for each.
    """
    values, order = sort_with_order(x)
    return sorted_tails(train, skew, table, values, order, copula)


def sorted_tails(
    train: FloatArray,
    skew: float,
    table: FloatArray,
    values: FloatArray,
    order: IntArray,
    copula: bool,
) -> FloatArray:
    """As :func:`column_tails`, for ascending ``values`` that belong at ``order``."""
    out = np.empty(len(values))
    _sorted_tails(train, skew, table, values, order, copula, out)
    return out


@njit(cache=True, nogil=True)
def _sorted_tails(
    train: FloatArray,
    skew: float,
    table: FloatArray,
    values: FloatArray,
    order: IntArray,
    copula: bool,
    out: FloatArray,
) -> None:
    upper, tail = 0, 0.0
    for r in range(values.size):
        if r == 0 or values[r] != values[r - 1]:
            lower = first_from(train, values[r], upper, False)
            upper = first_from(train, values[r], lower, True)
            tail = _tail(table[upper], table[train.size - lower], skew, copula)
        out[order[r]] = tail


@njit(cache=True, nogil=True)
def few_tails(
    columns: FloatArray, skew: FloatArray, table: FloatArray, X: FloatArray, copula: bool
) -> FloatArray:
    """As :func:`column_tails`, for the few rows ``X`` (m, d) and all columns; shape (d, m)."""
    n = columns.shape[1]
    out = np.empty(X.shape[::-1])
    for j in range(X.shape[1]):
        for i in range(X.shape[0]):
            lower = first_from(columns[j], X[i, j], 0, False)
            upper = first_from(columns[j], X[i, j], lower, True)
            out[j, i] = _tail(table[upper], table[n - lower], skew[j], copula)
    return out


@njit(cache=True, nogil=True)
def _tail(left: float, right: float, skew: float, copula: bool) -> float:
    if skew == 0:
        return left + right
    if not copula:
        return max(left, right)
    return max(right if skew > 0 else left, 0.5 * (left + right))


@njit(cache=True, nogil=True)
def first_from(a: FloatArray, value: float, start: int, above: bool) -> int:
    """First index from ``start`` with ``a >= value`` (``a > value`` if ``above``); gallops."""
    low = high = start
    step = 1
    while high < a.size and (a[high] < value or (above and a[high] == value)):
        low, high, step = high + 1, high + step, 2 * step
    high = min(high, a.size)
    while low < high:
        middle = (low + high) // 2
        if a[middle] < value or (above and a[middle] == value):
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def medcouple(x: FloatArray) -> float:
    """Medcouple of the ascending ``x`` (n,), in [-1, 1]: 0 for symmetry, > 0 for a right tail.

    The median of h(a, b) = ((b - m) - (m - a)) / (b - a) over a <= m <= b (Brys, Hubert, Struyf:
    "A Robust Measure of Skewness", JCGS 2004, equations 2.1 to 2.3, with h = ±1 or 0 where
    a = b = m). The pairs with h >= t are counted in one pass, since h >= t means
    (b - m)(1 - t) >= (m - a)(1 + t), monotone in a and b; so a t with the right count is found by
    halving and interpolating in turns, and the median is next to it.
    """
    n = x.size
    m = 0.5 * (x[(n - 1) // 2] + x[n // 2])
    right, left = x[x > m] - m, (m - x[x < m])[::-1]
    ties = n - left.size - right.size
    pairs = (left.size + ties) * (right.size + ties)
    rank = (pairs + 1) // 2
    low, more, high, fewer = -1.0, pairs, 1.0, _medcouple_count(left, right, ties, 1.0)
    t, count, halve = high, fewer, False
    if fewer > rank:
        return 1.0
    while count != rank:
        if high - low < 1e-15:  # many pairs share one value
            return -1.0 if low == -1.0 else _medcouple_neighbours(left, right, ties, low)[1]
        share = 0.5 if halve else (more - rank) / (more - fewer)
        t, halve = low + (high - low) * share, not halve
        count = _medcouple_count(left, right, ties, t)
        if count > rank:
            low, more = t, count
        else:
            high, fewer = t, count
    below, above = _medcouple_neighbours(left, right, ties, t)
    return above if pairs % 2 else 0.5 * (below + above)


@njit(cache=True, nogil=True)
def _medcouple_neighbours(
    left: FloatArray, right: FloatArray, ties: int, t: float
) -> tuple[float, float]:
    """The largest h < t and the smallest h >= t."""
    below, above = -1.0, 1.0
    if ties:
        below, above = (0.0, above) if t > 0 else (below, 0.0)
    i = 0
    for b in right:
        while i < left.size and left[i] * (1 + t) <= b * (1 - t):
            i += 1
        if i > 0:
            above = min(above, (b - left[i - 1]) / (b + left[i - 1]))
        if i < left.size:
            below = max(below, (b - left[i]) / (b + left[i]))
    return below, above


@njit(cache=True, nogil=True)
def _medcouple_count(left: FloatArray, right: FloatArray, ties: int, t: float) -> int:
    """Number of values h >= t, for t in (-1, 1]."""
    count = right.size * ties + ties * (ties - 1) // 2 + (ties if t <= 0 else 0)
    i = 0
    for b in right:
        while i < left.size and left[i] * (1 + t) <= b * (1 - t):
            i += 1
        count += i
    return count


@njit(cache=True, nogil=True)
def extreme_deviates(x: FloatArray, steps: int) -> tuple[FloatArray, IntArray]:
    """Extreme studentised deviates of the ascending ``x`` (n,), the outermost removed each time.

    Returns R (steps,), the largest distance from the mean of what is left over its standard
    deviation (Rosner 1983, equation 2.1; 0 where all are equal), and how many of the first i values
    removed were low ones, shape (steps + 1,).
    """
    deviates, lows = np.zeros(steps), np.zeros(steps + 1, np.int64)
    first, last = 0, x.size - 1
    centre = total = squares = reference = 0.0
    for i in range(steps):
        size = last - first + 1
        spread = squares - total * total / size
        # Subtracting cancels: begin afresh when little is left of what was summed.
        if spread <= 1e-3 * reference:
            rest = x[first : last + 1]
            centre = rest.mean()
            total, squares = (rest - centre).sum(), ((rest - centre) ** 2).sum()
            spread = reference = squares
        mean = centre + total / size
        low, high = mean - x[first], x[last] - mean
        is_low = low > high
        if x[last] > x[first]:
            deviates[i] = max(low, high) / np.sqrt(spread / (size - 1))
        removed = (x[first] if is_low else x[last]) - centre
        total, squares = total - removed, squares - removed * removed
        first, last = first + is_low, last - (not is_low)
        lows[i + 1] = lows[i] + is_low
    return deviates, lows
