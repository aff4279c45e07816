"""What people say of events, and what can be learnt from it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from awry.core.inputs import FloatArray, IntArray
from awry.ops.audit import note as write_down
from awry.ops.errors import UnfitError
from awry.ops.findings import STATUSES, refresh
from awry.ops.lookup import Lookup, event_row
from awry.ops.store import Store
from awry.ops.tables import events
from awry.ops.tables import feedback as table

#: What can be said of an event, and the status it has then.
VERDICTS = {"confirmed": "acknowledged", "false_alarm": "resolved"}
#: Characters of a note.
MAX_NOTE = 2_000


class Labelled(NamedTuple):
    """Events of a model that people gave a verdict on, the oldest first.

    Attributes
    ----------
    scores : ndarray of shape (n,)
        The highest of each event.
    verdicts : ndarray of shape (n,)
        1 confirmed, 0 false alarm: the newest verdict on each.
    features : ndarray of shape (n, d)
        The part each column had in it, 0 to 1; rows add up to at most 1.
    names : list of str
        Of the d columns.
    """

    scores: FloatArray
    verdicts: IntArray
    features: FloatArray
    names: list[str]


class Feedback:
    """Takes verdicts on events."""

    def __init__(self, store: Store) -> None:
        self._store, self._lookup = store, Lookup(store)

    def give(self, number: int, verdict: str, *, note: str = "", by: str) -> dict[str, Any]:
        """Say of an event that it is ``"confirmed"`` or a ``"false_alarm"``.

        All that is said is kept; the newest counts. A confirmed event is acknowledged, a false
        alarm resolved.
        """
        if verdict not in VERDICTS:
            raise UnfitError(
                f"there is no verdict {verdict!r}", field="verdict",
                remedy=f"give {' or '.join(VERDICTS)}",
            )  # fmt: skip
        now = time.time()
        with self._store.write() as connection:
            row = event_row(connection, number, lock=True)
            connection.execute(
                table.insert().values(
                    event=number, verdict=verdict, note=note[:MAX_NOTE], by=by, at=now
                )
            )
            values = {"verdict": verdict, "status": VERDICTS[verdict], "updated": now}
            self._change(connection, row, values)
            write_down(connection, by, "feedback", f"event {number}", verdict=verdict)
        return self._lookup.event(number)

    def set_status(self, number: int, status: str, *, by: str) -> dict[str, Any]:
        """Open, acknowledge or resolve an event."""
        if status not in STATUSES:
            raise UnfitError(
                f"there is no status {status!r}", field="status",
                remedy=f"give {', '.join(STATUSES)}",
            )  # fmt: skip
        with self._store.write() as connection:
            row = event_row(connection, number, lock=True)
            self._change(connection, row, {"status": status, "updated": time.time()})
            write_down(connection, by, "status", f"event {number}", status=status)
        return self._lookup.event(number)

    def labelled(self, model: str, version: int | None = None) -> Labelled:
        """What is known of the events of ``model``, or of one version, to learn from."""
        columns = (events.c.score, events.c.verdict, events.c.reasons)
        query = (
            sa.select(*columns)
            .where(events.c.model == model, events.c.verdict.is_not(None))
            .order_by(events.c.start, events.c.id)
        )
        if version is not None:
            query = query.where(events.c.version == version)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        names = sorted({reason["column"] for row in rows for reason in row.reasons})
        place = {name: j for j, name in enumerate(names)}
        features = np.zeros((len(rows), len(names)))
        for i, row in enumerate(rows):
            for reason in row.reasons:
                features[i, place[reason["column"]]] = reason["share"] or 0.0
        return Labelled(
            np.array([row.score for row in rows], dtype=float),
            np.array([row.verdict == "confirmed" for row in rows], dtype=np.int64),
            features,
            names,
        )

    def _change(self, connection: sa.Connection, row: Any, values: dict[str, Any]) -> None:
        connection.execute(events.update().where(events.c.id == row.id).values(**values))
        if row.incident is not None:
            refresh(connection, row.incident)
