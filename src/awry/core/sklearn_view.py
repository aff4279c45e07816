"""A detector in scikit-learn's own terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, clone

from awry.core.inputs import FloatArray, IntArray

if TYPE_CHECKING:
    from typing import Self

    from awry.core.detector import Detector


class SklearnView(OutlierMixin, BaseEstimator):
    """scikit-learn's outlier detector over one of awry's.

    ``predict`` gives -1 for anomalies and 1 for normal items; ``decision_function`` is negative for
    anomalies and ``score_samples`` is the negated score.

    Parameters
    ----------
    detector : Detector
        Fitted or not; a fitted one serves as it is, ``fit`` fits a clone.

    Examples
    --------
    >>> import numpy as np
    >>> from awry.detectors import ECOD
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 2)), [[9.0, 9.0]]])
    >>> int(ECOD().fit(X).as_sklearn().predict(X)[-1])
    -1
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    @property
    def _fitted(self) -> Detector:
        return self.detector_ if hasattr(self, "detector_") else self.detector

    @property
    def offset_(self) -> float:
        """What separates ``score_samples`` of anomalies from those of normal items."""
        return -self._fitted.threshold_

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a clone of the detector on ``X`` (n, d)."""
        self.detector_ = clone(self.detector).fit(X, y)
        return self

    def score_samples(self, X: Any) -> FloatArray:
        """The negated score of each row, shape (n,)."""
        return -self._fitted.decision_function(X)

    def decision_function(self, X: Any) -> FloatArray:
        """``score_samples`` less ``offset_``, shape (n,); negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> IntArray:
        """-1 for anomalies, 1 for normal items, shape (n,)."""
        return np.where(self._fitted.predict(X) == 1, -1, 1)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self._fitted, "decision_scores_")
