"""Change points: the segments that fit a series best, by PELT and its kin."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.optional import optional
from awry.core.params import any_of, integer, nothing, option, real
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold


class ChangePoints(SeriesDetector):
    """Points at which the level of a series, or its distribution, changes for a while.

    The series is cut where that lowers the cost of the segments by more than a penalty. The score
    of a change is the square root of the cost it saves, in units of the noise; a point's is that of
    the change that counts most there, fading with the distance from it.

    Parameters
    ----------
    search : {"pelt", "binseg", "window"}, default="pelt"
        The best cuts of all, one cut after the other, or cuts between the two halves of a window.
    cost : {"l2", "rbf"}, default="l2"
        Squared distances from a segment's mean, for levels, or from its mean in the space of a
        Gaussian kernel, for whole distributions.
    penalty : float, default=3.0
        What a change must save, times log T for each channel.
    min_size : int, default=2
        Points in the shortest segment.
    window : int, default=40
        Points in the window of ``search="window"``.
    decay : int or None, default=None
        Points after which a change counts 1/e; None takes 5.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    changes_ : ndarray of int
        First points of the segments but the first.
    gains_ : ndarray
        What each change saves, beside its neighbouring changes.

    Notes
    -----
    Channels are divided by their noise, the scaled median absolute difference of successive points
    over sqrt(2), so that costs are in variances of the noise. Under ``"pelt"`` the cuts are exact.

    References
    ----------
    Killick, Fearnhead & Eckley: "Optimal Detection of Changepoints with a Linear Computational
    Cost", Journal of the American Statistical Association 2012; through ruptures: Truong, Oudre &
    Vayatis, Signal Processing 2020.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=300)
    >>> x[200:] += 4.0
    >>> ChangePoints().fit(x).changes_.tolist()
    [200]
    """

    card = Card(
        name="change_points",
        summary="Points at which level or distribution changes for a while.",
        modality="series",
        family="change points",
        paper="Killick, Fearnhead & Eckley, Optimal Detection of Changepoints, JASA",
        year=2012,
        fit_cost="O(T) to O(T² d)",
        score_cost="transductive",
        finds="shifts of the level, both ends of long events",
        misses="single spikes; what a season explains",
        extra="changepoints",
        inductive=False,
        univariate=True,
    )

    constraints = {
        "search": option("pelt", "binseg", "window"),
        "cost": option("l2", "rbf"),
        "penalty": real(0, None, "(]"),
        "min_size": integer(1),
        "window": integer(2),
        "decay": any_of(nothing(), integer(1)),
    }

    def __init__(
        self,
        search: str = "pelt",
        cost: str = "l2",
        penalty: float = 3.0,
        min_size: int = 2,
        window: int = 40,
        decay: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.search = search
        self.cost = cost
        self.penalty = penalty
        self.min_size = min_size
        self.window = window
        self.decay = decay
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        values, holes = X.filled()
        n, d = values.shape
        noise = (
            1.4826 * np.median(np.abs(np.diff(values, axis=0)), axis=0) / np.sqrt(2) if n > 1 else 0
        )
        fallback = values.std(axis=0)
        signal = (values - values.mean(axis=0)) / np.where(
            noise > 1e-9 * fallback, noise, np.where(fallback > 0, fallback, 1.0)
        )
        penalty = self.penalty * np.log(max(n, 2)) * (d if self.cost == "l2" else 1)
        ends = self._search(signal, penalty) if n >= 2 * max(self.min_size, 2) else [n]
        self.changes_ = np.asarray(ends[:-1], dtype=np.int64)
        self.gains_ = self._gains(signal, [0, *ends])
        scores = np.zeros(n)
        at = np.arange(n)
        for change, gain in zip(self.changes_, self.gains_, strict=True):
            near = np.exp(-np.abs(at - change) / (self.decay or 5))
            scores = np.maximum(scores, np.sqrt(max(gain, 0.0)) * near)
        return np.where(holes.all(axis=1), np.nan, scores)

    def _search(self, signal: FloatArray, penalty: float) -> list[int]:
        """Ends of the segments, the last of which is T."""
        ruptures = optional("ruptures", extra="changepoints", needed_by="ChangePoints")
        size = {"min_size": self.min_size}
        if self.search == "pelt":
            # Squared distances are those of the linear kernel, whose search is compiled.
            kernel = "linear" if self.cost == "l2" else "rbf"
            method = ruptures.KernelCPD(kernel=kernel, **size)
        elif self.search == "binseg":
            method = ruptures.Binseg(model=self.cost, jump=1, **size)
        else:
            width = min(self.window, len(signal) // 2)
            method = ruptures.Window(model=self.cost, width=width, jump=1, **size)
        found: list[int] = method.fit(signal).predict(pen=penalty)
        return found

    def _gains(self, signal: FloatArray, edges: list[int]) -> FloatArray:
        """What cutting saves: the squared jump of the mean, times n m / (n + m) for n and m points.

        For the kernel's cost too, whose own saving is bounded and says little of the size.
        """
        first, change, end = (np.asarray(edges[i : len(edges) - 2 + i], np.int64) for i in range(3))
        sums = np.concatenate([np.zeros((1, signal.shape[1])), np.cumsum(signal, axis=0)])
        left, right = (change - first)[:, None], (end - change)[:, None]
        jump = (sums[change] - sums[first]) / left - (sums[end] - sums[change]) / right
        weight = (left * right / (left + right))[:, 0]
        return np.asarray(weight * (jump**2).sum(axis=1))
