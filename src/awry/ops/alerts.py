"""Alerts: what rules find, told once to those who should know, until it is over."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from awry.ops import alert_states as states
from awry.ops import leases
from awry.ops.alert_rules import MOST, Rule
from awry.ops.audit import note
from awry.ops.beside import Beside
from awry.ops.conditions import Firing, find
from awry.ops.errors import NotFoundError, TooLargeError, UnfitError
from awry.ops.outbox import Outbox
from awry.ops.paging import Page, cursor_of, page
from awry.ops.settings import Settings
from awry.ops.shared import Shared
from awry.ops.sinks import Alertmanager, AlertSink, open_sinks
from awry.ops.store import Store
from awry.ops.tables import alert_rules as rules_table
from awry.ops.tables import alerts as table
from awry.result import SEVERITIES

#: Seconds, at least, after which another process looks where one has gone.
_LEAST = 30.0
#: Names PostgreSQL's advisory lock under which one process at a time says what fires.
_LOCK = 0x61777261


class Alerts:
    """Looks for what rules say, keeps it, and lets sinks be told.

    Alerts of one rule that are told at one time are one message. An alert that fires again within
    its cool-down is the same alert, and is told again only when that is over. What is quiet is
    kept, and told when the quiet hours are over, if it still fires.

    Parameters
    ----------
    store : Store
    settings : Settings
    sinks : mapping, optional
        By name; those of the settings by default.
    shared : Shared, optional
        What processes know together.

    Notes
    -----
    That an alert cools down is known in the database, and changed in the transaction that puts in
    what is told of it: all processes agree, and one that is killed neither loses an alert nor tells
    it twice, as it could were it known elsewhere.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        sinks: Mapping[str, AlertSink] | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._store = store
        self.outbox = Outbox(store, open_sinks(settings) if sinks is None else sinks, shared)
        self._beside = Beside("awry-alerts", settings.alert_seconds, self.take_turn)
        self._me, self._turn = uuid.uuid4().hex, max(3 * settings.alert_seconds, _LEAST)

    # -- rules ------------------------------------------------------------------------------------

    def rules(self) -> list[Rule]:
        """The rules, by name."""
        query = sa.select(rules_table.c.rule).order_by(rules_table.c.name)
        with self._store.read() as connection:
            return [Rule.load(rule) for rule in connection.scalars(query)]

    def set_rules(self, plain: Sequence[Mapping[str, Any]], *, by: str) -> list[Rule]:
        """Put ``plain`` in the place of all rules; what the others fired is over."""
        if len(plain) > MOST:
            raise TooLargeError(f"there may be {MOST:,} rules", field="rules")
        given = []
        for i, one in enumerate(plain):
            try:
                given.append(Rule.load(one))
                self._check_sinks(given[-1])
            except UnfitError as error:
                where = f"rules.{i}.{error.field}"
                raise UnfitError(error.what, field=where, remedy=error.remedy) from None
        names = [rule.name for rule in given]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UnfitError(f"{twice} is the name of two rules", field="rules")
        now = time.time()
        rows = [
            {"name": r.name, "rule": r.save(), "enabled": r.enabled, "updated": now, "by": by}
            for r in given
        ]
        with self._store.write() as connection:
            connection.execute(rules_table.delete())
            if rows:
                connection.execute(rules_table.insert(), rows)
            note(connection, by, "set alert rules", "alert rules", names=names)
        self._beside.wake()
        return self.rules()

    def _check_sinks(self, rule: Rule) -> None:
        for field in ("sinks", "escalate_to"):
            unknown = [name for name in getattr(rule, field) if name not in self.outbox.sinks]
            if unknown:
                known = ", ".join(self.outbox.sinks) or "none"
                raise UnfitError(
                    f"there is no sink {unknown[0]}", field=field,
                    remedy=f"AWRY_ALERT_SINKS names them: {known}",
                )  # fmt: skip

    # -- alerts -----------------------------------------------------------------------------------

    def list(
        self, *, state: str | None = None, severity: str | None = None, rule: str | None = None,
        cursor: str | None = None, limit: int = 100,
    ) -> Page:  # fmt: skip
        """Alerts, those that began last first."""
        query = sa.select(table)
        if severity is not None:
            query = query.where(table.c.severity >= SEVERITIES.index(severity))
        for column, wanted in ((table.c.state, state), (table.c.rule, rule)):
            if wanted is not None:
                query = query.where(column == wanted)
        query = page(query, table.c.started, table.c.id, cursor, limit)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        last = rows[limit - 1] if len(rows) > limit else None
        following = cursor_of(last.started, last.id) if last is not None else None
        return Page([_shown(row) for row in rows[:limit]], following)

    def acknowledge(self, number: int, *, by: str) -> dict[str, Any]:
        """Say that somebody sees to an alert: it is not told again, nor escalated."""
        here = table.c.id == number
        with self._store.write() as connection:
            found = connection.execute(sa.select(table).where(here)).one_or_none()
            if found is None:
                raise NotFoundError(f"there is no alert {number}", field="id")
            if found.acknowledged is None:
                values = {"acknowledged": time.time(), "acknowledged_by": by}
                connection.execute(table.update().where(here).values(values))
                note(connection, by, "acknowledge", f"alert {number}", rule=found.rule)
            return _shown(connection.execute(sa.select(table).where(here)).one())

    def receive(
        self, given: Iterable[tuple[bool, float, Firing]], now: float | None = None
    ) -> int:  # fmt: skip
        """Keep alerts of an Alertmanager, and let sinks be told of those that are new or over.

        Parameters
        ----------
        given : iterable of (bool, float, Firing)
            Of each whether it fires, since when, and what it is; told once more, it is the same.

        Returns
        -------
        int
            How many changed.
        """
        now = time.time() if now is None else now
        groups: dict[tuple[str, str], list[int]] = {}
        with self._locked() as connection:
            for fires, since, one in given:
                known = states.newest(connection, [one.fingerprint], "alertmanager").get(
                    one.fingerprint
                )
                if fires == (known is not None and known.state == "firing"):
                    continue
                if fires:
                    number = states.insert(
                        connection, one.labels["alertname"], one, now, started=since,
                        origin="alertmanager", told=now, retold=now, told_state="firing",
                    )  # fmt: skip
                else:
                    assert known is not None
                    number = known.id
                    states.resolve(connection, table.c.id == number, now)
                    states.change(connection, number, told_state="resolved")
                status = "firing" if fires else "resolved"
                groups.setdefault((one.labels["alertname"], status), []).append(number)
            # Those it came from know it already.
            sinks = self.outbox.sinks.items()
            names = [name for name, sink in sinks if not isinstance(sink, Alertmanager)]
            for (_, status), numbers in groups.items():
                rows = connection.execute(sa.select(table).where(table.c.id.in_(numbers))).all()
                self.outbox.put(connection, names, states.message(status, rows, now), now)
        self.outbox.wake()
        return sum(map(len, groups.values()))

    # -- looking ----------------------------------------------------------------------------------

    def check(self, now: float | None = None) -> None:
        """Look what the rules are true of at ``now``, and let sinks be told."""
        now = time.time() if now is None else now
        rules = {rule.name: rule for rule in self.rules() if rule.enabled}
        with self._store.read() as connection:
            found = {name: find(connection, rule, now) for name, rule in rules.items()}
        with self._locked() as connection:
            for name, rule in rules.items():
                states.keep(connection, rule, found[name], now)
            gone = sa.and_(table.c.origin == "rule", table.c.rule.not_in(list(rules)))
            states.resolve(connection, gone, now)
            self._tell(connection, rules, now)
        self.outbox.wake()

    def take_turn(self) -> bool:
        """Look at the rules, if no other process does; whether it did."""
        # Two that look at different moments could say that one alert is over and fires.
        mine = leases.take(self._store, "alerts", self._me, self._turn)
        if mine:
            self.check()
        return mine

    def start(self) -> None:
        self.outbox.start()
        self._beside.start()

    def close(self) -> None:
        self._beside.close()
        self.outbox.close()
        with suppress(sa.exc.SQLAlchemyError):  # else it runs out by itself
            leases.take(self._store, "alerts", self._me, -1.0)

    def _tell(self, connection: sa.Connection, rules: Mapping[str, Rule], now: float) -> None:
        groups: dict[tuple[str, str], list[Any]] = {}
        for row in states.untold(connection):
            # Of a rule that is gone, all that is left to say is that its alerts are over.
            rule = rules.get(row.rule) or Rule(name=row.rule, kind="event")
            if status := states.due(row, rule, now):
                groups.setdefault((row.rule, status), []).append(row)
                states.told(connection, row, status, now)
        for (name, status), rows in groups.items():
            rule = rules.get(name) or Rule(name=name, kind="event")
            wanted = rule.escalate_to if status == "escalated" else ()
            sinks = wanted or rule.sinks or tuple(self.outbox.sinks)
            self.outbox.put(connection, sinks, states.message(status, rows, now, rule.repeat), now)

    @contextmanager
    def _locked(self) -> Iterator[sa.Connection]:
        """A transaction that no other process says what fires beside."""
        with self._store.write() as connection:
            if not self._store.embedded:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection


def _shown(row: Any) -> dict[str, Any]:
    one = states.shown(row)
    del one["level"]
    return one
