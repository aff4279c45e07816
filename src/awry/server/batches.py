"""Requests that come together are judged together."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from awry.ops.answers import Answer, Ask
from awry.ops.errors import BusyError

#: Rows judged at a time: enough to share the costs, few enough to keep nobody waiting.
_BATCH = 8_192

Work = Callable[[Sequence[Ask], float], Sequence[Answer | Exception | None]]


class _Waiting(NamedTuple):
    ask: Ask
    deadline: float
    answer: asyncio.Future[Answer | None]


class Batches:
    """Puts the requests that wait while one batch is judged into the next.

    Parameters
    ----------
    work : callable
        Judges requests by a deadline; runs in a thread, one batch after another.
    budget : float
        Seconds a request should be answered in.
    most_rows : int
        Rows that may wait.
    """

    def __init__(self, work: Work, budget: float, most_rows: int) -> None:
        self._work, self._budget, self._most = work, budget, most_rows
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._busy = False
        self._thread = ThreadPoolExecutor(1, "judge")

    async def answer(self, ask: Ask) -> Answer | None:
        """The answer to ``ask``, or None where the quick way is not for it."""
        if self._waiting and self._rows + ask.rows > self._most:
            raise BusyError("too many rows wait to be judged", remedy="try again in a moment")
        loop = asyncio.get_running_loop()
        one = _Waiting(ask, time.monotonic() + self._budget, loop.create_future())
        self._waiting.append(one)
        self._rows += ask.rows
        if not self._busy:
            self._busy = True
            # Requests that are read in the same turn of the loop still join.
            loop.call_soon(self._start, loop)
        return await one.answer

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting and (not batch or rows + self._waiting[0].ask.rows <= _BATCH):
            batch.append(self._waiting.popleft())
            rows += batch[-1].ask.rows
        self._rows -= rows
        deadline = min(one.deadline for one in batch)
        done = loop.run_in_executor(self._thread, self._work, [one.ask for one in batch], deadline)
        done.add_done_callback(lambda found: self._tell(loop, batch, found))

    def _tell(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Waiting],
        found: asyncio.Future[Sequence[Answer | Exception | None]],
    ) -> None:
        if self._waiting:
            self._start(loop)
        else:
            self._busy = False
        failure = found.exception()
        answers = [failure] * len(batch) if failure else found.result()
        for one, answer in zip(batch, answers, strict=True):
            if one.answer.done():  # whoever asked has gone
                continue
            if isinstance(answer, BaseException):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
