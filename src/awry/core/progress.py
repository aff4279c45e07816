"""The one progress helper: long work announces its steps; who listens decides how to show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

#: Called with (task, done, total); total is None where it is not known.
Listener = Callable[[str, int, int | None], None]

_listener: ContextVar[Listener | None] = ContextVar("awry_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the progress of everything inside the block to ``listener``.

    Examples
    --------
    >>> seen = []
    >>> with listening(lambda task, done, total: seen.append((task, done, total))):
    ...     for _ in track("rows", range(2)):
    ...         seen.append("work")
    >>> seen
    [('rows', 0, 2), 'work', ('rows', 1, 2), 'work', ('rows', 2, 2)]
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(task: str, done: int, total: int | None = None) -> None:
    """Tell the listener, if there is one, that ``done`` of ``total`` steps of ``task`` are over.

    Words after " · " in ``task``, such as a loss, may change from step to step.
    """
    listener = _listener.get()
    if listener is not None:
        listener(task, done, total)


def track(task: str, steps: Iterable[T], total: int | None = None) -> Iterator[T]:
    """Yield from ``steps``, reporting each one done."""
    if total is None and isinstance(steps, Sized):
        total = len(steps)
    done = 0
    report(task, done, total)
    for step in steps:
        yield step
        done += 1
        report(task, done, total)
