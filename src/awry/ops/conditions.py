"""Whether what a rule looks for is there: over a window, of what was kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from awry.ops.alert_rules import Rule
from awry.ops.tables import drift_reports, events, judgements, models, versions
from awry.result import SEVERITIES

#: What was judged so long ago, and never since, is taken for retired.
_RETIRED = 7 * 86_400.0
#: Alerts that one rule may have at once, the rest being left out.
_MOST = 1_000


class Firing(NamedTuple):
    """A thing that a rule is true of."""

    labels: dict[str, str]
    severity: int
    summary: str

    @property
    def fingerprint(self) -> str:
        """Equal for the same rule and thing, whenever it fires."""
        return hashlib.sha256(json.dumps(self.labels, sort_keys=True).encode()).hexdigest()


def level_of(severity: str) -> int:
    """The level of a severity; of one that is not known, the lowest.

    Examples
    --------
    >>> level_of("critical"), level_of("info")
    (2, 1)
    """
    return SEVERITIES.index(severity) if severity in SEVERITIES[1:] else 1


def find(connection: sa.Connection, rule: Rule, now: float) -> list[Firing]:
    """What ``rule`` is true of at ``now``."""
    return _KINDS[rule.kind](connection, rule, now)[:_MOST]


def _event(connection: sa.Connection, rule: Rule, now: float) -> list[Firing]:
    e = events.c
    count, gravest = sa.func.count(), sa.func.max(e.severity)
    query = (
        sa.select(e.source, e.model, count, gravest)
        .where(e.updated > now - rule.window, e.updated <= now)
        .where(e.status == "open", e.severity >= SEVERITIES.index(rule.at_least))
        .group_by(e.source, e.model)
        .having(count >= rule.enough)
    )
    return [
        _firing(
            rule, source, model,
            f"{n:,} {'event' if n == 1 else 'events'} in {_words(rule.window)}, up to "
            f"{SEVERITIES[severity]}",
            severity,
        )
        for source, model, n, severity in connection.execute(_only(query, events, rule))
    ]  # fmt: skip


def _rate(connection: sa.Connection, rule: Rule, now: float) -> list[Firing]:
    begin = now - rule.window
    before = _counts(connection, rule, begin - rule.baseline, begin) if rule.times else {}
    found = []
    for (source, model), (rows, flagged) in _counts(connection, rule, begin, now).items():
        if rows < rule.enough or flagged / rows <= (rule.threshold or 0.0):
            continue
        words = f"{flagged / rows:.1%} of {rows:,} flagged in {_words(rule.window)}"
        if rule.times:
            usual_rows, usual = before.get((source, model), (0, 0))
            # Without a baseline there is nothing to be more than.
            if usual_rows < rule.enough or flagged / rows <= rule.times * usual / usual_rows:
                continue
            words += f", {usual / usual_rows:.1%} in {_words(rule.baseline)} before"
        found.append(_firing(rule, source, model, words))
    return found


def _counts(
    connection: sa.Connection, rule: Rule, since: float, until: float
) -> dict[tuple[str, str | None], tuple[int, int]]:
    j = judgements.c
    query = (
        sa.select(j.source, j.model, sa.func.sum(j.rows), sa.func.sum(j.flagged))
        .where(j.role == "champion", j.at > since, j.at <= until)
        .group_by(j.source, j.model)
    )
    rows = connection.execute(_only(query, judgements, rule))
    return {(source, model): (int(n), int(flagged)) for source, model, n, flagged in rows}


def _no_data(connection: sa.Connection, rule: Rule, now: float) -> list[Firing]:
    j = judgements.c
    query = (
        sa.select(j.source, j.model, sa.func.max(j.at))
        .where(j.role == "champion", j.origin != "job")
        .where(j.at > now - rule.window - _RETIRED, j.at <= now)
        .group_by(j.source, j.model)
    )
    rows = connection.execute(_only(query, judgements, rule)).all()
    silent = [
        _firing(rule, source, model, f"nothing has come for {_words(now - at)}")
        for source, model, at in rows
        if at <= now - rule.window
    ]
    if not rows and (rule.source or rule.model):
        return [_firing(rule, rule.source, rule.model, "nothing has come at all")]
    return silent


def _drift(connection: sa.Connection, rule: Rule, now: float) -> list[Firing]:
    d = drift_reports.c
    newest = _only(sa.select(sa.func.max(d.id)), drift_reports, rule).group_by(d.source, d.model)
    query = sa.select(d.source, d.model, d.report).where(
        d.id.in_(newest), d.at > now - rule.window, d.at <= now, d.drifted
    )
    found = []
    for source, model, report in connection.execute(query):
        moved = [f["feature"] for f in report.get("features") or [] if f["drifted"]]
        names = ", ".join(moved[:5]) + (" and more" if len(moved) > 5 else "")
        words = f"{len(moved)} features have moved: {names}" if moved else "the data have moved"
        found.append(_firing(rule, source, model, words))
    return found


def _stale(connection: sa.Connection, rule: Rule, now: float) -> list[Firing]:
    v = versions.c
    query = (
        sa.select(v.model, v.version, v.created)
        .join(models, sa.and_(models.c.name == v.model, models.c.champion == v.version))
        .where(v.created <= now - rule.window)
        .order_by(v.created)
    )
    if rule.model:
        query = query.where(v.model == rule.model)
    return [
        _firing(rule, None, name, f"version {version} was trained {_words(now - made)} ago")
        for name, version, made in connection.execute(query)
    ]


def _only(query: sa.Select[Any], table: sa.Table, rule: Rule) -> sa.Select[Any]:
    for name in ("source", "model"):
        wanted = getattr(rule, name)
        if wanted is not None:
            query = query.where(table.c[name] == wanted)
    return query


def _firing(
    rule: Rule, source: str | None, model: str | None, words: str, severity: int | None = None
) -> Firing:
    labels = {"alertname": rule.name, "source": source, "model": model}
    whose = " by ".join(dict.fromkeys(name for name in (source, model) if name))
    return Firing(
        {name: text for name, text in labels.items() if text},
        SEVERITIES.index(rule.severity) if severity is None else severity,
        f"{whose}: {words}",
    )


def _words(seconds: float) -> str:
    """A length of time for people."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            n = round(seconds / size)
            return f"{n:,} {unit}{'' if n == 1 else 's'}"
    return f"{seconds:.0f} seconds"


_KINDS: dict[str, Callable[[sa.Connection, Rule, float], list[Firing]]] = {
    "event": _event, "rate": _rate, "no_data": _no_data, "drift": _drift, "stale": _stale,
}  # fmt: skip
