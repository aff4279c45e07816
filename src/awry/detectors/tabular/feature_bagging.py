"""Feature bagging: many detectors, each on a random part of the features."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, instance, integer, nothing, option, random_state
from awry.core.threshold import Threshold
from awry.detectors.compose import Committee
from awry.detectors.scale import Scale


class FeatureBagging(Committee):
    """Fuses copies of one detector, each fitted on between half and all but one of the features.

    Parameters
    ----------
    detector : str or Detector, default="lof"
        What is copied.
    n_estimators : int, default=10
    combination : {"average", "maximum"}, default="average"
        Of the standardised scores; the paper's cumulative sum is the average but for a factor.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None

    Attributes
    ----------
    members_ : list of Detector
    features_ : list of ndarray
        The features each member looks at.

    References
    ----------
    Lazarevic & Kumar: "Feature Bagging for Outlier Detection", KDD 2005, figure 1: the number of
    features is uniform between d/2 and d - 1.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 4)), [[9.0, 9.0, 9.0, 9.0]]])
    >>> detector = FeatureBagging("ecod", random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    """

    card = Card(
        name="feature_bagging",
        summary="Rows odd in many random subsets of the features.",
        family="combination",
        paper="Lazarevic & Kumar, Feature Bagging for Outlier Detection, KDD",
        year=2005,
        fit_cost="n_estimators times its detector",
        score_cost="n_estimators times its detector",
        finds="anomalies hidden among noisy features",
        misses="anomalies that need all features at once",
        pyod="feature_bagging.FeatureBagging",
        stochastic=True,
    )
    constraints = {
        "detector": any_of(instance(str), instance(Detector)),
        "n_estimators": integer(1),
        "combination": option("average", "maximum"),
        "n_jobs": any_of(nothing(), integer()),
        "random_state": random_state(),
    }

    def __init__(
        self,
        detector: str | Detector = "lof",
        *,
        n_estimators: int = 10,
        combination: str = "average",
        n_jobs: int | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detector = detector
        self.n_estimators = n_estimators
        self.combination = combination
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        rng, d = self._rng(), X.shape[1]
        sizes = rng.integers(max(1, d // 2), max(2, d), size=self.n_estimators)
        self.features_ = [np.sort(rng.choice(d, size, replace=False)) for size in sizes]
        pairs = zip(self._members([self.detector] * self.n_estimators), self.features_, strict=True)
        self.members_ = self._each(lambda p: p[0].fit(X[:, p[1]]), list(pairs))
        scores = np.column_stack([m.decision_scores_ for m in self.members_])
        self.scales_ = [Scale("standard").fit(column) for column in scores.T]
        return self._combine(scores)

    def _score(self, X: FloatArray) -> FloatArray:
        pairs = list(zip(self.members_, self.features_, strict=True))
        return self._combine(np.column_stack(self._each(lambda p: p[0]._score(X[:, p[1]]), pairs)))

    def _combine(self, scores: FloatArray) -> FloatArray:
        columns = zip(self.scales_, scores.T, strict=True)
        standard = np.column_stack([scale.transform(column) for scale, column in columns])
        return standard.mean(axis=1) if self.combination == "average" else standard.max(axis=1)
