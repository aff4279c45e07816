"""What all models share: a detector by name, a rule for decisions, and severities."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np

from awry.core import registry
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable
from awry.core.threshold import Levels, Threshold, make_threshold


class Judge(Configurable):
    """Base of models: makes detectors and turns scores into decisions.

    A subclass has the parameters ``detector``, ``params`` and ``random_state``.

    Attributes
    ----------
    detector_ : Detector
    threshold_ : float
    rule_ : Threshold
    cuts_ : ndarray of shape (3,)
        Thresholds of the severities, ascending.
    """

    detector: str | Detector
    params: dict[str, Any] | None
    random_state: int | None

    detector_: Detector
    rule_: Threshold
    threshold_: float
    cuts_: FloatArray
    threshold: float | str | Threshold | None
    train_scores_: FloatArray

    def _new_detector(self, contamination: Any) -> Detector:
        if isinstance(self.detector, Detector):
            from sklearn.base import clone

            made: Detector = clone(self.detector)
        else:
            made = registry.create(self.detector, **(self.params or {}))
        known = made.get_params(deep=False)
        if "random_state" in known and known["random_state"] is None:
            made.set_params(random_state=self.random_state)
        return made.set_params(contamination=contamination)

    def _set_cuts(self, rule: Threshold, scores: FloatArray, y: Any) -> None:
        """Fit ``rule`` and set the severer levels."""
        self.rule_ = rule.fit(scores, y)
        self.threshold_ = float(self.rule_.threshold_)
        levels = self.rule_ if isinstance(self.rule_, Levels) else None
        severer = self._severer(scores) if levels is None else levels.cuts_[1:]
        # Severer levels are never below the threshold, whichever rule set that.
        self.cuts_ = np.maximum.accumulate([self.threshold_, *severer])

    def prepare(self) -> None:
        """Make ready, so that the first rows wait no longer than others."""

    def with_threshold(
        self, threshold: float | str | Threshold, scores: Any = None, y: Any = None
    ) -> Self:
        """A model that decides by another rule; this one stays as it is.

        Parameters
        ----------
        threshold
            As :func:`~awry.core.threshold.make_threshold` takes it.
        scores, y : array-like of shape (n,), optional
            What to set it on: scores, by default those of training, and labels of them.
        """
        other = copy(self)
        other.threshold = threshold
        on = other.train_scores_ if scores is None else np.asarray(scores, dtype=np.float64)
        other._set_cuts(make_threshold(threshold), on, y)
        return other

    def _severer(self, scores: FloatArray) -> FloatArray:
        """The levels above the threshold, shape (2,)."""
        return Levels().fit(scores).cuts_[1:]

    def severity(self, scores: FloatArray) -> IntArray:
        """0 not flagged, 1 warning, 2 critical, 3 emergency, shape (n,)."""
        flagged = scores > self.threshold_
        severity: IntArray = np.where(flagged, np.searchsorted(self.cuts_, scores, "left"), 0)
        return np.maximum(severity, flagged).astype(np.int64)

    def levels(self) -> list[tuple[str, float]]:
        """Names and thresholds of the severities, ascending; levels that coincide are one."""
        names = ("warning", "critical", "emergency")
        kept = {float(cut): name for name, cut in zip(names, self.cuts_, strict=False)}
        return [(name, cut) for cut, name in sorted(kept.items())]

    def describe(self) -> dict[str, Any]:
        """The detector's card and settings, and why it was chosen, as plain data."""
        detector = self.detector_
        return {
            "name": detector.card.name,
            "class": type(detector).__name__,
            "summary": detector.card.summary,
            "paper": f"{detector.card.paper} ({detector.card.year})",
            "parameters": {k: str(v) for k, v in detector.get_params(deep=False).items()},
            "choice": getattr(detector, "choice_", None),
        }
