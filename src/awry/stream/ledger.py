"""What came out of a stream, its state and its offsets, kept together or not at all."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from awry.core.errors import AwryError
from awry.data.tables import flatten
from awry.ops.extracts import cells_of, of_rows
from awry.ops.keeper import Keeper
from awry.ops.store import Store, insert_rows
from awry.ops.tables import (
    drift_reports,
    event_features,
    events,
    judgements,
    scores,
    stream_dead_letters,
    stream_offsets,
    stream_states,
)
from awry.stream.incidents import add_rates, join_incidents
from awry.stream.lane import Lane
from awry.stream.patience import outlast
from awry.stream.records import Judged
from awry.stream.samples import keep_rows

#: Bytes kept of a message that could not be judged.
MAX_DEAD_BYTES = 4096
#: Keys asked for in one statement.
_AT_ONCE = 500


class TakenOverError(AwryError):
    """Another worker has gone on with the partition: nothing of this one's was kept."""


class Ledger:
    """Keeps, in one transaction, scores, events, dead letters, the state and the offset.

    The offset is moved on only from where this worker found it. So of two workers that hold a
    partition at once, as happens when a broker takes it from one that is slow, one keeps its
    outputs and the other is told.

    Parameters
    ----------
    store : Store
    stream : str
        Name of the stream, under which it goes on after an end.
    keep_scores : bool
        Whether scores are kept, or events, state and offsets alone.
    keeper : Keeper, optional
        Keeps some of the rows that a model of the service judged.
    """

    def __init__(
        self, store: Store, stream: str, *, keep_scores: bool = True, keeper: Keeper | None = None
    ) -> None:
        self._store, self.stream, self._keep_scores = store, clip(stream, 200), keep_scores
        self._keeper = keeper
        self._found: dict[tuple[str, int], int | None] = {}
        #: CPU seconds that writing down states has taken.
        self.saving = 0.0

    def open(self, topic: str, partition: int) -> tuple[bytes | None, KeySpill]:
        """The state of a partition, None where it is new, and where its keys' records are."""
        state = outlast(self._store, lambda: self._open(topic, partition))
        return state, KeySpill(self._store, self.stream, lane_key(topic, partition))

    def _open(self, topic: str, partition: int) -> bytes | None:
        where = (clip(topic, 255), partition)
        at = self._at(where)
        with self._store.read() as connection:
            self._found[where] = connection.scalar(sa.select(stream_offsets.c.next).where(*at))
            state: bytes | None = connection.scalar(
                sa.select(stream_states.c.state).where(
                    stream_states.c.stream == self.stream,
                    stream_states.c.key == lane_key(topic, partition),
                )
            )
        return state

    def commit(self, lanes: Sequence[Lane]) -> None:
        """Keep what came out of ``lanes`` and where they are, also where that takes several tries.

        Raises
        ------
        TakenOverError
            Where another worker moved an offset; nothing was kept.
        AwryError
            Where the database does not answer for long, or cannot write; nothing was kept.
        """
        outlast(self._store, lambda: self._commit(lanes))

    def _commit(self, lanes: Sequence[Lane]) -> None:
        moved: dict[tuple[str, int], int] = {}
        new: list[dict[str, Any]] = []
        try:
            with self._store.write() as connection:
                # Always in the same order: two workers never wait for one another.
                for lane in sorted(lanes, key=lambda one: (one.topic, one.partition)):
                    moved |= self._move(connection, lane)
                    judgement = self._keep_judged(connection, lane)
                    self._keep_events(connection, lane, judgement, new)
                    self._keep_dead(connection, lane)
                    self._keep_drifts(connection, lane)
                    self._keep_state(connection, lane)
                    if self._keeper is not None:
                        keep_rows(connection, self._keeper, self.stream, lane, item(lane, 0)[:-1])
                if self._keep_scores:
                    add_rates(connection, self.stream, lanes)
                join_incidents(connection, self.stream, lanes)
        except BaseException:
            for episode in new:
                episode["id"] = None
            if self._keeper is not None:
                self._keeper.forget()
            raise
        self._found |= moved
        for lane in lanes:
            if lane.store is not None:
                lane.store.settle()

    def _move(self, connection: sa.Connection, lane: Lane) -> dict[tuple[str, int], int]:
        assert lane.position is not None
        where, to = (clip(lane.topic, 255), lane.partition), lane.position.next
        found = self._found[where]
        values = {"next": to, "updated": time.time()}
        if found is None:
            row = {"source": self.stream, "topic": where[0], "partition": where[1], **values}
            try:
                connection.execute(stream_offsets.insert().values(row))
            except sa.exc.IntegrityError:
                raise self._taken(lane) from None
        else:
            change = stream_offsets.update().where(*self._at(where), stream_offsets.c.next == found)
            if connection.execute(change.values(values)).rowcount != 1:
                raise self._taken(lane)
        return {where: to}

    def _at(self, where: tuple[str, int]) -> list[sa.ColumnElement[bool]]:
        columns = stream_offsets.c
        return [
            columns.source == self.stream,
            columns.topic == where[0],
            columns.partition == where[1],
        ]

    def _taken(self, lane: Lane) -> TakenOverError:
        return TakenOverError(
            f"{lane.topic}/{lane.partition} of {self.stream}: another worker has gone on with it"
        )

    def _keep_judged(self, connection: sa.Connection, lane: Lane) -> int | None:
        if not self._keep_scores or not lane.judged:
            return None
        now, plan = time.time(), lane.plan
        key: Any = connection.scalar(
            judgements.insert()
            .values(
                at=now, origin="stream", source=self.stream, role="champion",
                model=plan.model_name, version=plan.model_version,
                threshold=_finite(lane.judged[-1].threshold),
                rows=sum(map(len, lane.judged)),
                flagged=sum(int((part.severity > 0).sum()) for part in lane.judged),
            )
            .returning(judgements.c.id)
        )  # fmt: skip
        columns = ("judgement", "item", "at", "score", "severity")
        insert_rows(connection, scores, columns, _score_rows(key, lane, now))
        return int(key)

    def _keep_events(
        self,
        connection: sa.Connection,
        lane: Lane,
        judgement: int | None,
        new: list[dict[str, Any]],
    ) -> None:
        """Keep events that are new or have grown; add the new ones to ``new``."""
        for episode in lane.episodes.values():
            values = self._event(lane, episode) | _extract(lane, episode)
            if episode["id"] is not None:
                change = events.update().where(events.c.id == episode["id"])
                connection.execute(change.values(values))
                continue
            values = {"extract": {}} | values | {
                "judgement": judgement, "source": self.stream, "model": lane.plan.model_name,
                "version": lane.plan.model_version, "key": episode["key"][:300] or None,
                "status": "open", "created": values["updated"],
            }  # fmt: skip
            statement = events.insert().values(values).returning(events.c.id)
            episode["id"] = connection.scalar(statement)
            new.append(episode)
            for name in {str(reason["column"])[:300] for reason in episode["reasons"]}:
                connection.execute(
                    event_features.insert().values(feature=name, event=episode["id"])
                )

    def _event(self, lane: Lane, episode: dict[str, Any]) -> dict[str, Any]:
        return {
            "kind": episode["kind"], "start": episode["start"], "end": episode["end"],
            "items": episode["items"], "peak": item(lane, episode["peak"]),
            "score": episode["score"], "threshold": _finite(lane.judged[-1].threshold),
            "severity": episode["severity"], "summary": summary(episode),
            "reasons": episode["reasons"], "updated": time.time(),
        }  # fmt: skip

    def _keep_dead(self, connection: sa.Connection, lane: Lane) -> None:
        if not lane.dead:
            return
        columns = ("source", "topic", "partition", "offset", "at", "reason", "message")
        topic, now = clip(lane.topic, 255), time.time()
        rows = [
            (self.stream, topic, lane.partition, dead.offset, now,
             dead.reason.replace("\0", "\ufffd")[:300], dead.message[:MAX_DEAD_BYTES])
            for dead in lane.dead
        ]  # fmt: skip
        insert_rows(connection, stream_dead_letters, columns, rows)

    def _keep_drifts(self, connection: sa.Connection, lane: Lane) -> None:
        for report in lane.drifts:
            where = {"stream": self.stream, "topic": lane.topic, "partition": lane.partition}
            connection.execute(
                drift_reports.insert().values(
                    source=self.stream, model=lane.plan.model_name,
                    version=lane.plan.model_version, at=time.time(), drifted=report["drifted"],
                    report=report | where,
                )
            )  # fmt: skip

    def _keep_state(self, connection: sa.Connection, lane: Lane) -> None:
        name = lane_key(lane.topic, lane.partition)
        begun = time.thread_time()
        state = lane.save()
        self.saving += time.thread_time() - begun
        records = iter([(name, state)])
        if lane.store is not None:
            head = f"{name}#"
            inner = ((_inner(head, key), data) for key, data in lane.store.changed())
            records = chain(records, inner)
        while some := list(islice(records, _AT_ONCE)):
            _replace(connection, self.stream, some)


class KeySpill:
    """Records of keys, kept beside the state of their partition."""

    def __init__(self, store: Store, stream: str, lane: str) -> None:
        self._store, self._stream, self._head = store, stream, f"{lane}#"

    def load(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        return outlast(self._store, lambda: self._load(keys))

    def _load(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        names = {_inner(self._head, key): key for key in keys}
        asked, found = list(names), {}
        with self._store.read() as connection:
            for at in range(0, len(asked), _AT_ONCE):
                rows = connection.execute(
                    sa.select(stream_states.c.key, stream_states.c.state).where(
                        stream_states.c.stream == self._stream,
                        _among(connection, stream_states.c.key, asked[at : at + _AT_ONCE]),
                    )
                )
                found.update({names[row.key]: row.state for row in rows})
        return found

    def save(self, records: Iterable[tuple[str, bytes]]) -> None:
        raise NotImplementedError("records of keys are kept with the state of their partition")


def clip(text: str, most: int) -> str:
    """``text``, or where it is too long for a column, so much of it and its checksum."""
    text = text.replace("\0", "\ufffd")
    if len(text) <= most:
        return text
    return text[: most - 33] + "~" + hashlib.sha256(text.encode()).hexdigest()[:32]


def item(lane: Lane, offset: int) -> str:
    """What an event is called: topic, partition and offset."""
    return f"{clip(lane.topic, 255)}/{lane.partition}/{offset}"


def lane_key(topic: str, partition: int) -> str:
    """The key under which a partition's state is kept."""
    return clip(f"{topic}/{partition}", 220)


def summary(episode: dict[str, Any]) -> str:
    """What happened, in one line."""
    who = f" of {episode['key'][:100]}" if episode["key"] else ""
    if episode.get("words"):
        return f"{episode['words']}{who}"
    count = "an anomaly" if episode["items"] == 1 else f"{episode['items']:,} anomalies"
    why = ", ".join(str(reason["column"]) for reason in episode["reasons"])
    return f"{count}{who}" + (f": {why}" if why else "")


def _extract(lane: Lane, episode: dict[str, Any]) -> dict[str, Any]:
    """What is kept of the highest score of an event, where that is new."""
    peak = lane.peaks.get(id(episode))
    if peak is None:
        return {}
    order = np.argsort(peak.places, kind="stable")
    found = of_rows(
        peak.places[order], peak.scores[order], peak.severity[order],
        int(np.argmax(order)), timed=lane.plan.time is not None,
    )  # fmt: skip
    if lane.plan.time is None:
        found["axis"] = "offset"
    return {"extract": found | {"row": cells_of(flatten(peak.record))}}


def _inner(head: str, key: str) -> str:
    """What a key's record is called; ``head`` is its partition and a ``#``."""
    return clip(head + key, 300)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _score_rows(judgement: int, lane: Lane, now: float) -> Iterable[tuple[Any, ...]]:
    head = item(lane, 0)[:-1]
    for part in lane.judged:
        yield from zip(
            repeat(judgement),
            [f"{head}{offset}" for offset in part.offsets.tolist()],
            _times(part, now),
            [None if score != score else score for score in part.scores.tolist()],
            part.severity.tolist(),
            strict=False,
        )


def _times(part: Judged, now: float) -> list[float]:
    return np.where(np.isfinite(part.times), part.times, now).tolist()  # type: ignore[no-any-return]


def _among(
    connection: sa.Connection, column: sa.ColumnElement[str], values: list[str]
) -> sa.ColumnElement[bool]:
    """Whether ``column`` is one of ``values``, which are one parameter, however many they are."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(values, ARRAY(sa.Text)))
    listed = sa.func.json_each(json.dumps(values)).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def _replace(connection: sa.Connection, stream: str, records: Sequence[tuple[str, bytes]]) -> None:
    """Put states in the place of older ones, all in one statement."""
    driver: Any = connection.connection.driver_connection
    change = (
        "ON CONFLICT (stream, key) DO UPDATE SET state = excluded.state, updated = excluded.updated"
    )
    now = time.time()
    if connection.dialect.name == "postgresql":
        names, states = map(list, zip(*records, strict=True))
        # Binary, or each byte would be two of text.
        rows = "SELECT %s, key, state, %s FROM unnest(%s::text[], %b::bytea[]) AS new (key, state)"
        driver.execute(
            f"INSERT INTO stream_states {rows} {change}",
            (stream, now, names, states),
        )
    else:
        driver.executemany(
            f"INSERT INTO stream_states VALUES (?, ?, ?, ?) {change}",  # noqa: S608
            [(stream, key, state, now) for key, state in records],
        )
