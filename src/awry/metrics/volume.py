"""Areas and volumes under range-aware ROC and precision-recall curves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray


class Volume(NamedTuple):
    """Volumes under the surfaces, each between 0 and 1."""

    roc: float
    pr: float


def runs(flags: ArrayLike) -> IntArray:
    """First and last position of each run of ones in ``flags`` (n,), shape (k, 2).

    Examples
    --------
    >>> runs([0, 1, 1, 0, 1]).tolist()
    [[1, 2], [4, 4]]
    """
    steps = np.diff(np.asarray(flags, dtype=np.int8), prepend=0, append=0)
    return np.column_stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1])


def vus(y: ArrayLike, scores: ArrayLike, window: int = 100, n_thresholds: int = 250) -> Volume:
    """Volume under the range-AUC surface over buffer lengths 0 to ``window`` (VUS-ROC, VUS-PR).

    Parameters
    ----------
    y : array-like of shape (n,)
        1 at anomalous points, else 0; both must occur.
    scores : array-like of shape (n,)
        Higher = more anomalous, finite.
    window : int, default=100
        The longest buffer around an anomaly, half on each side; the authors take the period.
    n_thresholds : int, default=250
        Thresholds, evenly spaced in the ranks of the scores, as in the authors' code.

    Returns
    -------
    Volume

    Notes
    -----
    One sort serves all thresholds and buffers: what a threshold flags is a prefix of the points in
    order of score, so every sum over flagged points is a look-up in a running sum over the points
    near anomalies. The authors' code recomputes the sums, O(n) for each threshold and buffer.

    References
    ----------
    Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin: "Volume Under the Surface: A New Accuracy
    Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022, sections 4 and 5.

    Examples
    --------
    >>> y = np.r_[np.zeros(50), np.ones(10), np.zeros(40)]
    >>> vus(y, y, window=0).roc
    1.0
    """
    if window < 0:
        raise ValueError(f"vus: window must be an integer >= 0, got {window}")
    y, scores = _checked(y, scores)
    events = runs(y)
    n, positives = len(y), float(y.sum())
    picks = np.linspace(0, n - 1, n_thresholds).astype(int)
    descending = -np.sort(-scores)
    cuts = descending[picks]
    ascending = descending[::-1]
    flagged = (n - np.searchsorted(ascending, cuts, side="left")).astype(np.float64)
    # How many points score strictly higher: a point is flagged when fewer than `flagged` do.
    rank = n - np.searchsorted(ascending, scores, side="right")
    half = window // 2
    starts, ends = events.T
    spans = [(max(s - half, 0), min(e + half, n - 1)) for s, e in events]
    near = np.unique(np.concatenate([np.arange(a, b + 1) for a, b in spans]))
    near = near[np.argsort(rank[near], kind="stable")]
    upto = np.searchsorted(rank[near], flagged, side="left")
    inside = y[near] == 1
    # Ends before and starts after each point near an anomaly, to count who reaches it.
    areas = [
        _areas(
            near, inside, upto, flagged, positives, n,
            _buffer(near, inside, starts, ends, length), _joined(events, length, n), rank,
        )
        for length in range(window + 1)
    ]  # fmt: skip
    roc, pr = np.mean(areas, axis=0)
    return Volume(float(roc), float(pr))


def _areas(
    near: IntArray, inside: np.ndarray, upto: IntArray, flagged: FloatArray, positives: float,
    n: int, weight: FloatArray, segments: IntArray, rank: IntArray,
) -> tuple[float, float]:  # fmt: skip
    """Areas under the ROC and the precision-recall curve for one buffer length."""
    hits = np.append(0.0, np.cumsum(weight))[upto]
    outside = np.append(0.0, np.cumsum(np.where(inside, 0.0, weight)))[upto]
    best = np.sort([rank[a : b + 1].min() for a, b in segments])
    found = np.searchsorted(best, flagged, side="left") / len(segments)
    mass = (2 * positives + outside) / 2
    recall = np.minimum(hits / mass, 1.0) * found
    false = (flagged - hits) / (n - mass)
    precision = hits / flagged
    tpr, fpr = np.r_[0.0, recall, 1.0], np.r_[0.0, false, 1.0]
    roc = float(np.dot(np.diff(fpr), (tpr[1:] + tpr[:-1]) / 2))
    return roc, float(np.dot(np.diff(tpr[:-1]), precision))


def _buffer(
    near: IntArray, inside: np.ndarray, starts: IntArray, ends: IntArray, length: int
) -> FloatArray:
    """Label of each point near an anomaly: 1 inside, falling to sqrt(1/2) at the buffer's edge."""
    weight = inside.astype(np.float64)
    if length < 2:
        return weight
    half = length // 2
    past = np.searchsorted(ends, near, side="left")
    left = np.where(past > 0, near - ends[np.maximum(past - 1, 0)], half + 1)
    ahead = np.searchsorted(starts, near, side="right")
    right = np.where(
        ahead < len(starts), starts[np.minimum(ahead, len(starts) - 1)] - near, half + 1
    )
    for distance in (left, right):
        reached = ~inside & (distance <= half)
        weight[reached] += np.sqrt(1 - distance[reached] / length)
    # Two anomalies on one side reach it, too; together they always exceed 1.
    second = (past - np.searchsorted(ends, near - half, side="left") > 1) | (
        np.searchsorted(starts, near + half, side="right") - ahead > 1
    )
    return np.where(second, 1.0, np.minimum(weight, 1.0))


def _joined(events: IntArray, length: int, n: int) -> IntArray:
    """Anomalies with their buffers, overlapping ones as one, shape (k, 2)."""
    half = length // 2
    apart = events[:-1, 1] + half < events[1:, 0] - half
    first = np.append(True, apart)
    last = np.append(apart, True)
    return np.column_stack(
        [np.maximum(events[first, 0] - half, 0), np.minimum(events[last, 1] + half, n - 1)]
    )


def _checked(y: ArrayLike, scores: ArrayLike) -> tuple[IntArray, FloatArray]:
    labels, values = np.asarray(y), np.asarray(scores, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != values.shape:
        raise DataError(
            f"labels and scores must be vectors of one length, got {labels.shape}, {values.shape}"
        )
    if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) < 2:
        raise DataError("labels must hold 0 and 1, both of them")
    if not np.isfinite(values).all():
        raise DataError("scores must be finite")
    return labels.astype(np.int64), values
