"""Thresholds read off the tail of the scores; the default is among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import listing, real
from awry.core.tail import ScoreTail, fit_pareto, pareto_isf
from awry.core.threshold.base import RATE, Threshold


class POT(Threshold):
    """Peaks over threshold: the score a share ``alpha`` exceeds, by extreme value theory.

    The excesses over the ``level`` quantile follow a generalised Pareto law, fitted by Grimshaw's
    reduction. Anomalies among the scores count as peaks and raise the threshold: fit it on a
    calibration period, as the paper does.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.001
        The risk, q in the paper.
    level : float in (0, 1), default=0.98
        Quantile over which scores count as peaks, lowered until there are ten.

    References
    ----------
    Siffer, Fouque, Termier, Largouet: "Anomaly Detection in Streams with Extreme Value Theory",
    KDD 2017, equation 1 and section 3.3.
    """

    constraints = {"alpha": RATE, "level": real(0.0, 1.0, "()")}

    def __init__(self, alpha: float = 0.001, level: float = 0.98) -> None:
        self.alpha = alpha
        self.level = level

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        ordered = np.sort(scores)
        n = len(ordered)
        start = ordered[max(min(int(self.level * n), n - 11), 0)]
        excesses = ordered[ordered > start] - start
        share = len(excesses) / n
        reason = f"exceeded by {self.alpha:g} of rows, by a Pareto tail of {len(excesses)} peaks"
        if share <= self.alpha:  # ties, or fewer peaks than alarms: nothing to extrapolate
            return np.quantile(ordered, 1 - self.alpha), self.alpha, reason
        shape, scale = fit_pareto(excesses)
        return start + pareto_isf(self.alpha / share, shape, scale), self.alpha, reason


class Adaptive(Threshold):
    """The default: flags what a normal row would exceed with probability ``alpha``.

    The tail of the normal rows' scores is fitted by :class:`~awry.core.tail.ScoreTail`, which first
    looks for a separate group of high scores and, where it is there, fits the tail without it. So
    clean data has about ``alpha`` flagged, and data with a group of anomalies the group. Anomalies
    whose scores continue the normal tail without a break cannot be told from one by scores alone.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.01
        Share of clean data flagged. A hundredth is what a person can look at, and a tenth of what
        is customary.
    max_share : float in (0, 0.5], default=0.35
        A group with more than this share of the scores is taken for normal.

    Attributes
    ----------
    group_share_ : float
        Share of the scores in a separate group of high ones; 0 where there is none.
    """

    constraints = {"alpha": RATE, "max_share": real(0.0, 0.5, "(]")}

    def __init__(self, alpha: float = 0.01, max_share: float = 0.35) -> None:
        self.alpha = alpha
        self.max_share = max_share

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        tail = ScoreTail.fit(scores, max_share=self.max_share)
        self.group_share_ = float(tail.group_share)
        reason = f"exceeded by {self.alpha:.3g} of normal rows, by the tail of their scores"
        if self.group_share_ > 0:
            reason += f", less a separate group of {self.group_share_:.2%} high scores"
        return tail.isf(self.alpha), self.alpha, reason


class Levels(Threshold):
    """Several levels at once: warning, critical and emergency.

    Parameters
    ----------
    alphas : three falling floats in (0, 0.5), default=(0.01, 0.001, 0.0001)
        Shares of normal rows that exceed each level, by the tail of :class:`Adaptive`.

    Attributes
    ----------
    cuts_ : ndarray of shape (3,)
        The thresholds, ascending; the first is ``threshold_``.

    Examples
    --------
    >>> levels = Levels().fit(np.random.default_rng(0).exponential(size=5000))
    >>> levels.severity([0.0, 5.0, 8.0, 20.0])
    array([0, 1, 2, 3])
    """

    constraints = {"alphas": listing(RATE)}

    def __init__(self, alphas: Any = (0.01, 0.001, 0.0001)) -> None:
        self.alphas = alphas

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        alphas = [float(a) for a in self.alphas]
        if len(alphas) != 3 or sorted(alphas, reverse=True) != alphas:
            raise ValueError(f"Levels: alphas must be three falling numbers, got {self.alphas!r}")
        tail = ScoreTail.fit(scores)
        self.cuts_ = np.maximum.accumulate([tail.isf(a) for a in alphas])
        shares = ", ".join(f"{a:g}" for a in alphas)
        reason = f"levels exceeded by {shares} of normal rows, by the tail of their scores"
        return self.cuts_[0], alphas[0], reason

    def severity(self, scores: Any) -> IntArray:
        """0 not flagged, 1 warning, 2 critical, 3 emergency, per score."""
        return np.searchsorted(self.cuts_, np.asarray(scores), side="left")
