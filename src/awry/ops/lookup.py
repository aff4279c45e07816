"""Looking at what was found: filtered, and page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from awry.ops.errors import NotFoundError
from awry.ops.paging import Page, cursor_of, page
from awry.ops.store import Store
from awry.ops.tables import event_features, events, feedback, incidents, judgements, scores
from awry.result import SEVERITIES


class Lookup:
    """The anomalies, events and incidents that were kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def anomalies(
        self,
        *,
        source: str | None = None,
        since: float | None = None,
        until: float | None = None,
        severity: str | None = None,
        model: str | None = None,
        status: str | None = None,
        feature: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Flagged items, the newest first.

        ``status`` and ``feature`` are those of the events they are in: see :func:`_in_event`.
        """
        query: sa.Select[Any] = (
            sa.select(
                scores.c.id, scores.c.item, scores.c.at, scores.c.score, scores.c.severity,
                judgements.c.source, judgements.c.model, judgements.c.version,
                judgements.c.threshold, judgements.c.origin, judgements.c.job,
            )
            .join(judgements, judgements.c.id == scores.c.judgement)
            .where(scores.c.severity >= max(1, _level(severity)), judgements.c.role == "champion")
            # Said as the index of anomalies says it, so that it is used.
            .where(sa.text("scores.severity > 0"))
        )  # fmt: skip
        query = _where(query, judgements.c.source.__eq__, source)
        query = _where(query, judgements.c.model.__eq__, model)
        query = _where(_where(query, scores.c.at.__ge__, since), scores.c.at.__lt__, until)
        if status is not None or feature is not None:
            query = query.where(_in_event(status, feature))
        return self._page(query, scores.c.at, scores.c.id, cursor, limit)

    def events(
        self,
        *,
        model: str | None = None,
        incident: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
        **filters: Any,
    ) -> Page:
        """Events, the newest first.

        Parameters
        ----------
        **filters
            ``source``, ``since``, ``until``, ``severity``, ``status`` and ``feature``, see
            :func:`_filtered`.
        """
        columns = [c for c in events.c if c.name not in ("extract", "judgement")]
        query = _filtered(sa.select(*columns), events, event_features.c.event, **filters)
        query = _where(query, events.c.model.__eq__, model)
        query = _where(query, events.c.incident.__eq__, incident)
        return self._page(query, events.c.start, events.c.id, cursor, limit)

    def incidents(self, *, cursor: str | None = None, limit: int = 100, **filters: Any) -> Page:
        """Incidents, the newest first; filtered as :meth:`events` are."""
        query = _filtered(sa.select(incidents), incidents, events.c.incident, **filters)
        return self._page(query, incidents.c.start, incidents.c.id, cursor, limit)

    def event(self, number: int) -> dict[str, Any]:
        """All that is known of an event, with what people said of it."""
        with self._store.read() as connection:
            row = event_row(connection, number)
            said = connection.execute(
                sa.select(feedback).where(feedback.c.event == number).order_by(feedback.c.id)
            )
            return {**_shown(row), "feedback": [dict(one._mapping) for one in said]}

    def gravest(
        self, source: str, *, judgement: int | None = None, limit: int = 20
    ) -> list[dict[str, Any]]:
        """The events of a source, or of one judgement of it, the gravest first."""
        columns = [c for c in events.c if c.name not in ("extract", "judgement")]
        query = (
            sa.select(*columns)
            .where(events.c.source == source)
            .order_by(events.c.severity.desc(), events.c.score.desc(), events.c.id.desc())
        )
        query = _where(query, events.c.judgement.__eq__, judgement).limit(limit)
        with self._store.read() as connection:
            return [_shown(row) for row in connection.execute(query)]

    def counts(self, source: str | None = None) -> dict[str, dict[str, int]]:
        """How many events there are of each status, and of each verdict."""
        found = {}
        with self._store.read() as connection:
            for column in (events.c.status, events.c.verdict):
                query = sa.select(column, sa.func.count()).group_by(column)
                rows = connection.execute(_where(query, events.c.source.__eq__, source))
                found[column.name] = {value: n for value, n in rows if value is not None}
        return found

    def _page(
        self, query: sa.Select[Any], at: Any, number: Any, cursor: str | None, limit: int
    ) -> Page:
        with self._store.read() as connection:
            rows = connection.execute(page(query, at, number, cursor, limit)).all()
        more = len(rows) > limit
        last = rows[limit - 1] if more else None
        return Page(
            [_shown(row) for row in rows[:limit]],
            cursor_of(last._mapping[at.name], last.id) if last is not None else None,
        )


def event_row(connection: sa.Connection, number: int, *, lock: bool = False) -> Any:
    """The row of an event."""
    query = sa.select(events).where(events.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no event {number}", field="id", remedy="see GET /events")
    return row


def _level(severity: str | None) -> int:
    return SEVERITIES.index(severity) if severity else 0


def _where(query: sa.Select[Any], says: Callable[[Any], Any], given: Any) -> sa.Select[Any]:
    """``query`` for what ``says`` of the value that is given; all where there is none."""
    return query if given is None else query.where(says(given))


def _filtered(
    query: sa.Select[Any],
    table: sa.Table,
    named: sa.ColumnElement[Any],
    *,
    source: str | None = None,
    since: float | None = None,
    until: float | None = None,
    severity: str | None = None,
    status: str | None = None,
    feature: str | None = None,
) -> sa.Select[Any]:
    """``query`` for some of the events, or incidents, of ``table``.

    Parameters
    ----------
    named : column
        What an event that a feature is in says of the id in ``table``.
    since, until : float, optional
        Those that were under way in this time, in seconds since 1970.
    severity : str, optional
        Of this severity or a graver one.
    feature : str, optional
        A column that shows it.
    """
    query = _where(query, table.c.end.__ge__, since)
    query = _where(query, table.c.start.__lt__, until)
    query = _where(query, table.c.source.__eq__, source)
    query = _where(query, table.c.status.__eq__, status)
    query = query.where(table.c.severity >= _level(severity))
    if feature is None:
        return query
    showing = sa.select(named).join_from(events, event_features)
    return query.where(table.c.id.in_(showing.where(event_features.c.feature == feature)))


def _in_event(status: str | None, feature: str | None) -> sa.ColumnElement[bool]:
    """That an item is in an event of this status that this feature shows.

    An event of one row holds that one. Another holds what was flagged while it lasted: of a
    job in the same job, else by the same model in the same source, where events go on from one
    judgement to the next. Rows without a time are all of one moment: an event of such rows holds
    those that are no further from its peak than it has rows.
    """
    e, s, j = events.c, scores.c, judgements.c
    peak = scores.alias("peak")
    nearby = sa.exists().where(
        peak.c.judgement == s.judgement, peak.c.severity > 0, peak.c.item == e.peak,
        sa.func.abs(s.id - peak.c.id) < e["items"],
    ).correlate(scores, events)  # fmt: skip
    holds = sa.and_(
        e.start <= s.at, e.end >= s.at,
        sa.case(
            (e.kind == "row", e.peak == s.item),
            (sa.and_(e.kind == "rows", e.start == e.end), nearby),
            else_=sa.true(),
        ),
    )  # fmt: skip
    holds = holds if status is None else sa.and_(holds, e.status == status)
    if feature is not None:
        shown = (event_features.c.event == e.id, event_features.c.feature == feature)
        holds = sa.and_(holds, sa.exists().where(*shown))
    # Two looks, so that each has an index of its own.
    of_job = sa.exists().where(e.judgement == s.judgement, holds)
    going_on = sa.exists().where(
        e.source == j.source, e.model.is_not_distinct_from(j.model), holds
    )  # fmt: skip
    return sa.or_(sa.and_(j.origin == "job", of_job), sa.and_(j.origin != "job", going_on))


def _shown(row: Any) -> dict[str, Any]:
    found = dict(row._mapping)
    if "severity" in found:
        found["severity"] = SEVERITIES[found["severity"]]
    return found
