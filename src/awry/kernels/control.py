"""Control charts of series, one pass over the points; the state is changed in place."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Robust Holt-Winters' constants: standard deviations at which an error is cut off, and the factor
#: that makes the biweight's mean 1 for normal errors.
HUBER, BIWEIGHT = 2.0, 2.52


@njit(cache=True)
def ewma(x, center, scale, weight, level, age, out):  # type: ignore[no-untyped-def]
    """Distance of the weighted mean from the center, in its own standard deviations.

    ``x`` and ``out`` (T, d); ``center``, ``scale``, ``level`` (d,) and ``age`` (d,), the points
    taken so far. A missing value leaves the state alone and scores NaN.
    """
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[t, j]
            if np.isnan(value):
                out[t, j] = np.nan
                continue
            level[j] += weight * (value - level[j])
            age[j] += 1.0
            kept = (1.0 - weight) ** (2.0 * age[j])
            unit = scale[j] * np.sqrt(weight / (2.0 - weight) * (1.0 - kept))
            out[t, j] = abs(level[j] - center[j]) / unit


@njit(cache=True)
def cusum(x, center, scale, slack, limit, up, down, out):  # type: ignore[no-untyped-def]
    """The larger of the two one-sided sums, in standard deviations, before they start over.

    ``up`` and ``down`` (d,) are the sums; both start over at 0 once one is above ``limit``.
    """
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            if np.isnan(x[t, j]):
                out[t, j] = np.nan
                continue
            z = (x[t, j] - center[j]) / scale[j]
            up[j] = max(0.0, up[j] + z - slack)
            down[j] = max(0.0, down[j] - z - slack)
            out[t, j] = max(up[j], down[j])
            if out[t, j] > limit:
                up[j] = down[j] = 0.0


@njit(cache=True)
def shewhart(x, center, scale, least, size, total, points, ring, sums, seen, out):  # type: ignore[no-untyped-def]
    """Distance of the subgroup's mean so far from the center, in its standard deviations.

    Parameters
    ----------
    x, out : (T, d)
    center, scale : (d,), moved with the window once that is full
    least : (d,), below which ``scale`` does not fall
    size : points in a subgroup
    total, points : (d,), sum and number of the points of the subgroup so far
    ring, sums, seen : (d, window), (d, 3) and (d,)
        The last points; their sum and sum of squares about a pivot, and the pivot; how many points
        went in. A window of 0 points leaves the limits as they are.
    """
    window = ring.shape[1]
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[t, j]
            if np.isnan(value):
                out[t, j] = np.nan
                continue
            if points[j] == size:
                total[j], points[j] = 0.0, 0
            total[j] += value
            points[j] += 1
            mean = total[j] / points[j]
            out[t, j] = abs(mean - center[j]) / (scale[j] / np.sqrt(points[j]))
            if window > 0:
                _roll(ring[j], sums[j], seen, j, value)
                if seen[j] >= window:
                    offset = sums[j, 0] / window
                    spread = (sums[j, 1] - window * offset**2) / (window - 1)
                    center[j] = sums[j, 2] + offset
                    scale[j] = max(np.sqrt(max(spread, 0.0)), least[j])


@njit(cache=True)
def _roll(ring, sums, seen, j, value):  # type: ignore[no-untyped-def]
    """Put ``value`` in the place of the oldest of ``ring``; keep its sums about ``sums[2]``."""
    at = seen[j] % len(ring)
    if seen[j] >= len(ring):
        old = ring[at] - sums[2]
        sums[0] -= old
        sums[1] -= old * old
    ring[at] = value
    new = value - sums[2]
    sums[0] += new
    sums[1] += new * new
    seen[j] += 1
    if at == len(ring) - 1:
        # Once a round the sums are made anew, so that rounding does not pile up.
        sums[2] = ring.mean()
        sums[0] = sums[1] = 0.0
        for kept in ring:
            sums[0] += kept - sums[2]
            sums[1] += (kept - sums[2]) ** 2


@njit(cache=True)
def run_rules(x, center, scale, same_side, last, runs, out):  # type: ignore[no-untyped-def]
    """How far each of Nelson's eight rules is met, above 3 where it is broken; ``out`` (T, d, 8).

    ``last`` (d, 5) holds the last standardised points, the newest first, and ``runs`` (d, 5) the
    runs up to the last point: on one side (signed), steadily rising or falling (signed),
    alternating, within one standard deviation, beyond it. ``same_side`` is what rule 2 asks for.
    """
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            if np.isnan(x[t, j]):
                out[t, j] = np.nan
                continue
            z = (x[t, j] - center[j]) / scale[j]
            _extend(runs[j], z, last[j, 0])
            for i in range(4, 0, -1):
                last[j, i] = last[j, i - 1]
            last[j, 0] = z
            out[t, j, 0] = _beyond(last[j, :1], 1, 3.0)
            out[t, j, 1] = _long(abs(runs[j, 0]), same_side)
            out[t, j, 2] = _long(abs(runs[j, 1]), 6.0)
            out[t, j, 3] = _long(runs[j, 2], 14.0)
            out[t, j, 4] = _beyond(last[j, :3], 2, 2.0)
            out[t, j, 5] = _beyond(last[j, :5], 4, 1.0)
            out[t, j, 6] = _long(runs[j, 3], 15.0)
            out[t, j, 7] = _long(runs[j, 4], 8.0)


@njit(cache=True)
def _extend(runs, z, before):  # type: ignore[no-untyped-def]
    """Runs after the point ``z``, which follows ``before`` (NaN where it is the first)."""
    side, turn = np.sign(z), 0.0 if np.isnan(before) else np.sign(z - before)
    runs[0] = runs[0] + side if runs[0] * side > 0 else side
    # A run of points is one longer than that of the steps between them.
    steady = runs[1] * turn > 0
    turned = runs[1] * turn < 0
    runs[2] = runs[2] + 1.0 if turned else (1.0 if turn == 0 else 2.0)
    runs[1] = runs[1] + turn if steady else (2.0 * turn if turn != 0 else 0.0)
    inside = abs(z) <= 1.0
    runs[3] = runs[3] + 1.0 if inside else 0.0
    runs[4] = 0.0 if inside else runs[4] + 1.0


@njit(cache=True)
def _long(run, needed):  # type: ignore[no-untyped-def]
    """Severity of a run, above 3 from ``needed`` points on."""
    return 3.0 * run / needed if run < needed else 3.0 + np.log((run + 1.0) / needed)


@njit(cache=True)
def _beyond(last, count, limit):  # type: ignore[no-untyped-def]
    """Severity of ``count`` of the ``last`` points lying out on one side, above 3 beyond ``limit``.

    Points not there yet are NaN and lie nowhere.
    """
    far = 0.0
    for sign in (-1.0, 1.0):
        for z in last:
            reached = 0
            for other in last:
                reached += sign * other >= sign * z
            if reached >= count:
                far = max(far, sign * z)
    return 3.0 * far / limit if far <= limit else 3.0 + far - limit


@njit(cache=True)
def seasonal_ewma(  # type: ignore[no-untyped-def]
    x, level, season, variance, least, ticks, weight, season_weight, scale_weight, expected, scale
):
    """What a level and a season expect of each point, and their scale, before it is learnt.

    Parameters
    ----------
    x, expected, scale : (T, d)
    level, variance, least : (d,), the last below which the variance does not fall
    season : (period, d)
    ticks : (2,), the phase of the next point and the times the season has been gone through
    weight, season_weight, scale_weight : of the newest point
    """
    period = season.shape[0]
    for t in range(x.shape[0]):
        phase = ticks[0]
        # Like a mean over the first seasons; the weight asked for once it is larger.
        quick = 0.0 if period == 1 else max(season_weight, 1.0 / (ticks[1] + 1.0))
        for j in range(x.shape[1]):
            expected[t, j] = level[j] + season[phase, j]
            scale[t, j] = np.sqrt(variance[j])
            if np.isnan(x[t, j]):
                continue
            error = x[t, j] - expected[t, j]
            far = min((error / (HUBER * scale[t, j])) ** 2, 1.0)
            rho = BIWEIGHT * (1.0 - (1.0 - far) ** 3)
            variance[j] = max(variance[j] * (1.0 + scale_weight * (rho - 1.0)), least[j])
            most = HUBER * np.sqrt(variance[j])
            error = min(max(error, -most), most)
            level[j] += weight * error
            season[phase, j] += quick * (1.0 - weight) * error
        ticks[0] = phase + 1 if phase + 1 < period else 0
        ticks[1] += ticks[0] == 0
