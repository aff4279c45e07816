"""A stream tells of drift of fields and scores, the same however it is cut and begun again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from awry.core.params import ParameterError
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import drift_reports
from awry.stream.drift_watch import DriftWatch
from awry.stream.keys import TemporarySpill
from awry.stream.lane import Lane
from awry.stream.ledger import Ledger
from awry.stream.plan import Plan
from awry.stream.records import Batch, Judged, Position


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(Settings(home=tmp_path / "home"))
    yield made
    made.close()


def records(n: int, moved_from: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found = [
        {"at": 1e9 + i, "a": float(x), "at.b": float(y), "place": str(rng.choice(list("uvw")))}
        for i, (x, y) in enumerate(rng.normal(size=(n, 2)))
    ]
    for record in found[moved_from:]:
        record["a"] += 2.0
        record["place"] = "x"
    return found


def plan(**settings: Any) -> Plan:
    return Plan(time="at", drift=1_000, **settings)


def fed(lane: Lane, some: list[Any], cut: int, first: int = 0) -> Lane:
    for at in range(0, len(some), cut):
        part = some[at : at + cut]
        offsets = list(range(first + at, first + at + len(part)))
        lane.feed(Batch("t", 0, offsets, part, Position(offsets[-1] + 1), 2e9))
    return lane


def test_fields_that_moved_are_told_and_nothing_before() -> None:
    lane = fed(Lane(plan(), "t", 0, TemporarySpill()), records(6_000, 4_000), 500)
    assert [r["until"] for r in lane.drifts] == [1_999, 2_999, 3_999, 4_999, 5_999]
    assert [r["drifted"] for r in lane.drifts] == [False, False, False, True, True]
    moved = [f["feature"] for f in lane.drifts[3]["features"] if f["drifted"]]
    assert set(moved) == {"a", "place"}


@pytest.mark.parametrize("learns", [False, True])
def test_scores_that_moved_are_told_where_nothing_learns(learns: bool) -> None:
    rng = np.random.default_rng(0)
    scores = rng.gamma(2.0, size=6_000)
    scores[4_000:] += 2.0
    scores[::300] = 1e6
    watch = DriftWatch(1_000, learns=learns).start()
    some = [{"x": float(x)} for x in rng.normal(size=6_000)]
    n, none = len(some), np.zeros(len(some), dtype=np.int64)
    judged = Judged(np.arange(n), scores, scores, none, [False] * n, scores, scores, some)
    made = watch.update(judged)
    assert [r["drifted"] for r in made] == [False, False, False, not learns, not learns]
    assert [r["scores"]["drifted"] for r in made] == [False, False, False, True, True]
    for name in ("ADWIN", "KSWIN"):
        assert 4_000 <= made[3]["monitors"][name][0] < 4_250
        assert not any(r["monitors"][name] for r in made[:3])


def test_a_single_anomaly_is_no_drift() -> None:
    some = records(4_000, 4_000)
    for i in range(1_500, 4_000, 250):
        some[i]["a"] = 1e6
    lane = fed(Lane(plan(), "t", 0, TemporarySpill()), some, 1_000)
    assert [r["drifted"] for r in lane.drifts] == [False, False, False]


def test_reports_do_not_depend_on_batches_nor_on_beginning_again() -> None:
    some = records(3_000, 2_500)
    whole = fed(Lane(plan(), "t", 0, TemporarySpill()), some, 3_000)
    half = fed(Lane(plan(), "t", 0, TemporarySpill()), some[:1_777], 37)
    again = fed(Lane(plan(), "t", 0, TemporarySpill(), half.save()), some[1_777:], 41, 1_777)
    for report in whole.drifts:  # the threshold of the moment is that of the batch
        report["scores"].pop("flagged")
    for report in again.drifts:
        report["scores"].pop("flagged")
    assert len(again.drifts) == 2
    assert again.drifts == whole.drifts


def test_reports_are_kept_with_the_scores(store: Store) -> None:
    ledger = Ledger(store, "payments")
    _, spill = ledger.open("t", 0)
    lane = fed(Lane(plan(), "t", 0, spill), records(3_000, 2_000), 1_000)
    ledger.commit([lane])
    lane.clear()
    assert lane.drifts == []
    with store.read() as connection:
        rows = connection.execute(sa.select(drift_reports).order_by(drift_reports.c.id)).all()
    assert [(row.source, row.drifted) for row in rows] == [("payments", False), ("payments", True)]
    assert rows[1].report["topic"] == "t"


def test_too_few_rows_for_a_report_are_told() -> None:
    with pytest.raises(ParameterError, match="rows must be an integer >= "):
        Plan(drift=3)
