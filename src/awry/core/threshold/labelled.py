"""Thresholds that use what is known of the rows: labels, held-out normal rows, costs."""

from __future__ import annotations

import numpy as np

from awry.core.calibration import AnomalyProbability
from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.threshold.base import POSITIVE, RATE, Threshold


class TargetFPR(Threshold):
    """The conformal threshold: a new normal row is flagged with probability at most ``alpha``.

    Fitted on scores of m held-out normal rows (with labels: of those labelled 0). A new normal row
    is as likely to take any rank among them, so it exceeds the j-th highest with probability at
    most ``j / (m + 1)``, whatever the distribution; j is the largest that keeps the promise.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.01

    References
    ----------
    Laxhammar & Falkman: "Conformal prediction for distribution-independent anomaly detection in
    streaming vessel data", 2010; Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World".
    """

    constraints = {"alpha": RATE}

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        normal = np.sort(scores if y is None else scores[y == 0])
        m = len(normal)
        if m == 0:
            raise ValueError("TargetFPR: y must hold at least one normal row (0)")
        # Too few normal rows to promise so little: their highest score is the best that can be had.
        j = max(int(self.alpha * (m + 1) + 1e-9), 1)
        rate = max(self.alpha, 1 / (m + 1))
        return normal[-j], rate, f"at most {rate:.3g} of normal rows above it, by {m:,} of them"


class MaxF1(Threshold):
    """The threshold with the best F-score on labelled data.

    Parameters
    ----------
    beta : float > 0, default=1.0
        Recall counts ``beta`` times as much as precision.
    """

    needs_labels = True
    constraints = {"beta": POSITIVE}

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        assert y is not None
        cuts, hits, false, missed = _sweep(scores, y)
        weight = self.beta**2
        f = (1 + weight) * hits / ((1 + weight) * hits + weight * missed + false)
        best = int(np.argmax(f))
        return cuts[best], None, f"the best F{self.beta:g} on the labelled rows, {f[best]:.3f}"


class Cost(Threshold):
    """The threshold with the least cost.

    With labels of both kinds, the least total cost on the labelled rows. Without, rows are flagged
    whose probability of being an anomaly (:class:`~awry.core.calibration.AnomalyProbability`) makes
    flagging the cheaper choice: above ``false_alarm / (false_alarm + miss)``.

    Parameters
    ----------
    false_alarm : float > 0, default=1.0
        Cost of flagging a normal row.
    miss : float > 0, default=10.0
        Cost of not flagging an anomaly.
    """

    constraints = {"false_alarm": POSITIVE, "miss": POSITIVE}

    def __init__(self, false_alarm: float = 1.0, miss: float = 10.0) -> None:
        self.false_alarm = false_alarm
        self.miss = miss

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        costs = f"{self.false_alarm:g} a false alarm and {self.miss:g} a miss"
        if y is not None and {0, 1} <= set(y.tolist()):
            cuts, _, false, missed = _sweep(scores, y)
            best = int(np.argmin(self.false_alarm * false + self.miss * missed))
            return cuts[best], None, f"the least cost on the labelled rows, at {costs}"
        worth = self.false_alarm / (self.false_alarm + self.miss)
        ordered = np.unique(scores)
        calm = AnomalyProbability().fit(scores).transform(ordered) <= worth
        cut = ordered[calm][-1] if calm.any() else np.nextafter(ordered[0], -np.inf)
        return cut, None, f"where flagging is the cheaper choice by probability, at {costs}"


def _sweep(
    scores: FloatArray, y: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Every threshold worth trying, and the hits, false alarms and misses it makes on ``y``.

    From flagging nothing on, one halfway below each distinct score, so that the next scores to come
    have room on both sides.
    """
    judged = y != UNLABELLED
    s, at = np.unique(scores[judged], return_inverse=True)
    odd = np.bincount(at, y[judged] == 1)[::-1]
    normal = np.bincount(at)[::-1] - odd
    s = s[::-1]
    below = np.append(s[1:], np.nextafter(s[-1], -np.inf))
    halfway = below + (s - below) / 2
    # Rounding must not lift a cut up to the score it is to lie below.
    cuts = np.append(s[0], np.where(halfway < s, halfway, below))
    hits, false = (np.append(0.0, np.cumsum(counts)) for counts in (odd, normal))
    return cuts, hits, false, hits[-1] - hits
