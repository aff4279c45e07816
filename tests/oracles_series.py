"""Slow, obvious twins of the kernels of series, one channel in plain python; worked examples.

The examples are those of Montgomery's "Introduction to Statistical Quality Control".
"""

from __future__ import annotations

import numpy as np

#: Table 9.1: twenty points of mean 10 and standard deviation 1, then ten of mean 11.
SHIFTED = np.array([
    9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34,
    9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62, 10.31, 8.52, 10.84,
    10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
])  # fmt: skip

#: Table 6.6: weekly costs of processing mortgage loans.
LOANS = np.array([
    310, 288, 297, 298, 307, 303, 294, 297, 308, 306,
    294, 299, 297, 299, 314, 295, 293, 306, 301, 304.0,
])  # fmt: skip


def cusum(x, center, scale, k, h):
    up = down = 0.0
    out = []
    for value in x:
        if np.isnan(value):
            out.append(np.nan)
            continue
        z = (value - center) / scale
        up, down = max(0.0, up + z - k), max(0.0, down - z - k)
        out.append(max(up, down))
        if out[-1] > h:
            up = down = 0.0
    return np.array(out)


def shewhart(x, center, scale, least, subgroup, window):
    """Limits from the last ``window`` known points before each, 0 for fixed ones."""
    known, out = [], []
    for value in x:
        if np.isnan(value):
            out.append(np.nan)
            continue
        mean, spread = center, scale
        if window and len(known) >= window:
            mean = np.mean(known[-window:])
            spread = max(np.std(known[-window:], ddof=1), least)
        known.append(value)
        first = (len(known) - 1) // subgroup * subgroup
        group = known[first:]
        out.append(abs(np.mean(group) - mean) / (spread / np.sqrt(len(group))))
    return np.array(out)


def rules_broken(z):
    """Nelson's eight rules by their words, at each point of the standardised series ``z``."""
    out = np.zeros((len(z), 8), dtype=bool)
    for t in range(len(z)):

        def last(n, t=t):
            return z[t - n + 1 : t + 1] if t + 1 >= n else None

        def some(count, n, limit, t=t):
            points = z[max(0, t - n + 1) : t + 1]
            return max(np.sum(points > limit), np.sum(points < -limit)) >= count

        def whole(n, holds, last=last):
            points = last(n)
            return points is not None and bool(holds(points))

        out[t] = [
            abs(z[t]) > 3,
            whole(9, lambda p: (p > 0).all() or (p < 0).all()),
            whole(6, lambda p: (np.diff(p) > 0).all() or (np.diff(p) < 0).all()),
            whole(14, lambda p: (np.diff(p)[1:] * np.diff(p)[:-1] < 0).all()),
            some(2, 3, 2),
            some(4, 5, 1),
            whole(15, lambda p: (np.abs(p) <= 1).all()),
            whole(8, lambda p: (np.abs(p) > 1).all()),
        ]
    return out


def median_band(x, held, window):
    """Median and scaled MAD of the window that ends at each point, from ``held`` points on."""
    points, out = list(held), []
    for value in x:
        if not np.isnan(value):
            points.append(value)
        last = np.array(points[-window:])
        out.append((np.median(last), 1.4826 * np.median(np.abs(last - np.median(last)))))
    return np.array(out)


def quantile_band(x, held, window, low, high):
    """Low quantile, median and high quantile of the window before each point."""
    points, out = list(held), []
    for value in x:
        out.append(np.quantile(points[-window:], [low, 0.5, high]))
        if not np.isnan(value):
            points.append(value)
    return np.array(out)


def seasonal_ewma(x, level, season, variance, weight, season_weight, scale_weight):
    """Expected value and scale of each point; the robust recursions as the paper writes them."""
    season, out, k = list(season), [], 2.0
    for t, value in enumerate(x):
        phase = t % len(season)
        forecast, sigma = level + season[phase], np.sqrt(variance)
        out.append((forecast, sigma))
        if np.isnan(value):
            continue
        r = value - forecast
        rho = 2.52 * (1 - (1 - (r / sigma / k) ** 2) ** 3) if abs(r / sigma) <= k else 2.52
        variance = scale_weight * rho * variance + (1 - scale_weight) * variance
        sigma = np.sqrt(variance)
        psi = np.sign(r) * min(abs(r / sigma), k)
        cleaned = psi * sigma + forecast
        before = level
        level = weight * (cleaned - season[phase]) + (1 - weight) * before
        season[phase] = season_weight * (cleaned - level) + (1 - season_weight) * season[phase]
    return np.array(out)


def spot(x, start, excesses, n, q, fit):
    """SPOT of the upper tail, algorithm 1: the tail probabilities, and which points are alarms."""
    peaks, probabilities, alarms = list(excesses), [], []
    shape, scale = fit(np.array(peaks))
    for value in x:
        y = value - start
        z = max(1 + shape * y / scale, 0.0)
        p = len(peaks) / n * (z ** (-1 / shape) if z > 0 or shape > 0 else 0.0) if y > 0 else 1.0
        probabilities.append(p)
        alarms.append(p < q)
        if p < q:
            continue
        n += 1
        if y > 0:
            peaks.append(y)
            shape, scale = fit(np.array(peaks))
    return np.array(probabilities), np.array(alarms)
