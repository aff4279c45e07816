"""What was normal for a series: the level, season and spread that its values are seen against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.inputs import FloatArray, IntArray
from awry.core.windows import starts, windows
from awry.data.periods import find_periods

#: Half the width of the band, in robust standard deviations.
WIDTH = 3.5
#: Points in the window of the level: an eighth of the series, within these.
SHORTEST, LONGEST = 24, 2000
#: Cycles a season must be seen for; of fewer no median can tell season from event.
CYCLES = 3
#: Channels in which a period is looked for.
MAX_LOOKED_AT = 8
#: Known points without which nothing is expected.
FEWEST = 10
#: Values a median of one phase should have.
_PER_PHASE = 6
#: Phases whose spread is told apart.
_SPREAD_BINS = 24
#: Quantiles of absolute residuals, and where a standard normal has them.
_QUANTILES = ((0.5, 0.6745), (0.95, 1.9600))
#: Times one side of the band may be as wide as the other.
_SKEW = 4.0
#: Stretches of time that say how wide the band is, and the values one of them needs.
_STRETCHES, _PER_STRETCH = 16, 20


class Expected(NamedTuple):
    """What was expected of each point and channel, shape (T, d); NaN where nothing was.

    Attributes
    ----------
    expected : ndarray
        Level plus season.
    low, high : ndarray
        The band: ``WIDTH`` robust standard deviations below and above.
    level : ndarray
        What is expected without the season.
    """

    expected: FloatArray
    low: FloatArray
    high: FloatArray
    level: FloatArray


def expected_band(
    values: FloatArray, periods: Sequence[int] = (), times: NDArray[np.datetime64] | None = None
) -> Expected:
    """The band ``values`` were expected in, whatever detector judges them.

    The level of a point is the median of the window before it, whole seasons long, on top of a
    line where the series keeps rising or falling; so a shift leaves the band first and becomes the
    new normal later. The season is the median of each phase, one period after the other, the
    shortest first; the band is what the residuals' quantiles say, above and below apart, and phase
    by phase where the spread clearly depends on it. Season and spread are learnt from the whole
    series, in hindsight; medians keep events out of them.

    The first window has nothing before it: its level is its own median, and its band is twice as
    wide at the first point and narrows to its width at the last. A channel of fewer than ``FEWEST``
    values has no band, and a season seen for fewer than ``CYCLES`` cycles is left out.

    Parameters
    ----------
    values : ndarray of shape (T, d)
        At even steps; NaN where missing.
    periods : sequence of int
        In points.
    times : datetime64 ndarray of shape (T,), optional
        Gives the phases where points are left out.

    Examples
    --------
    >>> at = np.arange(480.0)
    >>> x = 10 + 3 * np.sin(at * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=480) / 5
    >>> x[300] += 5
    >>> band = expected_band(x[:, None], [24])
    >>> np.flatnonzero((x < band.low[:, 0]) | (x > band.high[:, 0]))
    array([300])
    """
    found = Expected(*(np.full(values.shape, np.nan) for _ in range(4)))
    place = _places(len(values), times)
    known = sorted(p for p in set(periods) if p >= 2 and len(place) and CYCLES * p <= place[-1] + 1)
    for j, x in enumerate(np.asarray(values, dtype=np.float64).T):
        if np.count_nonzero(~np.isnan(x)) >= FEWEST:
            for part, column in zip(found, _channel(x, place, known), strict=True):
                part[:, j] = column
    return found


def expectation(
    values: FloatArray, times: NDArray[np.datetime64] | None, step: float
) -> tuple[list[int], Expected]:
    """The periods (in points) of a series with ``step`` seconds between points, and its band."""
    looked_at = values.T[:MAX_LOOKED_AT]
    periods = next(filter(None, (find_periods(x, step) for x in looked_at)), [])
    return periods, expected_band(values, periods, times)


def departure(values: FloatArray, band: Expected) -> FloatArray:
    """Departure (T, d) from what was expected, in standard deviations; 0 where nothing was."""
    above = values >= band.expected
    side = np.where(above, band.high - band.expected, band.expected - band.low) / WIDTH
    return np.nan_to_num((values - band.expected) / side)


def _places(n: int, times: NDArray[np.datetime64] | None) -> IntArray:
    """Steps of each point since the first one."""
    if times is None or n < 2:
        return np.arange(n)
    since = (times - times[0]) / np.median(np.diff(times))
    return np.rint(since).astype(np.int64)


def _channel(x: FloatArray, place: IntArray, periods: list[int]) -> list[FloatArray]:
    length = _window(len(x), periods)
    level, season = _level(x, length), np.zeros(len(x))
    if periods:
        rest = x - level
        for period in periods:
            part = _season(rest, place, period)
            rest, season = rest - part, season + part
        # Without the season, part of a window says what the whole would.
        level = _level(x - season, length)
    lag = np.nanmedian(x - season - level)  # as behind a steady rise
    level, offset = level + lag, float(np.median(season))
    rest = x - season - level
    low, high = _spread(rest, place, periods)
    cold = 1 + np.clip(1 - np.arange(len(x)) / length, 0, None)
    expected = level + season
    return [expected, expected - cold * low, expected + cold * high, level + offset]


def _window(n: int, periods: list[int]) -> int:
    length = int(np.clip(n // 8, SHORTEST, LONGEST))
    if periods:
        length = periods[-1] * max(1, round(length / periods[-1]))
    return length if length <= n // 2 else n


def _level(x: FloatArray, length: int) -> FloatArray:
    """Median of the ``length`` points before each point, between a few of which it is a line."""
    slope = _slope(x, length)
    at = np.arange(len(x))
    flat = x - slope * at
    hop = max(1, length // 8)
    ends = starts(len(x), length, hop) + length
    parts = windows(flat[:, None], length, hop)[:, :, 0]
    seen = np.count_nonzero(~np.isnan(parts), axis=1) >= max(2, length // 8)
    if not seen.any():
        return np.full(len(x), np.nanmedian(flat)) + slope * at
    # A hop later, for a line between two medians would else look ahead to the second.
    return (
        np.interp(at, ends[seen] + hop * (ends[seen] > length), _medians(parts[seen])) + slope * at
    )


def _medians(parts: FloatArray) -> FloatArray:
    return np.nanmedian(parts, axis=1) if np.isnan(parts).any() else np.median(parts, axis=1)


def _slope(x: FloatArray, length: int) -> float:
    """Rise per point of a series that keeps rising or falling from window to window, else 0."""
    parts = x[: len(x) // length * length].reshape(-1, length)
    parts = parts[~np.isnan(parts).all(axis=1)]
    if len(parts) < 5:
        return 0.0
    rises = np.diff(_medians(parts))
    rise = float(np.median(rises))
    # One shift is one rise among many, noise rises as often as it falls.
    return rise / length if np.mean(np.sign(rises) == np.sign(rise)) >= 0.8 else 0.0


def _season(rest: FloatArray, place: IntArray, period: int) -> FloatArray:
    """The median of each phase, at each point; smooth where phases differ by mere chance."""
    cycles = (place[-1] + 1) / period
    wide = max(1, math.ceil(_PER_PHASE / cycles))
    profile = _by_phase(rest, place, period, -(-period // wide), 0.5)
    n = len(profile)
    reach = max(1, n // 48)
    if n > 6 * reach:
        around = np.arange(-reach, reach + 1)
        smooth = profile[(np.arange(n)[:, None] + around) % n].mean(axis=1)
        error = 1.2533 * _scale(rest - profile[_bins(place, period, n)]) / math.sqrt(cycles * wide)
        profile = np.where(np.abs(profile - smooth) > 3 * error, profile, smooth)
    return _around(profile, place, period)


def _spread(rest: FloatArray, place: IntArray, periods: list[int]) -> tuple[FloatArray, FloatArray]:
    """How far below and above the expectation the band ends, at each point."""
    factor = np.ones(len(rest))
    if periods:
        period = periods[0]
        bins = min(_SPREAD_BINS, period, len(rest) // 30)
        if bins >= 4:
            size = np.abs(rest)
            # Higher quantiles of so few values would be those of an event.
            scales = _by_phase(size, place, period, bins, 0.75)
            if scales.max() > 2 * max(scales.min(), 0.02 * scales.max()):
                typical = float(np.median(scales)) or 1.0
                factor = _around(np.maximum(scales / typical, 0.1), place, period)
    # Far below anything a person would call a change, yet something to divide by.
    least = 1e-3 * float(np.nanstd(rest)) or 1e-9 * max(1.0, float(np.nanmax(np.abs(rest))))
    with np.errstate(invalid="ignore"):
        even = rest / factor
    below, above = (_scale(side) for side in (even[even <= 0], even[even >= 0]))
    # A floor that values rest on is no side that the least step leaves.
    low, high = max(below, above / _SKEW, least), max(above, below / _SKEW, least)
    return WIDTH * low * factor, WIDTH * high * factor


def _scale(rest: FloatArray) -> float:
    """The standard deviation that the quantiles of ``|rest|`` speak of, the larger of two.

    The median over stretches of time: tails that are there all the time count, an event in a few
    of the stretches does not.
    """
    size = np.abs(rest[~np.isnan(rest)])
    if not len(size):
        return 0.0
    n = int(np.clip(len(size) // _PER_STRETCH, 1, _STRETCHES))
    parts = size[len(size) % n :].reshape(n, -1)
    q, at = np.transpose(_QUANTILES)
    return float(np.median((np.quantile(parts, q, axis=1).T / at).max(axis=1)))


def _bins(place: IntArray, period: int, n: int) -> IntArray:
    return (place % period) * n // period


def _by_phase(x: FloatArray, place: IntArray, period: int, n: int, q: float) -> FloatArray:
    """The quantile ``q`` of each of ``n`` equal parts of a period; empty ones are interpolated."""
    bins = _bins(place, period, n)
    known = ~np.isnan(x)
    order = np.lexsort((x[known], bins[known]))
    ranked, counts = x[known][order], np.bincount(bins[known], minlength=n)
    first = np.cumsum(counts) - counts
    rank = q * np.maximum(counts - 1, 0)
    below, above = np.floor(rank).astype(int), np.ceil(rank).astype(int)
    some = counts > 0
    found = np.full(n, np.nan)
    lower, upper = ranked[(first + below)[some]], ranked[(first + above)[some]]
    found[some] = lower + (rank - below)[some] * (upper - lower)
    at = np.arange(n)
    return np.interp(at, at[some], found[some], period=n)


def _around(profile: FloatArray, place: IntArray, period: int) -> FloatArray:
    """A profile of a period at each point: between the middles of its parts a line."""
    if len(profile) == 1:
        return np.full(len(place), profile[0])
    middles = (np.arange(len(profile)) + 0.5) * period / len(profile) - 0.5
    return np.interp(place % period, middles, profile, period=period)
