"""What an event of a series was: its kind, the channels in it, and words a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.series import BoolArray
from awry.data.expected import WIDTH, Expected
from awry.data.wording import number

#: Every kind :meth:`Describer.describe` tells apart.
KINDS = (
    "spike", "dip", "level shift", "trend change", "variance change", "flat line", "missing beat",
    "odd shape", "out-of-season",
)  # fmt: skip
#: Points of an excursion that are always a spike or dip, however flat its top.
_SHORT = 4
#: Points below which neither spread nor course can be told.
_ENOUGH = 8
#: Size, in standard deviations, from which a season or a change is one to speak of.
_CLEAR = 3.0
#: Size of residuals, in standard deviations, that a good account of an event leaves.
_GOOD = 1.7
#: Times the usual roughness, up or down, that make a change of variance.
_ROUGHER, _CALMER = 1.7, 0.55
#: Points of context at most.
_CONTEXT = 600
#: Shifts of the season tried.
_SHIFTS = 96
_DAY = 86400.0


class Description(NamedTuple):
    """An event in words.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    channels : list of str
        Those that left their band, strongest first; the most unusual one where none did.
    words : str
        What the first of them did.
    """

    kind: str
    channels: list[str]
    words: str


class _Course(NamedTuple):
    """One channel around an event, in standard deviations of its residuals."""

    rest: FloatArray  # all points: value minus expected
    level: FloatArray  # all points: value without season
    season: FloatArray  # all points: expected minus level
    scale: float


class Describer:
    """Tells what the events of one series were, by the size of their effects.

    What is known of the whole series is worked out once; each event then costs its own length and
    its surroundings.

    Parameters
    ----------
    values : ndarray of shape (T, d)
    band : Expected
        From :func:`~awry.data.expected.expected_band`.
    periods : sequence of int
        In points.
    step : float or None
        Seconds from point to point; None where points have no times.
    names : sequence of str, optional
        Of the channels.

    Examples
    --------
    >>> from awry.data.expected import expected_band
    >>> x = np.random.default_rng(0).normal(12, 1, (400, 1))
    >>> x[300:303] += 36
    >>> series = Describer(x, expected_band(x), step=3600.0)
    >>> series.tighten(290, 310)
    (300, 302)
    >>> series.describe(300, 302)
    Description(kind='spike', channels=['value'], words='rose from about 12 to 48.6 for 3 h')
    """

    def __init__(
        self,
        values: FloatArray,
        band: Expected,
        periods: Sequence[int] = (),
        step: float | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.values, self.band, self.step = values, band, step
        self.period = min(periods) if len(periods) else 0
        self.cycle = max(periods) if len(periods) else 0
        width = values.shape[1]
        self.names = list(names) if names is not None else [f"channel {j}" for j in range(width)]
        if names is None and width == 1:
            self.names = ["value"]
        above = values >= band.expected
        side = np.where(above, band.high - band.expected, band.expected - band.low) / WIDTH
        #: Departure from what was expected, in standard deviations; 0 where nothing was.
        self.departure = np.nan_to_num((values - band.expected) / side)
        self._courses: dict[int, _Course] = {}

    # -- where it was --------------------------------------------------------------------------

    def tighten(self, first: int, last: int) -> tuple[int, int]:
        """The part of an event in which the values leave their band, where that is clear.

        The score of a window flags ordinary points around what is odd. They are cut off where what
        is cut off is ordinary and no more than a stray value would be left else.
        """
        size = np.abs(self.departure[first : last + 1]).max(axis=1)
        out = np.flatnonzero(size > WIDTH)
        if not len(out):
            return first, last
        left, right = int(out[0]), int(out[-1])
        usual = self._usual_size
        # The flanks of what left the band belong to it.
        while left > 0 and size[left - 1] > max(0.7 * WIDTH, usual):
            left -= 1
        while right < len(size) - 1 and size[right + 1] > max(0.7 * WIDTH, usual):
            right += 1
        ends = (size[:left], size[right + 1 :])
        cut = [i for i, part in enumerate(ends) if len(part) and part.mean() < usual + 0.6]
        return first + left * (0 in cut), (first + right if 1 in cut else last)

    @cached_property
    def _usual_size(self) -> float:
        """The typical largest departure of a point over its channels."""
        return max(0.5, float(np.median(np.abs(self.departure).max(axis=1))))

    # -- what it was ---------------------------------------------------------------------------

    def describe(self, first: int, last: int) -> Description:
        """What happened from point ``first`` to point ``last``, which both belong to it."""
        size = np.abs(self.departure[first : last + 1])
        excess = np.clip(size - WIDTH, 0.0, None).sum(axis=0)
        order = np.argsort(-(excess + 1e-3 * size.mean(axis=0)), kind="stable")
        out = [int(j) for j in order if excess[j] > 0]
        if not out and len(size) >= _ENOUGH and len(order) > 1:  # such as one that fell silent
            order = np.argsort(
                [-abs(np.log(self._roughness(j, first, last))) for j in range(len(order))]
            )
        channels = out or [int(order[0])]
        kind, words = self._judge(channels[0], first, last)
        if len(self.names) > 1:
            words = f"{self.names[channels[0]]} {words}"
        return Description(kind, [self.names[j] for j in channels], words)

    def _judge(self, j: int, a: int, b: int) -> tuple[str, str]:
        course = self._course(j)
        flat = self._flat(j, a, b)
        if flat:
            value = self.values[flat[0], j]
            return "flat line", f"stayed at exactly {number(value)} for {self._duration(flat[1])}"
        beat = self._missing_beat(course, a, b)
        if beat is not None:
            at = slice(beat[0], beat[1] + 1)
            peak = self.band.expected[beat[0] + int(np.argmax(np.abs(course.season[at]))), j]
            word = "peak" if peak > np.nanmedian(self.band.level[at, j]) else "trough"
            usual, found = number(_round(peak)), number(_round(np.nanmedian(self.values[at, j])))
            return "missing beat", (
                f"the usual {word} of about {usual} did not come, stayed near {found}"
                f" for {self._duration(beat[1] - beat[0] + 1)}"
            )
        a, b = self._core(j, a, b)
        part, n = slice(a, b + 1), b - a + 1
        length = f" for {self._duration(n)}" if n > 1 else ""
        x, expected = self.values[part, j], self.band.expected[part, j]
        peak = int(np.nanargmax(np.abs(self.departure[part, j])))
        shape, error, change = self._best_shape(course, a, b)
        shift = self._shifted(course, a, b)
        if shift < _GOOD and (n <= _SHORT or shift < 1.25 * error):
            return "out-of-season", (
                f"{number(_round(x[peak]))}{length} is ordinary at other times,"
                f" here about {number(_round(expected[peak]))} was expected"
            )
        moved = "rose" if change > 0 else "fell"
        if shape == "pulse":
            kind = "spike" if change > 0 else "dip"
            was = number(_round(expected[peak]))
            return kind, f"{moved} from about {was} to {number(_round(x[peak]))}{length}"
        if shape in ("plateau", "step"):
            was = self.band.level[max(a - 1, 0), j]
            now = _round(was + change * course.scale)
            stays = " and stayed there" if shape == "step" else length
            return "level shift", (
                f"{moved} from about {number(_round(was))} to {number(now)}{stays}"
            )
        if shape == "hinge":
            return "trend change", self._trend_words(change * course.scale)
        rough = self._roughness(j, a, b)
        if n >= _ENOUGH and self._noisy(course, a, b) and not _CALMER < rough < _ROUGHER:
            if rough > 1:
                return "variance change", f"swung {rough:.1f} times as widely as usual{length}"
            return "variance change", f"swung {1 / rough:.1f} times less than usual{length}"
        low, high = (number(_round(v)) for v in (np.nanmin(x), np.nanmax(x)))
        return "odd shape", f"took an unusual course between {low} and {high}{length}"

    def _core(self, j: int, a: int, b: int) -> tuple[int, int]:
        """The few points around its peak that an event is all about, where there are such."""
        power = self.departure[a : b + 1, j] ** 2
        first = last = int(np.argmax(power))
        while first > 0 and power[first - 1] > 0.1 * power.max():
            first -= 1
        while last < len(power) - 1 and power[last + 1] > 0.1 * power.max():
            last += 1
        small = last - first < _SHORT and power[first : last + 1].sum() > 0.8 * power.sum()
        return (a + first, a + last) if small else (a, b)

    # -- accounts of an event ------------------------------------------------------------------

    def _course(self, j: int) -> _Course:
        if j not in self._courses:
            band = self.band
            season = np.nan_to_num(band.expected[:, j] - band.level[:, j])
            half = (band.high[:, j] - band.low[:, j]) / (2 * WIDTH)
            scale = float(np.nanmedian(half)) if np.isfinite(half).any() else 1.0
            rest = self.values[:, j] - band.expected[:, j]
            level = self.values[:, j] - season
            self._courses[j] = _Course(rest / scale, level / scale, season / scale, scale)
        return self._courses[j]

    def _flat(self, j: int, a: int, b: int) -> tuple[int, int] | None:
        """First point and length of a stretch of one value as this series has none else."""
        runs = self._runs[j]
        inside = runs[a : b + 1]
        at = a + int(np.argmax(inside))
        length = int(runs[at])
        if length < max(5, (b - a + 1) / 2):
            return None
        same = self._run_starts[j]
        outside = runs[same != same[at]]
        return (at, length) if length > 2 * (outside.max() if len(outside) else 0) else None

    @cached_property
    def _run_starts(self) -> list[IntArray]:
        """Where the run of equal values each point belongs to starts."""
        at = np.arange(len(self.values))
        return [
            np.maximum.accumulate(np.where(np.r_[True, x[1:] != x[:-1]], at, 0))
            for x in self.values.T
        ]

    @cached_property
    def _runs(self) -> list[IntArray]:
        """Length of the run of equal values each point belongs to."""
        n = len(self.values)
        return [np.bincount(start, minlength=n)[start] for start in self._run_starts]

    def _missing_beat(self, course: _Course, a: int, b: int) -> tuple[int, int] | None:
        """First and last point of an expected peak or trough that did not come."""
        if not self.period:
            return None
        beat = course.season - np.median(course.season)
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
        found = course.rest[part] + beat[part]
        known = np.isfinite(found)
        if not known.any():
            return None
        share = found[known] @ beat[part][known] / (beat[part][known] ** 2).sum()
        left = np.sqrt(np.mean(found[known] ** 2))
        quiet = left < max(_GOOD, 0.35 * most)
        return (first, last) if abs(share) < 0.35 and quiet else None

    def _shifted(self, course: _Course, a: int, b: int) -> float:
        """What is left of an event where the season is moved to fit it best; inf without one."""
        n, p = b - a + 1, self.period
        spread = np.ptp(course.season)
        if not p or spread < _CLEAR or n > 1.5 * p or n >= len(course.season) - p:
            return np.inf
        found = course.rest[a : b + 1] + course.season[a : b + 1]
        known = np.isfinite(found)
        moves = np.unique(np.linspace(1, p - 1, min(_SHIFTS, p - 1)).astype(int))
        starts = a + moves - p * (a + moves + n > len(course.season))
        starts = starts[starts >= 0]
        if not known.any() or not len(starts):
            return np.inf
        others = course.season[starts[:, None] + np.arange(n)]
        return float(np.sqrt(((found - others)[:, known] ** 2).mean(axis=1).min()))

    def _best_shape(self, course: _Course, a: int, b: int) -> tuple[str, float, float]:
        """The simplest shape that accounts for an event: its name, what it leaves, its height.

        Name "" where none does. The height of a hinge is its change of slope per point.
        """
        n = b - a + 1
        reach = int(min(max(3 * n, self.period, 30), _CONTEXT))
        start, stop = max(0, a - reach), min(len(course.level), b + 1 + reach)
        at = np.arange(start, stop)
        known = np.isfinite(course.level[start:stop])
        v, at = course.level[start:stop][known], at[known]
        if len(v) < _SHORT + 1:
            return "", np.inf, 0.0
        inside = (at >= a) & (at <= b)
        shapes: dict[str, Sequence[FloatArray | BoolArray]] = {
            "pulse": [inside],
            "step": [at >= a, at > b],
            "hinge": self._hinges(at, a, b),
        }
        fits = {name: _fit(v, shape) for name, shape in shapes.items()}
        name = min(fits, key=lambda k: fits[k][0])
        left, height = fits[name]
        total = float(((v - v.mean()) ** 2).sum())
        if name == "pulse" and n > _SHORT:
            around = np.median(v[~inside]) if (~inside).any() else 0.0
            sizes = np.abs(v[inside] - around)
            if len(sizes) and np.median(sizes) > 0.5 * sizes.max():
                name = "plateau"
        tall = abs(height) * (reach if name == "hinge" else 1)
        accounted = 1 - left / total if total > 0 else 0.0
        inner = v[inside] - height if name in ("pulse", "plateau") else None
        error = np.sqrt(left / len(v)) if inner is None else _spread_around(inner, v[~inside])
        if tall < _CLEAR or accounted < (0.5 if n > _SHORT or name != "pulse" else 0.2):
            # So few points have no other shape.
            return "pulse" if n <= _SHORT else "", error, float(np.median(course.rest[a : b + 1]))
        return name, error, height

    @staticmethod
    def _hinges(at: IntArray, a: int, b: int) -> list[FloatArray]:
        """Lines that bend before or in the event: it is noticed only some time after its bend."""
        bends = np.unique(
            np.linspace(at[0] + 0.2 * (a - at[0]), max(a, (a + b) / 2), 9).astype(int)
        )
        return [np.clip(at - bend, 0, None).astype(float) for bend in bends]

    def _roughness(self, j: int, a: int, b: int) -> float:
        """Typical step from point to point in the event, in times the usual one."""
        steps = np.abs(np.diff(self.departure[:, j]))
        usual, here = np.median(steps), np.median(steps[a:b]) if b > a else 0.0
        least = 1e-6 + 0.01 * float(steps.mean())
        return float((here + least) / (usual + least))

    def _noisy(self, course: _Course, a: int, b: int) -> bool:
        """Whether the residuals of the event follow each other no more closely than usual."""
        return _follows(course.rest[a : b + 1]) <= max(0.5, _follows(course.rest) + 0.1)

    # -- words ---------------------------------------------------------------------------------

    def _duration(self, points: int) -> str:
        return f"{points:,} points" if self.step is None else duration(points * self.step)

    def _trend_words(self, slope: float) -> str:
        word = "rise" if slope > 0 else "fall"
        if self.step is None:
            return f"began to {word} by {number(_round(abs(slope)))} per point"
        per_day = abs(slope) * _DAY / self.step
        return f"began to {word}, by about {number(_round(per_day))} per day against before"


def duration(seconds: float) -> str:
    """A stretch of time in the largest unit that it fills.

    Examples
    --------
    >>> duration(90), duration(5 * 3600), duration(36 * 3600), duration(0.25)
    ('90 s', '5 h', '36 h', '0.25 s')
    """
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{number(_round(seconds / size, 2))} {unit}"
    return f"{number(_round(seconds, 2))} s"


def _round(value: float, digits: int = 3) -> float:
    return float(f"{value:.{digits}g}")


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
