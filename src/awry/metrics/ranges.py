"""Decisions on a series judged by events: range-based, event-wise and point-adjusted; delays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.metrics.volume import runs

Bias = Literal["flat", "front", "middle", "back"]
Cardinality = Literal["one", "reciprocal"]


class Scores(NamedTuple):
    """Precision and recall, each between 0 and 1, and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean; 0 where nothing was flagged."""
        return self.f()

    def f(self, beta: float = 1.0) -> float:
        """F-score in which recall counts ``beta`` times as much as precision."""
        precision = float(np.nan_to_num(self.precision))
        whole = beta**2 * precision + self.recall
        return (1 + beta**2) * precision * self.recall / whole if whole else 0.0


def range_scores(
    y: ArrayLike,
    flags: ArrayLike,
    *,
    alpha: float = 0.0,
    bias: Bias = "flat",
    cardinality: Cardinality = "reciprocal",
) -> Scores:
    """Range-based precision and recall.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 at anomalous points, else 0; runs of ones are the real ranges.
    flags : array-like of shape (n,)
        1 at flagged points, else 0; runs of ones are the predicted ranges.
    alpha : float, default=0.0
        Weight of merely noticing a real range against the share of it that is flagged, from 0 to 1.
        It applies to recall alone, as in the paper.
    bias : {"flat", "front", "middle", "back"}, default="flat"
        Which part of a range counts most (the paper's positional bias), for both.
    cardinality : {"one", "reciprocal"}, default="reciprocal"
        What several overlaps with one range are worth: all of it, or divided by how many.

    References
    ----------
    Tatbul, Lee, Zdonik, Alam, Gottschlich: "Precision and Recall for Time Series", NeurIPS 2018,
    section 4.

    Examples
    --------
    >>> range_scores([0, 1, 1, 1, 1, 0], [0, 1, 0, 1, 0, 0], cardinality="one")
    Scores(precision=1.0, recall=0.5)
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"range_scores: alpha must be from 0 to 1, got {alpha!r}")
    if bias not in _BIAS:
        raise ValueError(f"range_scores: bias must be one of {', '.join(_BIAS)}, got {bias!r}")
    if cardinality not in ("one", "reciprocal"):
        raise ValueError(
            f"range_scores: cardinality must be 'one' or 'reciprocal', got {cardinality!r}"
        )
    real, predicted = decisions(y, flags)
    shared = runs(real & predicted)
    if not len(shared):
        return Scores(0.0, 0.0)
    divide = cardinality == "reciprocal"
    return Scores(
        _reward(runs(predicted), shared, 0.0, bias, divide),
        _reward(runs(real), shared, alpha, bias, divide),
    )


def _reward(ranges: IntArray, shared: IntArray, alpha: float, bias: Bias, divide: bool) -> float:
    """Mean reward of ``ranges`` for the parts in ``shared``, each of which lies in one of them."""
    owner = _owner(ranges, shared)
    start, length = ranges[owner, 0], np.diff(ranges[owner]).ravel() + 1
    upto = _BIAS[bias]
    size = upto(shared[:, 1] - start + 1, length) - upto(shared[:, 0] - start, length)
    omega = np.bincount(owner, size / upto(length, length), len(ranges))
    count = np.bincount(owner, minlength=len(ranges))
    gamma = 1 / np.maximum(count, 1) if divide else 1.0
    return float(np.mean(alpha * (count > 0) + (1 - alpha) * gamma * omega))


def _front(k: IntArray, length: IntArray) -> IntArray:
    return k * length - k * (k - 1) // 2


def _back(k: IntArray, length: IntArray) -> IntArray:
    return k * (k + 1) // 2


def _middle(k: IntArray, length: IntArray) -> IntArray:
    rising = np.minimum(k, length // 2)
    return _back(rising, length) + _front(k, length) - _front(rising, length)


#: The weights of the first k points of a range, summed.
_BIAS = {"flat": lambda k, length: k, "front": _front, "middle": _middle, "back": _back}


def event_scores(y: ArrayLike, flags: ArrayLike) -> Scores:
    """Event-wise precision and recall: an event counts once, however long or often flagged.

    A real event with a flagged point is one true positive, one without is one false negative, and
    a run of flags that touches no real event is one false positive.

    References
    ----------
    Hundman, Constantinou, Laporte, Colwell, Soderstrom: "Detecting Spacecraft Anomalies Using
    LSTMs and Nonparametric Dynamic Thresholding", KDD 2018.

    Examples
    --------
    >>> event_scores([0, 1, 1, 1, 0, 0, 1], [0, 1, 0, 1, 0, 1, 0])
    Scores(precision=0.5, recall=0.5)
    """
    real, predicted = decisions(y, flags)
    events = runs(real)
    found = len(np.unique(_owner(events, runs(real & predicted))))
    wrong = len(false_alarms(real, predicted))
    return Scores(found / (found + wrong) if found else 0.0, found / len(events))


def false_alarms(y: ArrayLike, flags: ArrayLike) -> IntArray:
    """Runs of flags that touch no real event, first and last position, shape (k, 2)."""
    real, predicted = decisions(y, flags, need_events=False)
    alarms = runs(predicted)
    right = np.zeros(len(alarms), dtype=bool)
    right[_owner(alarms, runs(real & predicted))] = True
    return alarms[~right]


def false_alarms_per_day(y: ArrayLike, flags: ArrayLike, times: ArrayLike) -> float:
    """How many :func:`false_alarms` a day of data brings; ``times`` as in `detection_delays`."""
    seconds = _seconds(times, np.size(y))
    if len(seconds) < 2 or seconds[-1] <= seconds[0]:
        raise DataError("times must span more than one moment, in order")
    # The last point lasts as long as the others do on average.
    days = (seconds[-1] - seconds[0]) * len(seconds) / (len(seconds) - 1) / 86_400
    return float(len(false_alarms(y, flags)) / days)


def detection_delays(y: ArrayLike, flags: ArrayLike, times: ArrayLike | None = None) -> FloatArray:
    """From the start of each real event to the first flag in it, NaN where it was missed.

    Parameters
    ----------
    y, flags : array-like of shape (n,)
        1 at anomalous and at flagged points, else 0.
    times : array-like of shape (n,), optional
        Dates or seconds; the delays are then in seconds, else in points.

    Returns
    -------
    ndarray of shape (n_events,)

    Examples
    --------
    >>> detection_delays([0, 1, 1, 1, 0, 1], [0, 0, 0, 1, 0, 0])
    array([ 2., nan])
    """
    real, predicted = decisions(y, flags)
    clock = _seconds(times, len(real))
    events, shared = runs(real), runs(real & predicted)
    delays = np.full(len(events), np.nan)
    # The overlaps run in order, so the first of each owner is its earliest.
    owner, first = np.unique(_owner(events, shared), return_index=True)
    delays[owner] = clock[shared[first, 0]] - clock[events[owner, 0]]
    return delays


def time_to_first_detection(
    y: ArrayLike, flags: ArrayLike, times: ArrayLike | None = None
) -> float:
    """From the start of the first real event to the first flag inside any, infinite if none."""
    real, predicted = decisions(y, flags)
    clock = _seconds(times, len(real))
    hits = np.flatnonzero(real & predicted)
    return float(clock[hits[0]] - clock[real.argmax()]) if len(hits) else float("inf")


def point_adjusted(y: ArrayLike, scores: ArrayLike, k: float = 0.0) -> FloatArray:
    """Scores, or decisions, after point adjustment (``k=0``) or PA%K (``0 < k <= 1``).

    An event of which more than the share ``k`` is flagged counts as flagged throughout. What this
    returns leads at every threshold to the decisions that adjusting after the threshold would, so
    ``best_f(y, point_adjusted(y, scores))`` is the point-adjusted F1 of the best threshold.

    Notes
    -----
    For comparison with published figures only: one lucky point in a long event earns all of it, so
    random scores reach high values (Kim et al.). ``k=1`` adjusts nothing.

    References
    ----------
    Xu et al.: "Unsupervised Anomaly Detection via Variational Auto-Encoder for Seasonal KPIs in Web
    Applications", WWW 2018 (point adjustment). Kim, Choi, Choi, Lee, Yoon: "Towards a
    Rigorous Evaluation of Time-Series Anomaly Detection", AAAI 2022 (PA%K).

    Examples
    --------
    >>> point_adjusted([0, 1, 1, 1, 0], [0, 0, 1, 0, 0])
    array([0., 1., 1., 1., 0.])
    >>> point_adjusted([0, 1, 1, 1, 0], [0, 0, 1, 0, 0], k=0.5)
    array([0., 0., 1., 0., 0.])
    """
    if not 0 <= k <= 1:
        raise ValueError(f"point_adjusted: k must be from 0 to 1, got {k!r}")
    values = np.array(scores, dtype=np.float64)
    real, _ = decisions(y, np.zeros(len(values)))
    events = runs(real)
    size = np.diff(events).ravel() + 1
    # An event is flagged throughout once more than k * size of its scores pass: the scores from
    # that place in their descending order upwards. The small term forgives 0.29 * 100 < 29.
    place = np.floor(k * size + 1e-9).astype(np.int64)
    inside = np.flatnonzero(real)
    member = np.repeat(np.arange(len(events)), size)
    ordered = values[inside][np.lexsort((-values[inside], member))]
    reached = place < size
    first = np.cumsum(size) - size
    level = np.full(len(events), -np.inf)
    level[reached] = ordered[(first + place)[reached]]
    values[inside] = np.maximum(values[inside], level[member])
    return values


def point_adjusted_f1(y: ArrayLike, flags: ArrayLike, k: float = 0.0) -> float:
    """F1 over points after :func:`point_adjusted`. For comparison only."""
    real, predicted = decisions(y, flags)
    adjusted = point_adjusted(real, predicted, k) > 0
    return float(2 * (adjusted & real).sum() / (adjusted.sum() + real.sum()))


def pak_auc(y: ArrayLike, flags: ArrayLike) -> float:
    """Area under the PA%K F1 over K from 0 to 100 % (Kim et al.), exactly.

    The F1 changes only where K passes the flagged share of an event, so a sum over those will do.
    """
    real, predicted = decisions(y, flags)
    events = runs(real)
    counts = np.append(0, np.cumsum(real & predicted))
    shares = (counts[events[:, 1] + 1] - counts[events[:, 0]]) / (np.diff(events).ravel() + 1)
    knots = np.unique(np.r_[0.0, shares, 1.0])
    return float(sum((b - a) * point_adjusted_f1(real, predicted, a) for a, b in pairwise(knots)))


def decisions(
    y: ArrayLike, flags: ArrayLike, *, need_events: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and decisions as boolean vectors of one length."""
    real, predicted = np.asarray(y), np.asarray(flags)
    if real.ndim != 1 or real.shape != predicted.shape:
        raise DataError(
            f"labels and decisions must be vectors of one length, got {real.shape}, "
            f"{predicted.shape}"
        )
    for values, what in ((real, "labels"), (predicted, "decisions")):
        if not np.isin(values, (0, 1)).all():
            raise DataError(f"{what} must be 1 (anomaly) or 0 (normal)")
    if need_events and not (real == 1).any():
        raise DataError("the labels hold no anomalies (1)", remedy="these metrics need an event")
    return real == 1, predicted == 1


def _owner(ranges: IntArray, parts: IntArray) -> IntArray:
    """Which of the sorted ``ranges`` each part lies in."""
    return np.searchsorted(ranges[:, 0], parts[:, 0], side="right") - 1


def _seconds(times: Any, n: int) -> FloatArray:
    """Times as seconds; the positions where none are given."""
    if times is None:
        return np.arange(n, dtype=np.float64)
    clock = np.asarray(times)
    if clock.dtype.kind not in "iufmM":
        clock = np.asarray(times, dtype="datetime64[ns]")
    if clock.dtype.kind in "mM":
        clock = (clock - clock[:1]) / np.timedelta64(1, "s")
    if clock.shape != (n,):
        raise DataError(f"times must be a vector of {n}, got {clock.shape}")
    return clock.astype(np.float64)
