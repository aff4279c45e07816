"""Accounts of an event: what one channel did there, in the few shapes that events have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.series import BoolArray
from awry.data.expected import WIDTH, Expected

#: Points of an excursion that are always a spike or dip, however flat its top.
SHORT = 4
#: Size of residuals, in standard deviations, that a good account of an event leaves.
GOOD = 1.7
#: Size, in standard deviations, from which a season or a change is one to speak of.
_CLEAR = 3.0
#: Points of context at most.
_CONTEXT = 600
#: Points on either side of an event that say what it departs from.
_BESIDE = 16
#: Shifts of the season tried.
_SHIFTS = 96


class Course:
    """One channel of a series in standard deviations of its residuals, and accounts of its events.

    An event reaches from point ``a`` to point ``b``, both included.

    Parameters
    ----------
    values : ndarray of shape (T, d)
    band : Expected
    j : int
        The channel.
    period : int
        In points; 0 without one.

    Attributes
    ----------
    scale : float
        The standard deviation.
    rest : ndarray of shape (T,)
        Value minus expected.
    level : ndarray of shape (T,)
        Value without the season.
    season : ndarray of shape (T,)
        Expected minus its level.
    """

    def __init__(self, values: FloatArray, band: Expected, j: int, period: int) -> None:
        half = (band.high[:, j] - band.low[:, j]) / (2 * WIDTH)
        season = np.nan_to_num(band.expected[:, j] - band.level[:, j])
        self.values, self.period = values[:, j], period
        self.scale = float(np.nanmedian(half)) if np.isfinite(half).any() else 1.0
        self.rest = (self.values - band.expected[:, j]) / self.scale
        self.level = (self.values - season) / self.scale
        self.season = season / self.scale

    def core(self, a: int, b: int) -> tuple[int, int]:
        """The few points around its peak that an event is all about, where there are such."""
        power = np.nan_to_num(self.rest[a : b + 1]) ** 2
        first = last = int(np.argmax(power))
        while first > 0 and power[first - 1] > 0.1 * power.max():
            first -= 1
        while last < len(power) - 1 and power[last + 1] > 0.1 * power.max():
            last += 1
        small = last - first < SHORT and power[first : last + 1].sum() > 0.8 * power.sum()
        return (a + first, a + last) if small else (a, b)

    def beside(self, a: int, b: int | None = None) -> float:
        """Typical value, without season, just before ``a`` and, where given, after ``b``.

        That of the whole series where there is none.
        """
        parts = [self.level[max(0, a - _BESIDE) : a]]
        parts += [] if b is None else [self.level[b + 1 : b + 1 + _BESIDE]]
        near = np.concatenate(parts)
        near = near[np.isfinite(near)]
        return float(np.median(near) if len(near) else np.nanmedian(self.level)) * self.scale

    def flat(self, a: int, b: int) -> tuple[int, int] | None:
        """First point and length of a stretch of one value as this series has none else."""
        starts, lengths, longest = self._runs
        at = a + int(np.argmax(lengths[a : b + 1]))
        length = int(lengths[at])
        if length < max(5, (b - a + 1) / 2):
            return None
        others = [int(lengths[i]) for i in longest if starts[i] != starts[at]]
        return (at, length) if length > 2 * max(others, default=0) else None

    @cached_property
    def _runs(self) -> tuple[IntArray, IntArray, IntArray]:
        """Start and length of the run of equal values of each point; starts of the two longest."""
        x = self.values
        change = np.r_[True, x[1:] != x[:-1]]
        starts = np.maximum.accumulate(np.where(change, np.arange(len(x)), 0))
        lengths = np.bincount(starts, minlength=len(x))
        return starts, lengths[starts], np.argsort(-lengths, kind="stable")[:2]

    def missing_beat(self, a: int, b: int) -> tuple[int, int] | None:
        """First and last point of an expected peak or trough that did not come."""
        if not self.period:
            return None
        beat = self.season - np.median(self.season)
        size = np.abs(beat)
        most = size[a : b + 1].max()
        if most < max(_CLEAR, 0.6 * size.max()):
            return None
        first = last = a + int(np.argmax(size[a : b + 1]))
        while first > 0 and size[first - 1] > 0.5 * most:
            first -= 1
        while last < len(size) - 1 and size[last + 1] > 0.5 * most:
            last += 1
        part = slice(first, last + 1)
        found = self.rest[part] + beat[part]
        known = np.isfinite(found)
        if not known.any():
            return None
        share = found[known] @ beat[part][known] / (beat[part][known] ** 2).sum()
        left = np.sqrt(np.mean(found[known] ** 2))
        quiet = left < max(GOOD, 0.35 * most)
        return (first, last) if abs(share) < 0.35 and quiet else None

    def shifted(self, a: int, b: int) -> float:
        """What is left of an event where the season is moved to fit it best; inf without one."""
        n, p = b - a + 1, self.period
        spread = np.ptp(self.season)
        if not p or spread < _CLEAR or n > 1.5 * p or n >= len(self.season) - p:
            return np.inf
        found = self.rest[a : b + 1] + self.season[a : b + 1]
        known = np.isfinite(found)
        moves = np.unique(np.linspace(1, p - 1, min(_SHIFTS, p - 1)).astype(int))
        starts = a + moves - p * (a + moves + n > len(self.season))
        starts = starts[starts >= 0]
        clear = np.abs(self.rest[a : b + 1][known]) > _CLEAR
        if not clear.any() or not len(starts):
            return np.inf
        others = self.season[starts[:, None] + np.arange(n)]
        return float(np.sqrt(((found - others)[:, known] ** 2).mean(axis=1).min()))

    def best_shape(self, a: int, b: int) -> tuple[str, float, float]:
        """The simplest shape that accounts for an event: its name, what it leaves, its height.

        Name "" where none does. The height of a hinge is its change of slope per point.
        """
        n = b - a + 1
        reach = int(min(max(3 * n, self.period, 30), _CONTEXT))
        start, stop = max(0, a - reach), min(len(self.level), b + 1 + reach)
        at = np.arange(start, stop)
        known = np.isfinite(self.level[start:stop])
        v, at = self.level[start:stop][known], at[known]
        if len(v) < SHORT + 1:
            return "", np.inf, 0.0
        inside = (at >= a) & (at <= b)
        shapes: dict[str, Sequence[FloatArray | BoolArray]] = {
            "pulse": [inside],
            "step": [at >= a, at > b, *((at >= a) & (at <= end) for end in self._ends(b, n, stop))],
            "hinge": self._hinges(at, a, b),
        }
        fits = {name: _fit(v, shape) for name, shape in shapes.items()}
        name = min(fits, key=lambda k: fits[k][0])
        left, height = fits[name]
        total = float(((v - v.mean()) ** 2).sum())
        if name == "pulse" and n > SHORT:
            around = np.median(v[~inside]) if (~inside).any() else 0.0
            sizes = np.abs(v[inside] - around)
            if len(sizes) and np.median(sizes) > 0.5 * sizes.max():
                name = "plateau"
        tall = abs(height) * (reach if name == "hinge" else 1)
        accounted = 1 - left / total if total > 0 else 0.0
        inner = v[inside] - height if name in ("pulse", "plateau") else None
        error = np.sqrt(left / len(v)) if inner is None else _spread_around(inner, v[~inside])
        if tall < _CLEAR or accounted < (0.5 if n > SHORT or name != "pulse" else 0.2):
            # So few points have no other shape.
            return "pulse" if n <= SHORT else "", error, float(np.median(self.rest[a : b + 1]))
        return name, error, height

    @staticmethod
    def _ends(b: int, n: int, stop: int) -> IntArray:
        """Where a shift may end of which the event is but the beginning."""
        ends = np.linspace(b + n // 4, stop - 1, 9).astype(np.int64)[1:-1]
        return ends if n > SHORT else ends[:0]

    @staticmethod
    def _hinges(at: IntArray, a: int, b: int) -> list[FloatArray]:
        """Lines that bend before or in the event: it is noticed only some time after its bend."""
        bends = np.unique(
            np.linspace(at[0] + 0.2 * (a - at[0]), max(a, (a + b) / 2), 9).astype(int)
        )
        return [np.clip(at - bend, 0, None).astype(float) for bend in bends]

    def roughness(self, a: int, b: int) -> float:
        """Typical step from point to point in the event, in times the usual one."""
        steps, usual, least = self._steps
        here = float(np.median(steps[a:b])) if b > a else 0.0
        return (here + least) / (usual + least)

    @cached_property
    def _steps(self) -> tuple[FloatArray, float, float]:
        """Size of each step, the usual one, and one beside which neither is nothing."""
        steps = np.abs(np.diff(np.nan_to_num(self.rest)))
        return steps, float(np.median(steps)), 1e-6 + 0.01 * float(steps.mean())

    def noisy(self, a: int, b: int) -> bool:
        """Whether the residuals of the event follow each other no more closely than usual."""
        return _follows(self.rest[a : b + 1]) <= max(0.5, self._usual_following + 0.1)

    @cached_property
    def _usual_following(self) -> float:
        return _follows(self.rest)


def _fit(v: FloatArray, shapes: Sequence[FloatArray | BoolArray]) -> tuple[float, float]:
    """The least sum of squares that one of the shapes, scaled and moved, leaves; its scale."""
    best = (np.inf, 0.0)
    centred = v - v.mean()
    total = float(centred @ centred)
    for shape in shapes:
        one = shape - np.mean(shape)
        power = float(one @ one)
        if power > 0:
            height = float(one @ centred) / power
            best = min(best, (total - height * height * power, height))
    return best


def _spread_around(inner: FloatArray, outer: FloatArray) -> float:
    base = np.median(outer) if len(outer) else 0.0
    return float(np.sqrt(np.mean((inner - base) ** 2))) if len(inner) else np.inf


def _follows(rest: FloatArray) -> float:
    """Correlation of each residual with the next."""
    known = np.clip(np.nan_to_num(rest - np.nanmedian(rest)), -10, 10) if len(rest) else rest
    power = float(known @ known)
    return float(known[:-1] @ known[1:]) / power if power > 0 else 0.0
