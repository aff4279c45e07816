"""Challengers are tried without anybody noticing, and compared; golden sets stop bad versions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import average_precision_score

from awry import run
from awry.ops.comparison import (
    Counts,
    average_precision,
    compare,
    difference,
    labelled,
    paired_difference,
    wilson,
)  # fmt: skip
from awry.ops.errors import ConflictError, NotFoundError, TooLargeError, UnfitError
from awry.ops.rollout import position
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.tables import audit, judgements
from test_ops_store import settings as settings

rng = np.random.default_rng(0)
TABLE = pa.table({"amount": rng.normal(50, 5, 400), "hour": rng.integers(8, 18, 400)})
ODD = {"amount": 900.0, "hour": 12}


def fit(threshold: float | str = 0.01, **more: Any) -> Any:
    return run.fit(TABLE, detector="mcd", as_="table", threshold=threshold, **more)


def calm(n: int, **more: Any) -> list[dict[str, Any]]:
    return [{"amount": 50.0 + i / 10 % 3, "hour": 12, **more} for i in range(n)]


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    made = Service(settings)
    made.models.add("fraud", fit(), about={}, by="me")
    made.models.add("fraud", fit(threshold=0.3), about={}, by="me")
    yield made
    made.close()


def actions(service: Service) -> list[tuple[str, Any]]:
    with service.store.read() as connection:
        rows = connection.execute(sa.select(audit).order_by(audit.c.id))
        return [(row.action, row.detail) for row in rows]


# -- stages ---------------------------------------------------------------------------------------


def test_a_shadow_judges_the_same_rows_and_answers_none(service: Service) -> None:
    assert service.judging.route is not None
    service.rollout.start("fraud", 2, by="me")
    rows = TABLE.slice(0, 200).to_pylist()
    answers = [service.judging.detect(part, model="fraud") for part in (rows[:50], rows[50:])]
    assert [a.model for a in answers] == [{"name": "fraud", "version": 1}] * 2
    service.recorder.flush()
    with service.store.read() as connection:
        kept = connection.execute(sa.select(judgements).order_by(judgements.c.id)).all()
    assert [(k.version, k.role, k.rows) for k in kept] == [
        (1, "champion", 200), (2, "challenger", 200),
    ]  # fmt: skip
    expected = service.models.load("fraud", 2)[1].judge(TABLE.slice(0, 200))  # type: ignore[attr-defined]
    assert kept[1].flagged == int((expected.severity > 0).sum()) > kept[0].flagged
    events = service.lookup.events().rows
    assert all(event["version"] == 1 for event in events), "nobody is told what a shadow finds"
    found = service.rollout.comparison("fraud")
    assert (found["champion"], found["challenger"], found["rows"]) == (1, 2, 200)
    gap = found["alert_rate"]["difference"]
    assert gap["value"] == pytest.approx((kept[1].flagged - kept[0].flagged) / 200)
    assert 0 < gap["low"] < gap["value"] < gap["high"]
    assert found["agreement"]["value"] == pytest.approx(1 - gap["value"])
    times = found["latency_ms"]
    assert times["requests"] == 2
    assert 0 < times["challenger"]["p50"]["low"] <= times["challenger"]["p95"]["high"] < 60_000


def test_keys_stay_with_who_answers_them(service: Service) -> None:
    service.rollout.start("fraud", 2, stage="ab", share=0.3, key="card", by="me")

    def who(*cards: int) -> int:
        rows = [{**calm(1)[0], "card": card} for card in cards]
        answer = service.judging.detect(rows, model="fraud")
        assert answer.model is not None
        return int(answer.model["version"])

    before = {card: who(card) for card in range(200)}
    assert 0.2 < np.mean([version == 2 for version in before.values()]) < 0.4
    assert before == {card: who(card) for card in range(200)}
    new = [card for card, version in before.items() if version == 2]
    old = [card for card, version in before.items() if version == 1]
    assert who(*new[:3]) == 2
    assert who(new[0], old[0]) == 1, "the champion answers what falls to both"
    assert who(*old[:2]) == 1
    service.rollout.start("fraud", 2, stage="ab", share=0.6, key="card", by="me")
    assert all(who(card) == 2 for card in new), "a larger share keeps those it had"
    assert service.judging.detect([{**calm(1)[0]}], model="fraud").model == {
        "name": "fraud", "version": 1,
    }, "without the key the champion answers"  # fmt: skip
    assert service.judging.detect([{"card": new[0], **calm(1)[0]}], version=1, model="fraud").model
    service.recorder.flush()
    found = service.rollout.comparison("fraud")
    assert found["answered"]["rows"] > 0
    assert found["rows"] > 0, "the champion's rows are judged by both still"


def test_a_request_without_a_key_is_placed_by_its_first_row(service: Service) -> None:
    service.rollout.start("fraud", 2, stage="ab", share=0.5, by="me")
    rows = [{"amount": 40.0 + i / 10, "hour": 12} for i in range(100)]
    versions = [service.judging.detect([row], model="fraud").model for row in rows]
    assert versions == [service.judging.detect([row], model="fraud").model for row in rows]
    share = np.mean([v is not None and v["version"] == 2 for v in versions])
    assert 0.3 < share < 0.7


@given(st.text(max_size=20), st.integers(1, 50))
def test_positions_are_stable_and_spread(key: str, version: int) -> None:
    found = position(key, f"m {version}")
    assert 0 <= found < 1
    assert found == position(key, f"m {version}")


def test_positions_of_two_trials_are_independent() -> None:
    places = np.array([[position(str(i), f"m {v}") for v in (2, 3)] for i in range(2_000)])
    assert abs(np.corrcoef(places.T)[0, 1]) < 0.1
    assert np.allclose(np.quantile(places[:, 0], (0.1, 0.5, 0.9)), (0.1, 0.5, 0.9), atol=0.04)


def test_a_broken_challenger_is_nobody_elses_trouble(service: Service) -> None:
    service.rollout.start("fraud", 2, stage="ab", share=0.999999, by="me")
    with service.store.read() as connection:
        file = connection.scalar(
            sa.text("SELECT file FROM versions WHERE model = 'fraud' AND version = 2")
        )
    (service.settings.home / "models" / str(file)).write_bytes(b"broken")
    answer = service.judging.detect(calm(3), model="fraud")
    assert answer.model == {"name": "fraud", "version": 1}


def test_what_cannot_be_tried(service: Service) -> None:
    with pytest.raises(ConflictError, match="in charge"):
        service.rollout.start("fraud", 1, by="me")
    with pytest.raises(NotFoundError):
        service.rollout.start("fraud", 9, by="me")
    with pytest.raises(UnfitError, match="between 0 and 1"):
        service.rollout.start("fraud", 2, stage="ab", share=1.0, by="me")
    with pytest.raises(UnfitError, match="stage"):
        service.rollout.start("fraud", 2, stage="canary", by="me")
    with pytest.raises(NotFoundError, match="tried"):
        service.rollout.comparison("fraud")


def test_promoting_a_challenger_ends_its_trial(service: Service) -> None:
    service.rollout.start("fraud", 2, by="me", reason="wider")
    service.models.promote("fraud", 2, by="me")
    assert service.models.charge.challenger("fraud") is None
    service.models.promote("fraud", 1, by="me")
    service.rollout.start("fraud", 2, by="me")
    service.rollout.stop("fraud", by="you", reason="enough")
    assert service.models.charge.challenger("fraud") is None
    assert [name for name, _ in actions(service)] == [
        "shadow", "promote", "promote", "shadow", "stop",
    ]  # fmt: skip
    assert actions(service)[0][1]["reason"] == "wider"


def test_what_listens_cannot_lose_what_is_kept(service: Service) -> None:
    told: list[int] = []

    def fail(made: Any, heard: Any) -> None:
        raise RuntimeError("no")

    service.recorder.listeners[:0] = [fail, lambda made, heard: told.append(len(made.scores))]
    service.judging.detect(calm(3), model="fraud")
    service.recorder.flush()
    assert told == [3]
    assert len(service.keeper.rows("fraud", since=0, until=4e9)) == 3


# -- golden sets ----------------------------------------------------------------------------------


def test_a_version_that_fails_is_promoted_by_force_alone(service: Service) -> None:
    deaf = fit(threshold="fixed:1e9")
    service.golden.add("fraud", [ODD, *calm(9)], [1] + [0] * 9, by="me")
    assert service.golden.test("fraud", fit())["passed"] is True
    found = service.golden.test("fraud", deaf)
    assert (found["passed"], found["recall"], found["false_alarms"]) == (False, 0.0, 0.0)
    assert found["wrong"] == [0]
    added = service.models.add("fraud", deaf, about={"golden": found}, by="me")
    assert added["golden"]["reason"].startswith("finds 0 of 1 known anomalies")
    with pytest.raises(ConflictError, match="failed on the golden set"):
        service.models.promote("fraud", 3, by="me")
    assert service.models.version("fraud")["version"] == 1
    service.models.promote("fraud", 3, by="boss", force=True)
    name, detail = actions(service)[-1]
    assert (name, detail["forced"]) == ("promote", True)
    assert "known anomalies" in detail["golden"]


def test_limits_of_the_golden_set(service: Service) -> None:
    service.golden.add("fraud", [ODD, *calm(8), {"amount": 200.0, "hour": 9}], [1] + [0] * 9,
                       by="me")  # fmt: skip
    judge = service.models.load("fraud")[1]
    strict = service.golden.test("fraud", judge)
    assert (strict["passed"], strict["false_alarms"]) == (False, pytest.approx(1 / 9))
    assert service.golden.test("fraud", judge, max_false_alarms=0.2)["passed"] is True
    service.golden.add("fraud", [{"hour": 9, "amount": 200.0}], [1], by="me")
    assert service.golden.test("fraud", judge)["passed"] is True, "the newest label counts"
    service.golden.clear("fraud", by="me")
    assert service.golden.test("fraud", judge)["passed"] is None


def test_a_golden_set_is_bounded_and_checked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnfitError, match="label"):
        service.golden.add("fraud", calm(2), [1], by="me")
    with pytest.raises(UnfitError, match="hour"):
        service.golden.add("fraud", [{"amount": 1.0}], [1], by="me")
    object.__setattr__(service.settings, "golden_rows", 5)
    with pytest.raises(TooLargeError):
        service.golden.add("fraud", [{"amount": float(i), "hour": 1} for i in range(6)], [0] * 6,
                           by="me")  # fmt: skip
    assert service.golden.table("fraud")[0] is None, "all or nothing"


def test_what_people_say_of_events_joins_the_golden_set(service: Service) -> None:
    service.judging.detect([*calm(3), ODD], model="fraud")
    service.recorder.flush()
    (event,) = service.lookup.events().rows
    assert service.golden.learn("fraud") == 0
    service.feedback.give(event["id"], "confirmed", by="me")
    for _ in range(2):
        assert service.golden.learn("fraud") == 1
        table, labels = service.golden.table("fraud")
        assert table is not None
        assert (table.to_pylist(), labels.tolist()) == ([ODD], [1])
    service.feedback.give(event["id"], "false_alarm", by="me")
    service.golden.learn("fraud")
    assert service.golden.table("fraud")[1].tolist() == [0]
    service.golden.add("fraud", [ODD], [1], by="me")
    service.golden.learn("fraud")
    assert service.golden.table("fraud")[1].tolist() == [1], "an upload is not overruled"


# -- comparing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "n"), [(0.02, 200), (0.5, 30), (0.97, 100)])
def test_wilson_intervals_cover(p: float, n: int) -> None:
    held = [wilson(k, n)["low"] <= p <= wilson(k, n)["high"] for k in range(n + 1)]
    assert 0.92 <= binom.pmf(np.arange(n + 1), n, p) @ held <= 0.99


def test_intervals_of_differences_cover() -> None:
    rng = np.random.default_rng(0)
    paired = independent = 0
    for _ in range(400):
        a, b, both = rng.random(300) < 0.02, rng.random(300) < 0.05, rng.random(300) < 0.05
        found = paired_difference(int((a & ~b & ~both).sum()), int((b & ~a & ~both).sum()), 300)
        paired += found["low"] <= 0.03 * 0.95 <= found["high"]
        apart = difference((int(a.sum()), 300), (int(b.sum()), 300))
        independent += apart["low"] <= 0.03 <= apart["high"]
    assert 0.91 <= paired / 400 <= 1
    assert 0.91 <= independent / 400 <= 1


def test_nothing_counted_tells_nothing() -> None:
    found = compare(Counts())
    assert found["agreement"] == {"value": None, "low": None, "high": None}
    assert found["answered"]["difference"]["value"] is None
    assert found["latency_ms"]["champion"]["p95"]["value"] is None


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=3, max_size=40))
def test_average_precision_is_that_of_scikit_learn(items: list[tuple[int, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*items, strict=True))
    labels[0] = 1
    expected = average_precision_score(labels, scores)
    assert math.isclose(average_precision(labels, scores.astype(float)), expected)


def test_labelled_rows_tell_who_ranks_better() -> None:
    odd = np.r_[np.zeros(150), np.ones(50)].astype(int)
    values = np.where(odd, 62.0, 50.0) + np.random.default_rng(1).normal(0, 3, 200)
    table = pa.table({"amount": values, "hour": [12] * 200})
    good = fit()
    blind = run.fit(TABLE, detector="mcd", as_="table", ignore=["amount"])
    found = labelled([blind, good], table, odd)
    assert found["champion"] == pytest.approx(0.25, abs=0.05)
    assert found["challenger"] > 0.9
    gap = found["difference"]
    assert 0.4 < gap["low"] < gap["value"] < gap["high"]
    assert labelled([blind, good], table, odd * 0)["difference"] is None
