"""What the tests of single columns share: a distance beyond a range, combined over the columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import option
from awry.core.threshold import Threshold
from awry.kernels.columns import columns_of


class Range(NamedTuple):
    """Where a column's ordinary values end, and the units in which values beyond are measured."""

    low: float
    high: float
    low_unit: float
    high_unit: float

    @classmethod
    def around(cls, centre: float, unit: float) -> Range:
        """The range that is one point: every value is measured by its distance from it."""
        return cls(centre, centre, unit, unit)


class Univariate(Detector):
    """Scores a row by how far its values lie beyond the ranges of their columns.

    Subclasses write ``_fit_column``.
    """

    constraints = {"aggregation": option("max", "sum")}

    def __init__(
        self,
        *,
        aggregation: str = "max",
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.aggregation = aggregation
        self.contamination = contamination

    def _fit_column(self, x: FloatArray, columns: int) -> Range:
        """The range of the column ``x`` (n,), one of ``columns``."""
        raise NotImplementedError

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        ranges = np.array([self._fit_column(x, X.shape[1]) for x in columns_of(X)])
        self.low_, self.high_, self.low_unit_, self.high_unit_ = ranges.T.copy()

    def _distances(self, X: FloatArray) -> FloatArray:
        """Distances beyond the ranges, in their units; negative within; shape (n, d)."""
        below = (self.low_ - X) / self.low_unit_
        distances: FloatArray = np.maximum(below, (X - self.high_) / self.high_unit_)
        return distances

    def _score(self, X: FloatArray) -> FloatArray:
        distances = self._distances(X)
        if self.aggregation == "max":
            return np.asarray(distances.max(axis=1))
        # One column after the other, so that rounding does not depend on the batch.
        return np.array(sum(distances.T))

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        distances = self._distances(X)
        return (shares_of_maximum(distances) if self.aggregation == "max" else distances), 0.0


def shares_of_maximum(values: FloatArray) -> FloatArray:
    """Shapley values of the maximum of each row of ``values`` (n, d), adding up to it.

    Sharing a maximum is sharing the cost of a runway among aeroplanes of several sizes: each
    stretch is paid for in equal parts by all who need it (Littlechild & Owen, "A Simple Expression
    for the Shapley Value in a Special Case", Management Science 1973).
    """
    order = np.argsort(values, axis=1)
    stretches = np.diff(np.take_along_axis(values, order, axis=1), axis=1, prepend=0.0)
    shares = np.cumsum(stretches / np.arange(values.shape[1], 0, -1), axis=1)
    out = np.empty_like(shares)
    np.put_along_axis(out, order, shares, axis=1)
    return out
