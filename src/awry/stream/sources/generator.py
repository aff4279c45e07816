"""Events of a simulated world, to try a stream with nothing installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from awry.core.errors import DataError
from awry.data.generate import LABELS, NAMES, generate_batches
from awry.stream.address import Address
from awry.stream.records import Batch, Position
from awry.stream.sources.base import SinglePartition

_encode = msgspec.json.Encoder().encode
_BLOCK = 4096


class GeneratorSource(SinglePartition):
    """``generator://NAME``; options ``rate`` (events a second), ``n``, ``seed``, ``anomaly_rate``,
    ``start`` (time of the first event).

    The same address gives the same events, so that a worker that was killed can go on. What the
    generator knows of its anomalies is left out.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._world = address.host or address.path.strip("/")
        if self._world not in NAMES:
            raise DataError(
                f"there is no generator {self._world!r}", remedy=f"one of {', '.join(NAMES)}"
            )
        self._rate = address.take("rate", None, float)
        if self._rate is not None and not self._rate > 0:
            raise DataError(f"{self.name}: rate must be above 0, got {self._rate}")
        self._n = address.take("n", None, int)
        self._seed = address.take("seed", 0, int)
        taken = {
            "anomaly_rate": address.take("anomaly_rate", None, float),
            "start": address.take("start", None, str),
        }
        self._options: dict[str, Any] = {k: v for k, v in taken.items() if v is not None}
        self._messages: list[bytes] = []
        self._at = 0

    def _begin(self, position: Position | None) -> None:
        self._at = 0 if position is None else position.next
        self._blocks = self._made(self._at)
        self._messages, self.ended = [], False
        self._begun, self._first = time.monotonic(), self._at

    def poll(self, most: int, timeout: float) -> list[Batch]:
        allowed = most
        if self._rate is not None:
            allowed = self._due()
            if allowed <= 0:
                time.sleep(min(timeout, (1 - allowed) / self._rate))
                allowed = self._due()
            allowed = min(allowed, most)
        if allowed <= 0:
            return []
        while len(self._messages) < allowed:
            block = next(self._blocks, None)
            if block is None:
                break
            self._messages += block
        messages, self._messages = self._messages[:allowed], self._messages[allowed:]
        if not messages:
            self.ended = True
            return []
        offsets = list(range(self._at, self._at + len(messages)))
        self._at += len(messages)
        return [Batch(self.topic, 0, offsets, messages, Position(self._at), time.time())]

    def lag(self) -> int | None:
        return None if self._rate is None else max(self._due(), 0)

    def _due(self) -> int:
        assert self._rate is not None
        return self._first + int((time.monotonic() - self._begun) * self._rate) + 1 - self._at

    def _made(self, skip: int) -> Iterator[list[bytes]]:
        frames = generate_batches(
            self._world, self._n, batch_size=_BLOCK, seed=self._seed, **self._options
        )
        for frame in frames:
            if skip >= len(frame):
                skip -= len(frame)
                continue
            yield [_encode(row) for row in _records(frame.iloc[skip:])]
            skip = 0


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    frame = frame.drop(columns=[c for c in LABELS if c in frame])
    for name in frame.columns[[t.kind == "M" for t in frame.dtypes]]:
        frame[name] = [at.isoformat() for at in frame[name]]
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
