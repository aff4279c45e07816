"""Who did what."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from awry.core.plain import plain
from awry.ops.paging import Page, cursor_of, page
from awry.ops.store import Store
from awry.ops.tables import audit


def note(connection: sa.Connection, by: str, action: str, thing: str, **detail: Any) -> None:
    """Write down what was done, in the transaction that does it.

    Parameters
    ----------
    by : str
        Id of the key, ``local`` where none was needed.
    action : str
        Such as ``"promote"``.
    thing : str
        What it was done to, such as ``"model payments"``.
    """
    connection.execute(
        audit.insert().values(
            at=time.time(), by=by, action=action, object=thing[:300], detail=plain(detail)
        )
    )


def entries(store: Store, *, cursor: str | None = None, limit: int = 100) -> Page:
    """What was done, the newest first."""
    query = page(sa.select(audit), audit.c.at, audit.c.id, cursor, limit)
    with store.read() as connection:
        rows = connection.execute(query).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        [dict(row._mapping) for row in rows[:limit]],
        cursor_of(last.at, last.id) if last is not None else None,
    )
