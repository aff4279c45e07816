"""Scores of different detectors, made comparable."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.stats import rankdata

from awry.core.inputs import FloatArray
from awry.core.params import Configurable, option

#: Most points of a score's distribution that are kept; half of them in its upper twentieth.
MAX_KNOTS = 2_000


class Scale(Configurable):
    """A rising, piecewise linear map that makes scores of different detectors comparable.

    Parameters
    ----------
    kind : {"tail", "rank", "standard"}, default="tail"
        ``"tail"``: the negative log of the share of training scores above (the ranks' exponential
        tail), beyond the largest training score rising by one per mean excess over the 95 %
        quantile. ``"rank"``: the share of training scores below, 0 to 1. ``"standard"``: mean 0 and
        standard deviation 1, as PyOD's ``standardizer``.

    Examples
    --------
    >>> Scale("rank").fit(np.array([3.0, 1.0, 2.0])).transform(np.array([1.0, 2.5, 9.0]))
    array([0.25 , 0.625, 0.75 ])
    """

    constraints = {"kind": option("tail", "rank", "standard")}

    def __init__(self, kind: str = "tail") -> None:
        self.kind = kind

    def fit(self, scores: FloatArray) -> Self:
        """Learn the map from training scores (n,)."""
        self.check_params()
        ordered = np.sort(scores)
        n = len(ordered)
        self.slope_ = 0.0
        if self.kind == "standard":
            spread = float(scores.std()) or 1.0
            self.knots_ = np.array([0.0, spread]) + scores.mean()
            self.values_, self.slope_ = np.array([0.0, 1.0]), 1.0 / spread
            return self
        share = rankdata(ordered) / (n + 1)
        if n > MAX_KNOTS:
            body = np.linspace(0, 0.95 * n, MAX_KNOTS // 2, endpoint=False)
            tail = np.linspace(0.95 * n, n - 1, MAX_KNOTS // 2)
            keep = np.concatenate([body, tail]).astype(int)
            ordered, share = ordered[keep], share[keep]
        self.knots_, first = np.unique(ordered, return_index=True)
        self.values_ = share[first]
        if self.kind == "tail":
            self.values_ = -np.log1p(-self.values_)
            high = float(np.quantile(scores, 0.95))
            excess = float((scores[scores >= high] - high).mean())
            self.slope_ = 1.0 / excess if excess > 0 else 0.0
        return self

    def transform(self, scores: FloatArray) -> FloatArray:
        """The comparable form of ``scores`` (n,)."""
        if self.kind == "standard":
            return (scores - self.knots_[0]) * self.slope_
        beyond = np.maximum(scores - self.knots_[-1], 0.0)
        return np.interp(scores, self.knots_, self.values_) + beyond * self.slope_
