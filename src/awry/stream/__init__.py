"""Events judged as they come: sources, a state for each partition, outputs kept once.

The module can be called: ``awry.stream(source, detector)`` is :func:`stream`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from time import time as now
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from awry.core.detector import Detector
    from awry.stream.records import Judged

__all__ = ["Verdict", "stream"]


class Verdict(NamedTuple):
    """What was found of one event.

    Attributes
    ----------
    offset : int
        Its place in the source.
    score : float or None
        None while the detector begins.
    severity : int
        0 no anomaly, 1 warning, 2 critical, 3 emergency.
    key : str or None
    time : float or None
        Seconds since 1970, where ``time`` names a field.
    late : bool
        Whether it came after the watermark.
    reasons : list of dict
        Of an anomaly: column, value, what is typical, share.
    record : dict
    topic, partition
        Where the source has them.
    """

    offset: int
    score: float | None
    severity: int
    key: str | None
    time: float | None
    late: bool
    reasons: list[dict[str, Any]]
    record: dict[str, Any]
    topic: str
    partition: int

    @property
    def anomaly(self) -> bool:
        """Whether it is an anomaly."""
        return self.severity > 0


def stream(
    source: str | Iterable[Mapping[str, Any]],
    detector: str | Detector = "streaming_gaussian",
    *,
    batch: int = 1,
    **settings: Any,
) -> Iterator[Verdict]:
    """Judge events one after the other, each before it is learnt.

    Nothing is kept: to go on after an end, and to scale out, run ``awry stream``.

    Parameters
    ----------
    source : str or iterable of dicts
        An address as ``awry stream --from`` takes it, or records, read as they are needed.
    detector : str or Detector
    batch : int, default=1
        Records taken at a time. More are quicker, and what comes out is the same, but later.
    **settings
        See :class:`awry.stream.plan.Plan`: ``key``, ``per_key``, ``time``, ``lateness``,
        ``threshold``, ``model`` and others.

    Yields
    ------
    Verdict
        For each event. With ``lateness`` in the order of time. Messages that cannot be read are
        left out.

    Examples
    --------
    >>> import awry
    >>> events = [{"amount": 20 + i % 7, "hour": i % 24} for i in range(2000)]
    >>> events[1500]["amount"] = 900
    >>> [v.offset for v in awry.stream(events, "streaming_gaussian") if v.anomaly]
    [1500]
    """
    from awry.stream.keys import TemporarySpill
    from awry.stream.lane import Lane
    from awry.stream.plan import Plan

    plan = Plan(detector, **settings)
    lanes: dict[tuple[str, int], Lane] = {}

    def judged(one: Any) -> Iterator[Verdict]:
        where = (one.topic, one.partition)
        if where not in lanes:
            lanes[where] = Lane(plan, *where, TemporarySpill())
        lane = lanes[where]
        lane.feed(one)
        yield from _taken(lane)

    def _taken(lane: Lane) -> Iterator[Verdict]:
        parts = lane.judged
        lane.clear()
        # What a key's store holds beyond its bound goes to a file of this process.
        if lane.store is not None and lane.store.crowded:
            lane.store.put_away()
        for part in parts:
            yield from _verdicts(part, lane.topic, lane.partition)

    for one in _batches(source, batch):
        yield from judged(one)
    for lane in lanes.values():
        lane.drain()
        yield from _taken(lane)


def _batches(source: str | Iterable[Mapping[str, Any]], size: int) -> Iterator[Any]:
    from awry.stream.records import Batch, Position
    from awry.stream.sources import open_source

    if isinstance(source, str):
        opened = open_source(source)
        opened.open(lambda topic, partition: None, lambda partitions, lost: None)
        try:
            while not opened.ended:
                for one in opened.poll(max(size, 1_000), 0.1):
                    yield one
                    opened.done(one.topic, one.partition, one.position)
        finally:
            opened.close()
        return
    records, at = iter(source), 0
    while some := [dict(record) for record in islice(records, size)]:
        offsets = list(range(at, at + len(some)))
        at += len(some)
        yield Batch("", 0, offsets, some, Position(at), now())


def _verdicts(part: Judged, topic: str, partition: int) -> Iterator[Verdict]:
    for i in range(len(part)):
        score, time = float(part.scores[i]), float(part.times[i])
        yield Verdict(
            int(part.offsets[i]),
            None if score != score else score,
            int(part.severity[i]),
            None if part.keys is None else part.keys[i],
            None if time != time else time,
            part.late[i],
            part.reasons.get(i, []),
            part.records[i],
            topic,
            partition,
        )


class _Callable(ModuleType):
    """So that ``awry.stream`` is a function also once its parts have been imported."""

    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[Verdict]:
        return stream(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
