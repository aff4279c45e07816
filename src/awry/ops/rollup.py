"""What stays of scores: for each source, model and hour their counts, and a sketch of them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.ops.judgement import Judgement
from awry.ops.sketch import Sketch, sketches
from awry.ops.store import Store, insert_once
from awry.ops.tables import score_rollups as table

_HOUR = 3600
#: Quantiles that are told of an hour.
_QUANTILES = (0.5, 0.9, 0.99)


def roll_up(connection: sa.Connection, made: Judgement) -> None:
    """Add the scores of a judgement to those of their hours, in the transaction that keeps them.

    A job judges rows that are there, and may do so again: its scores are put in the place of those
    of the job before it, by the same version, and count once.
    """
    assert made.at is not None
    if not len(made.scores):
        return
    hours, place = np.unique(made.at // _HOUR, return_inverse=True)
    rows = np.bincount(place, minlength=len(hours))
    flagged = np.bincount(place, weights=made.severity > 0, minlength=len(hours))
    found = sketches(np.asarray(made.scores, dtype=float), place)
    whose = {
        "source": made.source, "model": made.model or "", "version": made.version or 0,
        "role": made.role, "origin": made.origin,
    }  # fmt: skip
    own = [table.c[name] == value for name, value in whose.items()]
    numbers = hours.astype(np.int64).tolist()
    fresh = {"rows": 0, "flagged": 0, "sketch": [], "updated": made.judged}
    empty = [{**whose, **fresh, "hour": hour} for hour in numbers]
    insert_once(connection, table, empty)
    if made.origin == "job":
        # By now one that is kept at the same time is, too.
        connection.execute(table.delete().where(*own))
        connection.execute(table.insert(), empty)
    # Always in order of the hours, so that no two wait for one another.
    known = connection.execute(
        sa.select(table.c.hour, table.c.sketch)
        .where(*own, table.c.hour.between(numbers[0], numbers[-1]))
        .order_by(table.c.hour)
        .with_for_update()
    )
    before = {hour: Sketch.load(sketch) for hour, sketch in known}
    connection.execute(
        table.update()
        .where(*own, table.c.hour == sa.bindparam("_hour"))
        .values(
            rows=table.c.rows + sa.bindparam("_rows"),
            flagged=table.c.flagged + sa.bindparam("_flagged"),
            sketch=sa.bindparam("_sketch"),
            updated=made.judged,
        ),
        [
            {
                "_hour": hour,
                "_rows": int(rows[i]),
                "_flagged": int(flagged[i]),
                "_sketch": (before[hour] + found.get(i, Sketch())).save(),
            }
            for i, hour in enumerate(numbers)
        ],
    )


def counted() -> sa.ColumnElement[bool]:
    """True of what requests and streams judged, and of the newest job of each source and model.

    What an earlier version of the model said of the same rows is not counted with it.
    """
    t, other = table.c, table.alias().c
    newest = (
        sa.select(other.source, other.model, sa.func.max(other.updated))
        .where(other.origin == "job", other.role == "champion")
        .group_by(other.source, other.model)
    )
    return sa.or_(t.origin != "job", sa.tuple_(t.source, t.model, t.updated).in_(newest))


def rates(
    store: Store, *, source: str, since: float, until: float, role: str = "champion"
) -> list[dict[str, Any]]:
    """For each hour and model: rows, rows flagged, and quantiles of the scores; oldest first."""
    query = (
        sa.select(table)
        .where(
            table.c.source == source,
            table.c.role == role,
            table.c.hour >= since // _HOUR,
            table.c.hour * _HOUR < until,
            counted(),
        )
        .order_by(table.c.hour, table.c.model, table.c.version)
    )
    with store.read() as connection:
        found = connection.execute(query).all()
    return [
        _told(*key, list(rows))
        for key, rows in groupby(found, lambda row: (row.hour, row.model, row.version))
    ]


def _told(hour: int, model: str, version: int, rows: list[Any]) -> dict[str, Any]:
    scores = sum((Sketch.load(row.sketch) for row in rows), Sketch())
    return {
        "at": hour * _HOUR,
        "model": model or None,
        "version": version or None,
        "rows": sum(row.rows for row in rows),
        "flagged": sum(row.flagged for row in rows),
        "quantiles": _quantiles(scores),
    }


def _quantiles(sketch: Sketch) -> dict[str, float]:
    return {str(q): sketch.quantile(q) for q in _QUANTILES} if len(sketch) else {}
