"""How long a series takes to come round again."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.stats import f as fisher

from awry.core.inputs import FloatArray

#: Points looked at; a period that does not show in these is not looked for.
MAX_POINTS = 20_000
#: The same for several periods, the longest of which may be a week of minutes or a year of hours.
MAX_POINTS_ALL = 200_000
#: Seconds in a day, a week and a mean year.
CALENDAR = (86_400.0, 604_800.0, 31_556_952.0)
#: Level of the test for a period, and its least variance in that of the noise within cycles.
ALPHA, LEAST_SHARE = 1e-5, 0.02
#: Share of a period's variance from which one that fits into it so many times is one of its own.
WITHIN, TIMES = 0.3, 3
#: The least autocorrelation at a peak that is tried.
LEAST_SIMILARITY = 0.1
#: Peaks of the spectrum that are tried, and the most periods found.
TRIED, MOST = 12, 4


def autocorrelation(x: FloatArray) -> FloatArray:
    """Autocorrelation of ``x`` (n,) without NaN at lags 0 to n - 1; zeros where it is constant."""
    centred = x - x.mean()
    size = 1 << int(2 * len(x) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    found = np.fft.irfft(power, size)[: len(x)]
    return found / found[0] if found[0] > 0 else np.zeros(len(x))


def dominant_period(x: FloatArray, *, shortest: int = 4, least: float = 0.3) -> int | None:
    """The period at which ``x`` (n,) resembles itself most, None where it does not.

    The highest peak of the autocorrelation, corrected for the shrinking overlap, of the series
    without its trend; it must reach ``least``. Of a peak and its multiples the first that comes
    near the highest counts.

    Examples
    --------
    >>> dominant_period(np.sin(np.arange(500) * 2 * np.pi / 24))
    24
    >>> dominant_period(np.random.default_rng(0).normal(size=500))
    """
    x = _gapless(x[:MAX_POINTS])
    if len(x) < 3 * shortest:
        return None
    return _first_peak(_similarity(_clipped(_level(x))), shortest, least)


def _level(x: FloatArray) -> FloatArray:
    """``x`` without its straight line; zeros where only rounding is left."""
    at = np.arange(len(x))
    rest = x - np.polynomial.Polynomial.fit(at, x, 1)(at)
    return rest if np.ptp(rest) > 1e-9 * np.abs(x).max() else np.zeros(len(x))


def _similarity(x: FloatArray) -> FloatArray:
    """Autocorrelation at lags 0 to half of the series, corrected for the shrinking overlap."""
    n, most = len(x), len(x) // 2
    return autocorrelation(x)[: most + 1] * n / (n - np.arange(most + 1))


def _first_peak(found: FloatArray, shortest: int, least: float) -> int | None:
    """The first peak of the autocorrelation that comes near its highest, None below ``least``."""
    peaks = 1 + np.flatnonzero((found[1:-1] >= found[:-2]) & (found[1:-1] > found[2:]))
    # Near lag 0 every smooth series resembles itself; periods lie beyond the first dip.
    dips = np.flatnonzero(found < 0.5 * least)
    if not len(dips):
        return None
    peaks = peaks[(peaks >= max(shortest, dips[0])) & (found[peaks] >= least)]
    if not len(peaks):
        return None
    return int(peaks[np.argmax(found[peaks] >= 0.9 * found[peaks].max())])


def find_periods(
    x: FloatArray, step_seconds: float | None = None, *, shortest: int = 4
) -> list[int]:
    """The periods of ``x`` (n,), NaN where missing, in ascending order; empty where there are none.

    Tried are a day, a week and a year, where the time between points is known, the peaks of the
    spectrum above its surroundings, and that of the autocorrelation. A period counts when the
    cycles, each without its moving mean, agree by an F-test, once the periods found before it are
    out. Of those that do, the one that explains most for its length comes first.

    Parameters
    ----------
    step_seconds : float or None
        Seconds between points.
    shortest : int
        Points in the shortest period looked for.

    Notes
    -----
    The degrees of freedom of the test are those of the noise's spectrum within a cycle: white noise
    has as many as points, a random walk about five.

    Examples
    --------
    >>> t = np.arange(24 * 70)
    >>> load = np.sin(t * 2 * np.pi / 24) * (1 + (t // 24 % 7 < 5))
    >>> find_periods(load, 3600)
    [24, 168]
    >>> find_periods(np.random.default_rng(0).normal(size=2000).cumsum())
    []
    """
    x = _gapless(x[:MAX_POINTS_ALL])
    n = len(x)
    if n < 3 * shortest:
        return []
    x = _level(x)
    if not x.any():
        return []
    found: list[int] = []
    for seconds in CALENDAR if step_seconds else ():
        period = round(seconds / step_seconds) if step_seconds else 0
        if shortest <= period <= n // 2 and _agreement(x, period) is not None:
            found.append(period)
            x = x - _season(x, period)
    while len(found) < MOST:
        tried = {p: _agreement(x, p) for p in _peaks(x, shortest) if p not in found}
        agree = {p: size for p, size in tried.items() if size is not None}
        if not agree:
            break
        # By Schwarz's criterion, as a longer cycle explains more with more numbers.
        gain = {p: n * np.log(x.var() / (x - _season(x, p)).var()) - p * np.log(n) for p in agree}
        period = max(agree, key=gain.__getitem__)
        parts = [
            p for p, size in agree.items()
            if period % p == 0 and period >= TIMES * p and size > WITHIN * agree[period]
        ]  # fmt: skip
        # What a long cycle shares with a short one is the short one's; the rest may come after.
        period = max(parts, default=period)
        found.append(period)
        x = x - _season(x, period)
    return sorted(found)


def _gapless(x: FloatArray) -> FloatArray:
    """``x`` with straight lines over what is missing, which keeps the phase."""
    known = np.flatnonzero(~np.isnan(x))
    if len(known) in (0, len(x)):
        return x if len(known) else x[:0]
    return np.interp(np.arange(known[0], known[-1] + 1), known, x[known])


def _clipped(x: FloatArray, width: float = 5.0) -> FloatArray:
    """``x`` within ``width`` robust deviations, so that a few spikes are not all that counts."""
    middle, spread = np.median(x), 1.4826 * np.median(np.abs(x - np.median(x)))
    return np.clip(x, middle - width * spread, middle + width * spread) if spread > 0 else x


def _cycles(x: FloatArray, period: int, width: float = 5.0) -> FloatArray:
    """Whole cycles (k, period) of ``x`` without its moving mean over a period."""
    sums = np.cumsum(np.r_[0.0, x])
    means = (sums[period:] - sums[:-period]) / period
    middle = _clipped(x[period // 2 :][: len(means)] - means, width)
    return middle[: len(middle) // period * period].reshape(-1, period)


def _agreement(x: FloatArray, period: int) -> float | None:
    """Variance of the cycle that repeats, None where it may be chance."""
    cycles = _cycles(x, period)
    k = len(cycles)
    if k < 2:
        return None
    mean = cycles.mean(axis=0)
    rest = cycles - mean
    noise = (rest**2).mean() * k / (k - 1)
    size = mean.var() - noise / k
    if size < LEAST_SHARE * noise or size <= 0:
        return None
    power = (np.abs(np.fft.rfft(rest, axis=1)[:, 1:]) ** 2).mean(axis=0)
    freedom = 2 * power.sum() ** 2 / ((power**2).sum() or 1.0)
    limit = fisher.isf(ALPHA, freedom, freedom * (k - 1)) if freedom else 0.0
    return float(size) if k * mean.var() > limit * noise else None


def _season(x: FloatArray, period: int) -> FloatArray:
    """The middle cycle of ``x``, repeated, shape (n,)."""
    # A median, which odd cycles do not move, of values not clipped, so that spikes go out whole.
    mean = np.roll(np.median(_cycles(x, period, np.inf), axis=0), period // 2)
    return (mean - mean.mean())[np.arange(len(x)) % period]


def _peaks(x: FloatArray, shortest: int) -> list[int]:
    """Periods of the peaks of the spectrum that stand out most, made exact by autocorrelation."""
    n = len(x)
    x = _clipped(x)
    power = np.abs(np.fft.rfft(x * np.hanning(n))) ** 2
    ratio = power / (median_filter(power, 31, mode="nearest") + 1e-6 * power.max() + 1e-300)
    at = np.arange(len(power))
    peaks = (power[1:-1] >= power[:-2]) & (power[1:-1] > power[2:])
    tops = 1 + np.flatnonzero(peaks & (at[1:-1] >= 3) & (at[1:-1] <= n // shortest))
    tops = tops[np.argsort(-ratio[tops])][:TRIED]
    similar = _similarity(x)
    # A train of spikes has many harmonics, of which its own period need not be among the highest.
    found = {_first_peak(similar, shortest, LEAST_SIMILARITY) or 0}
    for f in tops:
        low, high = max(int(n / (f + 1)), shortest), int(np.ceil(n / (f - 1)))
        near = similar[low : high + 1]
        # Twice, which makes the weights a triangle with one highest point.
        for _ in range(2):
            near = uniform_filter1d(near, (high - low) // 8 | 1, mode="nearest")
        found.add(low + int(np.argmax(near)))
    return sorted(p for p in found if shortest <= p <= n // 3)
