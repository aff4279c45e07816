"""What a sink does while it is away, and what addresses of sinks are."""

from __future__ import annotations

from typing import Any

import pytest

from awry.core.errors import AwryError
from awry.ops.posting import RefusedError
from awry.stream.address import Address
from awry.stream.patience import PATIENCE
from awry.stream.sinks import base
from awry.stream.sinks.base import Mark, Message, Sink

MARK = Mark("s", "t", 0, 5)


class Clock:
    """A clock that moves by what is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Away(Sink):
    """Nobody hears it until a time."""

    def __init__(self, clock: Clock, until: float) -> None:
        super().__init__(Address.parse("file:///told"))
        self.clock, self.until, self.tries = clock, until, 0
        self.told: list[Message] = []

    def _send(self, messages: list[Message], mark: Mark) -> None:
        self.tries += 1
        if self.clock.now < self.until:
            raise ConnectionRefusedError("nobody listens")
        self.told += messages


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(base, "time", made)
    return made


def test_a_sink_that_is_away_for_less_than_a_minute_is_waited_for(clock: Clock) -> None:
    sink = Away(clock, PATIENCE - 5.0)
    sink.deliver([{"id": "1"}], MARK)
    assert sink.told == [{"id": "1"}]
    assert sink.tries < 30  # it is asked less and less often


def test_one_that_stays_away_ends_the_worker_after_a_minute(clock: Clock) -> None:
    sink = Away(clock, float("inf"))
    with pytest.raises(AwryError, match="does not take what it is told: nobody listens"):
        sink.deliver([{"id": "1"}], MARK)
    assert PATIENCE < clock.now < 2 * PATIENCE


def test_one_that_refuses_is_not_asked_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RefusedError("no")

    sink = Away(clock, 0.0)
    monkeypatch.setattr(sink, "_send", refuse)
    with pytest.raises(RefusedError):
        sink.deliver([{"id": "1"}], MARK)
    assert clock.now == 0.0
