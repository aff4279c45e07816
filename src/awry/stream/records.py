"""What goes through a stream: micro-batches in, judged events and dead letters out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from awry.core.inputs import FloatArray, IntArray

Record = dict[str, Any]


class Position(NamedTuple):
    """Where to go on: the offset of the next message, and what else the source must know."""

    next: int
    extra: dict[str, Any] | None = None


@dataclass
class Batch:
    """Messages of one partition, in order, and where the source goes on after them.

    ``offsets`` rise, but need not be without gaps. A message is bytes in the stream's format, or a
    record already. ``arrived`` is the time of day, for events that tell no time; ``since`` is of a
    clock that no one puts forward or back, for how long they took.
    """

    topic: str
    partition: int
    offsets: list[int]
    messages: list[Any]
    position: Position
    arrived: float
    since: float = field(default_factory=time.monotonic)


class Dead(NamedTuple):
    """A message that cannot be judged, and why."""

    offset: int
    reason: str
    message: bytes


class Peak(NamedTuple):
    """The event with the highest score of an episode, and the scores of those before it.

    ``places`` (m,) are times, or offsets where events have no time; the last is the event's own.
    """

    record: Record
    places: FloatArray
    scores: FloatArray
    severity: IntArray


@dataclass
class Judged:
    """Events of one partition with their scores: each attribute holds one value per event.

    ``scores`` are NaN where none could be given yet, ``severity`` is 0 for no anomaly, else 1 to 3.
    ``times`` are the events' own, or NaN.
    """

    offsets: IntArray
    times: FloatArray
    scores: FloatArray
    severity: IntArray
    late: list[bool]
    arrived: FloatArray
    since: FloatArray
    records: list[Record]
    keys: list[str] | None = None
    #: Index of an anomaly and its reasons, see :class:`awry.result.Reason`.
    reasons: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    threshold: float = float("inf")

    def __len__(self) -> int:
        return len(self.offsets)
