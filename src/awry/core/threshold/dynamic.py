"""A threshold for the scores of a series that sets itself by what flagging would leave behind."""

from __future__ import annotations

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import real
from awry.core.threshold.base import Threshold


class Dynamic(Threshold):
    """Flags what stands out so far that the rest is much calmer without it.

    Of the cuts μ + zσ, z = 2, 2.5, ..., 10, it takes the one that most lowers mean and standard
    deviation of what is left, for as few scores and runs of scores above it as can be (equations
    4 and 5). Runs are then let go, from the lowest, whose maximum is not more than the share
    ``prune`` above the next lower one's (section 3.3). Scores must be those of a series, in order,
    and smooth, and their 0 mean something, such as those of ``LSTMForecaster(errors="smoothed")``.

    Parameters
    ----------
    prune : float in [0, 1), default=0.13

    Notes
    -----
    The cut is set once, on the scores it is fitted on, where the paper sets it anew for every batch
    of 70 points on the 2100 before.

    References
    ----------
    Hundman et al.: "Detecting Spacecraft Anomalies Using LSTMs and Nonparametric Dynamic
    Thresholding", KDD 2018.

    Examples
    --------
    >>> scores = np.tile([0.9, 1.0, 1.1], 100)
    >>> scores[50:55] = 8.0
    >>> Dynamic().fit(scores).predict(scores).sum()
    np.int64(5)
    """

    constraints = {"prune": real(0, 1, "[)")}

    def __init__(self, prune: float = 0.13) -> None:
        self.prune = prune

    def _fit(self, scores: FloatArray, y: IntArray | None) -> tuple[float, float | None, str]:
        floor = min(float(scores.min()), 0.0)
        cut = floor + self._cut(scores - floor)
        return cut, None, "what leaves the other scores calmest"

    def _cut(self, scores: FloatArray) -> float:
        mean, deviation = scores.mean(), scores.std()
        best, cut = 0.0, float(scores.max())
        for z in np.arange(2.0, 10.5, 0.5):
            above = scores > mean + z * deviation
            if not above.any() or deviation <= 0:
                break
            left = scores[~above]
            calmer = (mean - left.mean()) / mean + (deviation - left.std()) / deviation
            value = calmer / (above.sum() + len(_maxima(scores, above)) ** 2)
            if value >= best:
                best, cut = value, mean + z * deviation
        return self._pruned(scores, cut)

    def _pruned(self, scores: FloatArray, cut: float) -> float:
        """The cut, raised above the runs that do not stand out."""
        above = scores > cut
        tops = np.sort(_maxima(scores, above))[::-1]
        if not len(tops):
            return cut
        tops = np.append(tops, scores[~above].max())
        falls = np.flatnonzero((tops[:-1] - tops[1:]) / tops[:-1] > self.prune)
        last = falls[-1] + 1 if len(falls) else 0
        return cut if last == len(tops) - 1 else float(tops[last])


def _maxima(scores: FloatArray, above: np.ndarray) -> FloatArray:
    """The largest score in each run of those above."""
    edges = np.flatnonzero(np.diff(np.r_[False, above, False].astype(np.int8))).reshape(-1, 2)
    return np.array([scores[first:end].max() for first, end in edges])
