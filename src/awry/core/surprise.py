"""Scores of many series on one scale: how surprising each is among those of its own series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.params import Configurable

#: Up to so many series have a tail of their own; more share the slope of one.
OWN_TAILS = 200
#: Scores kept to fit a shared tail.
_POOLED = 20_000
#: The quantiles that the tail is drawn through; anomalies may take what lies above the last.
_LEVELS = (0.5, 0.9, 0.95)
#: Exponents a of the Weibull tails considered, Q(p) ~ (-ln(1 - p))^a: from about a
#: Gaussian's (a half) to an exponential. What falls more slowly is taken for anomalies.
_EXPONENTS = np.linspace(0.4, 1.0, 25)


class Tail(NamedTuple):
    """Lowest score of a series, the share above it, and of those the median, q90 and exponent."""

    lowest: float
    share: float
    middle: float
    high: float
    exponent: float


class Surprise(Configurable):
    """-log10 of the share of a series' normal points that score as high: 3 is one in a thousand.

    The tail of a series beyond its 90 % quantile is a Weibull law's through that and the median,
    its exponent told by the 95 % quantile. These stand still while up to one point in twenty or so
    belongs to anomalies, be they many or one that lasts; a tail fitted to the highest scores would
    not, for scores of neighbouring points rise together and of a series there may be few
    independent ones. Of more than 200 series each has its own quantiles, and all share one
    exponent.

    Attributes
    ----------
    tails_ : list of Tail
        One for each series.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = [rng.exponential(size=5000), 70 * rng.exponential(size=5000)]
    >>> surprise = Surprise().fit(scores)
    >>> surprise.transform(0, [6.9]).round(0), surprise.transform(1, [70 * 6.9]).round(0)
    (array([3.]), array([3.]))
    """

    def fit(self, scores: Sequence[FloatArray]) -> Self:
        """Learn from the scores (m,) of each series."""
        self.tails_ = [_tail(values) for values in scores]
        if len(scores) > OWN_TAILS:
            scaled = [
                (values - tail.middle) / (tail.high - tail.middle)
                for values, tail in zip(scores, self.tails_, strict=True)
                if tail.high > tail.middle
            ]
            pooled = np.concatenate([*scaled, np.zeros(1)])
            shared = _tail(pooled[:: max(1, len(pooled) // _POOLED)]).exponent
            self.tails_ = [tail._replace(exponent=shared) for tail in self.tails_]
        return self

    def transform(self, i: int, scores: FloatArray | Sequence[float]) -> FloatArray:
        """The surprise of scores (m,) of series ``i``, shape (m,); it rises with the score."""
        tail, values = self.tails_[i], np.asarray(scores, dtype=np.float64)
        ladder = (tail.lowest, tail.middle, tail.high)
        depths = -np.log10(tail.share * np.array([1.0, 0.5, 0.1]))
        below = np.interp(values, ladder, depths)
        unit = tail.high - tail.middle
        first, last = (np.log(share) ** tail.exponent for share in (2.0, 10.0))
        steps = np.clip(values - tail.high, 0.0, None) / unit * (last - first)
        beyond = (last + steps) ** (1 / tail.exponent) / np.log(10) - 1.0
        return np.where(values <= tail.lowest, 0.0, below + beyond)


def _tail(values: FloatArray) -> Tail:
    """The tail of scores (m,), of those above the lowest where most are the lowest."""
    lowest = float(values.min()) if len(values) else 0.0
    share = 1.0
    if len(values) and values.max() > lowest == np.quantile(values, _LEVELS[1]):
        above = values[values > lowest]
        values, share = above, len(above) / len(values)
    middle, high, higher = np.quantile(values, _LEVELS) if len(values) else np.zeros(3)
    if high == middle:
        # Mostly one value: what is above it is measured against the highest, or against itself.
        high = max(values.max(initial=middle), middle + (abs(middle - lowest) or abs(middle) or 1))
        return Tail(lowest, share, float(middle), float(high), 1.0)
    first, last, beyond = (np.log(part) ** _EXPONENTS for part in (2.0, 10.0, 20.0))
    bends = (beyond - last) / (last - first)
    exponent = np.interp((higher - high) / (high - middle), bends, _EXPONENTS)
    return Tail(lowest, share, float(middle), float(high), float(exponent))
