"""What stays of scores: for each source, model and hour their counts, and a sketch of them."""

from __future__ import annotations

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
    """Add the scores of a judgement to those of their hours, in the transaction that keeps them."""
    assert made.at is not None
    if not len(made.scores):
        return
    hours, place = np.unique(made.at // _HOUR, return_inverse=True)
    rows = np.bincount(place, minlength=len(hours))
    flagged = np.bincount(place, weights=made.severity > 0, minlength=len(hours))
    found = sketches(np.asarray(made.scores, dtype=float), place)
    whose = {
        "source": made.source, "model": made.model or "", "version": made.version or 0,
        "role": made.role,
    }  # fmt: skip
    own = [table.c[name] == value for name, value in whose.items()]
    numbers = hours.astype(np.int64).tolist()
    fresh = {"rows": 0, "flagged": 0, "sketch": [], "updated": made.judged}
    insert_once(connection, table, [{**whose, **fresh, "hour": hour} for hour in numbers])
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
        )
        .order_by(table.c.hour, table.c.model, table.c.version)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [
        {
            "at": row.hour * _HOUR,
            "model": row.model or None,
            "version": row.version or None,
            "rows": row.rows,
            "flagged": row.flagged,
            "quantiles": _quantiles(Sketch.load(row.sketch)),
        }
        for row in rows
    ]


def _quantiles(sketch: Sketch) -> dict[str, float]:
    return {str(q): sketch.quantile(q) for q in _QUANTILES} if len(sketch) else {}
