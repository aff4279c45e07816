"""Events in the order they happened, as far as waiting for them is allowed."""

from __future__ import annotations

import heapq
import time
from typing import Any, NamedTuple

import msgspec
import numpy as np

from awry.core.params import Configurable, integer, real

#: Seconds that an event may happen after it came here, for clocks differ.
_AHEAD = 86_400.0
#: Kept in a checkpoint as JSON.
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class Held(NamedTuple):
    """An event: when it happened, its place in the source, its content, when it came here.

    ``since`` is the latter by the clock of this process alone, and so no part of a checkpoint.
    """

    time: float
    offset: int
    record: dict[str, Any]
    arrived: float
    since: float


class Watermark(Configurable):
    """Holds events back until none that happened before should still come.

    The watermark is ``lateness`` seconds before the newest time so far: what happened before it is
    let go in the order of time, what comes from before it is late, and told so. Events without a
    time, or with one of a clock that is wrong, more than a day after they came, go at once: they
    count as happening at the watermark (before there is one, at no time known) and do not move it,
    or one of them would make all others late. At most ``most`` events are held; beyond, the oldest
    go early.

    Parameters
    ----------
    lateness : float, default=0
        Seconds of the events' own time. With 0 nothing is held, and events pass in the order in
        which they come.
    most : int, default=100_000

    Attributes
    ----------
    undated : int
        Events without a time to go by, of this process.
    """

    constraints = {"lateness": real(0.0), "most": integer(1)}
    transient = ("heap", "undated")
    undated = 0

    def __init__(self, lateness: float = 0.0, most: int = 100_000) -> None:
        self.lateness = lateness
        self.most = most

    def start(self) -> Watermark:
        """Forget all events."""
        self.check_params()
        self.newest_, self.late_ = -np.inf, 0
        self.heap: list[Held] = []
        return self

    def push(self, events: list[Held]) -> tuple[list[Held], list[bool]]:
        """Events that are let go now, and whether each came late."""
        free: list[Held] = []
        late: list[bool] = []
        for event in events:
            at = event.time
            mark = self.newest_ - self.lateness
            if not -np.inf < at <= event.arrived + _AHEAD:
                self.undated += 1
                free.append(event._replace(time=mark if np.isfinite(mark) else np.nan))
                late.append(False)
                continue
            if at < mark:
                self.late_ += 1
                free.append(event)
                late.append(True)
                continue
            self.newest_ = max(self.newest_, at)
            if not self.lateness:
                free.append(event)
                late.append(False)
                continue
            heapq.heappush(self.heap, event)
            mark = self.newest_ - self.lateness
            while self.heap and (self.heap[0].time <= mark or len(self.heap) > self.most):
                free.append(heapq.heappop(self.heap))
                late.append(False)
        return free, late

    def drain(self) -> list[Held]:
        """All that is held, in order: the source has ended."""
        held, self.heap = sorted(self.heap, key=lambda e: (e.time, e.offset)), []
        return held

    def dump(self) -> bytes:
        """What is held, for a checkpoint."""
        return _encode([event[:4] for event in sorted(self.heap, key=lambda e: e[:2])])

    def refill(self, held: bytes) -> None:
        """Hold again what ``dump`` gave."""
        since = time.monotonic()
        self.heap = [Held._make((*event, since)) for event in _decode(held)]
        heapq.heapify(self.heap)
