"""What one process at a time does for all that use a database."""

from __future__ import annotations

import time

import sqlalchemy as sa

from awry.ops.store import Store, insert_once
from awry.ops.tables import leases

#: Seconds by which the clocks of two machines may differ.
_APART = 60.0


def take(store: Store, name: str, holder: str, seconds: float) -> bool:
    """Whether ``holder`` has the lease ``name`` for the next ``seconds``.

    Who has it prolongs it; who has gone loses it when it has run out.
    """
    now = time.time()
    with store.write() as connection:
        insert_once(connection, leases, name=name, holder=holder, until=0.0)
        free = sa.or_(leases.c.holder == holder, over(leases.c.until, seconds, now))
        taken = connection.execute(
            leases.update()
            .where(leases.c.name == name, free)
            .values(holder=holder, until=now + seconds)
        )
    return taken.rowcount == 1


def over(until: sa.Column[float], seconds: float, now: float) -> sa.ColumnElement[bool]:
    """Whether a lease of ``seconds`` that lasts until then has run out.

    One that would last for far longer was taken before the clock was put back.
    """
    return sa.or_(until < now, until > now + 2 * max(seconds, 0.0) + _APART)
