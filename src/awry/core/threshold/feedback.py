"""A threshold from what people said of the rows: marks, most of them among the highest scores."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.params import real
from awry.core.threshold.base import RATE, Threshold


class FromFeedback(Threshold):
    """The lowest threshold that keeps false alarms at the wanted rate, as far as marks can tell.

    Fitted on the scores of all rows, with y 1 for those confirmed, 0 for false alarms and -1 for
    the many not judged. Above a threshold, false alarms are those marked so, and of the unmarked
    rows down to the lowest marked one a share not above the exact binomial bound (Clopper and
    Pearson) by the marks above the threshold; farther down all count as false alarms. Without
    marks this flags a share ``alpha`` of the rows; confirmed rows lower it, false alarms do not
    lift it above that.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.01
        False alarms wanted at most, as a share of normal rows.
    confidence : float in (0, 1), default=0.9
        Of the bound.

    Attributes
    ----------
    interval_ : tuple of float
        Between which the share of normal rows flagged lies, each end with ``confidence``.

    References
    ----------
    Clopper & Pearson: "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
    Binomial", Biometrika 1934. Angelopoulos et al.: "Learn then Test", 2021, section 2.1, for
    testing thresholds in a fixed sequence.

    Examples
    --------
    >>> scores = np.arange(1000.0)
    >>> y = np.full(1000, -1)
    >>> rule = FromFeedback(0.01).fit(scores, y)
    >>> int((scores > rule.threshold_).sum())
    10
    >>> y[-50:] = 1  # confirmed
    >>> int((scores > rule.fit(scores, y).threshold_).sum())
    59
    """

    constraints = {"alpha": RATE, "confidence": real(0.0, 1.0, "()")}

    def __init__(self, alpha: float = 0.01, confidence: float = 0.9) -> None:
        self.alpha = alpha
        self.confidence = confidence

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        marks = np.full(len(scores), UNLABELLED) if y is None else y
        order = np.argsort(-scores, kind="stable")
        s, marks = scores[order], marks[order]
        normal = len(s) - int((marks == 1).sum())
        if normal == 0:
            raise ValueError("FromFeedback: y must leave at least one row that is not confirmed")
        # Index i stands for flagging the i rows with the highest scores.
        flagged = np.arange(len(s) + 1)
        judged = np.append(0, np.cumsum(marks != UNLABELLED))
        false = np.append(0, np.cumsum(marks == 0))
        last = int(np.flatnonzero(marks != UNLABELLED).max(initial=-1)) + 1
        among = np.minimum(flagged, last) - judged
        beyond = np.maximum(flagged - last, 0)
        right = judged - false
        sure = self.confidence
        high = betaincinv(false + 1, np.maximum(right, 1), sure)
        high = np.where(right == 0, 1.0, high)
        low = np.where(false == 0, 0.0, betaincinv(np.maximum(false, 1), right + 1, 1 - sure))
        most, least = false + high * among + beyond, false + low * among
        # Rows that score alike are flagged together.
        apart = np.flatnonzero(np.concatenate([[True], s[1:] < s[:-1], [True]]))
        # From the top on, and no farther than the first that may flag too many: so the threshold
        # keeps the bound's confidence though many were tried (fixed-sequence testing).
        within = most[apart] <= self.alpha * normal * (1 + 1e-12)
        i = int(apart[-1] if within.all() else apart[within.argmin() - 1])
        self.interval_ = (float(least[i] / normal), float(most[i] / normal))
        cut = s[i] if i < len(s) else np.nextafter(s[-1], -np.inf)
        words = (
            f"{self.interval_[0]:.2g} to {self.interval_[1]:.2g} of normal rows above it "
            f"({sure:.0%} sure), by {false[i]:,} false alarms among {judged[i]:,} marks there"
        )
        return cut, self.interval_[1] or None, words
