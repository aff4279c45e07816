"""Findings of streams are in rates and incidents, whatever the batches and the partitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from awry.ops.rollup import rates
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import events, incidents, scores
from awry.stream.incidents import _together
from awry.stream.lane import Lane
from awry.stream.ledger import Ledger
from awry.stream.plan import Plan
from awry.stream.records import Batch, Position

BEGIN = 1.6e9 // 3600 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(Settings(home=tmp_path / "home"))
    yield made
    made.close()


def records(n: int, seed: int) -> list[dict[str, Any]]:
    """One every two seconds; anomalies of two keys at 3000 s, one at 5000 s."""
    found = [
        {"at": BEGIN + 2 * i, "a": float(x), "who": f"k{i % 3}"}
        for i, x in enumerate(np.random.default_rng(seed).normal(size=n))
    ]
    for i in (1_500, 1_501, 1_503, 2_500):
        found[i]["a"] = 40.0
    return found


def run(store: Store, partitions: int, cut: int) -> None:
    ledger = Ledger(store, "payments")
    plan = Plan(time="at", key="who", gap=300.0, threshold="quantile:0.9999")
    lanes = [Lane(plan, "t", p, ledger.open("t", p)[1]) for p in range(partitions)]
    some = [records(3_000, p) for p in range(partitions)]
    for at in range(0, 3_000, cut):
        for lane, all_ in zip(lanes, some, strict=True):
            part = all_[at : at + cut]
            offsets = list(range(at, at + len(part)))
            lane.feed(Batch("t", lane.partition, offsets, part, Position(at + len(part)), 2e9))
        ledger.commit(lanes)
        for lane in lanes:
            lane.clear()


@pytest.mark.parametrize(("partitions", "cut"), [(1, 3_000), (1, 250), (2, 500)])
def test_events_are_in_incidents_and_scores_in_rates(
    store: Store, partitions: int, cut: int
) -> None:
    run(store, partitions, cut)
    with store.read() as connection:
        kept = connection.execute(sa.select(events).order_by(events.c.start)).all()
        homes = connection.execute(sa.select(incidents).order_by(incidents.c.start)).all()
        flags = connection.execute(
            sa.select(scores.c.at, scores.c.severity).where(scores.c.at.is_not(None))
        ).all()
    assert all(event.incident is not None for event in kept)
    by_home = {home.id: [e for e in kept if e.incident == home.id] for home in homes}
    for home in homes:
        own = by_home[home.id]
        assert (home.events, home.start) == (len(own), min(e.start for e in own))
        assert (home.end, home.severity) == (
            max(e.end for e in own), max(e.severity for e in own)
        )  # fmt: skip
        assert home.summary
    planted = [h for h in homes if h.start <= BEGIN + 3_000 <= h.end]
    assert len(planted) == 1
    assert {e.key for e in by_home[planted[0].id]} >= {"k0", "k1"}
    assert len(by_home[planted[0].id]) >= 2 * partitions
    assert not any(h.start <= BEGIN + 3_000 and h.end >= BEGIN + 5_000 for h in homes)
    hours = rates(store, source="payments", since=BEGIN, until=BEGIN + 7_200)
    assert [h["at"] for h in hours] == [BEGIN, BEGIN + 3_600]
    for hour in hours:
        own = [f for f in flags if hour["at"] <= f.at < hour["at"] + 3_600]
        assert hour["rows"] == len(own)
        assert hour["flagged"] == sum(f.severity > 0 for f in own)
    assert [hour["rows"] for hour in hours] == [1_800 * partitions, 1_200 * partitions]


def test_events_are_cut_where_nothing_happened() -> None:
    class Event:
        def __init__(self, start: float, end: float) -> None:
            self.start, self.end = start, end

    found = [Event(0, 50), Event(1, 2), Event(55, 56), Event(80, 81)]
    assert [len(group) for group in _together(found, 10)] == [3, 1]
    assert list(_together([], 10)) == []
