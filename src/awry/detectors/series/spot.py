"""SPOT: how far a point lies into the tails that extreme value theory fits to a stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, option, real
from awry.core.series import OnlineDetector, Series, robust_moments
from awry.core.tail import fit_pareto
from awry.core.threshold import Fixed, Threshold
from awry.kernels import peaks_over_threshold

_SIGNS = {"upper": [1.0], "lower": [-1.0], "both": [1.0, -1.0]}
#: Peaks that calibration wants at least; the level is lowered until there are so many.
_FEWEST = 10


class _State(NamedTuple):
    known: np.ndarray
    window: FloatArray
    sums: FloatArray
    drift: np.ndarray
    start: FloatArray
    typical: FloatArray
    law: FloatArray
    seen: np.ndarray
    peaks: np.ndarray
    excesses: FloatArray


class SPOT(OnlineDetector):
    """Values that are hardly ever reached: SPOT, DSPOT and biDSPOT.

    Peaks over a high threshold t follow a generalised Pareto law (γ, σ) whatever the distribution,
    so the n points and N peaks so far give ``P(X > x) = N/n (1 + γ (x - t) / σ)^(-1/γ)``. A
    channel scores ``-log10`` of that probability, of the tail in which the point lies: score 4 is
    reached by one normal point in ten thousand. Points below ``q`` are alarms; far ones are not
    learnt, other peaks are, and the law is fitted anew by Grimshaw's trick.

    SPOT is ``drift_window=None, side="upper"``; DSPOT, for levels that wander, has a
    ``drift_window``; biDSPOT has ``side="both"``. By default an item is flagged where its score is
    above ``-log10(q)``.

    Parameters
    ----------
    q : float, default=1e-4
        The risk: how probable a point must be at least to be normal.
    level : float, default=0.98
        Quantile of the calibration points over which points count as peaks.
    drift_window : int or None, default=None
        Points, the last normal ones, whose mean is taken off first (the paper's d). None: nothing
        is taken off.
    side : {"both", "upper", "lower"}, default="both"
        Which tails count.
    prior : float or None, default=0.25
        Standard deviation of a normal prior on γ around 0, an exponential tail, which counts while
        there are few peaks. None is the paper's plain maximum likelihood.
    leave_out : float, default=0.01
        Points less probable than ``leave_out * q`` are not learnt. The paper leaves out all alarms,
        1, which cuts off the tail bit by bit.
    max_excess : int, default=200
        Peaks kept in memory to fit the law, the last ones.
    warmup : int or None, default=None
        The calibration, the paper's n; see :class:`~awry.core.series.OnlineDetector`. A thousand is
        the paper's; these points are learnt once and, where None, all are judged in hindsight.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions; None takes ``q``.

    Attributes
    ----------
    state_ : named tuple of arrays
        Among them, for each tail and channel, the thresholds ``start`` t, the ``law`` γ and σ, the
        number of ``peaks`` N and the last ``excesses``.

    Notes
    -----
    Departures: a bounded number of peaks is kept, as in the authors' later libspot. ``leave_out``:
    over 200,000 points without anomalies and 200 peaks kept, alarms came at 20 to 45 times
    ``q = 1e-4`` where all were left out; over 100,000 with the default at 1 to 3 times. ``prior``:
    after a calibration of 1,000 points of six laws the true risk was 3 to 8 ``q`` on average
    without it, 0 to 5 with it. The level is lowered until there are ten peaks. From score 16 on it
    grows with the distance, since a law with an end has no probabilities beyond; below t it falls
    in a straight line to 0 at the median. While fewer than ``drift_window`` points have come, the
    mean is of those.

    References
    ----------
    Siffer, Fouque, Termier, Largouet: "Anomaly Detection in Streams with Extreme Value Theory",
    KDD 2017, algorithms 1 to 3.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=3000)
    >>> x[2500] = 6
    >>> model = SPOT(warmup=1000).fit(x)
    >>> np.flatnonzero(model.labels_)
    array([2500])
    """

    card = Card(
        name="spot",
        summary="Values whose tail probability, by extreme value theory, is below a risk.",
        modality="series",
        family="thresholds",
        paper="Siffer et al., Anomaly Detection in Streams with Extreme Value Theory, KDD",
        year=2017,
        fit_cost="O(T d), and O(max_excess) for each peak",
        score_cost="O(T d), and O(max_excess) for each peak",
        finds="extreme values, at a stated rate of false alarms",
        misses="odd shapes; values that are common at another time",
        online=True,
        univariate=True,
    )

    constraints = {
        "q": real(0.0, 0.5, "()"),
        "level": real(0.5, 1.0, "()"),
        "drift_window": any_of(nothing(), integer(1)),
        "side": option(*_SIGNS),
        "prior": any_of(nothing(), real(0.0, closed="()")),
        "leave_out": real(0.0, 1.0, "(]"),
        "max_excess": integer(10),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        q: float = 1e-4,
        level: float = 0.98,
        drift_window: int | None = None,
        side: str = "both",
        prior: float | None = 0.25,
        leave_out: float = 0.01,
        max_excess: int = 200,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.q = q
        self.level = level
        self.drift_window = drift_window
        self.side = side
        self.prior = prior
        self.leave_out = leave_out
        self.max_excess = max_excess
        self.warmup = warmup
        self.contamination = contamination

    def _default_threshold(self) -> Threshold:
        return Fixed(float(-np.log10(self.q)))

    def _start(self, X: Series) -> _State:
        d, signs = X.values.shape[1], _SIGNS[self.side]
        both, m = (len(signs), d), self.max_excess
        size = self.drift_window or 0
        state = _State(
            np.array([len(X)]), np.zeros((d, size)), np.zeros(d), np.zeros(d, np.int64),
            np.zeros(both), np.zeros(both), np.zeros((*both, 2)), np.ones(d, np.int64),
            np.ones(both, np.int64), np.zeros((*both, m)),
        )  # fmt: skip
        for j, column in enumerate(X.values.T):
            known = column[~np.isnan(column)]
            values = known - _drift(known, size) if size else known
            values = values[size and 1 :]  # nothing comes before the first
            for s, sign in enumerate(signs):
                self._calibrate(state, s, j, sign * values)
        return state

    def _calibrate(self, state: _State, s: int, j: int, values: FloatArray) -> None:
        """Set threshold, peaks and law of a tail by the ``values`` of the calibration."""
        n, ordered = len(values), np.sort(values)
        if n == 0:
            state.law[s, j] = (0.0, 1.0)
            return
        unit = robust_moments(values[:, None]).scale[0]
        start = ordered[max(min(int(self.level * n), n - 1 - _FEWEST), 0)]
        excesses = values[values > start] - start
        # Without a peak the tail is taken for an exponential one as wide as the points.
        excesses = excesses if len(excesses) else np.array([unit])
        state.start[s, j] = start
        state.typical[s, j] = start - ordered[(n - 1) // 2]
        state.law[s, j] = (0.0, excesses[0])
        if len(excesses) > 1:
            state.law[s, j] = fit_pareto(excesses, self.prior)
        state.seen[j] = max(n, 2)
        state.peaks[s, j] = len(excesses)
        for i, excess in enumerate(excesses):  # of more than there is room for the last stay
            state.excesses[s, j, i % self.max_excess] = excess

    def _advance(self, state: _State, X: Series) -> FloatArray:
        scores = np.empty_like(X.values)
        values = np.ascontiguousarray(X.values)
        most = float(-np.log10(self.q * self.leave_out))
        prior = np.inf if self.prior is None else float(self.prior)
        signs = np.array(_SIGNS[self.side])
        peaks_over_threshold.spot(values, signs, most, prior, *state, scores)
        return scores


def _drift(values: FloatArray, size: int) -> FloatArray:
    """Mean of the up to ``size`` values before each of ``values`` (n,); NaN for the first."""
    sums = np.r_[0.0, np.cumsum(values - values[:1].sum())]
    at = np.arange(len(values))
    first = np.maximum(at - size, 0)
    with np.errstate(invalid="ignore"):
        return (sums[at] - sums[first]) / (at - first) + values[:1].sum()
