"""Affiliation precision and recall: how near decisions lie to events, against chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.metrics.ranges import Scores, decisions
from awry.metrics.volume import runs


def affiliation_scores(y: ArrayLike, flags: ArrayLike) -> Scores:
    """Affiliation precision and recall.

    Each real event owns the stretch of the series nearer to it than to any other. Within it, a
    flagged point earns the share of the stretch that lies no nearer to the event than it does, and
    a point of the event earns the share that lies no nearer to it than its closest flag: a chance
    flag earns about a half, a flag in the event 1. Precision averages over the stretches with
    flags, recall over all.

    Parameters
    ----------
    y, flags : array-like of shape (n,)
        1 at anomalous and at flagged points, else 0. Point i stands for the interval [i, i + 1).

    Returns
    -------
    Scores
        The precision is NaN where nothing is flagged; F1 is then 0.

    Notes
    -----
    The integrals of the survival functions are closed forms, for all pieces at once.

    References
    ----------
    Huet, Navarro, Rossi: "Local Evaluation of Time Series Anomaly Detection Algorithms", KDD 2022:
    the averages over survival functions; equal to the authors' code, which integrates interval by
    interval.

    Examples
    --------
    >>> affiliation_scores([0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0])
    Scores(precision=1.0, recall=1.0)
    """
    real, predicted = decisions(y, flags)
    half_open = np.array([0, 1])
    precision, recall = affiliation_by_event(
        runs(real) + half_open, runs(predicted) + half_open, (0, len(real))
    )
    seen = ~np.isnan(precision)
    return Scores(
        float(precision[seen].mean()) if seen.any() else float("nan"), float(recall.mean())
    )


def affiliation_by_event(
    events: ArrayLike, predicted: ArrayLike, span: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Affiliation precision (NaN where the event's stretch holds no flag) and recall by event.

    Parameters
    ----------
    events, predicted : array-like of shape (k, 2) and (m, 2)
        Start and end of each interval, sorted and apart.
    span : tuple
        Start and end of the series.

    Examples
    --------
    >>> affiliation_by_event([(50, 70)], [(40, 60), (115, 120)], (30, 120))[1].round(6)
    array([0.944444])
    """
    events, predicted = _intervals(events, "events"), _intervals(predicted, "predicted")
    if not len(events):
        raise DataError("events must hold at least one interval")
    ends = np.concatenate([events, predicted])
    if ends.min() < span[0] or ends.max() > span[1]:
        raise DataError(f"span must hold all intervals, got {tuple(span)}")
    borders = (events[:-1, 1] + events[1:, 0]) / 2
    zones = np.column_stack([np.r_[span[0], borders], np.r_[borders, span[1]]])
    pieces, zone = _cut(predicted, borders)
    event, area = events[zone], zones[zone]
    earned = np.bincount(zone, _nearness(pieces, event, area), len(events))
    length = np.bincount(zone, np.diff(pieces).ravel(), len(events))
    precision = np.divide(earned, length, out=np.full(len(events), np.nan), where=length > 0)
    reached = np.bincount(zone, _reach(pieces, zone, event, area), len(events))
    return precision, reached / np.diff(events).ravel()


def _nearness(pieces: FloatArray, event: FloatArray, area: FloatArray) -> FloatArray:
    """Integral over each piece of the chance that a random point is no nearer to the event."""
    start, end = event.T
    size, before, after = np.diff(area).ravel(), start - area[:, 0], area[:, 1] - end

    def within(limit: FloatArray, d: FloatArray) -> FloatArray:
        # Integral of min(u, limit) for u from 0 to d.
        low: FloatArray = np.minimum(d, limit)
        return low * (d - low / 2)

    def survival(d: FloatArray) -> FloatArray:
        # Integral of the chance of a distance >= u, for u from 0 to d.
        nearer: FloatArray = (end - start) * d + within(before, d) + within(after, d)
        return d - nearer / size

    a, b = pieces.T
    inside = np.maximum(np.minimum(b, end) - np.maximum(a, start), 0)
    left = survival(np.maximum(start - a, 0)) - survival(np.maximum(start - b, 0))
    right = survival(np.maximum(b - end, 0)) - survival(np.maximum(a - end, 0))
    total: FloatArray = inside + left + right
    return total


def _reach(pieces: FloatArray, zone: IntArray, event: FloatArray, area: FloatArray) -> FloatArray:
    """Integral, over the part of the event nearest to each piece, of the chance to be no nearer."""
    (a, b), (start, end) = pieces.T, event.T
    size = np.diff(area).ravel()
    same = zone[1:] == zone[:-1]
    middle = (b[:-1] + a[1:]) / 2
    first, last = area.T.copy()
    last[:-1][same] = middle[same]
    first[1:][same] = middle[same]

    def chance(near: FloatArray, far: FloatArray, room: FloatArray) -> FloatArray:
        # Integral over the points of the event from `near` to `far` of the piece, the border of the
        # zone at `room` from it: of a point at u, the zone holds u nearer points on the piece's
        # side and min(u, room - u) on the other.
        def upto(u: FloatArray) -> FloatArray:
            half, over = room / 2, np.maximum(u - room / 2, 0)
            other = np.where(over > 0, half**2 / 2 + half * over - over**2 / 2, u**2 / 2)
            nearer: FloatArray = u**2 / 2 + other
            return u - nearer / size

        return np.maximum(upto(np.maximum(far, 0)) - upto(np.maximum(near, 0)), 0)

    inside = np.maximum(np.minimum(b, end) - np.maximum(a, start), 0)
    right = chance(start - b, np.minimum(last, end) - b, area[:, 1] - b)
    left = chance(a - end, a - np.maximum(first, start), a - area[:, 0])
    total: FloatArray = inside + right + left
    return total


def _cut(predicted: FloatArray, borders: FloatArray) -> tuple[FloatArray, IntArray]:
    """Predicted intervals cut at the borders of the zones, and the zone of each piece."""
    points = np.unique(np.concatenate([predicted.ravel(), borders]))
    pieces = np.column_stack([points[:-1], points[1:]])
    middle = pieces.mean(axis=1)
    starts, ends = predicted.T
    covered = np.searchsorted(starts, middle) > np.searchsorted(ends, middle)
    return pieces[covered], np.searchsorted(borders, middle[covered])


def _intervals(values: ArrayLike, name: str) -> FloatArray:
    intervals = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    flat = intervals.ravel()
    if (np.diff(flat) <= 0).any():
        raise DataError(f"{name} must be intervals that are sorted, apart and not empty")
    return intervals
