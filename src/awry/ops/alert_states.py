"""What becomes of an alert: it fires, is told, is told again, is escalated, is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from awry.ops.alert_rules import Rule
from awry.ops.conditions import Firing
from awry.ops.tables import alerts as table
from awry.result import SEVERITIES

#: Alerts that one message holds; of more, how many there are.
_TOLD = 50
#: Who takes an alert for over that is not told again, as an Alertmanager does, waits so long.
_STANDS = 86_400.0


def keep(connection: sa.Connection, rule: Rule, found: Sequence[Firing], now: float) -> None:
    """Write down what ``rule`` is true of, and what it is no longer true of."""
    known = newest(connection, [one.fingerprint for one in found], "rule")
    for one in found:
        row = known.get(one.fingerprint)
        if row is None or (row.state == "resolved" and abs(now - row.resolved) > rule.cooldown):
            insert(connection, rule.name, one, now)
            continue
        again = row.state == "resolved"
        grave = max(one.severity, 0 if again else row.severity)
        values: dict[str, Any] = {"updated": now, "severity": grave, "summary": one.summary}
        if again:
            values |= {"state": "firing", "resolved": None, "count": row.count + 1}
        change(connection, row.id, **values)
    true = {one.fingerprint for one in found}
    firing = sa.and_(table.c.state == "firing", table.c.origin == "rule")
    rows = connection.execute(
        sa.select(table.c.id, table.c.fingerprint).where(firing, table.c.rule == rule.name)
    )
    for row in rows.all():
        if row.fingerprint not in true:
            resolve(connection, table.c.id == row.id, now)


def newest(connection: sa.Connection, fingerprints: Sequence[str], origin: str) -> dict[str, Any]:
    """The newest alert of each fingerprint."""
    found: dict[str, Any] = {}
    for at in range(0, len(fingerprints), 500):
        some = fingerprints[at : at + 500]
        last = sa.select(sa.func.max(table.c.id)).where(
            table.c.fingerprint.in_(some), table.c.origin == origin
        )
        here = table.c.id.in_(last.group_by(table.c.fingerprint))
        found |= {row.fingerprint: row for row in connection.execute(sa.select(table).where(here))}
    return found


def insert(
    connection: sa.Connection, rule: str, one: Firing, now: float, **more: Any
) -> int:  # fmt: skip
    """Write down a new alert and return its id."""
    values = {
        "rule": rule, "fingerprint": one.fingerprint, "state": "firing", "severity": one.severity,
        "started": now, "updated": now, "count": 1, "summary": one.summary, "labels": one.labels,
        "origin": "rule", **more,
    }  # fmt: skip
    number: int = connection.execute(table.insert().values(**values)).inserted_primary_key[0]  # type: ignore[index]
    return number


def change(connection: sa.Connection, number: int, **values: Any) -> None:
    """Write down what is new of an alert."""
    connection.execute(table.update().where(table.c.id == number).values(**values))


def resolve(connection: sa.Connection, which: sa.ColumnElement[bool], now: float) -> None:
    """Write down that alerts are over."""
    values = {"state": "resolved", "resolved": now, "updated": now}
    connection.execute(table.update().where(which, table.c.state == "firing").values(values))


def due(row: Any, rule: Rule, now: float) -> str | None:
    """What is to be told of an alert now: ``firing``, ``escalated``, ``resolved`` or nothing."""
    if rule.hushed(now, row.severity):
        return None
    if row.state == "resolved":
        return "resolved" if row.told_state == "firing" else None
    if row.acknowledged is not None:
        return None
    if row.told_state != "firing":
        return "firing" if row.told is None or abs(now - row.told) >= rule.cooldown else None
    if rule.escalate_after and row.escalated is None and abs(now - row.told) >= rule.escalate_after:
        return "escalated"
    if rule.repeat and abs(now - row.retold) >= rule.repeat:
        return "firing"
    return None


def told(connection: sa.Connection, row: Any, status: str, now: float) -> None:
    """Write down that sinks are told of an alert."""
    values: dict[str, Any] = {"told_state": "resolved" if status == "resolved" else "firing"}
    if status == "escalated":
        values |= {"escalated": now, "retold": now}
    elif status == "firing":
        values["retold"] = now
        if row.told_state != "firing":
            values |= {"told": now, "escalated": None}
    change(connection, row.id, **values)


def untold(connection: sa.Connection) -> list[Any]:
    """Alerts of rules that sinks may have to be told of."""
    open_ = sa.or_(
        table.c.state == "firing",
        sa.and_(table.c.state == "resolved", table.c.told_state == "firing"),
    )
    query = sa.select(table).where(table.c.origin == "rule", open_).order_by(table.c.id)
    return list(connection.execute(query).all())


def message(status: str, rows: Iterable[Any], now: float, repeat: float = 0.0) -> dict[str, Any]:
    """What sinks are told of alerts of one rule.

    An alert is as grave as it is; one that is escalated by one step more.
    """
    shown_ = sorted((shown(row) for row in rows), key=lambda one: (-one["level"], one["id"]))
    for one in shown_:
        level = one.pop("level") + (status == "escalated")
        one["severity"] = SEVERITIES[min(level, len(SEVERITIES) - 1)]
    return {
        "status": status,
        "rule": shown_[0]["rule"],
        "severity": shown_[0]["severity"],
        "at": now,
        "until": now + 2 * max(repeat, _STANDS),
        "alerts": shown_[:_TOLD],
        "more": max(len(shown_) - _TOLD, 0),
    }


def shown(row: Any) -> dict[str, Any]:
    """An alert as it is told."""
    names = (
        "id", "rule", "fingerprint", "state", "started", "updated", "resolved", "count", "summary",
        "labels", "origin", "acknowledged", "acknowledged_by", "told", "escalated",
    )  # fmt: skip
    values = row._mapping
    return {name: values[name] for name in names} | {
        "level": values["severity"], "severity": SEVERITIES[values["severity"]],
    }  # fmt: skip
