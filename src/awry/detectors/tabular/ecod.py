"""ECOD: empirical cumulative distribution outlier detection."""

from __future__ import annotations

import numpy as np
from scipy.stats import skew

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.threshold import Threshold


class ECOD(Detector):
    """Rows in the tails of their columns' empirical distributions.

    The score of a row is the sum over columns of the largest of three negative log tail
    probabilities: left, right and the one on the side the column is skewed to (equations 4 to 8 of
    the paper).

    Parameters
    ----------
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    sorted_ : ndarray of shape (d, n)
        The training columns in ascending order: their empirical distribution functions.
    skew_ : ndarray of shape (d,)
        Sign of each column's skewness.

    Notes
    -----
    Departure from the paper: rows beyond the training range take the probability 1 / n of the
    outermost training row, so that scores stay finite and do not depend on what else is scored.

    References
    ----------
    Li, Zhao, Hu, Botta, Ionescu, Chen: "ECOD: Unsupervised Outlier Detection Using Empirical
    Cumulative Distribution Functions", IEEE TKDE 2022.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[0.0, 9.0, 0.0]]])
    >>> detector = ECOD().fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> detector.explain(X[200:]).top(1)[0][0][0]
    'x1'
    """

    card = Card(
        name="ecod",
        summary="Rows in the far tails of their columns, taken one by one.",
        family="statistical",
        paper="Li et al., ECOD, IEEE TKDE",
        year=2022,
        fit_cost="O(n d log n)",
        score_cost="O(n d log n)",
        finds="extreme values in single columns; no settings; explains itself",
        misses="odd combinations of ordinary values; anomalies in dense middles",
        pyod="ecod.ECOD",
        univariate=True,
    )

    def __init__(self, *, contamination: float | str | Threshold | None = None) -> None:
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.sorted_ = np.sort(X.T, axis=1)
        self.skew_ = np.sign(np.nan_to_num(skew(X, axis=0)))

    def _score(self, X: FloatArray) -> FloatArray:
        return self._tails(X).sum(axis=1)

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        return self._tails(X), 0.0

    def _tails(self, X: FloatArray) -> FloatArray:
        """Largest negative log tail probability of each cell, shape (n, d)."""
        n = self.sorted_.shape[1]
        tails = np.empty(X.shape)
        for j, column in enumerate(self.sorted_):
            below = np.searchsorted(column, X[:, j], side="right")
            above = n - np.searchsorted(column, X[:, j], side="left")
            left = -np.log(np.maximum(below, 1) / n)
            right = -np.log(np.maximum(above, 1) / n)
            tails[:, j] = np.maximum(left, right)
        return tails
