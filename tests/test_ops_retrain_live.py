"""What streams and jobs judged is learnt from, as what requests asked is."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pyarrow import csv as arrow_csv

from awry.ops.errors import UnfitError
from awry.ops.judgement import Judgement
from awry.ops.keeper import SAMPLED, Keeper
from awry.ops.policy import Policy
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.tables import events, kept_rows
from awry.ops.window import _Said, window
from awry.stream.plan import Plan
from awry.stream.sources import open_source
from awry.stream.worker import Worker
from test_ops_retrain import HOUR, KEPT, POLICY, Clock, decision, normal, open_service, trained
from test_ops_retrain import clock as clock
from test_ops_retrain import service as service

ODD = {"amount": 200.0, "fee": 1.0}


def stream(service: Service, rows: list[dict[str, Any]], name: str = "s") -> Worker:
    """Judge events by the champion, as a worker that keeps what may be learnt."""
    path = service.settings.home / f"{name}.jsonl"
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    version, model = service.models.load("m")
    plan = Plan(model=model, model_name="m", model_version=version, time="at", gap=1.0)
    source = open_source(f"file://{path}?follow=0")
    keeper = Keeper(service.store, service.settings)
    made = Worker(source, plan, service.store, name=name, batch=40, every=0.0, keeper=keeper)
    made.run()
    return made


def timed(table: pa.Table, start: float, seconds: float = HOUR) -> list[dict[str, Any]]:
    """Rows of some time, evenly spaced."""
    rows = table.to_pylist()
    return [{"at": start + seconds * (i + 0.5) / len(rows), **row} for i, row in enumerate(rows)]


def hours_of_stream(service: Service, clock: Clock, hours: int, n: int = 120) -> None:
    for hour in range(hours):
        stream(service, timed(normal(n, hour + 1), clock.now))
        service.keeper.trim(clock.now)
        clock.now += HOUR


def kept(service: Service) -> list[Any]:
    query = sa.select(kept_rows).where(kept_rows.c.priority < SAMPLED).order_by(kept_rows.c.at)
    with service.store.read() as connection:
        return list(connection.execute(query))


def learnt(service: Service, clock: Clock, **policy: Any) -> Any:
    return window(
        Policy.of({"min_rows": 10, **policy}), service.models.version("m"), store=service.store,
        keeper=service.keeper, drift=service.drift, now=clock.now,
    )  # fmt: skip


# -- what is kept ---------------------------------------------------------------------------------


def test_of_each_hour_of_a_stream_a_bounded_sample(service: Service, clock: Clock) -> None:
    hours_of_stream(service, clock, 3, n=400)
    rows = kept(service)
    assert [sum(row.hour == h for row in rows) for h in sorted({r.hour for r in rows})] == [
        KEPT
    ] * 3
    assert {(row.model, row.version) for row in rows} == {("m", 1)}
    assert all(set(row.row) == {"at", "amount", "fee"} for row in rows)
    assert rows[0].item.startswith(f"file://{service.settings.home}/s.jsonl/0/")
    # Not the first ones or the last ones: of each half of an hour its share.
    halves = np.array([row.at % HOUR < HOUR / 2 for row in rows])
    assert 0.3 < halves.mean() < 0.7


def test_times_that_are_wrong_fill_nothing(service: Service, clock: Clock) -> None:
    rng = np.random.default_rng(0)
    rows = timed(normal(600, 0), clock.now)
    for row, far in zip(rows, rng.uniform(-20 * 365 * 24, 20 * 365 * 24, 600), strict=True):
        row["at"] += far * HOUR
    stream(service, rows)
    # A month back, and nothing that is to come; what a wrong clock tells counts at the newest time.
    hours = Counter(row.at // HOUR for row in kept(service))
    assert len(hours) <= 600 * 31 / (40 * 365) * 3
    assert max(hours.values()) <= KEPT
    assert max(hours) * HOUR < clock.now + HOUR


def test_an_hour_that_comes_late_is_trimmed_too(service: Service, clock: Clock) -> None:
    for part in range(3):  # as by three processes, of which none knows what others kept
        stream(service, timed(normal(200, part), clock.now - 9 * HOUR), name=f"s{part}")
        assert len(kept(service)) == KEPT  # at its end a worker trims what it added to
    keeper = Keeper(service.store, service.settings)
    at = np.full(200, clock.now - 9 * HOUR)
    made = Judgement("s", "stream", ["x"] * 200, np.zeros(200), np.zeros(200, int), at, "m", 1)
    keeper.keep(made, lambda places: [{"amount": 1.0} for _ in places])
    assert len(kept(service)) > KEPT
    keeper.trim(clock.now)
    assert len(kept(service)) == KEPT


def test_rows_of_a_transaction_that_failed_are_not_kept(service: Service, clock: Clock) -> None:
    keeper = Keeper(service.store, service.settings)
    n = 3 * KEPT
    made = Judgement("s", "stream", ["x"] * n, np.zeros(n), np.zeros(n, int), None, "m", 1)
    made.at = np.full(n, clock.now)
    rows = lambda places: [{"amount": 1.0} for _ in places]  # noqa: E731
    with suppress(KeyError), service.store.write() as connection:
        keeper.keep(made, rows, connection)
        raise KeyError
    keeper.forget()
    assert kept(service) == []
    keeper.keep(made, rows)
    assert len(kept(service)) == KEPT


def test_rows_of_jobs(service: Service, clock: Clock) -> None:
    file = io.BytesIO()
    arrow_csv.write_csv(normal(300, 5), file)
    file.seek(0)
    service.datasets.add("nightly", file)
    clock.now = datetime.now().timestamp()  # rows without a time are of when they were judged
    service.submit("detect", {"dataset": "nightly", "model": "m"}, by="me")
    assert service.jobs.run_next()
    assert len(kept(service)) == KEPT
    table = normal(300, 5).to_pylist()
    for row in kept(service):
        assert row.row["amount"] == pytest.approx(table[int(row.item) - 1]["amount"])
    # By another threshold than its own a model says nothing of what is normal to it.
    service.submit("detect", {"dataset": "nightly", "model": "m", "threshold": 0.5}, by="me")
    assert service.jobs.run_next()
    assert len(kept(service)) == KEPT


# -- what is learnt -------------------------------------------------------------------------------


def test_a_model_learns_from_a_stream_alone(service: Service, clock: Clock) -> None:
    service.retraining.put("m", POLICY | {"promote": "policy"}, by="boss")
    hours_of_stream(service, clock, 25)
    service.retraining.run()
    assert service.jobs.run_next()
    card = service.models.version("m", 2)
    assert card["learnt"]["kept"] >= POLICY["min_rows"]
    service.retraining.run()
    assert "is in the shadow: it was tried for" in decision(service)
    # It is tried on what the stream goes on judging, without a single request.
    hours_of_stream(service, clock, 4)
    service.retraining.run()
    assert "version 2 was put in charge: on" in decision(service)
    assert service.models.version("m")["version"] == 2


def test_what_must_not_be_learnt_of_a_stream(service: Service, clock: Clock) -> None:
    hours_of_stream(service, clock, 4)
    calm = learnt(service, clock).told
    assert calm["rows"] == 4 * KEPT
    assert calm["loud"] == calm["confirmed"] == calm["quarantined"] == 0
    # An hour of attack, beside a job's many calm rows of the same hour.
    rows = timed(normal(120, 9), clock.now)
    for row in rows[::3]:
        row |= ODD
    stream(service, rows)
    at = np.full(5_000, clock.now + 1.0)
    service.findings.record(
        Judgement(
            "nightly", "job", ["1"] * 5_000, np.zeros(5_000), np.zeros(5_000, int), at, "m", 1
        )
    )
    service.keeper.trim(clock.now)
    clock.now += HOUR
    told = learnt(service, clock).told
    assert (told["loud_hours"], told["loud"]) == (1, KEPT)
    start = clock.now - 3 * HOUR
    told = learnt(service, clock, quarantine=[[start, start + HOUR]]).told
    assert told["quarantined"] == KEPT


def test_a_confirmed_event_of_a_stream(service: Service, clock: Clock) -> None:
    rows = timed(normal(600, 3), clock.now)
    rows[300] |= ODD
    stream(service, rows)
    clock.now += HOUR
    with service.store.read() as connection:
        found = connection.execute(sa.select(events)).all()
    peak = next(e for e in found if e.start == rows[300]["at"])
    service.feedback.give(peak.id, "confirmed", by="me")
    # Its row was kept for the golden set, although the sample may have passed it over.
    assert service.golden.learn("m") == 1
    table, labels = service.golden.table("m")
    assert table is not None
    assert (table["amount"].to_pylist(), labels.tolist()) == ([200.0], [1])
    amounts = learnt(service, clock, max_hour_share=1.0).table["amount"].to_numpy()
    assert amounts.max() < 100


def test_nothing_is_kept_where_that_is_switched_off(tmp_path: Path, clock: Clock) -> None:
    made = trained(open_service(tmp_path))
    off = Settings(home=tmp_path, kept_rows_per_hour=0)
    keeper = Keeper(made.store, off)
    judged = Judgement("s", "stream", ["x"], np.zeros(1), np.zeros(1, int), None, "m", 1)
    keeper.keep(judged, lambda places: [{} for _ in places])
    assert kept(made) == []
    with pytest.raises(UnfitError, match="0 rows can be learnt from"):
        learnt(made, clock)
    made.close()
    assert time.time() == clock.now


def test_a_verdict_is_of_its_rows_and_not_of_others_at_the_time() -> None:
    def row(item: str, at: float, card: int) -> Any:
        return SimpleNamespace(item=item, at=at, row={"card": card, "amount": 1.0})

    one = _Said(10.0, 20.0, item="s/0/3", key="7")
    assert one.covers(row("s/0/3", 15.0, 7))
    assert not one.covers(row("s/0/4", 15.0, 7))
    several = _Said(10.0, 20.0, item=None, key="7")
    assert several.covers(row("s/0/4", 15.0, 7))
    assert not several.covers(row("s/0/4", 15.0, 8))
    assert not several.covers(row("s/0/4", 25.0, 7))
    assert _Said(10.0, 20.0, item=None, key=None).covers(row("1/2", 10.0, 8))
