"""Connections to PostgreSQL that do not wait for ever for a server that hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, Self, TypeVar

import psycopg

_T = TypeVar("_T")

#: Set where the address says nothing else: seconds to connect in, and after which a machine that
#: is gone is noticed (the last in milliseconds).
OPTIONS = {
    "connect_timeout": 3,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
#: Seconds of silence after which the server is asked whether it is there, at first and at most.
_SILENCE, _LONGEST = 5.0, 60.0


class Connection(psycopg.Connection[Any]):
    """A connection that, when the server is long silent, asks on another one whether it is there.

    A server that hangs still has its machine's kernel acknowledge what is sent, so no option of
    TCP's notices, and its own statement_timeout hangs with it. A statement may take as long as it
    takes, on the other hand, while the server lets anybody connect, or refuses to: it answers.
    """

    _greet: Callable[[], psycopg.Connection[Any]]

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        made = super().connect(*args, **options)
        made._greet = lambda: psycopg.connect(*args, **options)
        return made

    def wait(self, gen: Generator[Any, Any, _T], *args: Any, **options: Any) -> _T:
        try:
            return super().wait(self._watched(gen), *args, **options)
        except psycopg.errors.ConnectionTimeout:
            # What comes after all must not be taken for the answer to something else.
            self.close()
            raise

    def _watched(self, steps: Generator[Any, Any, _T]) -> Generator[Any, Any, _T]:
        """``steps`` of talking to the server, until it answers neither here nor elsewhere."""
        patience, heard = _SILENCE, time.monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if ready:
                    patience, heard = _SILENCE, time.monotonic()
                elif time.monotonic() - heard > patience:
                    self._ask()
                    patience, heard = min(2 * patience, _LONGEST), time.monotonic()
                wanted = steps.send(ready)
        except StopIteration as end:
            result: _T = end.value
            return result

    def _ask(self) -> None:
        """Raise ``ConnectionTimeout`` where the server does not answer who connects."""
        try:
            self._greet().close()
        except psycopg.errors.ConnectionTimeout:
            raise
        except psycopg.OperationalError:
            return  # refusing is an answer, too
