"""What a service does beside answering: again and again, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import sqlalchemy as sa

_log = logging.getLogger(__name__)


class Beside:
    """Calls a function every so many seconds until it is closed.

    An error of it is logged, and it is called again: a database that comes back is found.

    Parameters
    ----------
    name : str
        Of the thread.
    every : float
        Seconds between calls.
    work : callable
    at_once : bool, default=True
        Whether the first call comes at the start, or after the first wait.
    """

    def __init__(
        self, name: str, every: float, work: Callable[[], object], *, at_once: bool = True
    ) -> None:
        self._name, self._every, self._work = name, every, work
        self._at_once = at_once
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""
        return self._stop.is_set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Let the next call come at once."""
        self._wake.set()

    def close(self, patience: float = 10.0) -> None:
        """End after the call under way."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience)

    def _loop(self) -> None:
        if not self._at_once:
            self._wake.wait(self._every)
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._work()
            except sa.exc.SQLAlchemyError as error:
                told = str(error).partition("\n")[0]
                _log.error("the database did not answer %s: %s", self._name, told)
            except Exception:
                _log.exception("%s failed, and goes on", self._name)
            self._wake.wait(self._every)
