"""The worker: reads, judges, keeps, tells; and begins again where it was, whatever ended it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from awry.core.errors import AwryError
from awry.core.inputs import FloatArray, IntArray
from awry.model import Model
from awry.ops.keeper import Keeper
from awry.ops.store import Store
from awry.stream.champion import Champion
from awry.stream.lane import Lane
from awry.stream.ledger import Ledger, TakenOverError, item
from awry.stream.patience import outlast
from awry.stream.plan import Plan
from awry.stream.records import Batch, Dead, Judged, Position
from awry.stream.sinks.base import Mark, Message, Sink
from awry.stream.sources import Source

log = logging.getLogger(__name__)

SEVERITIES = ("", "warning", "critical", "emergency")
#: A state that takes long to write is written less often: so much of the time at most.
_SHARE = 0.1
#: Seconds to wait for messages at most, before the worker looks whether it is to stop.
_NAP = 0.25
#: Seconds from one trimming of rows that are kept to the next.
_TRIM = 300.0
#: Upper ends, in seconds, of the steps in which latencies are counted.
LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, np.inf)


@dataclass
class Tally:
    """What a worker has done."""

    events: int = 0
    anomalies: int = 0
    dead: int = 0
    late: int = 0
    #: Events without a time to go by, where there is one to be.
    undated: int = 0
    commits: int = 0
    #: Times another version of the model took over.
    swaps: int = 0
    #: Events by the time from their arrival to being kept, in the steps of LATENCIES.
    latencies: IntArray = field(default_factory=lambda: np.zeros(len(LATENCIES), dtype=np.int64))
    latency_seconds: float = 0.0

    def took(self, seconds: FloatArray) -> None:
        """Note the time from arrival to being kept of some events."""
        steps = np.searchsorted(LATENCIES, seconds)
        self.latencies += np.bincount(steps, minlength=len(LATENCIES))
        self.latency_seconds += float(seconds.sum())


class Worker:
    """Runs a stream.

    Parameters
    ----------
    source : Source
    plan : Plan
    store : Store
        Where state and offsets are kept, and, with ``keep_scores``, scores and events.
    sinks : sequence of Sink
        Who is told beside.
    name : str, optional
        The stream's name, under which it goes on; by default that of the source.
    keeper : Keeper, optional
        Keeps some of the rows that a model of the service judged, for its retraining.
    champion : Champion, optional
        Tells when another version of the plan's model is in charge, which then judges what comes.
    batch : int
        Messages read at a time.
    every : float
        Seconds after which what was judged is kept, together with the state; and
    every_items : int
        events after which it is kept sooner.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        store: Store,
        sinks: Sequence[Sink] = (),
        *,
        name: str | None = None,
        keep_scores: bool = True,
        keeper: Keeper | None = None,
        champion: Champion | None = None,
        batch: int = 2_000,
        every: float = 0.25,
        every_items: int = 20_000,
    ) -> None:
        self.source, self.plan, self.sinks = source, plan, list(sinks)
        self.name = name or source.name
        self.tally = Tally()
        self._store, self._keeper, self._champion = store, keeper, champion
        self._ledger = Ledger(store, self.name, keep_scores=keep_scores, keeper=keeper)
        self._batch, self._every, self._every_items = batch, every, every_items
        self.lanes: dict[tuple[str, int], Lane] = {}
        self._stopping = False
        self._since, self._waiting = time.monotonic(), 0
        self._trimmed = time.monotonic()

    @property
    def waiting(self) -> int:
        """Events that were read and are not kept yet."""
        return self._waiting

    def stop(self) -> None:
        """End after what is being done; may be called from a signal's handler."""
        self._stopping = True

    def run(self, heartbeat: Callable[[], None] = lambda: None) -> Tally:
        """Work until the source ends or ``stop`` is called.

        Parameters
        ----------
        heartbeat : callable
            Called several times a second.
        """
        self.source.open(self._assigned, self._revoked)
        try:
            while not (self._stopping or self.source.ended):
                self._turn()
                heartbeat()
            if self.source.ended:
                for lane in self.lanes.values():
                    lane.drain()
            self._commit(self.lanes.values())
            self._trim()
        except BaseException:
            # A source that gives its partitions back must not have them kept after all.
            self.lanes.clear()
            raise
        finally:
            self.source.close()
            for sink in self.sinks:
                sink.close()
        return self.tally

    # -- one turn ---------------------------------------------------------------------------------

    def _turn(self) -> None:
        held = self.source.holds_back and self._waiting > 0
        left = 0.0 if held else self._every - (time.monotonic() - self._since)
        found = self.source.poll(self._batch, max(min(left, _NAP), 0.01))
        for batch in found:
            self._feed(batch)
        if not self._waiting:
            self._since = time.monotonic()
        elif self._due(0.0 if held and not found else self._every):
            self._commit(self.lanes.values())
        if not any(lane.moved for lane in self.lanes.values()):
            self._between()

    def _feed(self, batch: Batch) -> None:
        lane = self.lanes.get((batch.topic, batch.partition))
        if lane is None:  # of a partition given back this moment
            return
        if lane.position is not None and batch.offsets and batch.offsets[0] < lane.position.next:
            batch = _after(batch, lane.position.next)
        lane.feed(batch)
        self._waiting += len(batch.messages) or 1

    def _due(self, every: float) -> bool:
        waited = time.monotonic() - self._since
        slow = self._ledger.saving / self.tally.commits / _SHARE if self.tally.commits else 0.0
        if any(lane.store is not None and lane.store.crowded for lane in self.lanes.values()):
            return True
        return waited >= max(every, slow) or self._waiting >= self._every_items

    # -- keeping ----------------------------------------------------------------------------------

    def _commit(self, lanes: Iterable[Lane], *, leaving: bool = False) -> None:
        """Keep what was judged, then tell the sinks of it."""
        changed = [lane for lane in lanes if lane.moved or lane.judged]
        if not changed:
            return
        for lane in changed:
            lane.outbox = self._messages(lane)
        try:
            # Whether it was kept is not known where an answer is missing: the offset tells.
            self._ledger.commit(changed)
        except TakenOverError as error:
            log.warning("%s", error)
            if not leaving:
                self._again(changed)
            return
        self.tally.commits += 1
        for lane in changed:
            self._told(lane)
        self._since, self._waiting = time.monotonic(), 0

    def _again(self, lanes: list[Lane]) -> None:
        """Begin partitions anew from what is kept."""
        if not self.source.replays:
            raise AwryError(
                f"another worker goes on with {self.name}, and {self.source.name} cannot go back"
            )
        for lane in lanes:
            position = self._assigned(lane.topic, lane.partition)
            self.source.seek(lane.topic, lane.partition, position)
        self._since, self._waiting = time.monotonic(), 0

    def _told(self, lane: Lane) -> None:
        assert lane.position is not None
        self.source.done(lane.topic, lane.partition, lane.position)
        now = time.monotonic()
        for part in lane.judged:
            self.tally.events += len(part)
            self.tally.anomalies += int((part.severity > 0).sum())
            self.tally.late += sum(part.late)
            self.tally.took(now - part.since)
        self.tally.dead += len(lane.dead)
        self.tally.undated += lane.watermark.undated
        self._deliver(lane)
        lane.clear()

    def _between(self) -> None:
        """What is done where all that was judged is kept."""
        if self._champion is not None:
            found = self._champion.other_than(self.plan.model_version)
            if found is not None:
                self._follow(*found)
        if time.monotonic() - self._trimmed > _TRIM:
            self._trim()

    def _trim(self) -> None:
        """Let go of rows past those to be kept; only who kept rows of a late hour knows of it."""
        keeper, self._trimmed = self._keeper, time.monotonic()
        if keeper is not None:
            outlast(self._store, lambda: keeper.trim(time.time()))

    def _follow(self, version: int, model: Model) -> None:
        log.info(
            "%s: version %d of %s judges from here on, in place of version %s",
            self.name, version, self.plan.model_name, self.plan.model_version,
        )  # fmt: skip
        self.plan = replace(self.plan, model=model, model_version=version)
        for lane in self.lanes.values():
            lane.follow(self.plan)
        self.tally.swaps += 1

    # -- telling ----------------------------------------------------------------------------------

    def _messages(self, lane: Lane) -> list[bytes]:
        """What sinks are to be told; kept with the state until they are."""
        if not self.sinks:
            return []
        every = any(sink.rows == "all" for sink in self.sinks)
        told = [m for part in lane.judged for m in judged_messages(self.name, lane, part, every)]
        told += [dead_message(self.name, lane, one) for one in lane.dead]
        return [msgspec.json.encode(message) for message in told]

    def _deliver(self, lane: Lane) -> None:
        assert lane.position is not None
        if not lane.outbox and not self.sinks:
            return
        messages: list[Message] = [msgspec.json.decode(message) for message in lane.outbox]
        mark = Mark(self.name, lane.topic, lane.partition, lane.position.next)
        for sink in self.sinks:
            wanted = [message for message in messages if sink.wants(message)]
            if wanted:
                sink.deliver(wanted, mark)
        lane.outbox = []

    # -- partitions -------------------------------------------------------------------------------

    def _assigned(self, topic: str, partition: int) -> Position | None:
        saved, spill = self._ledger.open(topic, partition)
        lane = Lane(self.plan, topic, partition, spill, saved)
        self.lanes[topic, partition] = lane
        if lane.outbox:
            # The worker before kept these, and may have ended before it told of them.
            self._deliver(lane)
        return lane.position

    def _revoked(self, partitions: Sequence[tuple[str, int]], lost: bool) -> None:
        gone = [self.lanes.pop(where) for where in partitions if where in self.lanes]
        if not lost and gone:
            self._commit(gone, leaving=True)


def judged_messages(name: str, lane: Lane, part: Judged, every: bool) -> list[Message]:
    """Events with their scores, as sinks are told of them: anomalies, or every one."""
    chosen = range(len(part)) if every else np.flatnonzero(part.severity).tolist()
    found = []
    for i in chosen:
        offset, score, time_ = int(part.offsets[i]), float(part.scores[i]), float(part.times[i])
        found.append(
            {
                "id": item(lane, offset), "stream": name, "topic": lane.topic,
                "partition": lane.partition, "offset": offset,
                "time": time_ if np.isfinite(time_) else float(part.arrived[i]),
                "score": score if np.isfinite(score) else None,
                "severity": SEVERITIES[int(part.severity[i])] or None,
                "anomaly": bool(part.severity[i] > 0), "late": part.late[i],
                "key": None if part.keys is None else part.keys[i],
                "reasons": part.reasons.get(int(i), []), "record": part.records[i],
            }
        )  # fmt: skip
    return found


def dead_message(name: str, lane: Lane, dead: Dead) -> Message:
    """A message that could not be judged, as a sink of dead letters is told of it."""
    return {
        "id": item(lane, dead.offset), "stream": name, "topic": lane.topic,
        "partition": lane.partition, "offset": dead.offset, "reason": dead.reason,
        "message": dead.message.decode("utf-8", "backslashreplace"),
    }  # fmt: skip


def _after(batch: Batch, offset: int) -> Batch:
    """The messages of ``batch`` from ``offset`` on; a broker may give some twice."""
    kept = [(o, m) for o, m in zip(batch.offsets, batch.messages, strict=True) if o >= offset]
    return replace(batch, offsets=[o for o, _ in kept], messages=[m for _, m in kept])
