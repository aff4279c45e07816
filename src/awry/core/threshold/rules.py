"""Rules of thumb: a share, a value, the mean or median and some spread."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import real
from awry.core.threshold.base import POSITIVE, RATE, Threshold


class Quantile(Threshold):
    """Flags the share ``contamination`` of the scores it is fitted on, as PyOD does.

    Parameters
    ----------
    contamination : float in (0, 0.5], default=0.1

    Examples
    --------
    >>> Quantile(0.25).fit([1.0, 2.0, 3.0, 10.0]).predict([3.0, 11.0])
    array([0, 1])
    """

    constraints = {"contamination": real(0.0, 0.5, "(]")}

    def __init__(self, contamination: float = 0.1) -> None:
        self.contamination = contamination

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        share = self.contamination
        cut = np.percentile(scores, 100 * (1 - share))
        return cut, share, f"the top {share:.4g} of the scores, as asked"


class Fixed(Threshold):
    """A threshold given outright: flags scores above ``value``."""

    constraints = {"value": real()}

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        return self.value, None, "the value given"


class SigmaRule(Threshold):
    """Mean + k standard deviations. Far scores raise both, so a few can hide one another.

    Parameters
    ----------
    k : float > 0, default=3.0
    """

    constraints = {"k": POSITIVE}

    def __init__(self, k: float = 3.0) -> None:
        self.k = k

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        cut = scores.mean() + self.k * scores.std()
        return cut, None, f"the mean and {self.k:g} standard deviations of the scores"


class MAD(Threshold):
    """Median + k times 1.4826 times the median absolute deviation.

    Where that deviation vanishes, because more than half of the scores are equal, the percentile
    that a normal distribution has at k standard deviations takes its place.

    Parameters
    ----------
    k : float > 0, default=3.5

    References
    ----------
    Iglewicz & Hoaglin: "How to Detect and Handle Outliers", ASQC 1993.
    """

    constraints = {"k": POSITIVE}

    def __init__(self, k: float = 3.5) -> None:
        self.k = k

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        middle = float(np.median(scores))
        spread = 1.4826 * float(np.median(np.abs(scores - middle)))
        if spread > 0:
            reason = f"the median and {self.k:g} scaled median absolute deviations of the scores"
            return middle + self.k * spread, None, reason
        share = float(ndtr(self.k))
        reason = f"the {share:.2%} percentile, since the median absolute deviation is 0"
        return np.quantile(scores, share), 1 - share, reason


class GaussianTail(Threshold):
    """The score a share ``alpha`` of a normal distribution, fitted by likelihood, lies above.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.001
    """

    constraints = {"alpha": RATE}

    def __init__(self, alpha: float = 0.001) -> None:
        self.alpha = alpha

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        cut = scores.mean() - ndtri(self.alpha) * scores.std()
        reason = f"the upper {self.alpha:g} of a normal distribution fitted to the scores"
        return cut, self.alpha, reason
