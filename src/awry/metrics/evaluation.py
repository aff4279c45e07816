"""How one detector did on labelled data, as numbers and as curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.metrics.ranking import evaluate
from awry.metrics.series import evaluate_series


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

    @classmethod
    def of_series(
        cls,
        name: str,
        series: Sequence[tuple[IntArray, FloatArray, Any]],
        threshold: float,
        *,
        cpu_seconds: float,
    ) -> Evaluation:
        """Measure scores of series: the mean of each metric over those with labels of both kinds.

        Parameters
        ----------
        series : sequence of (y, scores, times)
            Labels (T,), 1, 0 or -1; scores (T,); datetimes (T,) or None.
        """
        y = np.concatenate([labels for labels, _, _ in series])
        scores = np.concatenate([own for _, own, _ in series])
        found = []
        for labels, own, times in series:
            judged = labels >= 0
            if len(np.unique(labels[judged])) == 2:
                at = None if times is None else times[judged]
                found.append(evaluate_series(labels[judged], own[judged], threshold, times=at))
        if not found:
            raise DataError(
                "no series has labels of both kinds", remedy="give labels with both 1 and 0"
            )
        metrics: dict[str, Any] = {"series": len(found)}
        for key, value in found[0].items():
            if isinstance(value, str):
                metrics[key] = value
                continue
            known = [one[key] for one in found if np.isfinite(one[key])]
            metrics[key] = float(np.mean(known)) if known else float("nan")
        known_at = y >= 0
        return cls(
            name, y[known_at], scores[known_at], threshold, metrics | {"cpu_seconds": cpu_seconds}
        )

    def to_dict(self) -> dict[str, Any]:
        """The metrics as plain data."""
        return {
            "detector": self.name,
            "rows": len(self.y),
            "anomalies": int(self.y.sum()),
            "threshold": self.threshold,
            "metrics": self.metrics,
        }
