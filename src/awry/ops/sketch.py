"""Quantiles of numbers that are gone: a sketch that two hours' scores can be added up in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from awry.core.inputs import FloatArray, IntArray

#: Of a quantile's value: how far off it may be.
_ACCURACY = 0.01
_LOG_GAMMA = float(np.log((1 + _ACCURACY) / (1 - _ACCURACY)))
#: Values closer to zero than this are zero.
_LEAST = 1e-12


class Sketch:
    """DDSketch: counts of values in buckets whose width is 2 % of the value.

    A quantile is told to within 1 % of its value, and adding sketches up gives the same sketch as
    one of all values. The number of buckets grows with the logarithm of the values' range, 1,150
    for each ten to the tenth, and is not bounded otherwise; the paper's collapsing of the lowest is
    left out.

    References
    ----------
    Masson, C., Rim, J. E. and Lee, H. K. DDSketch: a fast and fully-mergeable quantile sketch with
    relative-error guarantees. VLDB 2019, Algorithms 1, 2 and 4.

    Examples
    --------
    >>> sketch = Sketch.of(np.arange(1.0, 1001.0))
    >>> abs(sketch.quantile(0.5) - 500.0) <= 0.01 * 500.0
    True
    """

    def __init__(self, counts: dict[tuple[int, int], int] | None = None) -> None:
        #: By sign and number of the bucket.
        self.counts: Counter[tuple[int, int]] = Counter(counts or {})

    @classmethod
    def of(cls, values: FloatArray) -> Sketch:
        """The sketch of ``values``; those that are not finite are left out."""
        return sketches(values, np.zeros(len(values), dtype=np.int64)).get(0, cls())

    @classmethod
    def load(cls, saved: Iterable[Any]) -> Self:
        """The sketch that :meth:`save` made plain."""
        return cls({(int(sign), int(bucket)): int(n) for sign, bucket, n in saved})

    def save(self) -> list[list[int]]:
        """Plain data."""
        return [[sign, bucket, n] for (sign, bucket), n in sorted(self.counts.items())]

    def __add__(self, other: Sketch) -> Sketch:
        return Sketch(self.counts + other.counts)

    def __len__(self) -> int:
        return self.counts.total()

    def quantile(self, q: float) -> float:
        """The value that the part ``q`` of all values does not exceed; NaN without any."""
        ranked = sorted(self.counts.items(), key=lambda item: item[0][0] * (item[0][1] + 1e9))
        rank, seen = q * (len(self) - 1), 0
        for (sign, bucket), n in ranked:
            seen += n
            if seen > rank:
                middle = 2 * np.exp(bucket * _LOG_GAMMA) / (1 + np.exp(_LOG_GAMMA))
                return float(sign * middle)
        return float("nan")


def sketches(values: FloatArray, groups: IntArray) -> dict[int, Sketch]:
    """The sketch of the values of each group that has any that are finite."""
    known = np.isfinite(values)
    values, groups = values[known], groups[known]
    sign = np.where(np.abs(values) < _LEAST, 0, np.sign(values)).astype(np.int64)
    size = np.where(sign == 0, 1.0, np.abs(values))
    buckets = np.ceil(np.log(size) / _LOG_GAMMA).astype(np.int64)
    order = np.lexsort((buckets, sign, groups))
    ranked = np.column_stack([groups, sign, buckets])[order]
    first = np.flatnonzero(np.r_[True, (ranked[1:] != ranked[:-1]).any(axis=1)][: len(ranked)])
    counts = np.diff(np.r_[first, len(ranked)])
    found: dict[int, Sketch] = {}
    for (group, s, bucket), n in zip(ranked[first].tolist(), counts.tolist(), strict=True):
        found.setdefault(group, Sketch()).counts[s, bucket] = n
    return found
