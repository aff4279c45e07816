"""What a sink does while it is away, and what addresses of sinks are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from awry.cli import app
from awry.core.errors import AwryError, DataError
from awry.data.tables import as_table
from awry.model import Model
from awry.ops.models import Models
from awry.ops.posting import RefusedError
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.stream.address import Address
from awry.stream.patience import PATIENCE
from awry.stream.sinks import base, open_sink
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


def test_standard_output_takes_options(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = open_sink("-?rows=all")
    assert (sink.name, sink.rows) == ("-", "all")
    assert sink.wants({"anomaly": False})
    sink.deliver([{"id": "1", "anomaly": False}], MARK)
    assert capfdbinary.readouterr().out == b'{"id":"1","anomaly":false}\n'
    with pytest.raises(DataError, match="- has no option pace"):
        open_sink("-?pace=2")


@pytest.mark.parametrize("text", ["sqlite:///x.db", "postgresql+psycopg://h/d"])
def test_a_database_is_not_offered_where_it_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="keeps dead letters by itself") as told:
        open_sink(text)
    assert "sqlite" not in str(told.value.remedy)
    with pytest.raises(DataError, match="with --to also sqlite"):
        open_sink("amqp://h/q")


def test_a_model_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWRY_HOME", str(tmp_path / "home"))
    kept = f"sqlite:///{tmp_path / 'kept.db'}"
    command = [
        "stream",
        "--from",
        "generator://iot_sensors?n=1",
        "--model",
        "payment",
        "--to",
        kept,
    ]
    told = str(CliRunner().invoke(app, command).exception)
    assert told.startswith(f"there is no model 'payment' in {kept}; it has no models: name ")
    settings = Settings(home=tmp_path / "home", database_url=kept)
    store = Store(settings)
    rows = as_table({"amount": np.random.default_rng(0).normal(size=300)})
    Models(store, settings).add("payments", Model("zscore").fit(rows), about={}, by="me")
    store.close()
    told = str(CliRunner().invoke(app, command).exception)
    assert told == f"there is no model 'payment' in {kept}; did you mean payments?"
