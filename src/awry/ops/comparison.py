"""Champion against challenger: what both made of the same rows, with 95 % intervals.

Rows are taken for independent, so that of rows that come in bursts the intervals are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
from sklearn.metrics import average_precision_score

from awry.core.inputs import FloatArray, IntArray
from awry.judge import Judge
from awry.ops.sketch import Sketch

#: Standard normal quantile of a 95 % interval, and resamples of the bootstrap.
_Z, _RESAMPLES = 1.959963984540054, 1_000
_QUANTILES = {"p50": 0.5, "p95": 0.95}


@dataclass
class Counts:
    """What was counted of rows that both judged, and of those that the challenger answered.

    Attributes
    ----------
    rows, both, champion_only, challenger_only : int
        Rows that both judged, and those that both or only one of them flagged.
    answered, answered_flagged : int
        Rows that the challenger answered in the champion's place.
    champion_seconds, challenger_seconds : Sketch
        Of the same requests, judged one by one.
    """

    rows: int = 0
    both: int = 0
    champion_only: int = 0
    challenger_only: int = 0
    answered: int = 0
    answered_flagged: int = 0
    champion_seconds: Sketch = field(default_factory=Sketch)
    challenger_seconds: Sketch = field(default_factory=Sketch)

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_row(self) -> dict[str, Any]:
        """As columns of the table of comparisons."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.save() if isinstance(v, Sketch) else v for k, v in found.items()}

    @classmethod
    def of(cls, row: Any) -> Self:
        """Those of a row of the table."""
        found = cls()
        for one in fields(cls):
            value = getattr(row, one.name)
            setattr(found, one.name, Sketch.load(value) if isinstance(value, list) else value)
        return found


def wilson(k: int, n: int) -> dict[str, Any]:
    """A share with Wilson's score interval.

    References
    ----------
    Wilson, E. B. Probable inference, the law of succession, and statistical inference. JASA 1927.

    Examples
    --------
    >>> found = wilson(0, 10)
    >>> found["value"], found["low"], round(found["high"], 4)
    (0.0, 0.0, 0.2775)
    """
    if not n:
        return _interval(math.nan, math.nan, math.nan)
    share, square = k / n, _Z * _Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return _interval(share, max(0.0, middle - half), min(1.0, middle + half))


def paired_difference(first_only: int, second_only: int, n: int) -> dict[str, Any]:
    """How much larger the second of two shares of the same rows is.

    References
    ----------
    Bonett, D. G. and Price, R. M. Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data. J. Educ. Behav. Stat. 2012, equation 5.
    """
    if not n:
        return _interval(math.nan, math.nan, math.nan)
    a, b = (first_only + 1) / (n + 2), (second_only + 1) / (n + 2)
    half = _Z * math.sqrt((a + b - (b - a) ** 2) / (n + 2))
    return _interval(
        (second_only - first_only) / n, max(-1.0, b - a - half), min(1.0, b - a + half)
    )


def difference(first: tuple[int, int], second: tuple[int, int]) -> dict[str, Any]:
    """How much larger the share ``second`` is than ``first``, each of rows of its own.

    References
    ----------
    Newcombe, R. G. Interval estimation for the difference between independent proportions. Stat.
    Med. 1998, method 10.
    """
    one, two = wilson(*first), wilson(*second)
    if one["value"] is None or two["value"] is None:
        return _interval(math.nan, math.nan, math.nan)
    d = two["value"] - one["value"]
    low = math.hypot(two["value"] - two["low"], one["high"] - one["value"])
    high = math.hypot(two["high"] - two["value"], one["value"] - one["low"])
    return _interval(d, d - low, d + high)


def compare(counts: Counts) -> dict[str, Any]:
    """All that ``counts`` tell."""
    champion, challenger = (
        counts.both + only for only in (counts.champion_only, counts.challenger_only)
    )
    agreed = counts.rows - counts.champion_only - counts.challenger_only
    return {
        "rows": counts.rows,
        "agreement": wilson(agreed, counts.rows),
        "alert_rate": {
            "champion": wilson(champion, counts.rows),
            "challenger": wilson(challenger, counts.rows),
            "difference": paired_difference(
                counts.champion_only, counts.challenger_only, counts.rows
            ),
        },
        "answered": {
            "rows": counts.answered,
            "alert_rate": wilson(counts.answered_flagged, counts.answered),
            "difference": difference(
                (champion, counts.rows), (counts.answered_flagged, counts.answered)
            ),
        },
        "latency_ms": {
            "requests": len(counts.champion_seconds),
            "champion": _milliseconds(counts.champion_seconds),
            "challenger": _milliseconds(counts.challenger_seconds),
        },
    }


def labelled(judges: Sequence[Judge], table: pa.Table | None, labels: IntArray) -> dict[str, Any]:
    """Average precision of champion and challenger on rows whose labels are known.

    The interval of the difference is the percentile bootstrap's, over rows within each label.
    """
    anomalies = int(labels.sum())
    told: dict[str, Any] = {"rows": len(labels), "anomalies": anomalies}
    if table is None or not 0 < anomalies < len(labels):
        return told | {"champion": None, "challenger": None, "difference": None}
    scores = [judge.judge(table).scores for judge in judges]  # type: ignore[attr-defined]
    values = [float(average_precision_score(labels, s)) for s in scores]
    gaps = _bootstrap(labels, scores)
    return told | {
        "champion": values[0],
        "challenger": values[1],
        "difference": _interval(values[1] - values[0], *np.quantile(gaps, (0.025, 0.975)).tolist()),
    }


def _bootstrap(labels: IntArray, scores: list[FloatArray]) -> FloatArray:
    rng = np.random.default_rng(0)
    sides = [np.flatnonzero(labels == side) for side in (0, 1)]
    gaps = np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        drawn = np.concatenate([rng.choice(side, len(side)) for side in sides])
        first, second = (average_precision(labels[drawn], s[drawn]) for s in scores)
        gaps[i] = second - first
    return gaps


def average_precision(labels: IntArray, scores: FloatArray) -> float:
    """As scikit-learn's, without what it checks each time."""
    order = np.argsort(-scores, kind="stable")
    found, ranked = np.cumsum(labels[order]), scores[order]
    last = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    precision, recall = found[last] / (last + 1), found[last] / found[-1]
    return float(np.diff(np.r_[0.0, recall]) @ precision)


def _milliseconds(sketch: Sketch) -> dict[str, Any]:
    """Quantiles with the intervals that ranks give, whatever the distribution."""
    n, told = len(sketch), {}
    for name, q in _QUANTILES.items():
        half = _Z * math.sqrt(q * (1 - q) / n) if n else math.nan
        ends = (q, max(0.0, q - half), min(1.0, q + half)) if n else (q,) * 3
        told[name] = _interval(*(1e3 * sketch.quantile(end) for end in ends))
    return told


def _interval(value: float, low: float, high: float) -> dict[str, Any]:
    return {
        name: None if math.isnan(number) else number
        for name, number in (("value", value), ("low", low), ("high", high))
    }
