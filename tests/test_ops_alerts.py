"""Alerts: when they fire, when they are told, and to whom; with a clock of the tests' own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from awry.client import Client, ServiceError
from awry.ops import tables
from awry.ops.alert_rules import Quiet, Rule
from awry.ops.alerts import Alerts
from awry.ops.errors import UnfitError
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.sinks import Alertmanager, AlertSink, File
from awry.ops.store import Store
from awry.result import SEVERITIES
from awry.server import create_app
from servers import free_port, redis_server

#: Friday, 1 March 2024, noon UTC.
NOON = datetime.fromisoformat("2024-03-01T12:00:00+00:00").timestamp()
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


class Notebook(AlertSink):
    """Writes down what it is told."""

    def __init__(self, name: str) -> None:
        self.name, self.told = name, []

    def send(self, message: Any, number: int) -> None:
        self.told.append(message)

    @property
    def statuses(self) -> list[str]:
        return [message["status"] for message in self.told]


class Bench:
    """A store, two sinks and rules, at a time that tests say."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, Store(settings)
        self.desk, self.boss = Notebook("desk"), Notebook("boss")
        self.alerts = self.another()
        self.alerts.set_rules([], by="test")

    def another(self) -> Alerts:
        """Another process of the same service."""
        sinks = {"desk": self.desk, "boss": self.boss}
        return Alerts(self.store, self.settings, sinks)

    def rules(self, *rules: dict[str, Any]) -> None:
        self.alerts.set_rules([{"sinks": ["desk"], **rule} for rule in rules], by="test")

    def judged(self, at: float, rows: int, flagged: int, **more: Any) -> None:
        with self.store.write() as connection:
            connection.execute(
                tables.judgements.insert().values(
                    **{"at": at, "origin": "request", "source": "pay", "model": "pay",
                       "version": 1, "role": "champion", "rows": rows, "flagged": flagged} | more
                )
            )  # fmt: skip

    def event(self, at: float, severity: str = "critical", **more: Any) -> None:
        with self.store.write() as connection:
            connection.execute(
                tables.events.insert().values(
                    **{"source": "pay", "kind": "row", "start": at, "end": at, "items": 1,
                       "peak": "1", "score": 9.0, "severity": SEVERITIES.index(severity),
                       "status": "open", "summary": "", "reasons": [], "extract": {},
                       "created": at, "updated": at} | more
                )
            )  # fmt: skip

    def at(self, now: float) -> None:
        """Look at the rules, and deliver."""
        self.alerts.check(now)
        for name in self.alerts.outbox.sinks:
            self.alerts.outbox.deliver(name, now)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.alerts.list().rows


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Bench]:
    url = request.getfixturevalue("database") if request.param == "postgresql" else ""
    made = Bench(Settings(home=tmp_path, database_url=url))
    yield made
    made.store.close()


@pytest.fixture
def quick(tmp_path: Any) -> Iterator[Bench]:
    """A bench on SQLite alone, for what does not depend on the database."""
    made = Bench(Settings(home=tmp_path))
    yield made
    made.store.close()


SPIKE = {"name": "spike", "kind": "rate", "window": 300, "threshold": 0.01, "times": 3}
EVENTS = {"name": "events", "kind": "event", "window": 300, "at_least": "critical"}


def test_a_rate_is_held_against_its_own_baseline(bench: Bench) -> None:
    bench.rules({**SPIKE, "severity": "critical"})
    for minute in range(60):
        bench.judged(NOON - HOUR + minute * MINUTE, 100, 4)
    bench.at(NOON)
    assert bench.rows == []  # 4 % are its normal
    bench.judged(NOON + MINUTE, 400, 120)
    bench.judged(NOON + MINUTE, 10_000, 9_000, role="challenger")  # which answers nobody
    bench.at(NOON + 2 * MINUTE)
    bench.at(NOON + 3 * MINUTE)
    (row,) = bench.rows
    assert (row["state"], row["severity"], row["count"]) == ("firing", "critical", 1)
    assert row["labels"] == {"alertname": "spike", "source": "pay", "model": "pay"}
    assert "4.0% in 1 hour before" in row["summary"]
    bench.at(NOON + 7 * MINUTE)
    assert bench.rows[0]["state"] == "resolved"
    assert bench.desk.statuses == ["firing", "resolved"]
    assert bench.boss.told == []


def test_a_rate_of_few_rows_or_without_a_baseline_says_nothing(quick: Bench) -> None:
    quick.rules(SPIKE, {**SPIKE, "name": "plain", "times": None, "least": 50})
    quick.judged(NOON - MINUTE, 49, 49)
    quick.at(NOON)
    assert quick.rows == []
    quick.judged(NOON - MINUTE, 200, 100)
    quick.at(NOON)
    assert [row["rule"] for row in quick.rows] == ["plain"]


def test_events_count_by_severity_status_and_age(bench: Bench) -> None:
    bench.rules({**EVENTS, "least": 2})
    bench.event(NOON - MINUTE)
    bench.event(NOON - MINUTE, "warning")
    bench.event(NOON - MINUTE, status="resolved")
    bench.event(NOON - 10 * MINUTE)
    bench.event(NOON - MINUTE, source="other")
    bench.at(NOON)
    assert bench.rows == []
    bench.event(NOON - MINUTE, "emergency")
    bench.at(NOON)
    (row,) = bench.rows
    assert (row["labels"]["source"], row["severity"]) == ("pay", "emergency")


def test_silence_drift_and_age_fire(bench: Bench) -> None:
    bench.rules(
        {"name": "silence", "kind": "no_data", "window": 900},
        {"name": "never", "kind": "no_data", "window": 900, "source": "absent"},
        {"name": "drift", "kind": "drift", "window": DAY},
        {"name": "old", "kind": "stale", "window": 30 * DAY},
    )
    bench.judged(NOON - 1_000, 10, 0)
    bench.judged(NOON - 1_000, 10, 0, source="batch", model=None, origin="job")
    bench.judged(NOON - 1_000, 10, 0, source="fresh")
    bench.judged(NOON - 10, 10, 0, source="fresh")
    bench.judged(NOON - 20 * DAY, 10, 0, source="retired")
    report = {"features": [{"feature": "amount", "drifted": True, "statistic": 0.4},
                           {"feature": "hour", "drifted": False, "statistic": 0.1}]}  # fmt: skip
    reports = [(1, "pay", True), (2, "calm", True), (1, "calm", False)]
    with bench.store.write() as connection:
        for hours, source, drifted in reports:
            at = NOON - hours * HOUR
            connection.execute(
                tables.drift_reports.insert().values(
                    source=source, at=at, drifted=drifted, report=report
                )
            )
        connection.execute(tables.models.insert().values(name="pay", created=0.0, champion=2))
        for version, age in ((1, 90), (2, 31)):
            connection.execute(
                tables.versions.insert().values(
                    model="pay", version=version, created=NOON - age * DAY, file="", sha256="",
                    method="", columns=[], facts={},
                )
            )  # fmt: skip
    bench.at(NOON)
    found = {(row["rule"], row["labels"].get("source")): row["summary"] for row in bench.rows}
    assert set(found) == {
        ("silence", "pay"), ("never", "absent"), ("drift", "pay"), ("old", None)
    }  # fmt: skip
    assert "1 features have moved: amount" in found["drift", "pay"]
    assert "version 2 was trained 31 days ago" in found["old", None]


def test_one_that_comes_and_goes_is_told_once_a_cool_down(bench: Bench) -> None:
    bench.rules({**EVENTS, "window": 60, "cooldown": HOUR, "repeat": 0})
    for minute in (0, 5, 10):
        bench.event(NOON + minute * MINUTE)
        bench.at(NOON + minute * MINUTE + 1)
        bench.at(NOON + minute * MINUTE + 90)
    (row,) = bench.rows
    assert (row["count"], row["state"]) == (3, "resolved")
    assert bench.desk.statuses == ["firing", "resolved"]
    # Still there when the cool-down ends: now it is told.
    for minute in (58, 59, 60, 61):
        bench.event(NOON + minute * MINUTE)
        bench.at(NOON + minute * MINUTE + 2)
    assert bench.desk.statuses == ["firing", "resolved", "firing"]
    # Long after, it is another alert.
    bench.at(NOON + 2 * HOUR)
    bench.event(NOON + 5 * HOUR)
    bench.at(NOON + 5 * HOUR)
    assert [row["count"] for row in bench.rows] == [1, 4]


def test_alerts_of_one_rule_are_one_message(quick: Bench) -> None:
    quick.rules(EVENTS)
    for i in range(60):
        quick.event(NOON, "emergency" if i == 59 else "critical", source=f"s{i:02}")
    quick.at(NOON + 1)
    (message,) = quick.desk.told
    assert (len(message["alerts"]), message["more"], message["severity"]) == (50, 10, "emergency")
    assert message["alerts"][0]["labels"]["source"] == "s59"  # the gravest first


def test_it_is_told_again_while_it_fires_unless_acknowledged(quick: Bench) -> None:
    quick.rules({**EVENTS, "window": 10 * HOUR, "repeat": HOUR})
    quick.event(NOON)
    for minutes in (1, 30, 62, 90):
        quick.at(NOON + minutes * MINUTE)
    assert quick.desk.statuses == ["firing", "firing"]
    known = quick.alerts.acknowledge(quick.rows[0]["id"], by="ann")
    assert known["acknowledged_by"] == "ann"
    assert quick.alerts.acknowledge(known["id"], by="bob")["acknowledged_by"] == "ann"
    quick.at(NOON + 5 * HOUR)
    assert quick.desk.statuses == ["firing", "firing"]
    quick.at(NOON + 11 * HOUR)
    assert quick.desk.statuses[2:] == ["resolved"]


@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_nobody_acknowledges_is_escalated_once(quick: Bench, acknowledged: bool) -> None:
    quick.rules({**EVENTS, "window": DAY, "escalate_after": 1_800, "escalate_to": ["boss"]})
    quick.event(NOON)
    quick.at(NOON)
    quick.at(NOON + 1_799)
    assert quick.boss.told == []
    if acknowledged:
        quick.alerts.acknowledge(quick.rows[0]["id"], by="ann")
    quick.at(NOON + 1_800)
    quick.at(NOON + 3_700)
    assert quick.boss.statuses == ([] if acknowledged else ["escalated"])
    if not acknowledged:
        assert quick.boss.told[0]["severity"] == "emergency"  # one step above critical
    assert quick.desk.statuses == ["firing"]


def test_quiet_hours_keep_an_alert_until_they_are_over(quick: Bench) -> None:
    night = {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"}
    quick.rules({**EVENTS, "window": 10 * HOUR, "quiet": [night]})
    evening = NOON + 9.5 * HOUR  # 22:30 in Berlin
    quick.event(evening)
    quick.at(evening)
    quick.at(evening + 8 * HOUR)
    assert quick.desk.told == []
    assert quick.rows[0]["state"] == "firing"  # who looks, sees it
    quick.at(evening + 8.6 * HOUR)
    assert quick.desk.statuses == ["firing"]


def test_what_came_and_went_in_quiet_hours_is_not_told_but_what_is_grave_is(quick: Bench) -> None:
    night = {"start": "00:00", "end": "00:00"}  # always
    quick.rules({**EVENTS, "quiet": [night]})
    quick.event(NOON)
    quick.at(NOON)
    quick.at(NOON + HOUR)
    assert (quick.desk.told, quick.rows[0]["state"]) == ([], "resolved")
    quick.event(NOON + 2 * DAY, "emergency")
    quick.at(NOON + 2 * DAY)
    assert quick.desk.statuses == ["firing"]


def test_quiet_hours_follow_the_clock_of_their_zone() -> None:
    def at(text: str) -> float:
        return datetime.fromisoformat(text).timestamp()

    night = Quiet(start="22:00", end="07:00", zone="Europe/Berlin", days=("sat",))
    # The night in which the clock goes forward: 31 March 2024, a Sunday.
    assert not night.covers(at("2024-03-30T20:59+00:00"))
    assert night.covers(at("2024-03-30T21:00+00:00"))
    assert night.covers(at("2024-03-31T04:59+00:00"))
    assert not night.covers(at("2024-03-31T05:00+00:00"))
    assert not night.covers(at("2024-03-31T22:00+00:00"))  # begins on Saturdays alone
    noon = Quiet(start="12:00", end="13:00")
    assert [noon.covers(NOON + d) for d in (-1, 0, 3_599, 3_600)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "point"}, "kind"),
        ({"window": 0}, "window"),
        ({"window": float("nan")}, "window"),
        ({"kind": "rate"}, "threshold"),
        ({"times": 0.5}, "times"),
        ({"name": "no name"}, "name"),
        ({"sinks": ["nobody"]}, "sinks"),
        ({"quiet": [{"start": "24:00", "end": "07:00"}]}, "start"),
        ({"quiet": [{"start": "22:00", "end": "07:00", "zone": "../../etc/passwd"}]}, "zone"),
        ({"quiet": [{"start": "22:00", "end": "07:00", "days": ["someday"]}]}, "days"),
        ({"colour": "red"}, "rules"),
    ],
)
def test_a_rule_that_is_none_is_refused_and_the_others_stay(
    quick: Bench, wrong: dict[str, Any], field: str
) -> None:
    quick.rules(EVENTS)
    with pytest.raises(UnfitError) as refused:
        quick.alerts.set_rules([{"name": "fine", "kind": "event"}, {**EVENTS, **wrong}], by="me")
    assert refused.value.field == f"rules.1.{field}"
    assert [rule.name for rule in quick.alerts.rules()] == ["events"]


def test_rules_are_kept_as_they_are(quick: Bench) -> None:
    given = {**SPIKE, "sinks": ["desk"], "escalate_to": ["boss"], "escalate_after": 60.0,
             "quiet": [{"start": "22:00", "end": "07:00", "zone": "Asia/Tokyo"}]}  # fmt: skip
    (kept,) = quick.alerts.set_rules([given], by="me")
    assert kept == Rule.load(given)
    assert Rule.load(kept.save()) == kept


def test_what_a_rule_fired_is_over_when_it_is_gone(quick: Bench) -> None:
    quick.rules(EVENTS)
    quick.event(NOON)
    quick.at(NOON)
    quick.alerts.set_rules([], by="me")
    quick.at(NOON + 1)
    assert quick.rows[0]["state"] == "resolved"
    assert quick.desk.statuses == ["firing", "resolved"]


def test_several_processes_fire_and_tell_once(bench: Bench) -> None:
    bench.rules(EVENTS)
    bench.event(NOON)
    processes = [bench.another() for _ in range(4)]
    threads = [threading.Thread(target=one.check, args=(NOON + 1,)) for one in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["count"] for row in bench.rows] == [1]
    threads = [
        threading.Thread(target=one.outbox.deliver, args=("desk", NOON + 1)) for one in processes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.desk.statuses == ["firing"]


@pytest.fixture(scope="module")
def redis() -> Iterator[int]:
    with redis_server() as port:
        yield port


def both(service: Service, other: Service, now: float) -> None:
    """Let two services look at their rules and deliver, at the same time."""

    def work(one: Service) -> None:
        one.alerts.check(now)
        one.alerts.outbox.deliver("desk", now)

    threads = [threading.Thread(target=work, args=(one,)) for one in (service, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("lost", [False, True], ids=["redis", "redis lost"])
def test_two_services_tell_once_even_where_the_database_is_not_told(
    tmp_path: Path, redis: int, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.jsonl"
    made = Settings(
        home=tmp_path, redis_url=f"redis://127.0.0.1:{free_port() if lost else redis}",
        alert_sinks=(f"desk=file://{told}",),
    )  # fmt: skip
    first, second = services = Service(made), Service(made)

    def statuses() -> list[str]:
        return [json.loads(line)["status"] for line in told.read_text().splitlines()]

    def gone(*_: Any, **__: Any) -> Any:
        raise sa.exc.OperationalError("", {}, OSError("gone"))

    bench = Bench(made)
    bench.rules({**EVENTS, "cooldown": HOUR})
    bench.event(NOON)
    both(first, second, NOON + 1)
    assert statuses() == ["firing"]
    both(first, second, NOON + 10 * MINUTE)
    assert statuses() == ["firing", "resolved"]
    bench.event(NOON + 11 * MINUTE)
    both(first, second, NOON + 11 * MINUTE)
    assert statuses() == ["firing", "resolved"], "it cools down"

    bench.event(NOON + 2 * HOUR)
    at = NOON + 2 * HOUR
    first.alerts.check(at)
    with monkeypatch.context() as patch:
        # It tells, and the database goes before that is written down.
        send = File.send
        patch.setattr(
            File, "send",
            lambda *given: (send(*given), patch.setattr(first.store, "write", gone)),
        )  # fmt: skip
        with pytest.raises(sa.exc.OperationalError):
            first.alerts.outbox.deliver("desk", at)
    assert statuses() == ["firing", "resolved", "firing"]
    # Without Redis a process knows what it told itself.
    left = (first if lost else second).alerts.outbox
    assert left.deliver("desk", at + 30) == 0, "it may still be at it"
    assert left.deliver("desk", at + 90) == 1
    assert statuses() == ["firing", "resolved", "firing"]
    assert {row["state"] for row in left.list().rows} == {"done"}
    assert (first if lost else second).shared.degraded == lost
    bench.store.close()
    for service in services:
        service.close()


def test_one_process_at_a_time_looks_and_the_next_when_it_has_gone(bench: Bench) -> None:
    first, second = bench.another(), bench.another()
    assert [one.take_turn() for one in (first, second, first)] == [True, False, True]
    first.close()
    assert second.take_turn()


def test_alerts_come_page_by_page(quick: Bench) -> None:
    quick.rules(EVENTS)
    for i in range(5):
        quick.event(NOON, source=f"s{i}")
    quick.at(NOON)
    seen, cursor = [], None
    while True:
        found = quick.alerts.list(state="firing", cursor=cursor, limit=2)
        seen += [row["id"] for row in found.rows]
        cursor = found.next
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5
    assert quick.alerts.list(severity="emergency").rows == []


# -- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
def http(tmp_path: Any) -> Iterator[TestClient]:
    made = Settings(
        home=tmp_path, alert_seconds=0.05,
        alert_sinks=(f"log=file://{tmp_path}/alerts.jsonl", "am=alertmanager+http://127.0.0.1:9"),
    )  # fmt: skip
    with TestClient(create_app(made), "http://localhost") as client:
        yield client


RECEIVED = {
    "version": "4", "status": "firing", "receiver": "awry",
    "alerts": [
        {"status": "firing", "startsAt": "2024-03-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
         "labels": {"alertname": "AwryDown", "severity": "critical"},
         "annotations": {"summary": "api does not answer"}, "fingerprint": "0123"},
        {"status": "firing", "startsAt": "2024-03-01T00:00:00Z",
         "labels": {"alertname": "AwryDown", "severity": "warning"}},
    ],
}  # fmt: skip


def test_an_alertmanagers_alerts_are_kept_once_and_handed_on(http: TestClient) -> None:
    client, service = Client(http=http), http.app.state.service  # type: ignore[attr-defined]
    assert http.post("/alerts/received", json=RECEIVED).json() == {"changed": 2}
    assert http.post("/v1/alerts/received", json=RECEIVED).json() == {"changed": 0}
    down = next(row for row in client.alerts() if row["summary"] == "api does not answer")
    assert (down["origin"], down["severity"], down["state"]) == (
        "alertmanager", "critical", "firing"
    )  # fmt: skip
    RESOLVED = {"alerts": [{**RECEIVED["alerts"][0], "status": "resolved"}]}  # type: ignore[index]
    assert http.post("/alerts/received", json=RESOLVED).json() == {"changed": 1}
    assert [row["id"] for row in client.alerts(state="resolved")] == [down["id"]]
    # Not to where it came from.
    assert {row["sink"] for row in client.alert_deliveries()} == {"log"}
    messages = [row["message"] for row in client.alert_deliveries()]
    assert [m["status"] for m in messages] == ["resolved", "firing"]
    assert isinstance(service.alerts.outbox.sinks["am"], Alertmanager)
    assert isinstance(service.alerts.outbox.sinks["log"], File)


def test_who_may_do_what_with_alerts(tmp_path: Any) -> None:
    made = Settings(home=tmp_path, require_key=True)
    with TestClient(create_app(made), "http://localhost") as http:
        keys = http.app.state.service.keys  # type: ignore[attr-defined]
        asked = [
            ("GET", "/alerts", None), ("GET", "/alerts/rules", None),
            ("POST", "/alerts/received", RECEIVED), ("POST", "/alerts/1/acknowledge", None),
            ("PUT", "/alerts/rules", {"rules": []}), ("GET", "/alerts/deliveries", None),
        ]  # fmt: skip
        for role, allowed in (("read", 2), ("write", 4), ("admin", 6)):
            headers = {"Authorization": f"Bearer {keys.create(role, role)}"}
            codes = [http.request(m, u, json=b, headers=headers).status_code for m, u, b in asked]
            assert codes == [200] * allowed + [403] * (6 - allowed)


def test_what_cannot_be_met_is_told_as_a_problem(http: TestClient) -> None:
    client = Client(http=http)
    with pytest.raises(ServiceError, match="there is no alert 7"):
        client.acknowledge(7)
    quiet = [{"start": "22:00", "end": "07:00", "zone": "Moon/Base"}]
    with pytest.raises(ServiceError, match="no time zone"):
        client.set_alert_rules([{"name": "a", "kind": "event", "quiet": quiet}])
    for body in ({"rules": [{"name": "a"}]}, {"alerts": [{"status": "on"}]}, {}):
        path = "/alerts/received" if "alerts" in body else "/alerts/rules"
        answer = http.request("POST" if "alerts" in body else "PUT", path, json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    assert {r["name"] for r in client.alert_rules()} == {
        "events", "anomaly-rate", "drift", "stale-model"
    }  # fmt: skip


def test_a_sink_that_hangs_holds_up_neither_scoring_nor_the_rules(tmp_path: Any) -> None:
    hangs, release = threading.Event(), threading.Event()

    class Hanging(AlertSink):
        def __init__(self) -> None:
            self.name = "hanging"

        def send(self, message: Any, number: int) -> None:
            hangs.set()
            release.wait(30)

    with TestClient(create_app(Settings(home=tmp_path)), "http://localhost") as http:
        service = http.app.state.service  # type: ignore[attr-defined]
        slow = Alerts(service.store, service.settings, {"hanging": Hanging()})
        slow.outbox.start()
        try:
            http.post("/alerts/received", json=RECEIVED)
            with service.store.write() as connection:
                connection.execute(tables.alerts.delete())
            slow.receive([one.firing() for one in _received().alerts])
            assert hangs.wait(20)
            slow.check()
            rows = [{"amount": float(i % 7)} for i in range(60)]
            assert http.post("/detect", json={"data": rows}).status_code == 200
            with service.store.read() as connection:
                states = connection.scalars(sa.select(tables.alert_deliveries.c.state)).all()
            assert states == ["waiting"]
        finally:
            release.set()
            slow.outbox.close()


def _received() -> Any:
    from awry.server.alert_schemas import Received

    return Received.model_validate(RECEIVED)
