"""What a threshold is: fitted on scores, it says which are flagged, and why there."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from awry.core.inputs import FloatArray, IntArray, check_labels
from awry.core.params import Configurable, real
from awry.core.tail import check_scores

RATE = real(0.0, 0.5, "()")
POSITIVE = real(0.0, None, "(]")


class Threshold(Configurable):
    """Base of all rules that set a threshold on scores.

    A subclass writes ``_fit``, which returns the threshold, the stated rate and the reason.

    Attributes
    ----------
    threshold_ : float
        An item is flagged when its score is above it.
    stated_rate_ : float or None
        The share of data without anomalies the rule claims to flag; None where it claims nothing.
    reason_ : str
        How the threshold was set, in words.
    """

    #: Whether ``fit`` cannot do without labels.
    needs_labels: ClassVar[bool] = False

    threshold_: float
    stated_rate_: float | None
    reason_: str

    def fit(self, scores: Any, y: Any = None) -> Self:
        """Set the threshold.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Finite; higher = more anomalous.
        y : array-like of shape (n,), optional
            1 anomaly, 0 normal, -1 not judged.
        """
        self.check_params()
        values, owner = check_scores(scores), type(self).__name__
        labels = None if y is None else check_labels(y, len(values), owner)
        if self.needs_labels:
            kinds = {1: "anomalies (1)", 0: "normal rows (0)"}
            missing = [word for kind, word in kinds.items() if labels is None or kind not in labels]
            if missing:
                given = "none were given" if labels is None else f"y has no {missing[0]}"
                raise ValueError(f"{owner}: the threshold needs labels of both kinds, {given}")
        threshold, rate, self.reason_ = self._fit(values, labels)
        self.threshold_, self.stated_rate_ = float(threshold), None if rate is None else float(rate)
        return self

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        raise NotImplementedError

    def predict(self, scores: Any) -> IntArray:
        """1 where a score is above the threshold, else 0; NaN is refused."""
        values = np.asarray(scores, dtype=np.float64)
        if np.isnan(values).any():
            raise ValueError(f"scores must be numbers, got {np.isnan(values).sum()} NaN")
        return (values > self.threshold_).astype(np.int64)
