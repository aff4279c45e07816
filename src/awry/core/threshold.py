"""Thresholds: objects that turn scores into decisions."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable, real


class Threshold(Configurable):
    """Base of all rules that set a threshold on scores.

    Attributes
    ----------
    threshold_ : float
        An item is flagged when its score is above it.
    stated_rate_ : float or None
        The share of clean data the rule claims to flag.
    reason_ : str
        One sentence: how the threshold was set.
    """

    #: Whether ``fit`` cannot do without labels (read by :class:`~awry.core.detector.Detector`).
    needs_labels: ClassVar[bool] = False

    threshold_: float
    stated_rate_: float | None
    reason_: str

    def fit(self, scores: FloatArray, y: IntArray | None = None) -> Self:
        """Set the threshold on ``scores`` (n,) and, where the rule uses them, labels ``y`` (n,)."""
        raise NotImplementedError

    def predict(self, scores: FloatArray) -> IntArray:
        """1 where a score is above the threshold, else 0."""
        return (np.asarray(scores) > self.threshold_).astype(np.int64)


class Quantile(Threshold):
    """Flags the share ``contamination`` of the scores it is fitted on, as PyOD does."""

    constraints = {"contamination": real(0, 0.5, "(]")}

    def __init__(self, contamination: float = 0.1) -> None:
        self.contamination = contamination

    def fit(self, scores: FloatArray, y: IntArray | None = None) -> Self:
        self.check_params()
        self.threshold_ = float(np.percentile(scores, 100 * (1 - self.contamination)))
        self.stated_rate_ = self.contamination
        self.reason_ = f"the top {self.contamination:.2%} of the training scores"
        return self


def make_threshold(spec: Any) -> Threshold:
    """A fresh, unfitted threshold from None, a number, a short form or a Threshold."""
    return Quantile(0.01 if spec is None else float(spec))


class Fixed(Threshold):
    """A threshold given outright: flags scores above ``value``."""

    constraints = {"value": real()}

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def fit(self, scores: FloatArray, y: IntArray | None = None) -> Self:
        self.check_params()
        self.threshold_, self.stated_rate_ = float(self.value), None
        self.reason_ = "the value given"
        return self
