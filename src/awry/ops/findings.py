"""Keeping what was found: every score, the events among them, and the incidents of these."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from itertools import repeat
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.core.incidents import Incident
from awry.core.plain import plain
from awry.ops.judgement import Found, Judgement, Numbers
from awry.ops.rollup import roll_up
from awry.ops.store import Store, insert_rows
from awry.ops.tables import event_features, events, incidents, judgements, scores

#: Statuses of events and incidents, the one that needs most first.
STATUSES = ("open", "acknowledged", "resolved")
#: Events of an incident that its words are made of.
_TOLD = 1_000
#: Longest text of an item or a key.
_LONGEST = 300


class Findings:
    """Keeps judgements as scores, events and incidents.

    Within a judgement, events make incidents as :mod:`awry.core.incidents` says. Across judgements
    of one source, as of the micro-batches of a stream, what lies no further apart than their
    ``gap`` goes on: one event of each version of a model, one incident of all.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Are told of each judgement that is kept, and must be quick.
        self.heard: list[Callable[[Judgement], None]] = []

    def record(self, made: Judgement, connection: sa.Connection | None = None) -> int:
        """Keep a judgement and return its id.

        Parameters
        ----------
        connection : optional
            A transaction of the caller's, which then keeps this and its own writes, or none.
        """
        with nullcontext(connection) if connection is not None else self._store.write() as here:
            number = self._record(here, made)
            if self.heard:
                sa.event.listen(here, "commit", lambda _: self._tell(made), once=True)
            return number

    def _tell(self, made: Judgement) -> None:
        for hear in self.heard:
            hear(made)

    def _record(self, connection: sa.Connection, made: Judgement) -> int:
        number: int = connection.execute(
            judgements.insert().values(
                at=made.judged,
                origin=made.origin,
                source=made.source,
                model=made.model,
                version=made.version,
                role=made.role,
                threshold=_finite(made.threshold),
                rows=len(made.scores),
                flagged=int((made.severity > 0).sum()),
                seconds=made.seconds,
                job=made.job,
            )
        ).inserted_primary_key[0]  # type: ignore[index]
        insert_rows(
            connection, scores, ("judgement", "item", "at", "score", "severity"),
            _score_rows(number, made),
        )  # fmt: skip
        roll_up(connection, made)
        if made.role == "champion":
            _keep_events(connection, number, made)
        return number


def _keep_events(connection: sa.Connection, number: int, made: Judgement) -> None:
    for incident in made.incidents or [_alone(event) for event in made.events]:
        fresh: list[Found] = []
        touched: set[int] = set()
        for event in incident.events:
            assert isinstance(event, Found)
            known = _going_on(connection, made, event)
            if known is None:
                fresh.append(event)
            else:
                _prolong(connection, known, event)
                touched.add(known.incident)
        if fresh:
            start, end = min(e.start for e in fresh), max(e.end for e in fresh)
            home = min(touched, default=None) or incident_between(
                connection, made.source, start, end, made.gap, made.judged
            )
            for event in fresh:
                _insert_event(connection, number, made, event, home)
            touched.add(home)
        for one in sorted(touched):
            refresh(connection, one)


def _going_on(connection: sa.Connection, made: Judgement, event: Found) -> Any:
    """The event of another judgement that ``event`` goes on with."""
    if made.gap is None:
        return None
    return connection.execute(
        sa.select(events)
        .where(
            events.c.source == made.source,
            events.c.key == _text(event.key) if event.key else events.c.key.is_(None),
            events.c.model == made.model if made.model else events.c.model.is_(None),
            # Versions score on scales of their own: what is of two of them is no one event.
            events.c.version == made.version,
            events.c.end >= event.start - made.gap,
            events.c.start <= event.end + made.gap,
            events.c.status != "resolved",
        )
        .order_by(events.c.end.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()


def incident_between(
    connection: sa.Connection, source: str, start: float, end: float, gap: float | None, now: float
) -> int:
    """The incident that events between ``start`` and ``end`` belong to; :func:`refresh` it then.

    One that is open and no further than ``gap`` away, else a new one, as where ``gap`` is None. One
    of very many events takes no more: it says nothing any more, and would last for ever.
    """
    found: int | None = None
    if gap is not None:
        found = connection.scalar(
            sa.select(incidents.c.id)
            .where(
                incidents.c.source == source,
                incidents.c.end >= start - gap,
                incidents.c.start <= end + gap,
                incidents.c.status != "resolved",
                incidents.c.events < _TOLD,
            )
            .order_by(incidents.c.start.desc())
            .limit(1)
        )
    if found is not None:
        return found
    added: int = connection.execute(
        incidents.insert().values(
            source=source, start=start, end=end, severity=0, status="open", score=0.0, events=0,
            keys=[], summary="", created=now,
        )
    ).inserted_primary_key[0]  # type: ignore[index]  # fmt: skip
    return added


def refresh(connection: sa.Connection, number: int) -> None:
    """Let an incident say what follows from its events."""
    here, e = events.c.incident == number, events.c
    told = ("score", "severity", "items", "start", "end", "key", "kind", "summary")
    gravest = sa.select(*(e[name] for name in told)).where(here).order_by(e.score.desc())
    found: list[Any] = [
        Found(0, 0, 0, *row) for row in connection.execute(gravest.limit(_TOLD)).all()
    ]
    count, start, end, severity = connection.execute(
        sa.select(
            sa.func.count(), sa.func.min(e.start), sa.func.max(e.end), sa.func.max(e.severity)
        ).where(here)
    ).one()
    there = set(connection.scalars(sa.select(e.status).where(here).distinct()))
    status = next(one for one in STATUSES if one in there)
    whole = Incident(start, end, severity, found).finish()
    connection.execute(
        incidents.update()
        .where(incidents.c.id == number)
        .values(
            start=start, end=end, severity=severity, score=whole.score, events=count,
            keys=whole.keys[:100], summary=_text(whole.words, 2_000), status=status,
        )
    )  # fmt: skip


def _insert_event(
    connection: sa.Connection, number: int, made: Judgement, event: Found, incident: int
) -> None:
    key = _text(event.key) if event.key else None
    added = connection.execute(
        events.insert().values(
            judgement=number, incident=incident, source=made.source, model=made.model,
            version=made.version, key=key, kind=event.kind, start=event.start, end=event.end,
            items=event.size, threshold=_finite(made.threshold), severity=event.severity,
            status="open", created=made.judged, updated=made.judged, **_peak(event),
        )
    ).inserted_primary_key[0]  # type: ignore[index]  # fmt: skip
    _name_features(connection, added, event.features)


def _prolong(connection: sa.Connection, known: Any, event: Found) -> None:
    """Let the event ``known`` go on with ``event``."""
    connection.execute(
        events.update()
        .where(events.c.id == known.id)
        .values(
            start=min(known.start, event.start),
            end=max(known.end, event.end),
            items=known.items + event.size,
            severity=max(known.severity, event.severity),
            updated=time.time(),
            **(_peak(event) if event.score > known.score else {}),
        )
    )
    there = set(
        connection.scalars(
            sa.select(event_features.c.feature).where(event_features.c.event == known.id)
        )
    )
    _name_features(connection, known.id, [f for f in event.features if _text(f) not in there])


def _peak(event: Found) -> dict[str, Any]:
    """The values that the item with the highest score gives an event."""
    score = event.score if math.isfinite(event.score) else math.copysign(1e308, event.score)
    return {
        "peak": _text(event.item),
        "score": score,
        "summary": _text(event.words, 2_000),
        "reasons": plain([vars(reason) for reason in event.reasons]),
        "extract": plain(event.extract),
    }


def _name_features(connection: sa.Connection, number: int, features: Iterable[str]) -> None:
    named = dict.fromkeys(map(_text, features))
    if named:
        connection.execute(
            event_features.insert(), [{"feature": name, "event": number} for name in named]
        )


def _alone(event: Found) -> Incident:
    return Incident(event.start, event.end, event.severity, [event])


def _score_rows(number: int, made: Judgement) -> Iterable[tuple[Any, ...]]:
    assert made.at is not None
    scores, at, severity = (np.asarray(column) for column in (made.scores, made.at, made.severity))
    items: Iterable[str] = made.items
    if made.kept is not None:
        kept = np.flatnonzero(made.kept)
        scores, at, severity = scores[kept], at[kept], severity[kept]
        items = map(made.items.__getitem__, kept.tolist())
    values: list[float | None] = scores.astype(float).tolist()
    for i in np.flatnonzero(~np.isfinite(scores)).tolist():
        values[i] = None
    # Numbers of rows, of which there may be millions, need no look at their characters.
    items = items if isinstance(items, Numbers) else map(_text, items)
    return zip(repeat(number), items, at.tolist(), values, severity.tolist(), strict=False)


def _text(value: str, longest: int = _LONGEST) -> str:
    """Text that every database takes: neither NUL nor half of a surrogate pair."""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "\ufffd")[:longest]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
