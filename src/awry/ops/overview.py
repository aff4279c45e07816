"""What a person sees at a glance: sources, rates, scores of a judgement, records of versions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from awry.core.inputs import FloatArray, IntArray
from awry.ops.rollup import counted
from awry.ops.store import Store
from awry.ops.tables import (
    drift_reports,
    events,
    incidents,
    judgements,
    promotions,
    score_rollups,
    scores,
)

_HOUR = 3600
#: Scores that are read for a picture; of more, every k-th of those not flagged.
_DRAWN = 100_000


class Rates(NamedTuple):
    """Rows and flagged rows of each hour that has any, the oldest first.

    Attributes
    ----------
    at, rows, flagged : ndarray of shape (n,)
        ``at`` in seconds since 1970.
    """

    at: FloatArray
    rows: FloatArray
    flagged: FloatArray


class Scores(NamedTuple):
    """The scores of a judgement.

    Attributes
    ----------
    position : ndarray of shape (n,)
        Seconds since 1970 where ``timed``, else the place in the data, from 1.
    scores, severity : ndarray of shape (n,)
    timed : bool
    weight : int
        So many rows stand for each that is not flagged.
    whole : bool
        Whether the scores of all rows were kept, and not of flagged ones alone.
    """

    position: FloatArray
    scores: FloatArray
    severity: IntArray
    timed: bool
    weight: int
    whole: bool


class Overview:
    """Looks at what is in the database, for people."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sources(self) -> list[dict[str, Any]]:
        """What was judged: data sets, streams, models that were asked; the newest first."""
        t = score_rollups.c
        totals = (
            sa.select(
                t.source, sa.func.sum(t.rows).label("rows"),
                sa.func.sum(t.flagged).label("flagged"), sa.func.max(t.updated).label("updated"),
            )
            .where(t.role == "champion", counted())
            .group_by(t.source)
        )  # fmt: skip
        waiting = (
            sa.select(events.c.source, sa.func.count().label("open"))
            .where(events.c.status == "open")
            .group_by(events.c.source)
        )
        with self._store.read() as connection:
            found = {row["source"]: dict(row) for row in connection.execute(totals).mappings()}
            unseen = {row.source: row.open for row in connection.execute(waiting)}
        for name, one in found.items():
            one |= {"rows": int(one["rows"]), "flagged": int(one["flagged"])}
            one["open"] = unseen.get(name, 0)
        return sorted(found.values(), key=lambda one: -one["updated"])

    def open_incidents(self) -> int:
        """How many incidents nobody has dealt with."""
        query = sa.select(sa.func.count()).where(incidents.c.status == "open")
        with self._store.read() as connection:
            return int(connection.scalar(query) or 0)

    def rates(self, source: str) -> Rates:
        """What was judged and flagged of ``source``, hour by hour."""
        t = score_rollups.c
        query = (
            sa.select(t.hour, sa.func.sum(t.rows), sa.func.sum(t.flagged))
            .where(t.source == source, t.role == "champion", counted())
            .group_by(t.hour)
            .order_by(t.hour)
        )
        with self._store.read() as connection:
            rows = np.array(connection.execute(query).all(), dtype=float).reshape(-1, 3)
        return Rates(rows[:, 0] * _HOUR, rows[:, 1], rows[:, 2])

    def judged(self, since: float) -> dict[str, int]:
        """Rows judged, and flagged, since a time; a data set that a model judged again, once."""
        j, later = judgements.c, judgements.alias().c
        again = sa.exists().where(
            j.origin == "job", later.origin == "job", later.source == j.source,
            later.model.is_not_distinct_from(j.model), later.role == "champion", later.id > j.id,
        )  # fmt: skip
        query = sa.select(sa.func.sum(j.rows), sa.func.sum(j.flagged)).where(
            j.role == "champion", j.at >= since, ~again
        )
        with self._store.read() as connection:
            rows, flagged = connection.execute(query).one()
        return {"rows": int(rows or 0), "flagged": int(flagged or 0)}

    def latest(self, source: str) -> dict[str, Any] | None:
        """The newest batch judgement of ``source``."""
        j = judgements.c
        query = (
            sa.select(judgements)
            .where(j.source == source, j.role == "champion", j.origin == "job")
            .order_by(j.at.desc())
            .limit(1)
        )
        with self._store.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else dict(row._mapping)

    def scores(self, judgement: dict[str, Any]) -> Scores | None:
        """The scores of a judgement, to be drawn; None where they were deleted."""
        here = scores.c.judgement == judgement["id"]
        with self._store.read() as connection:
            first, kept = connection.execute(
                sa.select(sa.func.min(scores.c.id), sa.func.count()).where(here)
            ).one()
            if not kept:
                return None
            whole = kept >= judgement["rows"]
            weight = math.ceil(kept / _DRAWN) if whole else 1
            query = sa.select(
                scores.c.id, scores.c.at, scores.c.score, scores.c.severity
            ).where(here, scores.c.score.is_not(None))  # fmt: skip
            if weight > 1:
                every = (scores.c.id - first) % weight == 0
                query = query.where(sa.or_(every, scores.c.severity > 0))
            rows = connection.execute(query.order_by(scores.c.id).limit(3 * _DRAWN)).all()
        if not rows:
            return None
        table = np.array(rows, dtype=float)
        timed = bool(np.ptp(table[:, 1]) > 0)
        position = table[:, 1] if timed else table[:, 0] - first + 1
        return Scores(position, table[:, 2], table[:, 3].astype(int), timed, weight, whole)

    def record(self, model: str) -> dict[int, dict[str, int]]:
        """What became of each version of a model: rows, flagged, events and verdicts on them."""
        t, e = score_rollups.c, events.c
        judged = (
            sa.select(t.version, sa.func.sum(t.rows), sa.func.sum(t.flagged))
            .where(t.model == model)
            .group_by(t.version)
        )
        said = (
            sa.select(e.version, e.verdict, sa.func.count())
            .where(e.model == model)
            .group_by(e.version, e.verdict)
        )
        empty = {"rows": 0, "flagged": 0, "events": 0, "confirmed": 0, "false_alarm": 0}
        found: dict[int, dict[str, int]] = {}
        with self._store.read() as connection:
            for version, rows, flagged in connection.execute(judged):
                found[version] = {**empty, "rows": int(rows), "flagged": int(flagged)}
            for version, verdict, count in connection.execute(said):
                one = found.setdefault(version, dict(empty))
                one["events"] += count
                if verdict is not None:
                    one[verdict] += count
        return found

    def promotions(self, model: str, *, limit: int = 20) -> list[dict[str, Any]]:
        """Which versions were put in charge, when and by whom, the newest first."""
        p = promotions.c
        query = (
            sa.select(p.version, p.at, p.by, p.undone)
            .where(p.model == model)
            .order_by(p.id.desc())
            .limit(limit)
        )
        with self._store.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def drift(self) -> dict[str, dict[str, Any]]:
        """The newest drift report of each source."""
        d = drift_reports.c
        newest = sa.select(sa.func.max(d.id)).group_by(d.source)
        query = sa.select(drift_reports).where(d.id.in_(newest))
        with self._store.read() as connection:
            return {row["source"]: dict(row) for row in connection.execute(query).mappings()}
