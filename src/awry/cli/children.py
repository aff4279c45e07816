"""Programs that a command starts, none of which outlives it."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import click

#: What asks a program to end; Windows has no hang-up.
_ASKS = [
    one
    for one in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None))
    if one is not None
]
#: Seconds a program has to end by itself.
_PATIENCE = 10.0


class Children:
    """Starts programs and ends them, whatever happens in between.

    Parameters
    ----------
    folder : Path
        Of their logs.
    environment : mapping
        Of the programs.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, dict(environment)
        self._running: list[subprocess.Popen[bytes]] = []
        self._ending = self._told = False

    def __enter__(self) -> Self:
        self._before = {sign: signal.signal(sign, self._asked) for sign in _ASKS}
        atexit.register(self.close)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        atexit.unregister(self.close)
        for sign, handler in self._before.items():
            # Who was told to end does so, and is not cut short by being told again.
            signal.signal(sign, signal.SIG_IGN if self._told else handler)

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Run ``awry`` with ``words``, its output in the log ``name``."""
        with _held(), (self._folder / f"{name}.log").open("wb") as log:
            # Held, so that there is no moment in which it runs and nobody knows of it.
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "awry", *words],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Let one end what it is doing, and end."""
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for(self, ready: Callable[[], Any], what: str, *, seconds: float = 120.0) -> Any:
        """What ``ready`` returns once that is something."""
        until = time.monotonic() + seconds
        while True:
            found = ready()
            if found:
                return found
            for process in self._running:
                if process.poll() not in (None, 0):
                    raise click.ClickException(
                        f"a program ended before {what}; see the logs in {self._folder}"
                    )
            if time.monotonic() > until:
                raise click.ClickException(f"no {what} after {seconds:g} s")
            time.sleep(0.1)

    def close(self) -> None:
        """End all that runs, the newest first."""
        self._ending = True
        for process in reversed(self._running):
            self.stop(process)
        self._running = []

    def _asked(self, *_: Any) -> None:
        # Asked again while ending: that is under way.
        if not self._ending:
            self._ending = self._told = True
            raise KeyboardInterrupt


@contextmanager
def _held() -> Iterator[None]:
    """Let what asks to end wait until this is done."""
    waiting: list[int] = []
    before = {sign: signal.signal(sign, lambda s, _: waiting.append(s)) for sign in _ASKS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        for sign in waiting[:1]:
            os.kill(os.getpid(), sign)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
