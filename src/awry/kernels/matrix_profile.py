"""Matrix profiles: the z-normalised nearest neighbour of every window of a series.

A distance is ``sqrt(2 m (1 - c))`` of the correlation c of two windows of m points, so that kernels
look for the highest correlation. The covariance of windows i and j follows from that of i - 1 and
j - 1 in four multiplications (Zimmerman et al.: "Matrix Profile XIV", SoCC 2019, equations 6-9).
Runs of diagonals advance together, row by row, which the compiler turns into vector instructions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from awry.core.inputs import FloatArray, IntArray

#: Diagonals that advance together: their covariances and columns stay in the first-level cache.
BLOCK = 512
#: Rows after which covariances are computed anew, which bounds the drift of their sums.
RESTART = 4096
#: Of a window that takes no part: added to a correlation it keeps every pair from being near.
APART = -9.0
#: What no pair reaches: a window whose best correlation lies below has no neighbour.
NONE = -3.0
#: Standard deviation, relative to the mean, up to which a window holds one value and rounding.
ROUNDING = 1e-13

# NaN never enters: windows with holes are filled and set apart.
_fast = {"nnan", "nsz", "contract", "reassoc", "arcp"}


class Windows(NamedTuple):
    """The windows of a series (n,) as the kernels want them; all but ``x`` of shape (n - m + 1,).

    ``bonus`` turns the product of a constant window, 0, into what it is worth: a constant window
    is at distance 0 of another and ``sqrt(m)`` of any other window, correlations 1 and 1/2.
    """

    x: FloatArray
    mean: FloatArray
    inverse: FloatArray  # 1 / norm of the centred window, 0 where it is constant
    bonus: FloatArray  # 0, 1/2 where constant, APART where it takes no part
    df: FloatArray  # half of what the newest point exceeds the one before the window by
    dg: FloatArray  # deviation of the newest point plus that of the one before


@njit(cache=True, error_model="numpy")
def prepare(x, m, apart):  # type: ignore[no-untyped-def]
    """Windows of ``m`` points of ``x`` (n,) without NaN; ``apart`` (n - m + 1,) take no part."""
    n = len(x) - m + 1
    mean, inverse, bonus = np.empty(n), np.zeros(n), np.zeros(n)
    df, dg = np.zeros(n), np.zeros(n)
    for i in range(n):
        mean[i], inverse[i] = moments(x[i : i + m])
        bonus[i] = APART if apart[i] else 0.5 * (inverse[i] == 0.0)
        if i > 0:
            new, old = x[i + m - 1], x[i - 1]
            df[i] = 0.5 * (new - old)
            dg[i] = new - mean[i] + old - mean[i - 1]
    return Windows(x, mean, inverse, bonus, df, dg)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def moments(window):  # type: ignore[no-untyped-def]
    """Mean, and 1 / norm of the deviations from it, 0 where the window is constant."""
    m, total, squares = len(window), 0.0, 0.0
    for k in range(m):
        total += window[k]
    mean = total / m
    for k in range(m):
        squares += (window[k] - mean) ** 2
    if squares <= m * (ROUNDING * mean) ** 2:
        return mean, 0.0
    return mean, 1.0 / np.sqrt(squares)


@njit(cache=True, fastmath={"reassoc", "contract"})
def covariance(a, mean_a, b, mean_b):  # type: ignore[no-untyped-def]
    """Sum of the products of the deviations of two windows (m,)."""
    total = 0.0
    for k in range(len(a)):
        total += (a[k] - mean_a) * (b[k] - mean_b)
    return total


@njit(cache=True, fastmath=_fast)
def join(a, b, m, first, noise, best_a, near_a, best_b, near_b):  # type: ignore[no-untyped-def]
    """Best correlations of window i of ``a`` with window ``j >= i + first`` of ``b``, both ways.

    ``noise`` is ``(m + 1) σ²`` of the noise in both series, whose share of the distance is taken
    out (0: none). ``best_a``, ``near_a`` (the correlation and place of the neighbour in ``b``) and
    ``best_b``, ``near_b`` are improved in place.
    """
    n_a, n_b = len(a.mean), len(b.mean)
    cov, found = np.empty(BLOCK), np.empty(BLOCK)
    for low in range(first, n_b, BLOCK):
        width = min(BLOCK, n_b - low)
        for i in range(min(n_a, n_b - low)):
            count = min(width, n_b - low - i)
            at = i + low
            # Slices, for their indices need no check for being negative.
            lanes = slice(at, at + count)
            if i % RESTART == 0:
                for k in range(count):
                    j = at + k
                    cov[k] = covariance(a.x[i : i + m], a.mean[i], b.x[j : j + m], b.mean[j])
            else:
                _advance(cov, a.df[i], a.dg[i], b.df[lanes], b.dg[lanes])
            _correlate(
                cov, a.inverse[i], a.bonus[i], b.inverse[lanes], b.bonus[lanes], noise, found
            )
            _improve(found, i, best_b[lanes], near_b[lanes])
            top = APART
            for k in range(count):
                top = max(top, found[k])
            if top > best_a[i]:
                best_a[i] = top
                k = 0
                while found[k] < top:
                    k += 1
                near_a[i] = at + k


@njit(cache=True, fastmath=_fast)
def _advance(cov, df_i, dg_i, df, dg):  # type: ignore[no-untyped-def]
    """Covariances of the windows one on, from those of the windows before."""
    for k in range(len(df)):
        cov[k] += df_i * dg[k] + df[k] * dg_i


@njit(cache=True, fastmath=_fast)
def _correlate(cov, inverse_i, bonus_i, inverse, bonus, noise, out):  # type: ignore[no-untyped-def]
    """Correlations from covariances, without the share of the noise."""
    for k in range(len(inverse)):
        least = min(inverse_i, inverse[k])
        # More than 2 could make windows near that are set apart.
        share = min(noise * least * least, 2.0)
        out[k] = cov[k] * inverse_i * inverse[k] + bonus_i + bonus[k] + share


@njit(cache=True, fastmath=_fast)
def _improve(found, i, best, near):  # type: ignore[no-untyped-def]
    """Take row ``i`` for the neighbour of the columns it is nearer to than any before."""
    improved = 0
    for k in range(len(best)):
        improved += found[k] > best[k]
    if improved:  # Seldom: the second loop costs ten times the first.
        for k in range(len(best)):
            if found[k] > best[k]:
                best[k], near[k] = found[k], i


@njit(cache=True, fastmath=_fast)
def join_dimensions(a, b, m, first, noise, most, best_a, best_b):  # type: ignore[no-untyped-def]
    """As :func:`join` for ``Windows`` of several channels (d, n) that are looked at together.

    What is improved is minus the mean of the ``most`` largest distances among the channels of a
    pair; ``noise`` (d,).
    """
    d, n_a, n_b = a.mean.shape[0], a.mean.shape[1], b.mean.shape[1]
    cov, found = np.empty((d, BLOCK)), np.empty((d, BLOCK))
    order = np.empty(d)
    for low in range(first, n_b, BLOCK):
        for i in range(min(n_a, n_b - low)):
            count = min(BLOCK, n_b - low - i)
            at = i + low
            lanes = slice(at, at + count)
            for c in range(d):
                if i % RESTART == 0:
                    for k in range(count):
                        j = at + k
                        other = b.x[c, j : j + m]
                        cov[c, k] = covariance(a.x[c, i : i + m], a.mean[c, i], other, b.mean[c, j])
                else:
                    _advance(cov[c], a.df[c, i], a.dg[c, i], b.df[c, lanes], b.dg[c, lanes])
                _correlate(
                    cov[c], a.inverse[c, i], a.bonus[c, i], b.inverse[c, lanes], b.bonus[c, lanes],
                    noise[c], found[c],
                )  # fmt: skip
            for k in range(count):
                if found[0, k] < NONE:
                    continue
                for c in range(d):
                    distance = np.sqrt(2.0 * m * max(1.0 - found[c, k], 0.0))
                    place = c
                    while place > 0 and order[place - 1] < distance:
                        order[place] = order[place - 1]
                        place -= 1
                    order[place] = distance
                near = -order[:most].sum() / most
                best_a[i] = max(best_a[i], near)
                best_b[at + k] = max(best_b[at + k], near)


class Trail(NamedTuple):
    """The newest points of a series and the windows that end at them; see :class:`Windows`.

    Arrays of 2 B points hold the newest B in one piece; when full, these move to the front.
    """

    x: FloatArray
    mean: FloatArray
    inverse: FloatArray
    bonus: FloatArray
    df: FloatArray
    dg: FloatArray
    cov: FloatArray  # (B - m + 1,) of the newest window and those before, the oldest first
    clock: IntArray  # points taken; the place of the newest; missing in a row; since a hole


def trail(d: int, size: int, m: int) -> Trail:
    """The trails of ``d`` channels before their first point; arrays have one row for each."""
    x, mean, inverse, bonus, df, dg = np.zeros((6, d, 2 * size))
    clock = np.tile([0, -1, 0, 0], (d, 1))
    return Trail(x, mean, inverse, bonus, df, dg, np.zeros((d, size - m + 1)), clock)


@njit(cache=True, error_model="numpy")
def follow(values, m, first, least, fill, state, out):  # type: ignore[no-untyped-def]
    """Distance of the window that ends at each point to the nearest before it, point by point.

    Parameters
    ----------
    values, out : ndarray of shape (T,)
        NaN where missing; and where nothing can be judged.
    first, least : int
        The fewest points between two windows that are compared, and windows there must be.
    fill : int
        Missing values in a row that are replaced by the last value.
    state : Trail
        Of one channel; changed in place.
    """
    lags = len(state.cov)
    for t in range(len(values)):
        p = _append(values[t], m, fill, state)
        start = p - lags + 1
        oldest, end = max(m - 1, start), p - first + 1
        out[t] = np.nan
        if end <= oldest:
            continue
        lanes = slice(oldest, end)
        cov = state.cov[oldest - start : end - start]
        _advance(cov, state.df[p], state.dg[p], state.df[lanes], state.dg[lanes])
        if oldest == m - 1:  # A diagonal begins, with the first window of all.
            _anew(0, oldest, p, m, cov, state)
        for k in range((start - oldest - state.clock[0]) % RESTART, len(cov), RESTART):
            _anew(k, oldest, p, m, cov, state)
        if len(cov) >= least and state.bonus[p] > NONE and not np.isnan(values[t]):
            top = _highest(
                cov, state.inverse[p], state.bonus[p], state.inverse[lanes], state.bonus[lanes]
            )
            if top > NONE:
                out[t] = np.sqrt(2.0 * m * max(1.0 - top, 0.0))


@njit(cache=True)
def _append(value, m, fill, state):  # type: ignore[no-untyped-def]
    """Put the next point on the trail; return its place."""
    size, clock = len(state.x) // 2, state.clock
    if clock[1] == 2 * size - 1:
        for kept in (state.x, state.mean, state.inverse, state.bonus, state.df, state.dg):
            kept[:size] = kept[size:]
        clock[1] = size - 1
    clock[0] += 1
    clock[1] += 1
    p = clock[1]
    clock[2] = clock[2] + 1 if np.isnan(value) else 0
    holed = clock[2] > fill or (clock[2] > 0 and clock[2] == clock[0])
    clock[3] = 0 if holed else clock[3] + 1
    state.x[p] = value
    if np.isnan(value):
        state.x[p] = state.x[p - 1] if p > 0 else 0.0
    state.bonus[p] = APART
    if p >= m - 1:
        state.mean[p], state.inverse[p] = moments(state.x[p - m + 1 : p + 1])
        if clock[3] >= m:
            state.bonus[p] = 0.5 * (state.inverse[p] == 0.0)
    if p >= m:
        new, old = state.x[p], state.x[p - m]
        state.df[p] = 0.5 * (new - old)
        state.dg[p] = new - state.mean[p] + old - state.mean[p - 1]
    return p


@njit(cache=True)
def _anew(k, oldest, p, m, cov, state):  # type: ignore[no-untyped-def]
    """Compute covariance ``k`` from its two windows, which ends the drift of its sum."""
    j = oldest + k
    a, b = state.x[p - m + 1 : p + 1], state.x[j - m + 1 : j + 1]
    cov[k] = covariance(a, state.mean[p], b, state.mean[j])


@njit(cache=True, fastmath=_fast)
def _highest(cov, inverse_i, bonus_i, inverse, bonus):  # type: ignore[no-untyped-def]
    top = APART
    for k in range(len(cov)):
        top = max(top, cov[k] * inverse_i * inverse[k] + bonus_i + bonus[k])
    return top
