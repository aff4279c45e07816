"""BOCPD: how long ago the last change was, by Bayes, point by point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, option, real
from awry.core.series import OnlineDetector, Series, robust_moments
from awry.core.threshold import Threshold
from awry.kernels.run_lengths import run_lengths


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    prob: FloatArray
    runs: IntArray
    mean: FloatArray
    shape: FloatArray
    rate: FloatArray
    used: IntArray
    news: FloatArray


class BOCPD(OnlineDetector):
    """Values, or changes of level and spread, that no run of the recent past explains.

    Each channel is normal with a mean and a variance that start afresh at a change, which comes
    with a constant probability at each point. The posterior of the run length, the points since the
    last change, and the normal-gamma posterior of each run are updated with each value.

    Parameters
    ----------
    score : {"surprise", "change"}, default="surprise"
        ``"surprise"``: the logarithm of the highest predictive density less that of the value,
        which is at once high where a change or an odd value comes, and fades by 1 - 1/``recent`` a
        point, so that what follows a change keeps some of its score. ``"change"``: the probability
        that the last change lies within the last ``recent`` points.
    expected_run : float, default=250
        Points between changes; the hazard is 1 over it.
    recent : int, default=10
        Points in which a change is new.
    max_runs : int, default=200
        Run lengths kept; the least probable goes first.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) that make values standard; ``prob`` and ``runs`` (d, max_runs)
        of the run lengths kept, ``used`` (d,) of them; ``mean``, ``shape`` and ``rate`` (d,
        max_runs) of their posteriors; ``news`` (d,), the fading surprise.

    Notes
    -----
    The prior is μ0 = 0, κ0 = α0 = β0 = 1 in standard units: median and scaled median absolute
    deviation of the training values. Departure: the probability of a run length of 0 is the hazard
    whatever the values, so a change is told by those up to ``recent``. Run lengths below a
    probability of 1e-6 are dropped.

    References
    ----------
    Adams & MacKay: "Bayesian Online Changepoint Detection", arXiv:0710.3742, 2007, algorithm 1; the
    posterior as in Murphy, "Conjugate Bayesian Analysis of the Gaussian Distribution", 2007,
    section 3.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=300)
    >>> x[200:] += 6.0
    >>> int(BOCPD().fit(x).decision_scores_.argmax())
    200
    """

    card = Card(
        name="bocpd",
        summary="Values and changes that no run of the recent past explains, by Bayes.",
        modality="series",
        family="change points",
        paper="Adams & MacKay, Bayesian Online Changepoint Detection",
        year=2007,
        fit_cost="O(T d max_runs)",
        score_cost="O(T d max_runs)",
        finds="shifts of level and spread, at once; spikes",
        misses="odd shapes; what a season or a trend explains",
        online=True,
        univariate=True,
    )

    constraints = {
        "score": option("surprise", "change"),
        "expected_run": real(1, None, "(]"),
        "recent": integer(1),
        "max_runs": integer(2),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        score: str = "surprise",
        expected_run: float = 250.0,
        recent: int = 10,
        max_runs: int = 200,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.score = score
        self.expected_run = expected_run
        self.recent = recent
        self.max_runs = max_runs
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        center, scale = robust_moments(X.values)
        size = (len(center), self.max_runs)
        prob = np.zeros(size)
        prob[:, 0] = 1.0
        return _State(
            center, scale, prob, np.zeros(size, np.int64), np.zeros(size), np.ones(size),
            np.ones(size), np.ones(len(center), np.int64), np.zeros(len(center)),
        )  # fmt: skip

    def _advance(self, state: _State, X: Series) -> FloatArray:
        z = np.ascontiguousarray((X.values - state.center) / state.scale)
        out = np.empty((2, *z.shape))
        run_lengths(
            z, 1.0 / self.expected_run, 1e-6, self.recent, state.prob, state.runs, state.mean,
            state.shape, state.rate, state.used, state.news, out,
        )  # fmt: skip
        return out[int(self.score == "change")]
