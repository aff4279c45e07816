"""Lines from standard input."""

from __future__ import annotations

import os
import select
import sys
import time
import uuid

from awry.stream.address import Address
from awry.stream.records import Batch, Position
from awry.stream.sources.base import MAX_MESSAGE, SinglePartition

_CHUNK = 1 << 18


class StdinSource(SinglePartition):
    """``-``: offsets are the numbers of the lines.

    What was read is gone, so each run is a stream of its own. With a name it goes on: the same
    input, given again, is judged from the line on to which it was kept.
    """

    replays = False

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.name, self.topic = f"stdin-{uuid.uuid4().hex[:12]}", "stdin"
        self._rest, self._line, self._skip = b"", 0, 0
        self._closed = False

    def _begin(self, position: Position | None) -> None:
        self._skip = 0 if position is None else position.next

    def poll(self, most: int, timeout: float) -> list[Batch]:
        fd = sys.stdin.fileno()
        until = time.monotonic() + timeout
        while b"\n" not in self._rest and not self._closed and len(self._rest) < MAX_MESSAGE:
            left = until - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return []
            more = os.read(fd, _CHUNK)
            self._closed = not more
            self._rest += more
        *lines, rest = self._rest.split(b"\n")
        if rest and (self._closed or len(rest) >= MAX_MESSAGE):
            lines, rest = [*lines, rest], b""
        if len(lines) > most:
            rest = b"\n".join([*lines[most:], rest])
            lines = lines[:most]
        self._rest, first = rest, self._line
        self._line += len(lines)
        self.ended = self._closed and not rest
        kept = [
            (first + i, m) for i, m in enumerate(lines) if m.strip() and first + i >= self._skip
        ]
        if not kept:
            return []
        offsets, messages = [o for o, _ in kept], [m for _, m in kept]
        return [Batch(self.topic, 0, offsets, messages, Position(self._line), time.time())]
