"""Scores of many series on one scale: how surprising each is among those of its own series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.params import Configurable
from awry.core.tail import ScoreTail

#: Up to so many series have a tail of their own; more share the shape of one.
OWN_TAILS = 200
#: Scores kept to fit a shared tail.
_POOLED = 20_000
#: Beyond one in a million million a Pareto law says nothing, but higher is still higher.
_DEPTH = 12.0
#: High scores no further apart are one run.
_RUN = 3


class Surprise(Configurable):
    """-log10 of the share of a series' normal points that score as high: 3 is one in a thousand.

    It rises strictly with the score. Each series has the tail of its own scores, see
    :class:`~awry.core.tail.ScoreTail`; of more than 200 series each has its own median and spread
    (the 90 % quantile above it), and all share one tail, for which short series alone hold too few
    points.

    Attributes
    ----------
    centers_, units_ : ndarrays of shape (n,)
    tails_ : list of dict
        One for each series, or one in all.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = [rng.exponential(size=5000), 70 * rng.exponential(size=5000)]
    >>> surprise = Surprise().fit(scores)
    >>> surprise.transform(0, [6.9]).round(0), surprise.transform(1, [70 * 6.9]).round(0)
    (array([3.]), array([3.]))
    """

    def fit(self, scores: Sequence[FloatArray]) -> Self:
        """Learn from the scores (m,) of each series, in order of time.

        Of high scores in a row the highest counts once, as declustering by runs has it (Coles: "An
        Introduction to Statistical Modeling of Extreme Values", 2001, section 5.3.2): an event that
        lasts must not pass for a heavy tail.
        """
        self.centers_, self.units_ = np.zeros(len(scores)), np.ones(len(scores))
        for i, values in enumerate(scores):
            if len(values):
                self.centers_[i], high = np.quantile(values, (0.5, 0.9))
                spread = high - self.centers_[i] or values.max() - self.centers_[i]
                self.units_[i] = spread if spread > 0 else 1.0
        scaled = [_declustered(self._scale(i, values)) for i, values in enumerate(scores)]
        if len(scores) > OWN_TAILS:
            pooled = np.concatenate(scaled)
            scaled = [pooled[:: max(1, len(pooled) // _POOLED)]]
        none = np.zeros(1)
        tails = (ScoreTail.fit(s if len(s) else none, group=False) for s in scaled)
        self.tails_ = [dict(vars(tail)) for tail in tails]
        return self

    def transform(self, i: int, scores: FloatArray | Sequence[float]) -> FloatArray:
        """The surprise of scores (m,) of series ``i``, shape (m,)."""
        tail = ScoreTail(**self.tails_[min(i, len(self.tails_) - 1)])
        values = self._scale(i, np.asarray(scores, dtype=np.float64))
        depth = -np.log10(tail.sf(values))
        far = depth > _DEPTH
        if far.any():
            edge = tail.isf(10.0**-_DEPTH)
            unit = edge - tail.start or 1.0
            beyond = np.clip((values[far] - edge) / unit, 0, None)
            depth[far] = _DEPTH + np.log10(1 + beyond)
        return np.asarray(np.maximum(depth, 0.0))

    def _scale(self, i: int, scores: FloatArray) -> FloatArray:
        return np.asarray((scores - self.centers_[i]) / self.units_[i])


def _declustered(scores: FloatArray) -> FloatArray:
    """Scaled scores, of which only the highest counts in each run above the 90 % quantile."""
    high = np.flatnonzero(scores > 1.0)
    if not len(high):
        return scores
    runs = np.flatnonzero(np.diff(high, prepend=high[0] - _RUN - 1) > _RUN)
    return np.r_[scores[scores <= 1.0], np.maximum.reduceat(scores[high], runs)]
