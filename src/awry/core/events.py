"""Neighbouring decisions become one event, however the data was cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from awry.core.inputs import FloatArray, IntArray


@dataclass
class Event:
    """What happened: flagged items that belong together.

    Attributes
    ----------
    first, last : int
        Index of the first and the last flagged item.
    peak : int
        Index of the item with the highest score.
    score : float
        That score.
    severity : int
        1 warning, 2 critical, 3 emergency: the highest of its items.
    size : int
        Flagged items in it.
    start, end : float
        Position of the first and last item, such as seconds since the epoch.
    key : str or None
        The group it happened in.
    """

    first: int
    last: int
    peak: int
    score: float
    severity: int
    size: int
    start: float
    end: float
    key: str | None = None


@dataclass
class EventBuilder:
    """Joins flagged items no further apart than ``gap`` into events, batch after batch.

    Parameters
    ----------
    gap : float
        The largest distance in position between two flagged items of one event.

    Examples
    --------
    >>> builder = EventBuilder(gap=1.0)
    >>> flags, scores = np.array([0, 1, 1, 0, 0, 1]), np.array([0, 5.0, 9.0, 0, 0, 7.0])
    >>> severity, position = flags, np.arange(6.0)
    >>> events = list(builder.push(severity[:2], scores[:2], position[:2]))
    >>> events += builder.push(severity[2:], scores[2:], position[2:])
    >>> [(e.first, e.last, e.peak) for e in [*events, *builder.flush()]]
    [(1, 2, 2), (5, 5, 5)]
    """

    gap: float
    seen: int = 0
    open: dict[str | None, Event] = field(default_factory=dict)

    def push(
        self,
        severity: IntArray,
        scores: FloatArray,
        position: FloatArray,
        key: str | None = None,
    ) -> Iterator[Event]:
        """Take the next items of the series ``key`` and yield the events that are over.

        Parameters
        ----------
        severity : ndarray of shape (n,)
            0 where an item is not flagged, else 1 to 3.
        scores : ndarray of shape (n,)
        position : ndarray of shape (n,)
            Ascending, such as seconds or item numbers.
        """
        for i in np.flatnonzero(severity):
            at, item = float(position[i]), self.seen + int(i)
            event = self.open.get(key)
            if event is not None and at - event.end > self.gap:
                yield event
                event = None
            if event is None:
                self.open[key] = Event(
                    item, item, item, float(scores[i]), int(severity[i]), 1, at, at, key
                )
                continue
            event.last, event.end, event.size = item, at, event.size + 1
            event.severity = max(event.severity, int(severity[i]))
            if scores[i] > event.score:
                event.peak, event.score = item, float(scores[i])
        self.seen += len(severity)
        event = self.open.get(key)
        if event is not None and len(position) and float(position[-1]) - event.end > self.gap:
            yield self.open.pop(key)

    def flush(self) -> Iterator[Event]:
        """Yield the events still open."""
        while self.open:
            yield self.open.pop(next(iter(self.open)))


def find_events(
    severity: IntArray,
    scores: FloatArray,
    times: FloatArray | None = None,
    keys: np.ndarray | None = None,
) -> list[Event]:
    """The events among items, in order of their first item.

    Without ``times`` every flagged item is an event of its own. With them, items of one key flagged
    within three times the median step from one item to the next are one event.

    Parameters
    ----------
    severity : ndarray of shape (n,)
        0 where an item is not flagged, else 1 to 3.
    scores : ndarray of shape (n,)
    times : ndarray of shape (n,), optional
        Seconds; not finite where unknown. Need not ascend.
    keys : ndarray of shape (n,), optional
        The series each item belongs to.
    """
    if times is None:
        builder, position = EventBuilder(gap=-1.0), np.arange(len(scores), dtype=np.float64)
        return [*builder.push(severity, scores, position), *builder.flush()]
    found = []
    groups = np.zeros(len(scores), dtype=int) if keys is None else keys
    for key in np.unique(groups[severity > 0]):
        rows = np.flatnonzero((groups == key) & np.isfinite(times))
        rows = rows[np.argsort(times[rows], kind="stable")]
        steps = np.diff(times[rows])
        builder = EventBuilder(gap=3.0 * float(np.median(steps)) if len(steps) else 0.0)
        name = None if keys is None else str(key)
        events = [*builder.push(severity[rows], scores[rows], times[rows], name), *builder.flush()]
        for event in events:
            event.first, event.last, event.peak = (
                int(rows[i]) for i in (event.first, event.last, event.peak)
            )
        found += events
    return sorted(found, key=lambda e: e.first)
