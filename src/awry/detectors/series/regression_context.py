"""Regression context: each channel beside what the other channels say it should be."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import integer, real
from awry.core.series import Series, SeriesDetector, _shares, robust_moments
from awry.core.threshold import Threshold
from awry.detectors.series._residuals import Band, residual_moments

#: Residuals beyond so many scales count no more than at this limit (Huber).
CLIP = 3.0
#: Scales at which a channel that foretells others is cut.
LEVERAGE = 4.0


class RegressionContext(SeriesDetector):
    """Values of a channel that do not go with those of the other channels.

    Each channel is regressed on the others and their last values, by ridge regression re-weighted
    once by Huber's weights. The score of a channel is ``|residual - median| / scale`` with the
    scaled median absolute deviation of the training residuals; ``explain`` names the
    channel without which the others agree.

    Parameters
    ----------
    lags : int, default=2
        Past values of each other channel that count, beside the present one.
    ridge : float, default=1.0
        Penalty on the squared coefficients, of standardised values.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    coef_ : ndarray of shape (d, d (lags + 1))
        Of standardised values, lag by lag; 0 for a channel's own.
    intercept_ : ndarray of shape (d,)
    residual_center_, residual_scale_ : ndarray of shape (d,)
        Of the training residuals, in standard units.

    Notes
    -----
    Channels that foretell others are cut at 4 scales from their median, so that a fault in one does
    not make all others odd. With one channel the score is its distance from the median. A point
    depends on itself and the points before it only. Missing values are carried on from the last
    known one where they foretell others, and are not judged themselves.

    References
    ----------
    Song, Wu, Jermaine & Ranka: "Conditional Anomaly Detection", IEEE Transactions on Knowledge and
    Data Engineering 2007, for judging some channels given others, here by linear regression;
    weights as in Huber: "Robust Statistics", 1981, chapter 7.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1)) + rng.normal(0, 0.1, size=(300, 3))
    >>> X[200] = [1.0, 0.0, 1.0]  # each an ordinary value, but not together
    >>> detector = RegressionContext().fit(X)
    >>> int(detector.decision_scores_.argmax()), int(detector.explain(X).values[200].argmax())
    (200, 1)
    """

    card = Card(
        name="regression_context",
        summary="Values of a channel that do not go with the other channels.",
        modality="series",
        family="context",
        paper="Song, Wu, Jermaine & Ranka, Conditional Anomaly Detection, TKDE",
        year=2007,
        fit_cost="O(T d² (lags + 1)² d)",
        score_cost="O(T d² (lags + 1))",
        finds="broken relations between channels, and which channel broke them",
        misses="what all channels do together; relations that are not linear",
    )

    constraints = {"lags": integer(0), "ridge": real(0, None, "(]")}

    def __init__(
        self,
        lags: int = 2,
        ridge: float = 1.0,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.lags = lags
        self.ridge = ridge
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        self.center_, self.scale_ = robust_moments(X.values)
        z = (X.values - self.center_) / self.scale_
        design = self._design(X)
        d = z.shape[1]
        self.coef_, self.intercept_ = np.zeros((d, design.shape[1])), np.zeros(d)
        self.residual_center_, self.residual_scale_ = np.zeros(d), np.ones(d)
        for j in range(d):
            known = ~np.isnan(z[:, j])
            others = np.arange(design.shape[1]) % d != j
            if not known.any():
                continue
            rest = z[known, j]
            if others.any() and known.sum() > 2:
                rest = self._regress(design[known], rest, j, others)
            self.residual_center_[j], scale = residual_moments(rest, "mad", 0.1, 0.05)
            self.residual_scale_[j] = max(float(scale), 1e-9)

    def _regress(self, design: FloatArray, z: FloatArray, j: int, others: Any) -> FloatArray:
        """Set the coefficients of channel ``j`` and return its residuals."""
        A = np.column_stack([np.ones(len(z)), design[:, others]])
        penalty = self.ridge * np.eye(A.shape[1])
        penalty[0, 0] = 1e-9
        weights = np.ones(len(z))
        for _ in range(2):
            WA = A * weights[:, None]
            coef = np.linalg.solve(WA.T @ A + penalty, WA.T @ z)
            error = np.abs(z - A @ coef)
            scale = max(1.4826 * float(np.median(error)), 1e-9)
            weights = np.minimum(1.0, CLIP * scale / np.maximum(error, 1e-300))
        self.intercept_[j], self.coef_[j, others] = coef[0], coef[1:]
        return z - A @ coef

    def _design(self, X: Series) -> FloatArray:
        """Present and past values of all channels in standard units, (T, d (lags + 1))."""
        z = (X.filled(causal=True)[0] - self.center_) / self.scale_
        # A channel's first values are missing at most until it begins.
        z[np.isnan(X.values).cumprod(axis=0).astype(bool)] = 0.0
        z = np.clip(z, -LEVERAGE, LEVERAGE)
        n = len(z)
        at = np.arange(n)
        return np.hstack([z[np.maximum(at - lag, 0)] for lag in range(self.lags + 1)])

    def _foretold(self, X: Series) -> FloatArray:
        """What the other channels say, in standard units, (T, d)."""
        return self.intercept_ + self._design(X) @ self.coef_.T + self.residual_center_

    def _score(self, X: Series) -> FloatArray:
        z = (X.values - self.center_) / self.scale_
        return np.abs(z - self._foretold(X)) / self.residual_scale_

    def _contributions(self, X: Series) -> tuple[FloatArray, FloatArray | float]:
        """Shares by how much of the score goes when a channel is put where the others want it.

        A fault shows in the residuals of all channels that the faulty one foretells; putting it
        right takes them all away.
        """
        total = self._score_chunks(X)
        wanted = self.center_ + self.scale_ * self._foretold(X)
        gains = np.empty_like(wanted)
        for j in range(wanted.shape[1]):
            mended = X.values.copy()
            mended[:, j] = np.where(np.isnan(mended[:, j]), np.nan, wanted[:, j])
            gains[:, j] = total - self._score_chunks(Series(mended, X.times))
        return _shares(np.clip(gains, 0.0, None)) * total[:, None], 0.0

    def band(self, X: Any, width: float = 3.0) -> Band:
        """What the other channels say, and where scores lie below ``width``; each (T, d)."""
        check_is_fitted(self)
        expected = self.center_ + self.scale_ * self._foretold(self._check_input(X, reset=False))
        half = width * self.residual_scale_ * self.scale_
        return Band(expected, expected - half, expected + half)
