"""The files of deploy/ with the real programs: Prometheus, Alertmanager, a service and a worker.

Hosts are put in the place of those of the containers, and time runs :data:`FASTER` times as fast:
every duration of the configuration and of the queries is divided by it, and nothing else changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import csv

from awry.client import Client
from awry.drift.table import TableDrift
from awry.ops import tables
from awry.ops.keys import Keys
from awry.ops.settings import Settings
from awry.ops.store import Store
from servers import free_port, program, wait_until
from test_ops_sinks import Receiver, serving

DEPLOY = Path(__file__).parents[1] / "deploy"
#: A minute of the configuration takes two seconds here.
FASTER = 30
_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: Not part of a name, such as awry:anomaly_rate:1m.
_DURATION = re.compile(r"(?<![\w:.])(\d+)(ms|s|m|h|d)\b")
#: Seconds by which what has to come has come, on a busy machine.
PATIENCE = 120.0
SECRET = "hush"


def faster(text: str) -> str:
    """``text`` with every duration divided."""

    def shorter(found: re.Match[str]) -> str:
        return f"{round(int(found[1]) * _MS[found[2]] / FASTER)}ms"

    return _DURATION.sub(shorter, text)


def test_durations_shrink_and_names_stay() -> None:
    text = "awry:anomaly_rate:1m > rate(x[5m]) offset 1h and awry:rows_judged:rate1m > 30 * 86400"
    assert faster(text) == (
        "awry:anomaly_rate:1m > rate(x[10000ms]) offset 120000ms "
        "and awry:rows_judged:rate1m > 30 * 86400"
    )


def rows(n: int, seed: int, shift: float = 0.0) -> list[dict[str, float]]:
    drawn = np.random.default_rng(seed).normal(0, 1, (n, 2)) * [5, 1] + [50 + shift, 12 + shift]
    return [{"amount": float(a), "hour": float(h)} for a, h in drawn]


class Traffic:
    """Asks the service all the time: for rows as they were learnt, and, on demand, for others."""

    def __init__(self, client: Client) -> None:
        self._client, self._stop, self.spike = client, threading.Event(), threading.Event()
        calm = [r for r in rows(400, 1) if abs(r["amount"] - 50) < 5 and abs(r["hour"] - 12) < 1]
        self._calm, self._odd = calm[:40], rows(20, 2, 500.0) + calm[:20]
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.1):
            self._client.detect(self._odd if self.spike.is_set() else self._calm, model="cards")


class Stack:
    """What runs, and how it is asked."""

    def __init__(self, client: Client, prometheus: str, receiver: Receiver, traffic: Traffic):
        self.client, self.receiver, self.traffic = client, receiver, traffic
        self._prometheus = prometheus

    def ask(self, path: str) -> Any:
        with urlopen(self._prometheus + path, timeout=20) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        return told["data"]

    def query(self, text: str) -> list[Any]:
        found: list[Any] = self.ask(f"/api/v1/query?query={quote(faster(text))}")["result"]
        return found


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of awry that runs until it is no longer needed."""
    made = subprocess.Popen(
        [sys.executable, "-m", "awry", *arguments], env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield made
    finally:
        made.terminate()
        made.wait(30)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def learn(home: Path, client: Client) -> None:
    """A model of cards, in charge."""
    csv.write_csv(pa.Table.from_pylist(rows(600, 0)), home / "cards.csv")
    client.upload("cards", home / "cards.csv")
    job = client.train("cards", "cards", method="gaussian", threshold=0.005, promote=True)
    ended = client.wait(job["id"], timeout=PATIENCE, every=0.05)
    assert ended["state"] == "done", ended


def report_drift(home: Path) -> None:
    """A report that says of both columns that they have moved."""
    before, now = (pa.Table.from_pylist(rows(600, *drawn)) for drawn in ((0,), (3, 5.0)))
    moved = TableDrift().fit(before).test(now)
    store = Store(Settings(home=home))
    with store.write() as connection:
        connection.execute(
            tables.drift_reports.insert().values(
                source="cards", at=time.time(), drifted=bool(moved), report=moved.to_dict()
            )
        )
    store.close()


def configure(folder: Path, hosts: dict[str, str], receiver: str) -> None:
    """The files of deploy/, for this machine and faster."""
    shutil.copytree(DEPLOY / "prometheus/rules", folder / "rules")
    files = [DEPLOY / "prometheus/prometheus.yml", DEPLOY / "alertmanager/alertmanager.yml"]
    for path in files:
        shutil.copy(path, folder)
    for path in [*folder.glob("*.yml"), *folder.glob("rules/*.yml")]:
        text = faster(path.read_text())
        for here, there in hosts.items():
            text = text.replace(here, there)
        path.write_text(text)
    path = folder / "alertmanager.yml"
    config = yaml.safe_load(path.read_text())
    config["receivers"][0]["webhook_configs"].append({"url": receiver, "send_resolved": True})
    path.write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for name in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    folder, home = tmp_path_factory.mktemp("stack"), tmp_path_factory.mktemp("home")
    store = Store(Settings(home=home))
    (folder / "awry_key").write_text(Keys(store).create("monitoring", "write") + "\n")
    key = Keys(store).create("test", "admin")
    store.close()
    api, stream, prometheus, alertmanager = (free_port() for _ in range(4))
    receiver = Receiver()
    events = folder / "events.jsonl"
    odd = np.zeros(2_000)
    odd[[1_500, 1_800]] = 500.0
    drawn = np.random.default_rng(0).normal(50, 5, 2_000) + odd
    events.write_text("".join(json.dumps({"amount": float(a)}) + "\n" for a in drawn))
    hosts = {
        "api:8000": f"127.0.0.1:{api}", "stream:9100": f"127.0.0.1:{stream}",
        "alertmanager:9093": f"127.0.0.1:{alertmanager}",
        "/run/secrets/": f"{folder}/",
    }  # fmt: skip
    configure(folder, hosts, f"{receiver.url}/alertmanager")
    environment = {
        "AWRY_HOME": str(home), "AWRY_PORT": str(api), "AWRY_REQUIRE_KEY": "true",
        "AWRY_RATE": "1000", "AWRY_BURST": "1000", "AWRY_LATENCY_BUDGET_MS": "5000",
        "AWRY_ALERT_SINKS": f"test=webhook+{receiver.url}/sink", "AWRY_ALERT_SECRET_TEST": SECRET,
    }  # fmt: skip
    with ExitStack() as running:
        running.enter_context(serving(receiver.server))
        running.enter_context(process("serve", "--log-level", "warning", **environment))
        running.enter_context(
            process(
                "stream", "--from", f"file://{events}", "--to", f"sqlite:///{home}/awry.db",
                "--metrics-port", str(stream), "--name", "cards-stream", "-q",
                AWRY_HOME=str(home),
            )
        )  # fmt: skip
        wait_until(lambda: answers(f"http://127.0.0.1:{api}/health"), seconds=PATIENCE)
        client = running.enter_context(Client(f"http://127.0.0.1:{api}", key=key))
        learn(home, client)
        traffic = running.enter_context(Traffic(client))
        running.enter_context(
            program(
                "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/am", f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=", port=alertmanager,
            )
        )  # fmt: skip
        running.enter_context(
            program(
                "prometheus", f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{prometheus}",
                "--rules.alert.resend-delay=2s", port=prometheus,
            )
        )  # fmt: skip
        report_drift(home)
        yield Stack(client, f"http://127.0.0.1:{prometheus}", receiver, traffic)


def panels() -> list[tuple[str, str]]:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/awry.json").read_text())
    return [(p["title"], t["expr"]) for p in dashboard["panels"] for t in p.get("targets", ())]


def rule_queries() -> list[tuple[str, str]]:
    found = []
    for path in (DEPLOY / "prometheus/rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            found += [(r.get("record") or r["alert"], r["expr"]) for r in group["rules"]]
    return found


def test_every_query_of_rules_and_dashboards_has_data(stack: Stack) -> None:
    assert len(panels()) > 15
    # An alert's condition holds where something is wrong; what it is about must be there.
    wanted = {expr for _, expr in panels()} | {
        n for n, _ in rule_queries() if n.startswith("awry:")
    }
    wanted |= {
        f"count({name})"
        for _, expr in rule_queries()
        for name in re.findall(r"\bawry_\w+|\bup\b", expr)
    }
    empty = set(wanted)

    def all_there() -> bool:
        for expr in sorted(empty):
            if stack.query(expr):
                empty.discard(expr)
        return not empty

    try:
        wait_until(all_there, seconds=PATIENCE)
    except TimeoutError:
        pytest.fail(f"no data for {sorted(empty)}")
    health = [rule for group in stack.ask("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in health} == {name for name, _ in rule_queries()}
    assert {rule["health"] for rule in health} == {"ok"}, [r.get("lastError") for r in health]
    assert {target["health"] for target in stack.ask("/api/v1/targets")["activeTargets"]} == {"up"}


def test_what_is_told_is_what_is_so(stack: Stack) -> None:
    def value(query: str) -> float:
        # A scrape that came too late leaves a gap.
        wait_until(lambda: len(stack.query(query)) == 1)
        (found,) = stack.query(query)
        return float(found["value"][1])

    assert value('awry_model_version{model="cards"}') == 1
    assert value('awry_drifted_features{dataset="cards"}') == 2
    assert value('awry_stream_events_total{stream="cards-stream"}') == 2_000
    assert value('awry_stream_event_seconds_count{stream="cards-stream"}') == 2_000
    assert value('awry_stream_anomalies_total{stream="cards-stream"}') >= 2
    assert value("sum(awry_events_open)") == len(list(stack.client.events(status="open")))
    assert abs(value('awry_last_judged_timestamp_seconds{model="cards"}') - time.time()) < 60


def test_a_planted_spike_fires_is_delivered_and_resolves(stack: Stack) -> None:
    def named(told: dict[str, Any]) -> bool:
        return any(a["labels"]["alertname"] == "AwryAnomalyRateSpike" for a in told["alerts"])

    def told(path: str, status: str) -> bool:
        bodies = [json.loads(b) for p, _, b in list(stack.receiver.requests) if p == path]
        return any(named(body) and body["status"] == status for body in bodies)

    def kept(state: str) -> list[dict[str, Any]]:
        return list(stack.client.alerts(rule="AwryAnomalyRateSpike", state=state))

    # The model's own normal has to be known first.
    wait_until(
        lambda: bool(stack.query('awry:anomaly_rate:baseline{model="cards"}')), seconds=PATIENCE
    )
    assert not told("/alertmanager", "firing")
    assert kept("firing") == []
    stack.traffic.spike.set()
    for path in ("/alertmanager", "/sink"):
        wait_until(lambda path=path: told(path, "firing"), seconds=PATIENCE)
    (alert,) = kept("firing")
    assert (alert["origin"], alert["severity"]) == ("alertmanager", "critical")
    assert alert["labels"]["model"] == "cards"
    assert "more than three times its own last hour" in alert["summary"]
    stack.traffic.spike.clear()
    for path in ("/alertmanager", "/sink"):
        wait_until(lambda path=path: told(path, "resolved"), seconds=PATIENCE)
    assert [row["id"] for row in kept("resolved")] == [alert["id"]]
    for path, headers, body in stack.receiver.requests:
        if path == "/sink":
            signed = headers["X-Awry-Timestamp"].encode() + b"." + body
            made = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
            assert headers["X-Awry-Signature"] == f"sha256={made}"


def test_alertmanager_takes_what_the_service_tells_it(stack: Stack) -> None:
    """The sink ``alertmanager``, against a real one."""
    from awry.ops.sinks import open_sinks
    from test_ops_sinks import MESSAGE

    (address,) = [a["url"] for a in stack.ask("/api/v1/alertmanagers")["activeAlertmanagers"]]
    base = address.partition("/api/")[0]
    sinks = open_sinks(Settings(alert_sinks=(f"am=alertmanager+{base}",)), {})
    now = {"at": time.time(), "until": time.time() + 3_600}
    alert = {**MESSAGE["alerts"][0], "started": time.time()}  # type: ignore[index]
    sinks["am"].send({**MESSAGE, **now, "alerts": [alert]}, 1)
    with urlopen(Request(f"{base}/api/v2/alerts"), timeout=20) as answer:
        found = json.load(answer)
    assert {"alertname": "spike", "source": "pay", "severity": "critical"} in [
        one["labels"] for one in found
    ]
