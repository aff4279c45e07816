"""Times onto a regular grid, and counters into rates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.data.kinds import words_of

#: Seconds people sample at; a step near one of these is meant to be it.
_USUAL = np.array(
    [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600,
     43200, 86400, 604800], dtype=np.float64
)  # fmt: skip
#: A grid has at most this many points for each one observed.
_MOST_EMPTY = 20
#: Words in the names of what counts up.
_COUNTS = {
    "total", "count", "counter", "cumulative", "sum", "bytes", "packets", "octets", "requests",
    "kwh", "wh", "energy", "meter", "odometer",
}  # fmt: skip


class Grid(NamedTuple):
    """``start`` and ``step`` in microseconds, and the point of each time."""

    start: int
    step: int
    points: IntArray

    @property
    def size(self) -> int:
        return int(self.points[-1]) + 1


def lay(stamps: IntArray, step: int | None = None, origin: int | None = None) -> Grid:
    """A regular grid under ascending ``stamps`` (m,), in microseconds; every time goes to the
    nearest point.

    Of the most frequent step, the median one and the mean one that is taken which leaves the fewest
    points empty or shared: the first suits samples with gaps, the second jitter, the last months.

    Parameters
    ----------
    step, origin : int, optional
        Of a grid to go on with.

    Examples
    --------
    >>> lay(np.array([0, 60, 121, 299]) * 1_000_000)
    Grid(start=0, step=60000000, points=array([0, 1, 2, 5]))
    """
    if step is None:
        step = _step(stamps)
    if origin is not None:
        start = origin + step * int(np.rint((stamps[0] - origin) / step))
        return Grid(start, step, np.rint((stamps - start) / step).astype(np.int64))
    start = int(stamps[0])
    # The first stamp may be off by a jitter of its own; where most stand, the grid does.
    residues = (stamps - start + step // 2) % step - step // 2
    start += int(np.median(residues))
    points = np.rint((stamps - start) / step).astype(np.int64)
    return Grid(start + step * int(points[0]), step, points - points[0])


def _step(stamps: IntArray) -> int:
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    if not len(steps):
        return 1_000_000
    values, counts = np.unique(steps, return_counts=True)
    median, mean = int(np.sort(steps)[(len(steps) - 1) // 2]), round(float(steps.mean()))
    candidates = {int(values[counts.argmax()]), median}
    if abs(mean - median) <= 0.1 * median:  # gaps pull the mean away
        candidates.add(mean)
    step = min(map(_usual, candidates), key=lambda step: _misfit(stamps, step))
    widest = int(stamps[-1] - stamps[0]) // (_MOST_EMPTY * len(stamps)) + 1
    return max(step, widest)


def _usual(step: int) -> int:
    """``step`` (microseconds), or the usual one it is within 2 % of."""
    near = int(np.argmin(np.abs(_USUAL * 1e6 - step)))
    usual = int(_USUAL[near] * 1e6)
    return usual if abs(usual - step) <= 0.02 * usual else step


def _misfit(stamps: IntArray, step: int) -> float:
    """Points of a grid of ``step`` that are empty or shared, and steps that times are off it."""
    at = (stamps - stamps[0]) / step
    points = np.unique(np.rint(at).astype(np.int64))
    distinct = 1 + int(np.count_nonzero(np.diff(stamps)))
    empty, shared = int(points[-1] + 1 - len(points)), distinct - len(points)
    return empty + 2 * shared + float(np.abs(at - np.rint(at)).sum())


def stragglers(stamps: IntArray) -> np.ndarray:
    """Times (ascending) so far from nearly all others that they must be wrong: a clock at zero."""
    out = np.zeros(len(stamps), dtype=bool)
    few, span = max(1, len(stamps) // 100), stamps[-1] - stamps[0]
    if len(stamps) < 10 or span <= 0:
        return out
    steps = np.diff(stamps)
    wide = np.flatnonzero(steps > max(0.5 * span, 1000 * np.median(steps)))
    if len(wide):
        out[: wide[0] + 1] = wide[0] < few
        out[wide[0] + 1 :] = len(stamps) - 1 - wide[0] <= few
    return out


def means(grid: Grid, values: FloatArray) -> FloatArray:
    """``values`` (m, d) averaged over the rows of each point; NaN where none has any, (T, d)."""
    if len(values) == grid.size == len(np.unique(grid.points)):
        return values
    known = ~np.isnan(values)
    sums, counts = np.zeros((grid.size, values.shape[1])), np.zeros((grid.size, values.shape[1]))
    np.add.at(sums, grid.points, np.where(known, values, 0.0))
    np.add.at(counts, grid.points, known)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def is_counter(x: FloatArray, name: str = "") -> bool:
    """Whether ``x`` (T,) clearly only counts up, but for falls to near 0.

    Either it falls so, or its ``name`` says that it counts.

    Examples
    --------
    >>> is_counter(np.r_[np.arange(30), np.arange(30)] * 7.0)
    True
    >>> is_counter(np.arange(60.0)), is_counter(np.arange(60.0), "bytes_total")
    (False, True)
    """
    x = x[~np.isnan(x)]
    if len(x) < 20 or x.min() < 0:
        return False
    steps = np.diff(x)
    falls = np.flatnonzero(steps < 0)
    if len(falls) > 0.02 * len(steps) or (steps > 0).mean() < 0.5:
        return False
    if (x[falls + 1] > 0.1 * x[falls]).any():
        return False
    return bool(len(falls)) or not _COUNTS.isdisjoint(words_of(name))


def rates(x: FloatArray, seconds: float) -> FloatArray:
    """What a counter ``x`` (T,) rose by per second; from 0 again after it fell.

    Over a gap the rise is spread evenly up to the point that ends it, the only one that gets it.

    Examples
    --------
    >>> rates(np.array([0.0, 60.0, 120.0, 30.0, np.nan, 150.0]), 60.0)
    array([nan, 1. , 1. , 0.5, nan, 1. ])
    """
    out = np.full_like(x, np.nan)
    at = np.flatnonzero(~np.isnan(x))
    known = x[at]
    rise = np.where(known[1:] < known[:-1], known[1:], np.diff(known))
    out[at[1:]] = rise / (np.diff(at) * seconds)
    return out
