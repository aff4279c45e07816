"""What Prometheus is told: that deploy/ names nothing else, and that the values are right."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from awry.ops import tables
from awry.ops.findings import Findings
from awry.ops.judgement import Judgement, Numbers
from awry.ops.monitor import METERS, Watch
from awry.ops.settings import Settings
from awry.server import create_app

DEPLOY = Path(__file__).parents[1] / "deploy"
_ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def test_deploy_names_no_metric_that_nobody_exports() -> None:
    files = [*DEPLOY.glob("prometheus/**/*.yml"), DEPLOY / "grafana/dashboards/awry.json"]
    named = {n for path in files for n in re.findall(r"\bawry_[a-z_]+", path.read_text())}
    named.discard("awry_key")
    exported = {name + end for name, meter in METERS.items() for end in _ENDINGS[meter.kind]}
    assert len(named) > 15
    assert named <= exported, named - exported


@pytest.fixture(params=["sqlite", "postgresql"])
def http(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    url = request.getfixturevalue("database") if request.param == "postgresql" else ""
    made = Settings(home=tmp_path, database_url=url, workers=0)
    with TestClient(create_app(made), "http://localhost", raise_server_exceptions=False) as client:
        yield client


def values(http: TestClient) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and its labels' values in order of their names."""
    text = http.get("/metrics").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def judgement(model: str | None, scores: Any, **more: Any) -> Judgement:
    scores = np.asarray(scores, dtype=float)
    items = Numbers(np.arange(len(scores)))
    return Judgement(
        **{"source": model or "adhoc", "origin": "request", "items": items, "scores": scores,
           "severity": np.zeros(len(scores), dtype=np.int64),
           "at": np.full(len(scores), time.time()), "model": model, "version": 2} | more
    )  # fmt: skip


def test_what_is_told_is_what_the_database_holds(http: TestClient) -> None:
    service = http.app.state.service  # type: ignore[attr-defined]
    found = Findings(service.store)
    found.record(judgement("pay", np.full(6_000, 99.0)))  # older than the newest 5,000
    found.record(judgement("pay", np.arange(4_001.0)))
    found.record(judgement("pay", np.full(500, 1e6), role="challenger"))
    found.record(judgement(None, [1.0, np.nan], version=None))
    event = {
        "source": "pay", "kind": "row", "start": 1.0, "end": 1.0, "items": 1, "peak": "1",
        "score": 1.0, "summary": "", "reasons": [], "extract": {}, "created": 1.0, "updated": 1.0,
    }  # fmt: skip
    report = {"features": [{"feature": "amount", "drifted": True, "statistic": 0.4},
                           {"feature": "hour", "drifted": False, "statistic": None}]}  # fmt: skip
    calm = {"features": [{"feature": "amount", "drifted": False, "statistic": 0.1}]}
    with service.store.write() as connection:
        connection.execute(tables.models.insert().values(name="pay", created=1.0, champion=2))
        for version, created in ((1, 10.0), (2, 20.0)):
            connection.execute(
                tables.versions.insert().values(
                    model="pay", version=version, created=created, file="", sha256="", method="",
                    columns=[], facts={},
                )
            )  # fmt: skip
        for severity, status in ((2, "open"), (2, "open"), (3, "open"), (3, "resolved")):
            values_ = {**event, "severity": severity, "status": status}
            connection.execute(tables.events.insert().values(values_))
        for source, told in (("cards", calm), ("cards", report), ("loads", calm)):
            connection.execute(
                tables.drift_reports.insert().values(
                    source=source, at=1.0, drifted=told is report, report=told
                )
            )
        connection.execute(
            tables.stream_offsets.insert().values(
                source="tail", topic="t", partition=0, next=1, updated=time.time() - 5
            )
        )
    told = values(http)
    assert told["awry_model_version", "pay"] == 2
    assert told["awry_model_trained_timestamp_seconds", "pay"] == 20.0
    assert abs(told["awry_last_judged_timestamp_seconds", "pay"] - time.time()) < 60
    assert 4 < time.time() - told["awry_last_judged_timestamp_seconds", "tail"] < 60
    assert told["awry_drifted_features", "cards"] == 1
    assert told["awry_drifted_features", "loads"] == 0
    assert told["awry_drift_statistic", "cards", "amount"] == 0.4
    assert ("awry_drift_statistic", "cards", "hour") not in told
    assert told["awry_events_open", "critical"] == 2
    assert told["awry_events_open", "emergency"] == 1
    assert told["awry_events_open", "warning"] == 0
    newest = np.r_[np.full(5_000 - 4_001 - 502, 99.0), np.arange(4_001.0)]
    for q in (0.5, 0.9, 0.99):
        assert told["awry_score", "pay", str(q)] == pytest.approx(np.quantile(newest, q))
    assert told["awry_score", "adhoc", "0.5"] == 1.0


def test_errors_are_counted_by_kind(http: TestClient) -> None:
    service = http.app.state.service  # type: ignore[attr-defined]
    http.get("/models/none")
    http.post("/detect", json={"data": [{"a": 1}], "model": "none"})
    http.post("/detect", json={"data": [{"a": 1}]})
    http.post("/detect", json={"rows": 1})
    http.get("/models", headers={"Authorization": "Bearer awry_0123"})
    http.get("/nowhere")

    def fails() -> None:
        raise RuntimeError("a fault")

    service.jobs.list = fails
    http.get("/jobs")
    told = {key[1]: n for key, n in values(http).items() if key[0] == "awry_errors_total"}
    assert told["not_found"] >= 3
    assert told["unfit"] >= 1
    assert told["invalid"] >= 1
    assert told["unauthorized"] == 1
    assert told["unexpected"] == 1


def test_a_database_that_is_gone_takes_only_its_own_metrics(http: TestClient) -> None:
    service = http.app.state.service  # type: ignore[attr-defined]
    assert ("awry_events_open", "critical") in values(http)

    def gone(*_: Any) -> Any:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    service.store.read = gone
    told = values(http)
    assert ("awry_events_open", "critical") not in told
    assert any(key[0] == "awry_http_requests_total" for key in told)


def test_seconds_without_a_part_are_counted_while_it_is_gone() -> None:
    up = {"database": True, "redis": True}
    counted: dict[str, float] = dict.fromkeys(up, 0.0)

    def count(part: str, seconds: float) -> None:
        counted[part] += seconds

    watch = Watch(lambda: {part: {"ok": ok} for part, ok in up.items()}, count)
    watch.look(100.0)
    watch.look(105.0)
    assert counted == {"database": 0.0, "redis": 0.0}
    up["redis"] = False
    watch.look(110.0)
    watch.look(115.0)
    up["redis"] = True
    watch.look(120.0)
    assert counted == {"database": 0.0, "redis": 10.0}
