"""What an event of a series was: its kind, the channels in it, and words a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from awry.core.inputs import FloatArray
from awry.data.event_shapes import GOOD, SHORT, Course
from awry.data.expected import WIDTH, Expected, departure
from awry.data.wording import number

#: Every kind :meth:`Describer.describe` tells apart.
KINDS = (
    "spike", "dip", "level shift", "trend change", "variance change", "flat line", "missing beat",
    "odd shape", "out-of-season",
)  # fmt: skip
#: Points below which neither spread nor course can be told.
_ENOUGH = 8
#: Times the usual roughness, up or down, that make a change of variance.
_ROUGHER, _CALMER = 1.7, 0.55
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
    >>> x[200:203] += 36
    >>> series = Describer(x, expected_band(x), step=3600.0)
    >>> series.tighten(190, 210)
    (200, 202)
    >>> series.describe(200, 202)
    Description(kind='spike', channels=['value'], words='rose from about 11.9 to 47.4 for 3 h')
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
        self.departure = departure(values, band)
        self._courses: dict[int, Course] = {}

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
                [-abs(np.log(self._course(j).roughness(first, last))) for j in range(len(order))]
            )
        channels = out or [int(order[0])]
        kind, words = self._judge(channels[0], first, last)
        if len(self.names) > 1:
            words = f"{self.names[channels[0]]} {words}"
        return Description(kind, [self.names[j] for j in channels], words)

    def _judge(self, j: int, a: int, b: int) -> tuple[str, str]:
        course = self._course(j)
        flat = course.flat(a, b)
        if flat:
            value = self.values[flat[0], j]
            return "flat line", f"stayed at exactly {number(value)} for {self._duration(flat[1])}"
        beat = course.missing_beat(a, b)
        if beat is not None:
            at = slice(beat[0], beat[1] + 1)
            peak = self.band.expected[beat[0] + int(np.argmax(np.abs(course.season[at]))), j]
            word = "peak" if peak > np.nanmedian(self.band.level[at, j]) else "trough"
            usual, found = number(_round(peak)), number(_round(np.nanmedian(self.values[at, j])))
            return "missing beat", (
                f"the usual {word} of about {usual} did not come, stayed near {found}"
                f" for {self._duration(beat[1] - beat[0] + 1)}"
            )
        a, b = course.core(a, b)
        part, n = slice(a, b + 1), b - a + 1
        length = f" for {self._duration(n)}" if n > 1 else ""
        x, expected = self.values[part, j], self.band.expected[part, j]
        if np.isnan(x).all():
            return "odd shape", f"has no value{length}"
        peak = int(np.nanargmax(np.abs(self.departure[part, j])))
        shape, error, change = course.best_shape(a, b)
        shift = course.shifted(a, b)
        if shift < GOOD and (n <= SHORT or shift < 1.25 * error):
            return "out-of-season", (
                f"{number(_round(x[peak]))}{length} is ordinary at other times,"
                f" here about {number(_round(expected[peak]))} was expected"
            )
        moved = "rose" if change > 0 else "fell"
        if shape == "pulse" and abs(self.departure[a + peak, j]) <= WIDTH:
            now = number(_round(x[peak]))
            return "odd shape", f"{now}{length} is ordinary by itself, the course around it is not"
        if shape == "pulse":
            kind = "spike" if change > 0 else "dip"
            was = course.beside(a, b) + course.season[a + peak] * course.scale
            now = number(_round(x[peak]))
            return kind, f"{moved} from about {number(_round(was))} to {now}{length}"
        if shape in ("plateau", "step"):
            was = course.beside(a) + float(np.median(course.season[part])) * course.scale
            now = number(_round(was + change * course.scale))
            stays = " and stayed there" if shape == "step" else length
            return "level shift", (f"{moved} from about {number(_round(was))} to {now}{stays}")
        if shape == "hinge":
            return "trend change", self._trend_words(change * course.scale)
        rough = course.roughness(a, b)
        if n >= _ENOUGH and course.noisy(a, b) and not _CALMER < rough < _ROUGHER:
            if rough > 1:
                return "variance change", f"swung {rough:.1f} times as widely as usual{length}"
            return "variance change", f"swung {1 / rough:.1f} times less than usual{length}"
        low, high = (number(_round(v)) for v in (np.nanmin(x), np.nanmax(x)))
        return "odd shape", f"took an unusual course between {low} and {high}{length}"

    def _course(self, j: int) -> Course:
        if j not in self._courses:
            self._courses[j] = Course(self.values, self.band, j, self.period)
        return self._courses[j]

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
