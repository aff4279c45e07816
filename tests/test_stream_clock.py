"""A clock that is put forward and back by an hour holds nothing up and changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa

from awry.ops import alert_states, leases
from awry.ops.alert_rules import Rule
from awry.ops.policy import Policy
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import scores, stream_offsets
from awry.stream.plan import Plan
from awry.stream.records import Batch, Position
from awry.stream.rules import make_rule
from awry.stream.sources import open_source
from awry.stream.worker import Worker

HOUR = 3600.0


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    """The time of day, an hour ahead and an hour behind in turn."""
    true, asked = time.time, [0]

    def told() -> float:
        asked[0] += 1
        return true() + (HOUR if asked[0] % 2 else -HOUR)

    monkeypatch.setattr(time, "time", told)
    return told


def events(n: int) -> list[dict[str, float | str]]:
    rng = np.random.default_rng(0)
    at = 1.7e9 + np.cumsum(rng.exponential(1.0, n)) + rng.normal(0, 3, n)
    values = rng.normal(size=n)
    values[n // 2 :: 300] = 30.0
    return [{"at": float(t), "a": float(v)} for t, v in zip(at, values, strict=True)]


def run(path: Path, home: Path) -> tuple[list[tuple[str, float, float, int]], Worker]:
    store = Store(Settings(home=home))
    plan = Plan(time="at", lateness=10.0, rules=(make_rule("rate:window=60"),))
    source = open_source(f"file://{path}?follow=0")
    made = Worker(source, plan, store, name="s", batch=100, every=0.0)
    made.run()
    s = scores.c
    with store.read() as connection:
        found = connection.execute(sa.select(s.item, s.at, s.score, s.severity).order_by(s.item))
        rows = [tuple(row) for row in found]
        assert connection.scalar(sa.select(stream_offsets.c.next)) == path.stat().st_size
    store.close()
    return rows, made


def test_what_comes_out_is_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events(3_000)))
    steady, _ = run(path, tmp_path / "steady")
    request.getfixturevalue("jumping")
    jumped, worker = run(path, tmp_path / "jumped")
    assert jumped == steady
    # Commits did not wait, and how long events took is what they took.
    assert worker.tally.commits >= 3
    assert worker.tally.latencies.sum() == 3_000
    assert 0.0 < worker.tally.latency_seconds < 3_000 * 60.0


@pytest.mark.usefixtures("jumping")
def test_commits_and_rates_go_on(tmp_path: Path) -> None:
    store = Store(Settings(home=tmp_path))
    source = open_source("generator://iot_sensors?rate=4000&n=3000")
    worker = Worker(source, Plan(), store, name="s", every=0.05)
    begun = time.monotonic()
    assert worker.run().events == 3_000
    # A rate is kept, neither awaited for an hour nor made up for.
    assert time.monotonic() - begun > 0.7
    assert worker.tally.commits >= 3
    store.close()


def test_a_checkpoint_holds_no_clock_of_a_process(tmp_path: Path) -> None:
    from awry.stream.keys import TemporarySpill
    from awry.stream.lane import Lane

    plan = Plan(time="at", lateness=10.0)
    lane = Lane(plan, "t", 0, TemporarySpill())
    some = events(300)
    lane.feed(Batch("t", 0, list(range(300)), some, Position(300), 1.8e9, since=-1e9))
    again = Lane(plan, "t", 0, TemporarySpill(), lane.save())
    before = time.monotonic()
    again.drain()
    [held] = again.judged
    assert len(held) > 0
    assert (held.arrived == 1.8e9).all()
    assert (held.since >= before - 60).all()


def test_a_lease_of_a_clock_that_was_put_back_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(Settings(home=tmp_path))
    clock = SimpleNamespace(now=1.7e9)
    monkeypatch.setattr(time, "time", lambda: clock.now)
    assert leases.take(store, "rollout", "a", 30.0)
    clock.now -= 20.0  # clocks of two machines may differ so far
    assert not leases.take(store, "rollout", "b", 30.0)
    clock.now -= HOUR
    assert leases.take(store, "rollout", "b", 30.0)
    assert not leases.take(store, "rollout", "a", 30.0)
    store.close()


def test_waits_are_no_longer_for_a_clock_that_was_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.7e9
    monkeypatch.setattr(time, "time", lambda: now)
    policy = Policy.of({"min_interval_hours": 1})
    assert policy.due(now - 0.5 * HOUR) == pytest.approx(0.5)
    assert policy.due(now + 24 * HOUR) <= 0, "written by a clock that was a day ahead"
    rule = Rule(name="r", kind="event", cooldown=600.0)
    row = SimpleNamespace(
        severity=2, state="firing", acknowledged=None, told_state="resolved", told=now + HOUR,
        escalated=None, retold=None,
    )  # fmt: skip
    assert alert_states.due(row, rule, now) == "firing"
    row.told = now - 60
    assert alert_states.due(row, rule, now) is None
