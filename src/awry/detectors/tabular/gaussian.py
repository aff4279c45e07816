"""Gaussian: squared Mahalanobis distance from the mean."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import real
from awry.core.threshold import Threshold

#: Rows whose deviations are held at a time.
_BLOCK = 1 << 14


class Gaussian(Detector):
    """Rows far from the mean, measured in the spread of the data in that direction.

    The score is the squared Mahalanobis distance (x - μ)ᵀ Σ⁻¹ (x - μ) with the mean μ and the
    covariance Σ of all training rows; for normal data it follows a χ² law with d degrees of
    freedom. The contribution of column j is (x - μ)_j (Σ⁻¹ (x - μ))_j; they sum to the score.

    Parameters
    ----------
    reg_covar : float, default=1e-6
        Share of each column's variance added to it, as if every column carried so much noise of
        its own. It keeps Σ regular where columns are constant, collinear or more than the rows.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    location_ : ndarray of shape (d,)
        The mean μ.
    covariance_ : ndarray of shape (d, d)
        The covariance Σ, including what ``reg_covar`` adds.
    whitening_ : ndarray of shape (d, d)
        A matrix W with W Wᵀ = Σ⁻¹: the columns of (x - μ) W are uncorrelated and of variance 1.

    References
    ----------
    Mahalanobis: "On the generalised distance in statistics", Proc. Nat. Inst. Sci. India 1936.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 1))
    >>> X = np.hstack([x, x + 0.1 * np.random.default_rng(1).normal(size=(200, 1))])
    >>> X[7] = [1.0, -1.0]
    >>> int(Gaussian().fit(X).decision_scores_.argmax())
    7
    """

    card = Card(
        name="gaussian",
        summary="Rows far from the mean in terms of the covariance.",
        family="statistical",
        paper="Mahalanobis, On the generalised distance in statistics",
        year=1936,
        fit_cost="O(n d^2 + d^3)",
        score_cost="O(n d^2)",
        finds="rows that break linear relations between columns; extreme rows",
        misses="anomalies in clustered or curved data; many anomalies hide one another",
        aliases=("mahalanobis",),
    )
    constraints = {"reg_covar": real(1e-12)}

    def __init__(
        self,
        *,
        reg_covar: float = 1e-6,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.reg_covar = reg_covar
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        location, covariance = moments(X)
        variances = positive_variances(location, np.diag(covariance))
        self._set_ellipse(location, covariance + np.diag(self.reg_covar * variances))

    def _set_ellipse(self, location: FloatArray, covariance: FloatArray) -> None:
        self.location_, self.covariance_ = location, covariance
        self.whitening_ = whitening(covariance)

    def _score(self, X: FloatArray) -> FloatArray:
        return squared_distances(X, self.location_, self.whitening_)

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        return distance_terms(X, self.location_, self.whitening_), 0.0


def moments(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (d,) and covariance (d, d) of the rows of ``X`` (n, d), over n, without a copy of it."""
    mean, total = X.mean(axis=0), np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK] - mean
        total += block.T @ block
    return mean, total / len(X)


def positive_variances(location: FloatArray, variances: FloatArray) -> FloatArray:
    """``variances`` (d,), with 1 for columns constant at ``location`` but for rounding."""
    rounding = (10 * np.finfo(float).eps * np.abs(location)) ** 2
    return np.where(variances > rounding, variances, 1.0)


def whitening(covariance: FloatArray) -> FloatArray:
    """W (d, d) with W Wᵀ the inverse of ``covariance`` (d, d), which must be positive definite."""
    # Columns brought to one scale first: only what truly is near singular is hard to invert.
    scale = np.sqrt(np.diag(covariance))
    factor = np.linalg.cholesky(covariance / np.outer(scale, scale))
    return np.ascontiguousarray(np.linalg.inv(factor).T / scale[:, None])


def squared_distances(X: FloatArray, location: FloatArray, whitening: FloatArray) -> FloatArray:
    """Squared Mahalanobis distances of the rows of ``X`` (n, d) from ``location``, shape (n,)."""
    white = (X - location) @ whitening
    return np.einsum("ij,ij->i", white, white)


def distance_terms(X: FloatArray, location: FloatArray, whitening: FloatArray) -> FloatArray:
    """What each column adds to the squared Mahalanobis distance, shape (n, d)."""
    deviations = X - location
    return deviations * (deviations @ whitening @ whitening.T)
