"""Models are trained anew by policy, on rows that cannot poison them; a clock is turned by hand."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from sklearn.base import clone

from awry import run
from awry.core.params import ParameterError
from awry.data.tables import as_table
from awry.ops import leases
from awry.ops.errors import ConflictError, NotFoundError, UnfitError
from awry.ops.judgement import Judgement
from awry.ops.policy import Policy
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.tables import audit, kept_rows, policies
from awry.ops.window import balanced, joined, window
from test_ops_store import settings as both_databases  # noqa: F401

HOUR = 3600.0
#: Requests an hour, and rows kept of them.
ROWS, KEPT = 120, 60
POLICY = {
    "every_hours": 24, "min_interval_hours": 1, "min_rows": 100, "shadow_hours": 2,
    "shadow_rows": 100, "on_drift": False,
}  # fmt: skip


class Clock:
    """The time of day, as far as the service can tell."""

    def __init__(self) -> None:
        self.now = 1.7e9 - 1.7e9 % HOUR

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


def normal(n: int, seed: int, *, centre: float = 50.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    amount = np.abs(rng.normal(centre, 5, n))
    return pa.table({"amount": amount, "fee": amount / 10 + rng.normal(0, 0.3, n)})


def open_service(home: Path, url: str = "", **more: Any) -> Service:
    return Service(
        Settings(home=home, database_url=url, workers=0, kept_rows_per_hour=KEPT, **more)
    )


def trained(service: Service, detector: str = "knn", **more: Any) -> Service:
    """A service with the model ``m``, which learnt from the data set ``history``."""
    table = normal(1_000, 0)
    file = io.BytesIO()
    arrow_csv.write_csv(table, file)
    file.seek(0)
    service.datasets.add("history", file)
    asked = {"name": "m", "dataset": "history", "method": detector, "threshold": 0.01, **more}
    service.submit("train", asked, by="me")
    assert service.jobs.run_next()
    return service


@pytest.fixture
def service(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    made = trained(open_service(tmp_path))
    yield made
    made.close()


@pytest.fixture
def any_service(both_databases: Settings, clock: Clock) -> Iterator[Service]:  # noqa: F811
    made = trained(open_service(both_databases.home, both_databases.database_url))
    yield made
    made.close()


def ask(service: Service, rows: pa.Table) -> Any:
    answer = service.judging.detect(rows.to_pylist(), model="m")
    service.recorder.flush()
    return answer


def live(service: Service, clock: Clock, hours: int, *, first: int = 1, **more: Any) -> None:
    """Let some hours of requests pass."""
    for hour in range(hours):
        ask(service, normal(ROWS, first + hour, **more))
        clock.now += HOUR


def decision(service: Service) -> str:
    return str(service.retraining.get("m")["decision"])


def done(service: Service) -> list[tuple[str, str, Any]]:
    with service.store.read() as connection:
        rows = connection.execute(sa.select(audit).order_by(audit.c.id))
        return [(row.action, row.by, row.detail) for row in rows]


def recall(service: Service, version: int, rows: pa.Table) -> float:
    judge: Any = service.models.load("m", version)[1]
    return float((judge.judge(rows).severity > 0).mean())


# -- the whole story ------------------------------------------------------------------------------


def test_from_schedule_to_promotion_to_rollback(any_service: Service, clock: Clock) -> None:
    service = any_service
    service.retraining.put("m", POLICY | {"promote": "policy"}, by="boss")
    odd = {"amount": 200.0, "fee": 1.0}
    service.golden.add("m", [odd, *normal(20, 99).to_pylist()], [1] + [0] * 20, by="me")
    live(service, clock, 20)
    assert service.retraining.run()
    assert not service.jobs.run_next(), "no day has passed"
    live(service, clock, 5, first=30)
    service.retraining.run()
    assert "25 hours have passed, 24 are the rule" in decision(service)
    assert service.jobs.run_next()
    service.retraining.run()
    assert not service.jobs.run_next(), "once is enough"
    card = service.models.version("m", 2)
    assert (card["golden"]["passed"], card["champion"], card["from_version"]) == (True, False, 1)
    assert card["snapshot"]["rows"] == card["rows"] >= 100
    assert len(card["snapshot"]["sha256"]) == 64
    assert "24 are the rule" in card["reason"]
    assert service.rollout.get("m")["stage"] == "shadow"
    live(service, clock, 1, first=60)
    service.retraining.run()
    assert "in the shadow: it was tried for 1.0 of 2 hours" in decision(service)
    live(service, clock, 1, first=61)
    service.retraining.run()
    assert service.models.version("m")["version"] == 2
    assert "put in charge: on 240 rows" in decision(service)
    # All is well, until requests take too long.
    live(service, clock, 1, first=70)
    service.retraining.run()
    assert service.models.version("m")["version"] == 2
    for _ in range(12):
        made = Judgement("m", "request", ["1"], np.zeros(1), np.zeros(1, int), model="m",
                         version=2, seconds=0.5)  # fmt: skip
        service.findings.record(made)
    service.retraining.run()
    assert service.models.version("m")["version"] == 1
    assert "rolled back to 1: requests take" in decision(service)
    told = [(action, by) for action, by, _ in done(service)]
    assert told == [
        ("policy", "boss"), ("golden", "me"), ("retrain", "policy"), ("shadow", "policy"),
        ("promote", "policy"), ("rollback", "policy"),
    ]  # fmt: skip
    reasons = {action: detail.get("reason", "") for action, _, detail in done(service)}
    assert "agrees with the champion" in reasons["promote"]
    assert "100 ms is the bound" in reasons["rollback"]


# -- poison ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "kind"), [(40.0, "seen"), (16.0, "half seen"), (12.0, "hardly seen")]
)
def test_an_hour_of_anomalies_does_not_poison(
    service: Service, clock: Clock, distance: float, kind: str
) -> None:
    """The bound: recall falls by at most 0.1, however much of the anomalies the champion saw."""
    # Which rows are kept is drawn.
    service.keeper._rng = np.random.default_rng(0)
    service.retraining.put("m", POLICY, by="boss")
    live(service, clock, 20)
    attack = normal(36, 7, centre=50.0 + distance)
    ask(service, pa.concat_tables([normal(84, 8), attack]))
    clock.now += 4 * HOUR
    fresh = normal(300, 9, centre=50.0 + distance)
    before = recall(service, 1, fresh)
    assert {"seen": before > 0.95, "half seen": 0.1 < before < 0.95, "hardly seen": before < 0.5}[
        kind
    ]
    service.retraining.run()
    assert service.jobs.run_next()
    assert recall(service, 2, fresh) >= before - 0.1
    # Were everything learnt that came last, they would be found no more.
    rows = service.keeper.rows("m", since=clock.now - 5 * HOUR, until=clock.now)
    champion: Any = service.models.load("m", 1)[1]
    naive = clone(champion).fit(as_table([row.row for row in rows]))
    after = float((naive.judge(fresh).severity > 0).mean())
    assert after < 0.6 * recall(service, 2, fresh)
    told = service.models.version("m", 2)["learnt"]
    assert told["loud"] > 0 if kind == "seen" else told["rows"] > 0


def test_marked_and_quarantined_rows(service: Service, clock: Clock) -> None:
    odd = pa.table({"amount": [80.0, 81.0], "fee": [8.0, 8.1]})
    times = []
    for hour in range(3):
        times.append(clock.now)
        ask(service, pa.concat_tables([normal(100, hour), odd]))
        clock.now += HOUR
    events = {e["start"]: e["id"] for e in service.lookup.events().rows}
    policy = Policy.of(POLICY | {"min_rows": 2, "max_hour_share": 1.0, "window": "sliding"})

    def learnt(**more: Any) -> tuple[int, Any]:
        changed = Policy.of(policy.to_dict() | more)
        found = window(
            changed, service.models.version("m"), store=service.store, keeper=service.keeper,
            drift=service.drift, now=clock.now,
        )  # fmt: skip
        return int(np.sum(found.table["amount"].to_numpy() > 75)), found.told

    with service.store.write() as connection:  # that the sample holds them all
        connection.execute(
            kept_rows.update().where(kept_rows.c.severity > 0, kept_rows.c.priority < 1)
            .values(priority=0.9)
        )  # fmt: skip
        here = kept_rows.c.priority < 1
        held = connection.execute(sa.select(kept_rows.c.at, kept_rows.c.severity).where(here)).all()
    many = sum(row.severity > 0 for row in held)
    assert learnt()[0] == 0
    assert learnt()[1]["flagged"] == many
    service.feedback.give(events[times[0]], "confirmed", by="me")
    service.feedback.give(events[times[1]], "false_alarm", by="me")
    excused = sum(row.severity > 0 and row.at == times[1] for row in held)
    count, told = learnt()
    assert told["confirmed"] == sum(row.severity > 0 and row.at == times[0] for row in held)
    assert told["flagged"] == many - excused - told["confirmed"]
    assert count >= sum(row.severity > 0 and row.at == times[1] for row in held) - 3
    told = learnt(quarantine=((times[2] - 1, times[2] + 1),))[1]
    assert told["quarantined"] == sum(row.at == times[2] for row in held)
    with pytest.raises(UnfitError, match="left out"):
        learnt(quarantine=((0.0, 2e9),))


@given(st.lists(st.integers(1, 500), max_size=30), st.floats(0.01, 1.0), st.integers(0, 2_000))
def test_no_hour_has_more_than_its_share(counts: list[int], share: float, anchor: int) -> None:
    most, filled = balanced(counts, share, anchor)
    taken = [min(n, most) for n in counts]
    assert 0 <= filled <= anchor
    assert max(taken, default=0) <= share * (sum(taken) + filled) + 1e-6
    more = [min(n, most + 1) for n in counts]
    if more != taken:
        assert max(more) > share * (sum(more) + anchor) - 1e-6, "no fewer than are allowed"


def test_rows_of_different_types_are_joined() -> None:
    old = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [True, False]})
    new = pa.table({"b": [1.5], "a": [2.5]})
    assert joined(old, new).to_pylist() == [
        {"b": "x", "a": 1.0}, {"b": "y", "a": 2.0}, {"b": "1.5", "a": 2.5},
    ]  # fmt: skip


# -- what is kept ---------------------------------------------------------------------------------


def test_of_each_hour_a_uniform_sample_stays(service: Service, clock: Clock) -> None:
    for part in range(20):
        rows = pa.table({"amount": np.full(50, 50.0), "fee": np.arange(50) + 50.0 * part})
        service.judging.detect(rows.to_pylist(), model="m")
        service.recorder.flush()
    service.keeper.trim(clock.now)
    rows = service.keeper.rows("m", since=clock.now - 1, until=clock.now + 1)
    assert len(rows) == KEPT
    fees = np.array([row.row["fee"] for row in rows])
    assert len(set(fees)) == KEPT
    # Of 1,000 rows the mean of 60 lies within 4 standard errors, 150, of 500.
    assert abs(fees.mean() - 500) < 150
    clock.now += 31 * 24 * HOUR
    assert service.keeper.trim(clock.now) >= KEPT
    assert service.keeper.models(since=0) == []


def test_nothing_is_kept_where_that_is_said(tmp_path: Path, clock: Clock) -> None:
    service = trained(Service(Settings(home=tmp_path, workers=0, kept_rows_per_hour=0)))
    ask(service, normal(50, 1))
    assert service.keeper.models(since=0) == []
    service.close()


def test_windows(service: Service, clock: Clock) -> None:
    begun = clock.now
    live(service, clock, 30)

    def learnt(**more: Any) -> Any:
        return window(
            Policy.of(POLICY | more), service.models.version("m"), store=service.store,
            keeper=service.keeper, drift=service.drift, now=clock.now,
        )  # fmt: skip

    sliding = learnt(window="sliding", window_hours=12)
    assert sliding.told["rows"] <= 12 * KEPT
    assert (sliding.told["hours"], sliding.told["from_before"]) == (12, 0)
    few = learnt(window="sliding", window_hours=3)
    assert few.told["from_before"] >= 7 * few.told["kept"] / 3 - 10, "three hours are no tenth"
    full = learnt(window="full")
    assert full.told["from_before"] == 1_000
    assert full.table.num_rows == 1_000 + full.told["kept"]
    reservoir = learnt(window="reservoir", max_rows=200)
    assert reservoir.table.num_rows <= 200
    assert reservoir.told["hours"] > 20, "all times have their part"
    newest = learnt(window="sliding", max_rows=200, window_hours=1000)
    assert newest.told["hours"] <= 5
    assert newest.until > begun + 28 * HOUR


# -- triggers, limits and people ------------------------------------------------------------------


def test_drift_asks_for_training_and_names_what_moved(service: Service, clock: Clock) -> None:
    policy = POLICY | {"every_hours": None, "on_drift": True, "max_flagged": 1.0}
    service.retraining.put("m", policy, by="boss")
    live(service, clock, 25)
    service.retraining.run()
    (report,) = service.drift.reports("m", cursor=None, limit=10).rows
    assert not report["drifted"], report
    assert not service.jobs.run_next()
    live(service, clock, 25, centre=53.0)
    service.retraining.run()
    assert "drifted from what it learnt: amount" in decision(service)
    newest = service.drift.newest("m")
    assert newest is not None
    assert newest["report"]["reference"] == {"model": "m", "version": 1, "rows": 1_000}
    assert service.jobs.run_next()


def test_a_version_that_misses_known_anomalies_is_rejected(service: Service, clock: Clock) -> None:
    service.retraining.put("m", POLICY | {"min_recall": 1.0}, by="boss")
    odd = pa.table({"amount": [50.0 + 14.0, 300.0], "fee": [6.4, 30.0]})
    service.golden.add("m", [*odd.to_pylist(), {"amount": 50.0, "fee": 5.0}], [1, 1, 1], by="me")
    live(service, clock, 25)
    service.retraining.run()
    assert service.jobs.run_next()
    assert service.models.version("m", 2)["golden"]["passed"] is False
    assert "failed on the golden set" in decision(service)
    with pytest.raises(NotFoundError):
        service.rollout.get("m")
    assert done(service)[-1][0] == "reject"
    with pytest.raises(ConflictError, match="golden"):
        service.models.promote("m", 2, by="policy")


def test_people_promote_where_the_policy_says_so(service: Service, clock: Clock) -> None:
    service.retraining.put("m", POLICY, by="boss")
    live(service, clock, 25)
    service.retraining.run()
    service.jobs.run_next()
    live(service, clock, 3, first=50)
    service.retraining.run()
    assert "version 2 waits for a person" in decision(service)
    assert service.models.version("m")["version"] == 1
    service.models.promote("m", 2, by="boss")
    service.retraining.run()
    assert service.models.version("m")["version"] == 2


def test_a_challenger_that_disagrees_is_given_up(service: Service, clock: Clock) -> None:
    policy = POLICY | {"promote": "policy", "min_agreement": 0.999, "max_flagged": 1.0}
    service.retraining.put("m", policy, by="boss")
    live(service, clock, 25)
    service.retraining.run()
    service.jobs.run_next()
    # What both have not seen before, each flags in its own way.
    live(service, clock, 3, first=50, centre=64.0)
    service.retraining.run()
    assert "version 2 was given up: it agrees with the champion on" in decision(service)
    assert service.models.charge.challenger("m") is None
    assert done(service)[-1][0] == "reject"


def test_false_alarms_ask_for_training_and_roll_back(service: Service, clock: Clock) -> None:
    policy = POLICY | {"every_hours": None, "on_performance": False, "max_false_alarms": 0.3}
    service.retraining.put("m", policy, by="boss")

    def alarms(n: int) -> None:
        for i in range(n):
            ask(service, pa.table({"amount": [90.0 + i], "fee": [9.0]}))
            clock.now += HOUR
        for event in service.lookup.events(status="open").rows:
            service.feedback.give(event["id"], "false_alarm", by="me")

    alarms(3)
    service.retraining.run()
    assert not service.jobs.run_next(), "three are chance"
    alarms(5)
    live(service, clock, 10)
    service.retraining.run()
    assert "8 of 8 events that people looked at were false alarms" in decision(service)
    service.jobs.run_next()
    service.models.promote("m", 2, by="boss", force=True)
    for i in range(6):
        ask(service, pa.table({"amount": [900.0 + i], "fee": [9.0]}))
        clock.now += HOUR
    for event in service.lookup.events(status="open").rows:
        service.feedback.give(event["id"], "false_alarm", by="me")
    service.retraining.run()
    assert service.models.version("m")["version"] == 1
    assert "rolled back to 1: 6 of 6 events" in decision(service)


def test_worse_verdicts_ask_for_training(service: Service, clock: Clock) -> None:
    service.retraining.put("m", POLICY | {"every_hours": None, "max_false_alarms": None}, by="me")

    def judge(n: int, verdict: str) -> None:
        for i in range(n):
            ask(service, pa.table({"amount": [90.0 + i], "fee": [9.0]}))
            clock.now += HOUR
        for event in service.lookup.events(status="open").rows:
            service.feedback.give(event["id"], verdict, by="me")

    judge(12, "confirmed")
    with service.store.write() as connection:
        connection.execute(policies.update().values(tried=clock.now))
    judge(4, "false_alarm")
    service.retraining.run()
    assert not service.jobs.run_next(), "four are too few"
    judge(8, "false_alarm")
    service.retraining.run()
    assert "people confirm 0% of the events since the last training" in decision(service)


def test_a_champion_that_flags_too_much_is_rolled_back(service: Service, clock: Clock) -> None:
    service.retraining.put("m", POLICY | {"live_alert_rate": 0.05}, by="boss")
    loud = run.fit(normal(1_000, 0), detector="knn", as_="table", threshold=0.3)
    service.models.add("m", loud, about={}, by="me")
    service.models.promote("m", 2, by="boss")
    service.rollout.start("m", 1, by="me")
    ask(service, normal(20, 1))
    service.retraining.run()
    assert service.models.version("m")["version"] == 2, "twenty rows are chance"
    live(service, clock, 2)
    service.retraining.run()
    assert service.models.version("m")["version"] == 1
    assert "rows were flagged since it was promoted" in decision(service)
    assert service.models.charge.challenger("m") is None, "who is in charge is tried no more"
    live(service, clock, 2)
    service.retraining.run()
    assert service.models.version("m")["version"] == 1, "there is nothing to go back to"


def test_a_policy_that_fails_stops_no_other(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.models.add("a", service.models.load("m")[1], about={}, by="me")
    for name in ("a", "m"):
        service.retraining.put(name, POLICY | {"every_hours": 1}, by="boss")
    clock.now += 2 * HOUR
    learn = service.golden.learn
    monkeypatch.setattr(service.golden, "learn", lambda name: learn({"m": name}[name]))
    assert service.retraining.run()
    assert "see the log" in service.retraining.get("a")["decision"]
    assert "1 are the rule" in decision(service)


def test_one_process_at_a_time_goes_through_the_policies(
    any_service: Service, clock: Clock
) -> None:
    other = open_service(any_service.settings.home, any_service.settings.database_url)
    assert any_service.retraining.run()
    assert not other.retraining.run()
    clock.now += HOUR
    assert other.retraining.run(), "who has gone loses the lease"
    assert not any_service.retraining.run()
    assert leases.take(any_service.store, "another", "a", 1)
    other.close()


def test_training_that_is_interrupted_leaves_nothing(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.retraining.put("m", POLICY, by="boss")
    live(service, clock, 20)
    service.retraining.ask("m", by="me")
    with pytest.raises(ConflictError, match="already"):
        service.retraining.ask("m", by="me")

    def fail(*args: Any, **more: Any) -> None:
        raise UnfitError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(service.rollout, "place", fail)
        service.jobs.run_next()
    assert service.models.list()[0]["versions"] == [1]
    assert list((service.settings.home / "snapshots").iterdir()) == []
    service.retraining.ask("m", by="me")
    service.jobs.run_next()
    assert service.models.list()[0]["versions"] == [1, 2]
    kept = {path.name for path in (service.settings.home / "snapshots").iterdir()}
    assert kept == service.retraining.files()


def test_online_detectors_learn_all_the_time(tmp_path: Path, clock: Clock) -> None:
    service = trained(open_service(tmp_path), "streaming_gaussian")
    policy = POLICY | {"every_hours": None, "continuous": True, "min_interval_hours": 6,
                       "min_rows": 50, "max_flagged": 1.0}  # fmt: skip
    service.retraining.put("m", policy, by="boss")
    live(service, clock, 12, centre=52.0)
    service.retraining.run()
    assert "it learns all the time" in decision(service)
    service.jobs.run_next()
    first, second = (service.models.load("m", version)[1] for version in (1, 2))
    assert service.models.version("m", 2)["learnt_until"] > clock.now - 2 * HOUR
    rows = normal(300, 5, centre=54.0)
    gap = second.judge(rows).scores.mean() - first.judge(rows).scores.mean()  # type: ignore[attr-defined]
    assert gap < 0, "what was new has become usual"
    service.close()


# -- policies as data -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"every_hours": 0}, "every_hours"),
        ({"window": "rolling"}, "window"),
        ({"max_hour_share": 0}, "max_hour_share"),
        ({"quarantine": [[2, 1]]}, "quarantine"),
        ({"quarantine": [1]}, "quarantine"),
        ({"promote": "robot"}, "promote"),
        ({"on_drift": 1}, "on_drift"),
        ({"min_rows": 60_000}, "min_rows"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_policies_are_checked(given: dict[str, Any], name: str) -> None:
    with pytest.raises(ParameterError, match=name):
        Policy.of(given)


def test_policies_are_for_models_that_can_have_one(service: Service) -> None:
    with pytest.raises(UnfitError, match="online detector"):
        service.retraining.put("m", {"continuous": True}, by="me")
    with pytest.raises(NotFoundError):
        service.retraining.put("other", {}, by="me")
    times = np.datetime64("2024-01-01", "s") + np.arange(200) * np.timedelta64(3600, "s")
    series = pa.table({"time": times, "load": np.sin(np.arange(200.0))})
    service.models.add("s", run.fit(series, as_="series"), about={}, by="me")
    with pytest.raises(UnfitError, match="series"):
        service.retraining.put("s", {}, by="me")
    service.retraining.put("m", {}, by="me")
    service.retraining.remove("m", by="me")
    with pytest.raises(NotFoundError, match="no policy"):
        service.retraining.get("m")
    assert SimpleNamespace(**Policy().to_dict()).promote == "person"


# -- drift of data sets ---------------------------------------------------------------------------


def test_drift_of_a_data_set(service: Service) -> None:
    file = io.BytesIO()
    arrow_csv.write_csv(normal(500, 3, centre=60.0), file)
    for name in ("moved",):
        file.seek(0)
        service.datasets.add(name, file)
    for asked in ({"model": "m"}, {"reference": "history"}):
        job = service.jobs.submit("drift", service.drift.prepare("moved", asked), by="me")
        assert service.jobs.run_next()
        assert service.jobs.get(job["id"])["result"]["drifted"] is True
    reports = service.drift.reports("moved", cursor=None, limit=1)
    assert reports.next is not None
    older = service.drift.reports("moved", cursor=reports.next, limit=1)
    assert [r["report"]["of"] for r in (*reports.rows, *older.rows)] == ["dataset"] * 2
    assert {f["feature"] for f in older.rows[0]["report"]["features"] if f["drifted"]} == {
        "amount", "fee",
    }  # fmt: skip
    assert service.drift.reports("history", cursor=None, limit=1).rows == []
    with pytest.raises(NotFoundError, match="neither"):
        service.drift.reports("nothing", cursor=None, limit=1)
    with pytest.raises(UnfitError, match="compare"):
        service.drift.prepare("moved", {})
    service.datasets.delete("history")
    service.drift._ready.clear()
    with pytest.raises(NotFoundError, match="is gone"):
        service.drift.learnt("m")
