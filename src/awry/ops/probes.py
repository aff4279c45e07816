"""Asking what may not answer, without waiting for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

#: Seconds after which a part of the service counts as not answering.
PATIENCE = 2.0


class Aside(Generic[_T]):
    """Calls a function in a thread of its own, one call at a time.

    Who asks while a call is under way gets what that one gives, so that what hangs holds one
    thread, however often it is asked.

    Examples
    --------
    >>> Aside("sum", lambda: 1 + 1).call().result(10)
    2
    """

    def __init__(self, name: str, work: Callable[[], _T]) -> None:
        self._name, self._work = name, work
        self._lock = threading.Lock()
        self._last: Future[_T] | None = None

    def call(self) -> Future[_T]:
        """What the function gives, or raises, once it does."""
        with self._lock:
            if self._last is None or self._last.done():
                self._last = Future()
                run = threading.Thread(
                    target=self._run, args=(self._last,), name=f"awry-{self._name}", daemon=True
                )
                run.start()
            return self._last

    def _run(self, told: Future[_T]) -> None:
        try:
            found = self._work()
        except BaseException as error:
            told.set_exception(error)
        else:
            told.set_result(found)


class Probes:
    """Whether each of several things answers within :data:`PATIENCE`, all asked at once.

    Parameters
    ----------
    checks : dict
        By name, what raises where a thing does not answer.
    """

    def __init__(self, checks: Mapping[str, Callable[[], object]]) -> None:
        self._asides = {name: Aside(name, _timed(check)) for name, check in checks.items()}

    def ask(self) -> dict[str, dict[str, Any]]:
        """Of each: whether it is ``ok``, and its latency or error."""
        until = time.monotonic() + PATIENCE
        asked = {name: aside.call() for name, aside in self._asides.items()}
        return {name: _answer(one, until) for name, one in asked.items()}


def _timed(check: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        begun = time.perf_counter()
        check()
        return 1e3 * (time.perf_counter() - begun)

    return timed


def _answer(asked: Future[float], until: float) -> dict[str, Any]:
    try:
        latency = asked.result(max(0.0, until - time.monotonic()))
    except Exception as error:
        return {"ok": False, "error": type(error).__name__}
    # An answer to who asked before may have come late.
    if latency > 1e3 * PATIENCE:
        return {"ok": False, "error": TimeoutError.__name__}
    return {"ok": True, "latency_ms": round(latency, 3)}
