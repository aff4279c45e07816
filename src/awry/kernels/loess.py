"""Loess smoothing on an even grid, and the decompositions built of it: STL and MSTL.

Positions are even, so away from the ends a window's weights do not depend on where it lies: they
are computed once, and long windows become convolutions. At the ends they are computed anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.ndimage import median_filter
from scipy.signal import oaconvolve

from awry.core.inputs import FloatArray

#: Windows longer than this are convolved by Fourier transform.
LONG = 160
_REORDER = {"reassoc", "contract", "nsz"}


class Decomposition(NamedTuple):
    """A series (T,) as ``season + trend + rest``; several seasons are rows of ``season`` (k, T)."""

    season: FloatArray
    trend: FloatArray
    weights: FloatArray


@njit(cache=True)
def _line(s0, s1, s2, t0, t1, reach):  # type: ignore[no-untyped-def]
    """A weighted straight line's value at 0, from moments; ``reach`` < 0 asks for a level only."""
    level, centre = t0 / s0, s1 / s0
    spread = s2 / s0 - centre * centre
    if reach < 0 or spread <= reach * reach:
        return level
    return level - centre / spread * (t1 / s0 - centre * level)


@njit(cache=True, fastmath=_REORDER)
def _fit_at(y, weights, robust, first, last, length, x, reach):  # type: ignore[no-untyped-def]
    """The local fit at ``x`` to the points ``first`` to ``last``; NaN where all weigh nothing."""
    h = max(x - first, last - x)
    if length > y.size:
        h += (length - y.size) // 2
    s0 = s1 = s2 = t0 = t1 = 0.0
    for j in range(first, last + 1):
        d = j - x
        r = abs(d)
        if r > 0.999 * h:
            continue
        w = 1.0
        if r > 0.001 * h:
            u = r / h
            u = 1.0 - u * u * u
            w = u * u * u
        if robust:
            w *= weights[j]
        s0 += w
        s1 += w * d
        s2 += w * d * d
        t0 += w * y[j]
        t1 += w * d * y[j]
    return _line(s0, s1, s2, t0, t1, reach) if s0 > 0 else np.nan


@njit(cache=True, fastmath=_REORDER)
def _inner(y, weights, robust, table, reach, jump, out):  # type: ignore[no-untyped-def]
    """Local fits at the points whose window, ``table`` wide, lies within the series."""
    m = table.size // 2
    total = table.sum()
    for i in range((m + jump - 1) // jump * jump, y.size - m, jump):
        s0 = s1 = s2 = t0 = t1 = 0.0
        if robust:
            for j in range(table.size):
                w = table[j] * weights[i - m + j]
                d = j - m
                wy = w * y[i - m + j]
                s0 += w
                s1 += w * d
                s2 += w * d * d
                t0 += wy
                t1 += wy * d
            out[i] = _line(s0, s1, s2, t0, t1, reach) if s0 > 0 else y[i]
        else:
            for j in range(table.size):
                t0 += table[j] * y[i - m + j]
            out[i] = t0 / total


@njit(cache=True)
def _ends(y, weights, robust, length, reach, jump, low, high, out):  # type: ignore[no-untyped-def]
    """Local fits at the points below ``low`` and from ``high`` on."""
    n = y.size
    size = min(length, n)
    for i in range(0, n, jump):
        if low <= i < high:
            continue
        first = min(max(i - (length - 1) // 2, 0), n - size)
        value = _fit_at(y, weights, robust, first, first + size - 1, length, float(i), reach)
        out[i] = y[i] if np.isnan(value) else value


@njit(cache=True)
def _fill(y, weights, robust, length, reach, jump, out):  # type: ignore[no-untyped-def]
    """Straight lines between the points fitted, and on to a last point fitted by itself."""
    n = y.size
    size = min(length, n)
    last = (n - 1) // jump * jump
    if last != n - 1:
        # The window of the last point fitted, as in the authors' code.
        first = min(max(last - (length - 1) // 2, 0), n - size)
        value = _fit_at(y, weights, robust, first, first + size - 1, length, n - 1.0, reach)
        out[n - 1] = y[n - 1] if np.isnan(value) else value
    for i in range(0, n - 1, jump):
        end = min(i + jump, n - 1)
        for j in range(i + 1, end):
            out[j] = out[i] + (out[end] - out[i]) * (j - i) / (end - i)


@njit(cache=True)
def _tricube(length):  # type: ignore[no-untyped-def]
    """Weights of the points of a window around its middle."""
    m = (length - 1) // 2
    table = np.zeros(2 * m + 1)
    for j in range(2 * m + 1):
        r = abs(j - m)
        if r <= 0.001 * m:
            table[j] = 1.0
        elif r <= 0.999 * m:
            table[j] = (1.0 - (r / m) ** 3) ** 3
    return table


@njit(cache=True)
def _smooth(y, weights, robust, length, degree, jump, out):  # type: ignore[no-untyped-def]
    """Loess of ``y`` (n,) into ``out``, all of it point by point."""
    n = y.size
    if n < 2:
        out[:] = y
        return
    jump = min(jump, n - 1)
    reach = 0.001 * (n - 1) if degree else -1.0
    m = (length - 1) // 2
    if length < n:
        _inner(y, weights, robust, _tricube(length), reach, jump, out)
        _ends(y, weights, robust, length, reach, jump, m, n - m, out)
    else:
        _ends(y, weights, robust, length, reach, jump, n, n, out)
    if jump > 1:
        _fill(y, weights, robust, length, reach, jump, out)


def loess(
    y: FloatArray, length: int, *, degree: int = 1, jump: int = 1, weights: FloatArray | None = None
) -> FloatArray:
    """Loess of ``y`` (n,) on an even grid: tricube weights over the ``length`` nearest points.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Without NaN.
    length : int
        Odd. Above n the window widens without more points, as in STL.
    degree : {0, 1}
        Of the local polynomial.
    jump : int
        Every how many points to fit; between them straight lines.
    weights : ndarray of shape (n,) or None
        Robustness weights, multiplied on.
    """
    out = np.empty(len(y))
    robust = weights is not None
    rho = y if weights is None else weights
    n, m = len(y), (length - 1) // 2
    if length < LONG or 2 * length >= n or jump > 1:
        _smooth(y, rho, robust, length, degree, jump, out)
        return out
    reach = 0.001 * (n - 1) if degree else -1.0
    table = _tricube(length)
    level = y.mean()  # Fourier transforms lose digits beside a large mean.
    centred = y - level
    if weights is None:
        out[m : n - m] = oaconvolve(centred, table, mode="valid") / table.sum()
    else:
        d = np.arange(-m, m + 1) / m
        # Convolution turns the window round, which changes the sign of the odd moment.
        kernels = table, -table * d, table * d * d
        s0, s1, s2 = (oaconvolve(weights, k, mode="valid") for k in kernels)
        t0, t1 = (oaconvolve(weights * centred, k, mode="valid") for k in kernels[:2])
        thin = s0 < 1e-4 * table.sum()
        s0[thin] = 1.0
        middle, centre = t0 / s0, s1 / s0
        spread = s2 / s0 - centre**2
        tilted = (reach >= 0) & (spread > (reach / m) ** 2)
        slope = np.where(tilted, centre / np.where(tilted, spread, 1.0), 0.0)
        out[m : n - m] = middle - slope * (t1 / s0 - centre * middle)
        _thin(centred, rho, length, reach, np.flatnonzero(thin) + m, out)
    _ends(centred, rho, robust, length, reach, 1, m, n - m, out)
    return out + level


@njit(cache=True)
def _thin(y, weights, length, reach, at, out):  # type: ignore[no-untyped-def]
    """Point by point where nearly all of a window weighs nothing and sums would cancel."""
    m = (length - 1) // 2
    for i in at:
        value = _fit_at(y, weights, True, i - m, i + m, length, float(i), reach)
        out[i] = y[i] if np.isnan(value) else value


@njit(cache=True)
def _cycles(y, weights, robust, period, length, degree, jump, out):  # type: ignore[no-untyped-def]
    """Smooth each phase of the period over the cycles, and one cycle on before and after.

    ``out`` (n + 2 period,).
    """
    n = y.size
    most = (n - 1) // period + 1
    part, rho, smooth = np.empty(most), np.empty(most), np.empty(most)
    for phase in range(period):
        k = (n - phase - 1) // period + 1
        for i in range(k):
            part[i] = y[i * period + phase]
            rho[i] = weights[i * period + phase] if robust else 1.0
        values, trust, fits = part[:k], rho[:k], smooth[:k]
        _smooth(values, trust, robust, length, degree, jump, fits)
        reach = 0.001 * (k - 1) if degree else -1.0
        before = _fit_at(values, trust, robust, 0, min(length, k) - 1, length, -1.0, reach)
        after = _fit_at(values, trust, robust, max(0, k - length), k - 1, length, float(k), reach)
        out[phase] = fits[0] if np.isnan(before) else before
        out[(k + 1) * period + phase] = fits[k - 1] if np.isnan(after) else after
        for i in range(k):
            out[(i + 1) * period + phase] = fits[i]


@njit(cache=True)
def _moving_mean(x, length):  # type: ignore[no-untyped-def]
    """Means of the windows of ``x`` (n,), shape (n - length + 1,)."""
    out = np.empty(x.size - length + 1)
    total = x[:length].sum()
    out[0] = total / length
    for i in range(1, out.size):
        total += x[i + length - 1] - x[i - 1]
        out[i] = total / length
    return out


def bisquare(rest: FloatArray) -> FloatArray:
    """Robustness weights (n,) of what is left: 1 near 0, 0 beyond six median absolute rests."""
    r = np.abs(rest)
    limit = 6.0 * float(np.median(r))
    if limit == 0:
        return np.ones(len(r))
    weights = (1.0 - (r / limit) ** 2) ** 2
    return np.where(r <= 0.001 * limit, 1.0, np.where(r <= 0.999 * limit, weights, 0.0))


def rough_weights(y: FloatArray, periods: list[int], span: int) -> FloatArray:
    """Robustness weights (T,) of what a median over ``span`` points and medians of phases leave.

    Begun with weights of 1, STL misses large spikes: they stand out in all cycles near, so that all
    lose their weight, the spike is fitted for want of others, and the next round begins anew.
    """
    rest = y - median_filter(y, max([span, *periods]) | 1, mode="nearest")
    for period in periods:
        at = np.arange(len(y)) % period
        phases = np.array([np.median(rest[phase::period]) for phase in range(period)])
        rest = rest - phases[at]
    return bisquare(rest)


def odd(x: float) -> int:
    """The least odd integer from ``x`` on."""
    return int(np.ceil(x)) | 1


def stl(
    y: FloatArray,
    period: int,
    *,
    seasonal: int | None = 7,
    trend: int | None = None,
    low_pass: int | None = None,
    degrees: tuple[int, int, int] = (1, 1, 1),
    jumps: tuple[int, int, int] = (1, 1, 1),
    robust: bool = False,
    inner: int | None = None,
    outer: int | None = None,
    start: FloatArray | None = None,
) -> Decomposition:
    """Season and trend by loess (Cleveland et al. 1990, section 3).

    Parameters
    ----------
    y : ndarray of shape (T,)
        Without NaN, at least two periods long.
    period : int
        Points in a cycle; 1 for a series without a season, of which only the trend is taken.
    seasonal : int or None
        Odd span of the seasonal smoothing, in cycles. None: the season stays the same all through.
    trend, low_pass : int or None
        Odd spans in points; None: the authors' ``1.5 period / (1 - 1.5 / seasonal)`` and the next
        odd number above the period.
    degrees, jumps : tuple of int
        Of the seasonal, trend and low-pass smoothing.
    robust : bool
        Whether odd points are weighed down, in ``outer`` rounds of ``inner``.
    inner, outer : int or None
        None: 2 and 15 if robust, else 5 and 0.
    start : ndarray of shape (T,) or None
        Robustness weights to begin with; None: all 1. See :func:`rough_weights`.
    """
    y = np.ascontiguousarray(y, dtype=np.float64)
    n = len(y)
    periodic = seasonal is None
    span = 10 * n + 1 if seasonal is None else seasonal
    degree_s, degree_t, degree_l = (0 if periodic else degrees[0], *degrees[1:])
    trend = odd(1.5 * period / (1.0 - 1.5 / span)) if trend is None else trend
    low_pass = odd(period + 1) if low_pass is None else low_pass
    inner = (2 if robust else 5) if inner is None else inner
    outer = (15 if robust else 0) if outer is None else outer
    level, season, weights = np.zeros(n), np.zeros(n), np.ones(n)
    if start is not None:
        weights = start
    cycles = np.empty(n + 2 * period)
    for k in range(outer + 1):
        weighted = k > 0 or start is not None
        rho = weights if weighted else None
        for _ in range(inner):
            if period > 1:
                _cycles(y - level, weights, weighted, period, span, degree_s, jumps[0], cycles)
                low = _moving_mean(_moving_mean(_moving_mean(cycles, period), period), 3)
                low = loess(low, low_pass, degree=degree_l, jump=jumps[2])
                season = cycles[period : period + n] - low
            level = loess(y - season, trend, degree=degree_t, jump=jumps[1], weights=rho)
        if k < outer:
            weights = bisquare(y - season - level)
    if periodic and period > 1:
        phase = np.arange(n) % period
        season = (np.bincount(phase, season) / np.bincount(phase))[phase]
    return Decomposition(season, level, weights)


def mstl(
    y: FloatArray,
    periods: list[int],
    *,
    spans: list[int] | None = None,
    iterate: int = 2,
    robust: bool = False,
    start: FloatArray | None = None,
) -> Decomposition:
    """Several seasons, each by STL from what the others leave (Bandara et al. 2021, algorithm 1).

    Parameters
    ----------
    y : ndarray of shape (T,)
        Without NaN, at least two of the longest period long.
    periods : list of int
        Ascending.
    spans : list of int or None
        Seasonal spans; None: 11, 15, 19 and so on, the authors' ``7 + 4 i``.
    iterate : int
        Rounds over the seasons.
    start : ndarray of shape (T,) or None
        Robustness weights each STL begins with.
    """
    spans = [7 + 4 * (i + 1) for i in range(len(periods))] if spans is None else spans
    seasons = np.zeros((len(periods), len(y)))
    for _ in range(iterate if len(periods) > 1 else 1):
        for k, (period, span) in enumerate(zip(periods, spans, strict=True)):
            rest = y - seasons.sum(axis=0) + seasons[k]
            found = stl(rest, period, seasonal=span, robust=robust, start=start)
            seasons[k] = found.season
    return Decomposition(seasons, found.trend, found.weights)
