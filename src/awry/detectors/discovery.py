"""Active anomaly discovery: weights that put marked anomalies high and marked normal rows low."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from awry.core.detector import Detector
from awry.core.inputs import UNLABELLED, FloatArray, IntArray, check_labels
from awry.core.threshold import Fixed
from awry.kernels.box import solve_box

#: When a solution is near enough, in standard deviations of scores, and the most sweeps for it.
_TOLERANCE, _MAX_SWEEPS = 1e-6, 5_000


def reweigh(
    marked: Any, y: IntArray, weights: FloatArray, cut: float, *, margin: float, prior: float
) -> FloatArray:
    """Weights near ``weights`` under which scores ``marked @ weights`` agree with the marks.

    Minimises, over w, the mean over marked anomalies of ``max(0, cut + margin - s)``, plus the mean
    over rows marked normal of ``max(0, s - cut + margin)``, plus ``prior / k ‖w - weights‖²``, with
    ``s = marked @ w`` (Das et al. 2017, equation 1). The solution differs from ``weights`` by a sum
    of the marked rows, so that it is found among k numbers however many weights there are.

    Parameters
    ----------
    marked : array or sparse array of shape (k, m)
        What the score of each marked row is a weighted sum of; no row is all zero.
    y : ndarray of shape (k,)
        1 anomaly, 0 normal.
    weights : ndarray of shape (m,)
        Those without marks.
    cut : float
        The score that tells anomalies, a quantile of all.
    margin : float >= 0
        How far beyond it the marked rows are wanted.
    prior : float > 0
        Pull towards ``weights``; a mark more makes it weaker.

    Returns
    -------
    ndarray of shape (m,)
    """
    if not len(y):
        return weights
    odd = y == 1
    sign = np.where(odd, 1.0, -1.0)
    upper = 1.0 / np.where(odd, max(odd.sum(), 1), max((~odd).sum(), 1))
    stiffness = 2.0 * prior / len(y)
    gram = marked @ marked.T
    gram = gram.toarray() if hasattr(gram, "toarray") else gram
    K = np.ascontiguousarray(gram * np.outer(sign, sign) / stiffness, dtype=np.float64)
    short = margin - sign * (marked @ weights - cut)
    moved = marked.T @ (sign * solve_box(K, short, upper, _TOLERANCE, _MAX_SWEEPS))
    return np.asarray(weights + moved / stiffness, dtype=np.float64)


def _teachable(detector: Teachable) -> bool:
    return detector._is_teachable()


class Teachable(Detector):
    """A detector that learns from marks on rows after it was fitted.

    A subclass writes ``_learn`` and ``_trained``.
    """

    def _learn(self, X: FloatArray, y: IntArray) -> None:
        """Learn from rows (k, d) marked 1 or 0, beside those before; change no array in place."""
        raise NotImplementedError

    def _trained(self) -> FloatArray:
        """Scores of training rows under what was learnt."""
        raise NotImplementedError

    def _is_teachable(self) -> bool:
        """Whether it can; may raise an AttributeError that says why not."""
        return True

    @available_if(_teachable)
    def heed(self, X: Any, y: Any) -> Self:
        """As :meth:`feedback`, but leave the threshold and ``decision_scores_`` as they are."""
        check_is_fitted(self)
        X = self._check_input(X, reset=False)
        labels = check_labels(y, len(X), type(self).__name__)
        judged = labels != UNLABELLED
        self._learn(X[judged], labels[judged])
        return self

    @available_if(_teachable)
    def feedback(self, X: Any, y: Any) -> Self:
        """Learn from marks on rows, in addition to those given before.

        ``decision_scores_`` are then those of training rows by what was learnt, of some where there
        are very many, and the threshold is set anew on them; a rule that needs labels of all rows
        leaves it as it is.

        Parameters
        ----------
        X : array-like of shape (k, d)
        y : array-like of shape (k,)
            1 anomaly, 0 normal, -1 not judged.
        """
        self.heed(X, y)
        rule = self._rule(self.contamination)
        self.decision_scores_ = self._trained()
        return self._set_threshold(Fixed(self.threshold_) if rule.needs_labels else rule, None)
