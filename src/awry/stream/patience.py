"""What does not answer for a while is asked again; a disk that is full is told of at once."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.ops.store import AWAY, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds after which a database that does not answer is given up.
PATIENCE = 60.0
#: PostgreSQL's code for a disk that is full.
_DISK_FULL = "53100"


class Backoff:
    """Waits that double, from ``first`` to ``most`` seconds.

    Examples
    --------
    >>> waits = Backoff(1.0, 3.0)
    >>> [waits.next() for _ in range(3)]
    [1.0, 2.0, 3.0]
    """

    def __init__(self, first: float = 0.1, most: float = 5.0) -> None:
        self._first, self._most = first, most
        self._wait = first

    def next(self) -> float:
        """Seconds to wait now."""
        wait, self._wait = self._wait, min(2.0 * self._wait, self._most)
        return wait

    def reset(self) -> None:
        """It answers again."""
        self._wait = self._first


def failures(store: Store) -> tuple[type[Exception], ...]:
    """What is raised where the database does not answer for now, or cannot write."""
    # Rows are copied by the driver itself, whose errors SQLAlchemy does not see.
    driver: Any = store.engine.dialect.loaded_dbapi
    return (
        *AWAY, driver.OperationalError, driver.InterfaceError,
    )  # fmt: skip


def outlast(store: Store, call: Callable[[], T]) -> T:
    """What ``call`` gives, tried again while the database does not answer.

    Raises
    ------
    AwryError
        Where it does not for a minute; at once where it cannot write.
    """
    until, waits, known = time.monotonic() + PATIENCE, Backoff(), failures(store)
    while True:
        try:
            return call()
        except known as error:
            if words := cannot_write(error, store.engine.url):
                raise AwryError(words) from error
            if time.monotonic() > until:
                raise AwryError(f"the database does not answer: {_line(error)}") from error
            log.warning("the database does not answer, trying again: %s", _line(error))
            time.sleep(waits.next())


def cannot_write(error: Exception, url: sa.URL) -> str | None:
    """What to do about a disk that takes no more, None where ``error`` is of another kind."""
    cause: Any = getattr(error, "orig", None) or error
    code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == _DISK_FULL:
        what = "the disk is full"
    elif code == sqlite3.SQLITE_IOERR:
        what = "the disk cannot be written"
    else:
        return None
    place = str(url.database)
    if url.get_backend_name() == "postgresql":
        place = f"the database {place} at {url.host}:{url.port or 5432}"
    return (
        f"{what}: {place} does not take what is to be kept ({_line(cause)}); what was kept before "
        "is whole: make room there and start again, it goes on from where it was"
    )


def _line(error: Any) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
