"""What sinks are to be told: kept in the database until they are, whatever ends in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa

from awry.ops.beside import Beside
from awry.ops.paging import Page, cursor_of, page
from awry.ops.shared import Shared
from awry.ops.sinks import FINAL, AlertSink
from awry.ops.store import Store
from awry.ops.tables import alert_deliveries as table

_log = logging.getLogger(__name__)

STATES = ("waiting", "done", "dead")
#: Tries of a delivery, some three hours apart from first to last; seconds before the second, and
#: most between two.
TRIES, _FIRST, _LONGEST = 12, 5.0, 3_600.0
#: Seconds until a delivery that is under way is taken for one whose process has ended.
_LEASE = 60.0
#: Seconds for which it is remembered that a delivery was told: longer than it is tried.
_TOLD = 86_400.0
#: Seconds between looks for what other processes put in.
_POLL = 2.0


class Outbox:
    """Takes messages in the transaction they are of, and delivers them, each sink in a thread.

    A message is delivered at least once: a process that ends between telling and writing down that
    it told leaves it to the next, under the same number. What a process told and the database could
    not be told of is remembered besides, in Redis by all processes, and not told again.

    Parameters
    ----------
    store : Store
    sinks : mapping
        By name.
    shared : Shared, optional
        What processes know together; by default each knows what it told itself.
    poll : float
        Seconds between looks.
    """

    def __init__(
        self,
        store: Store,
        sinks: Mapping[str, AlertSink],
        shared: Shared | None = None,
        *,
        poll: float = _POLL,
    ) -> None:
        self._store, self.sinks = store, sinks
        self._shared = Shared() if shared is None else shared
        self._threads = [
            Beside(f"awry-sink-{name}", poll, partial(self.deliver, name)) for name in sinks
        ]

    def put(
        self,
        connection: sa.Connection,
        names: Iterable[str],
        message: Mapping[str, Any],
        now: float,
    ) -> None:
        """Let the sinks ``names`` be told of ``message``."""
        for name in dict.fromkeys(names):
            if name not in self.sinks:
                _log.warning("there is no alert sink %s any more", name)
                continue
            connection.execute(
                table.insert().values(
                    sink=name, state="waiting", message=dict(message), attempts=0, next=now,
                    created=now, updated=now,
                )
            )  # fmt: skip

    def deliver(self, name: str, now: float | None = None) -> int:
        """Tell the sink ``name`` all that is due; how many it took."""
        at = time.time() if now is None else now
        here, taken = self._of(name), 0
        with self._store.read() as connection:
            due = connection.execute(
                sa.select(table).where(here, table.c.next <= at).order_by(table.c.id)
            ).all()
        for one in due:
            if any(thread.stopping for thread in self._threads):
                break
            if self._claim(one, at):
                taken += self._tell(one, time.time() if now is None else now)
        return taken

    def wake(self) -> None:
        """Look for what is due now."""
        for thread in self._threads:
            thread.wake()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for thread in self._threads:
            thread.close()

    def list(
        self, *, state: str | None = None, sink: str | None = None, cursor: str | None = None,
        limit: int = 100,
    ) -> Page:  # fmt: skip
        """Deliveries, the newest first."""
        query = sa.select(table)
        for column, wanted in ((table.c.state, state), (table.c.sink, sink)):
            if wanted is not None:
                query = query.where(column == wanted)
        query = page(query, table.c.created, table.c.id, cursor, limit)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            [dict(row._mapping) for row in rows[:limit]],
            cursor_of(last.created, last.id) if last is not None else None,
        )

    def _of(self, name: str) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.sink == name, table.c.state == "waiting")

    def _claim(self, one: Any, now: float) -> bool:
        """Take a delivery, unless another process has."""
        mine = sa.and_(table.c.id == one.id, table.c.state == "waiting", table.c.next == one.next)
        values = {"next": now + _LEASE, "attempts": one.attempts + 1, "updated": now}
        with self._store.write() as connection:
            return connection.execute(table.update().where(mine).values(values)).rowcount == 1

    def _tell(self, one: Any, now: float) -> bool:
        sink, tries = self.sinks[one.sink], one.attempts + 1
        values: dict[str, Any] = {"state": "done", "error": None}
        # Numbers begin anew with a database that is made anew.
        name = f"delivery {one.id} {one.created}"
        try:
            if self._shared.recall([name]) == [None]:
                sink.send(one.message, one.id)
                self._shared.keep({name: b"told"}, _TOLD)
        except Exception as error:
            # An error of the standard library may quote an address, which may hold a token.
            told = str(error) if isinstance(error, FINAL) else type(error).__name__
            if isinstance(error, OSError) and error.strerror is None and error.args:
                told = f"{type(error).__name__}: {error.args[0]}"
            dead = isinstance(error, FINAL) or tries >= TRIES
            wait = min(_FIRST * 2.0 ** (tries - 1), _LONGEST)
            values = {"state": "dead" if dead else "waiting", "next": now + wait}
            values["error"] = told[:500]
            words = "will not be told any more" if dead else f"is told again in {wait:g} s"
            _log.warning("the sink %s did not take delivery %d and %s: %s",
                         one.sink, one.id, words, told)  # fmt: skip
        with self._store.write() as connection:
            connection.execute(
                table.update().where(table.c.id == one.id).values(updated=now, **values)
            )
        return values["state"] == "done"
