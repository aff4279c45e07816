"""How a column of each kind becomes numbers a detector can compare.

One unit of every encoded column is about one usual deviation, so that kinds weigh alike in
distances: numbers are in robust standard deviations, levels and words in nats of surprise
(-log of their frequency), the circle of the day has radius one. Everything is monotone in what it
encodes, so trees, ranks and tails see the same order as in the source.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.inputs import FloatArray, IntArray
from awry.data.column_stats import SAMPLE
from awry.data.values import as_float, as_seconds, count_levels, level_codes

#: A number whose outer half per cent lies further out than this many usual deviations has its
#: tails drawn in. Twenty leaves all but the heaviest tails as they are: a log-normal with a sigma
#: of 1.5 stays, one of 2.5 does not.
HEAVY = 20.0
#: Past this many deviations numbers grow with their logarithm only, so that squares stay exact.
FAR = 1e4
_LEAST = float(np.finfo(float).tiny)
#: Categories with at most so many frequent levels get a column for each. More columns of ordinary
#: levels drown the rest: detectors that draw columns at random look at little else.
MAX_ONE_HOT = 4
#: Levels and words remembered; the rest counts as rare.
MAX_LEVELS = 10_000
MAX_WORDS = 5_000
#: A level is frequent with this share of the rows.
FREQUENT = 0.01


class Scaled(NamedTuple):
    """A number, less its median, in usual deviations.

    The deviation is the larger of the quartile range over 1.349 and the standard deviation of the
    middle 98 %: the first alone is tiny where most values are equal. Heavy tails are drawn in by
    the inverse hyperbolic sine, which is linear at the centre and logarithmic far out, on both
    sides alike. Missing values are the median, infinities lie a tenth beyond the range.
    """

    center: float
    scale: float
    low: float
    high: float
    heavy: bool

    @classmethod
    def fit(cls, values: FloatArray) -> Self | None:
        """From values with NaN where missing; None where all finite ones are equal."""
        sample = values[:: max(1, len(values) // SAMPLE)]
        sample = np.sort(sample[np.isfinite(sample)])
        finite = values[np.isfinite(values)]
        if not len(finite) or finite.min() == finite.max():
            return None
        low, high = float(finite.min()), float(finite.max())
        if not len(sample):
            sample = finite
        # Differences and squares of numbers near the largest float would overflow.
        unit = max(abs(low), abs(high))
        shrunk = sample / unit
        bottom, q1, center, q3, top = np.quantile(shrunk, (0.005, 0.25, 0.5, 0.75, 0.995))
        edge = len(shrunk) // 100
        middle = shrunk[edge : len(shrunk) - edge]
        scale = (q3 - q1) / 1.349
        if middle[0] < middle[-1]:
            scale = max(scale, float(middle.std()))
        # Rounding must not pass for a deviation.
        spread = float((finite / unit).std())
        scale = scale if scale > 1e-9 * spread else spread
        heavy = bool(max(center - bottom, top - center) > HEAVY * scale)
        scale = max(float(scale * unit), _LEAST)
        return cls(float(center * unit), scale, low, high, heavy)

    def apply(self, values: FloatArray) -> FloatArray:
        """Encoded ``values``, finite, shape (n,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            out = (values - self.center) / self.scale
            if not np.isfinite(out.sum()):
                low, high = (
                    (self.low - self.center) / self.scale,
                    (self.high - self.center) / self.scale,
                )
                margin = 0.1 * (high - low)
                out[np.isposinf(values)] = high + margin
                out[np.isneginf(values)] = low - margin
                out[np.isnan(values)] = 0.0
                np.clip(out, -1e300, 1e300, out=out)
        if self.heavy:
            return np.arcsinh(out, out=out)
        far = max(-out.min(initial=0.0), out.max(initial=0.0)) > FAR
        if far:
            size = np.abs(out)
            drawn = np.copysign(FAR * (1 + np.log(np.maximum(size, FAR) / FAR)), out)
            out = np.where(size > FAR, drawn, out)
        return out


class Flag(NamedTuple):
    """One where the rarer of two states holds, or more the rarer it is: log of the odds."""

    rare: bool
    height: float

    @classmethod
    def fit(cls, state: np.ndarray) -> Self | None:
        """From booleans; None where all are equal."""
        share = float(np.mean(state))
        if share in (0.0, 1.0):
            return None
        return cls(share <= 0.5, height(min(share, 1 - share)))

    def apply(self, state: np.ndarray) -> FloatArray:
        """Zero or :attr:`height` for each of ``state``."""
        return np.where(state == self.rare, self.height, 0.0)


class Levels(NamedTuple):
    """A category: how rare its level is, and a column for each level where few are frequent.

    Rarity is -log of the level's share less that of the median row's level. Levels not seen in
    training, and ones past the 10,000 most frequent, are rarer than any that was.
    """

    names: list[str]
    rarity: FloatArray  # of each level, then of a missing value, then of any other
    columns: list[int]  # positions of the levels with a column of their own
    heights: list[float]
    surprise: bool  # whether rarity is a column
    closed: bool  # whether a level that was not seen is news

    @classmethod
    def fit(cls, values: pa.Array) -> Self:
        """From the values of each row, null where missing."""
        n = len(values)
        names, sizes, distinct, once, missing = count_levels(values, MAX_LEVELS)
        shares = np.array([*sizes, missing or 0.5, 0.5]) / n
        nats = -np.log(shares)
        rows = np.array([*sizes, missing, 0])
        by_rarity = np.argsort(nats, kind="stable")
        middle = by_rarity[np.searchsorted(np.cumsum(rows[by_rarity]), rows.sum() / 2)]
        seen = nats[rows > 0]
        frequent = np.flatnonzero((rows > 0) & (shares >= FREQUENT))
        surprise = bool(np.ptp(seen) > math.log(2)) and _uneven(rows[rows > 0])
        if len(seen) == 2:  # two states are one column, as a flag
            rarer = int(np.argmin(np.where(rows > 0, rows, n + 1)))
            columns, heights = [rarer], [height(float(shares[rarer]))]
            surprise = False
        elif 2 <= len(frequent) <= MAX_ONE_HOT:
            columns = [int(i) for i in (frequent if len(frequent) > 2 else frequent[1:])]
            heights = [1.0] * len(columns)
        else:
            columns, heights = [], []
        rarity = nats - nats[middle]
        return cls(names, rarity, columns, heights, surprise, _closed(n, distinct, once))

    def apply(self, values: pa.Array) -> list[FloatArray]:
        """The encoded columns, each of shape (n,)."""
        return self.of_codes(level_codes(values, self.names))

    def of_codes(self, codes: IntArray) -> list[FloatArray]:
        """The encoded columns of levels given by their position in ``names``; of a missing one
        behind the last, of any other two."""
        out = [self.rarity[codes]] if self.surprise else []
        for level, tall in zip(self.columns, self.heights, strict=True):
            out.append(np.where(codes == level, tall, 0.0))
        return out

    def titles(self) -> list[str]:
        """What each encoded column is, to stand behind the source's name."""
        known = [*self.names, "missing", "another level"]
        return ["rarity"] * self.surprise + [f"is {known[i]}" for i in self.columns]


class Codes(NamedTuple):
    """A category as the position of its level, for detectors that learn what each level means.

    A missing value has the position behind the last level; levels not seen in training, and ones
    past the 10,000 most frequent, have the one behind that.
    """

    names: list[str]
    closed: bool  # whether a level that was not seen is news

    @classmethod
    def fit(cls, values: pa.Array) -> Self:
        """From the values of each row, null where missing."""
        names, _, distinct, once, _ = count_levels(values, MAX_LEVELS)
        return cls(names, _closed(len(values), distinct, once))

    def apply(self, values: pa.Array) -> list[FloatArray]:
        """The one encoded column, of shape (n,)."""
        return self.of_codes(level_codes(values, self.names))

    def of_codes(self, codes: IntArray) -> list[FloatArray]:
        """The one encoded column of levels given by their position."""
        return [codes.astype(np.float64)]

    def titles(self) -> list[str]:
        """What the encoded column is, to stand behind the source's name."""
        return ["level"]


class Clock(NamedTuple):
    """The time of day and the day of the week, as far as they mean something.

    Each is a point on a circle of radius one; the hour also gives how unusual it is, -log of its
    smoothed share of the rows less that of the median row.
    """

    hour: bool
    weekday: bool
    rarity: FloatArray  # of each hour; empty where hours are alike

    @classmethod
    def fit(cls, seconds: FloatArray, numbers: list[FloatArray], *, clock_only: bool) -> Self:
        """From the times (NaN where missing) and the table's numbers, to see what hours do."""
        step = max(1, len(seconds) // 8192)
        picks = np.flatnonzero(np.isfinite(seconds))[::step]
        some = seconds[picks]
        hours, days = _hour(some), _weekday(some)
        counts = np.bincount(hours, minlength=24) + 0.5
        smooth = (np.roll(counts, 1) + 2 * counts + np.roll(counts, -1)) / 4
        uneven = _unevenness(np.bincount(hours, minlength=24)) > 0.1
        nats = -np.log(smooth / smooth.mean())
        rarity = nats - np.median(nats[hours]) if uneven else np.empty(0)
        columns = [column[picks] for column in numbers]
        several = np.ptp(hours) > 0
        week = not clock_only and np.ptp(some) >= 7 * 86_400 and np.ptp(days) > 0
        return cls(
            bool(several and _accounts_for(hours, columns)),
            bool(week and _accounts_for(days, columns)),
            rarity if several else np.empty(0),
        )  # fmt: skip

    def apply(self, seconds: FloatArray) -> list[FloatArray]:
        """The encoded columns; a missing time is at the centre of the circles."""
        known = np.isfinite(seconds)
        filled = np.where(known, seconds, 0.0)
        out = []
        if self.hour:
            out += _circle(filled % 86_400 / 86_400, known)
        if self.weekday:
            out += _circle(_weekday(filled) / 7, known)
        if len(self.rarity):
            out.append(np.where(known, self.rarity[_hour(filled)], 0.0))
        return out

    def titles(self) -> list[str]:
        """What each encoded column is, to stand behind the source's name."""
        circles = ["hour (sine)", "hour (cosine)"] * self.hour
        circles += ["weekday (sine)", "weekday (cosine)"] * self.weekday
        return circles + ["unusual hour"] * bool(len(self.rarity))


class Prose(NamedTuple):
    """Free text: its length, the sorts of its characters, and how rare its words are."""

    words: list[str]
    rarity: FloatArray  # -log of the share of rows with each word, then of an unknown one
    scales: list[Scaled | None]

    @classmethod
    def fit(cls, text: pa.StringArray) -> Self:
        """From the text of each row, null where missing."""
        sample = text.slice(0, SAMPLE)
        words = count_levels(_words(sample).flatten(), MAX_WORDS)
        rarity = -np.log(np.array([*words.sizes, 0.5]) / max(1, words.sizes.sum()))
        bare = cls(words.names, rarity, [])
        return bare._replace(scales=[Scaled.fit(column) for column in bare._measure(sample)])

    def apply(self, text: pa.StringArray) -> list[FloatArray]:
        """The encoded columns that vary; a missing text is like the median one."""
        measured = zip(self.scales, self._measure(text), strict=True)
        return [scale.apply(column) for scale, column in measured if scale is not None]

    def titles(self) -> list[str]:
        """What each encoded column is, to stand behind the source's name."""
        names = ("length", "digits", "capitals", "marks", "foreign letters", "rare words",
                 "rarest word")  # fmt: skip
        return [t for t, scale in zip(names, self.scales, strict=True) if scale is not None]

    def _measure(self, text: pa.StringArray) -> list[FloatArray]:
        length = np.asarray(pc.utf8_length(text).cast(pa.float64()).to_numpy(False))
        size = np.maximum(length, 1.0)
        columns = [np.log1p(length)]
        for pattern in (r"\d", r"\p{Lu}", r"[^\p{L}\d\s]", r"[^\x00-\x7f]"):
            found = pc.count_substring_regex(text, pattern=pattern).cast(pa.float64())
            columns.append(np.asarray(found.to_numpy(False)) / size)
        words = _words(text)
        codes = pc.index_in(words.flatten(), value_set=pa.array(self.words, pa.string()))
        nats = self.rarity[codes.fill_null(len(self.words)).to_numpy()]
        per_row = pc.fill_null(pc.list_value_length(words), 0).to_numpy()
        filled = np.flatnonzero(per_row)
        starts = np.cumsum(per_row)[filled] - per_row[filled]
        mean, most = np.full(len(text), np.nan), np.full(len(text), np.nan)
        if len(filled):
            mean[filled] = np.add.reduceat(nats, starts) / per_row[filled]
            most[filled] = np.maximum.reduceat(nats, starts)
        return [*columns, mean, most]


def height(share: float) -> float:
    """How far out a state of ``share`` of the rows lies: the log of the odds, at least 1."""
    return max(1.0, math.log((1 - share) / share)) if 0 < share < 1 else 1.0


def number_of(values: pa.Array) -> FloatArray:
    """Numbers, or seconds where ``values`` are times, NaN where missing."""
    return as_seconds(values) if pa.types.is_timestamp(values.type) else as_float(values)


def _words(text: pa.StringArray) -> Any:
    """The lower-case words of each row; none where it is missing."""
    plain = pc.replace_substring_regex(pc.utf8_lower(text), pattern=r"[^\p{L}\d]+", replacement=" ")
    return pc.split_pattern(pc.utf8_trim_whitespace(plain), pattern=" ")


def _closed(n: int, distinct: int, once: int) -> bool:
    """Whether ``n`` rows of ``distinct`` levels, of which ``once`` were met once, show them all.

    The share of levels seen once estimates how often one comes that was never seen (Good,
    Biometrika 1953, eq. 9).
    """
    return distinct <= MAX_LEVELS and once < 0.01 * n


def _hour(seconds: FloatArray) -> np.ndarray:
    return (seconds % 86_400 // 3600).astype(np.int64)


def _weekday(seconds: FloatArray) -> np.ndarray:
    return ((seconds // 86_400 + 3) % 7).astype(np.int64)  # 1970 began on a Thursday


def _circle(turn: FloatArray, known: np.ndarray) -> list[FloatArray]:
    angle = 2 * np.pi * turn
    return [np.sin(angle) * known, np.cos(angle) * known]


def _uneven(counts: np.ndarray) -> bool:
    """Whether levels differ in frequency by more than chance (a chi-square test at 4 sigma)."""
    mean, degrees = counts.mean(), len(counts) - 1
    return bool(((counts - mean) ** 2).sum() / mean > degrees + 4 * math.sqrt(2 * degrees))


def _unevenness(counts: np.ndarray) -> float:
    """Distance from an even spread, 0 to 1, less what chance alone would give."""
    shares = counts / max(1, counts.sum())
    chance = 0.4 * math.sqrt(len(counts) / max(1, counts.sum()))
    return float(np.abs(shares - 1 / len(counts)).sum() / 2 - chance)


def _accounts_for(groups: np.ndarray, columns: list[FloatArray]) -> bool:
    """Whether the groups explain a tenth of the variance of some column's ranks."""
    for column in columns:
        known = np.isfinite(column)
        if known.sum() < 100:
            continue
        ranks = column[known].argsort().argsort() / known.sum()
        sizes = np.bincount(groups[known])
        sums = np.bincount(groups[known], ranks)
        between = (sums**2 / np.maximum(sizes, 1)).sum() / known.sum() - ranks.mean() ** 2
        if between > (0.1 + len(sizes) / known.sum()) * ranks.var():
            return True
    return False
