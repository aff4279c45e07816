"""What requests had judged is kept, without any of them waiting for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from awry import run
from awry.ops import recorder
from awry.ops.rollup import rates
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.tables import judgements, scores


@pytest.fixture
def service(tmp_path: Path) -> Any:
    made = Service(Settings(home=tmp_path, workers=0))
    rng = np.random.default_rng(0)
    table = pa.table({"amount": rng.normal(50, 5, 400), "hour": rng.integers(8, 18, 400)})
    made.models.add("fraud", run.fit(table, detector="mcd", as_="table"), about={}, by="me")
    yield made
    made.close()


def rows_of(service: Service, table: sa.Table) -> list[Any]:
    with service.store.read() as connection:
        return list(connection.execute(sa.select(table)))


def calm(n: int) -> list[dict[str, float]]:
    return [{"amount": 50.0 + i % 3, "hour": 12} for i in range(n)]


def test_requests_of_a_time_are_one_judgement_and_one_event(service: Service) -> None:
    odd = {"amount": 900.0, "hour": 12}
    answers = [
        service.judging.detect(calm(2), model="fraud"),
        service.judging.detect([*calm(1), odd], model="fraud"),
        service.judging.detect([{"amount": 300.0, "hour": 12}], model="fraud"),
    ]
    service.recorder.flush()
    (judgement,) = rows_of(service, judgements)
    assert (judgement.rows, judgement.flagged, judgement.origin) == (5, 2, "request")
    assert (judgement.source, judgement.model, judgement.version) == ("fraud", "fraud", 1)
    assert judgement.seconds > 0
    kept = [(row.item, row.score) for row in rows_of(service, scores)]
    told = [(f"{i}/{one.row}", one.score) for i, a in enumerate(answers, 1) for one in a.results]
    assert kept == told
    (event,) = service.lookup.events().rows
    assert (event["items"], event["peak"], event["kind"]) == (2, "2/1", "rows")
    assert event["reasons"][0]["column"] == "amount"
    assert service.lookup.event(event["id"])["extract"]["row"]["amount"] == "900.0"
    # What follows within a minute is the same event still.
    service.judging.detect([odd], model="fraud")
    service.recorder.flush()
    assert [one["items"] for one in service.lookup.events().rows] == [3]


def test_rows_that_came_together_are_heard_once_each(service: Service) -> None:
    asks = [service.judging.ask(calm(n), model="fraud") for n in (1, 3)]
    assert all(service.judging.answer_quickly(asks))
    service.recorder.flush()
    assert len(rows_of(service, scores)) == 4


def test_rows_judged_by_themselves_are_kept_too(service: Service) -> None:
    rows = [{"size": float(v)} for v in [*np.random.default_rng(0).normal(0, 1, 99), 50.0]]
    service.judging.detect(rows, method="modified_zscore")
    service.recorder.flush()
    (judgement,) = rows_of(service, judgements)
    assert (judgement.source, judgement.model, judgement.rows) == ("requests", None, 100)
    assert service.lookup.events().rows[0]["peak"] == "1/99"


def test_of_too_many_rows_the_flagged_and_the_counts_are_kept(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dataclasses.replace(service.settings, kept_calm_rows=10)
    monkeypatch.setattr(service.recorder, "_settings", few)
    service.judging.detect([*calm(50), {"amount": 900.0, "hour": 12}], model="fraud")
    service.recorder.flush()
    assert [row.item for row in rows_of(service, scores)] == [f"1/{i}" for i in [*range(10), 50]]
    (hour,) = rates(service.store, source="fraud", since=0, until=4e9)
    assert (hour["rows"], hour["flagged"]) == (51, 1)


def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    service.recorder.losses.append(told.append)
    monkeypatch.setattr(recorder, "_WAITING", 5)
    for _ in range(3):
        service.judging.detect(calm(2), model="fraud")
    assert service.recorder.lost == 2
    assert told == [2]
    service.recorder.flush()
    assert len(rows_of(service, scores)) == 4


def test_it_writes_what_is_left_when_it_is_closed(tmp_path: Path) -> None:
    service = Service(Settings(home=tmp_path, workers=0))
    service.start()
    rows = [{"size": float(i % 7)} for i in range(60)]
    service.judging.detect(rows, method="modified_zscore")
    service.close()
    again = Service(Settings(home=tmp_path, workers=0))
    assert len(rows_of(again, scores)) == 60
    again.close()


def test_it_can_be_left_out(tmp_path: Path) -> None:
    service = Service(Settings(home=tmp_path, workers=0, record_requests=False))
    assert service.judging.heard is None
    service.close()


def test_what_a_database_that_is_away_did_not_take_is_written_when_it_is_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = service.findings.record
    service.judging.detect(calm(5), model="fraud")
    service.judging.detect(calm(3), model="fraud", threshold="fixed:9")
    answers = iter([record, None])

    def away_after_one(made: Any) -> Any:
        if (take := next(answers)) is None:
            raise sa.exc.OperationalError("insert", {}, OSError("connection refused"))
        return take(made)

    monkeypatch.setattr(service.findings, "record", away_after_one)
    with pytest.raises(sa.exc.OperationalError):
        service.recorder.flush()
    assert len(rows_of(service, judgements)) == 1
    monkeypatch.setattr(service.findings, "record", record)
    service.judging.detect(calm(2), model="fraud")
    service.recorder.flush()
    assert service.recorder.lost == 0
    assert sum(row.rows for row in rows_of(service, judgements)) == 10
    assert len(rows_of(service, judgements)) == 3
