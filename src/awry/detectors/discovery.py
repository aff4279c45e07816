"""Active anomaly discovery: weights that put marked anomalies high and marked normal rows low."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.threshold import Fixed
from awry.kernels.box import solve_box

T = TypeVar("T", bound=Detector)

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


def rescored(detector: T, scores: FloatArray) -> T:
    """``detector`` with new scores of training rows, and its threshold set anew on them.

    A rule that needs labels of all rows cannot be fitted anew: the threshold stays.
    """
    rule = detector._rule(detector.contamination)
    detector.decision_scores_ = scores
    return detector._set_threshold(Fixed(detector.threshold_) if rule.needs_labels else rule, None)
