"""How one detector did on labelled data, as numbers and as curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.metrics.ranking import evaluate


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one detector's scores against labels.

    Attributes
    ----------
    name : str
        The detector.
    y : ndarray of shape (n,)
        Labels, 1 or 0; rows without a label are left out.
    scores : ndarray of shape (n,)
    threshold : float
    metrics : dict
        By name; ``cpu_seconds`` is what fitting and scoring cost.
    """

    name: str
    y: IntArray
    scores: FloatArray
    threshold: float
    metrics: dict[str, Any]

    @classmethod
    def of(
        cls, name: str, y: IntArray, scores: FloatArray, threshold: float, *, cpu_seconds: float
    ) -> Evaluation:
        """Measure ``scores`` (n,) against ``y`` (n,), rows with y = -1 left out."""
        judged = y >= 0
        if len(np.unique(y[judged])) < 2:
            raise DataError(
                "the labels hold only one class", remedy="give labels with both 1 and 0"
            )
        y, scores = y[judged], scores[judged]
        metrics = evaluate(y, scores, threshold).to_dict() | {"cpu_seconds": cpu_seconds}
        return cls(name, y, scores, threshold, metrics)

    def to_dict(self) -> dict[str, Any]:
        """The metrics as plain data."""
        return {
            "detector": self.name,
            "rows": len(self.y),
            "anomalies": int(self.y.sum()),
            "threshold": self.threshold,
            "metrics": self.metrics,
        }
