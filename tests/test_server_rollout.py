"""Challengers, golden sets, policies and drift over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from awry.client import Client, ServiceError
from awry.ops.settings import Settings
from awry.server import create_app
from test_server_api import LOCAL, csv, problem

ODD = {"amount": 900.0, "hour": 12}


def payments(centre: float = 50.0) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({"amount": rng.normal(centre, 5, 400), "hour": rng.integers(8, 18, 400)})


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    made = Settings(home=tmp_path_factory.mktemp("home"), rate=1e6, burst=10**6, poll_seconds=0.02)
    with TestClient(create_app(made), LOCAL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def client(http: TestClient) -> Client:
    made = Client(http=http)
    made.upload("payments", io.BytesIO(csv(payments())))
    made.upload("moved", io.BytesIO(csv(payments(60.0))))
    for threshold in (0.01, 0.2, "fixed:1e9"):
        job = made.train("fraud", "payments", method="mcd", threshold=threshold)
        made.wait(job["id"], every=0.02)
    return made


def test_a_trial_from_shadow_to_promotion(client: Client, http: TestClient) -> None:
    problem(http.get("/models/fraud/challenger"), 404)
    assert client.shadow("fraud", 2, reason="wider")["stage"] == "shadow"
    rows = payments().to_pylist()
    client.detect(rows, model="fraud")
    http.app.state.service.recorder.flush()  # type: ignore[attr-defined]
    found = client.comparison("fraud")
    assert (found["champion"], found["challenger"], found["rows"]) == (1, 2, 400)
    gap = found["alert_rate"]["difference"]
    assert 0.1 < gap["low"] < gap["value"] < gap["high"] < 0.3
    assert client.ab("fraud", 2, 0.5, key="hour")["share"] == 0.5
    answered = {
        hour: client.detect([{"amount": 50.0, "hour": hour}], model="fraud")["model"]["version"]
        for hour in range(40)
    }
    assert set(answered.values()) == {1, 2}
    client.end_trial("fraud")
    with pytest.raises(ServiceError):
        client.challenger("fraud")
    problem(http.post("/models/fraud/ab", json={"version": 2, "share": 1.5}), 422)
    problem(http.post("/models/fraud/shadow", json={"version": 1}), 409)
    problem(http.post("/models/fraud/shadow", json={"version": 77}), 404)


def test_the_golden_set_guards_promotion(client: Client, http: TestClient) -> None:
    assert client.golden("fraud")["passed"] is None
    assert client.golden("fraud", [ODD, {"amount": 50.0, "hour": 9}], [1, 0])["passed"] is True
    job = client.wait(
        client.train("fraud", "payments", method="mcd", threshold="fixed:1e9", promote=True)["id"],
        every=0.02,
    )
    version = job["result"]["version"]
    card = client.model("fraud", version)
    assert (card["golden"]["passed"], card["champion"]) == (False, False)
    told = problem(http.post("/models/fraud/promote", json={"version": version}), 409)
    assert "golden" in told["detail"]
    assert client.promote("fraud", version, force=True)["champion"] is True
    assert next(client.audit())["detail"]["forced"] is True
    client.rollback("fraud")
    client.clear_golden("fraud")
    assert client.golden("fraud")["rows"] == 0
    problem(http.post("/models/fraud/golden", json={"data": [ODD], "labels": [1, 0]}), 422)
    problem(http.post("/models/fraud/golden", json={"data": [{"x": 1}], "labels": [1]}), 422)


def test_policies(client: Client, http: TestClient) -> None:
    found = client.set_policy("fraud", every_hours=24, promote="policy")
    assert (found["policy"]["every_hours"], found["policy"]["window"]) == (24, "sliding")
    assert [one["model"] for one in client.policies()] == ["fraud"]
    job = client.retrain("fraud")
    with pytest.raises(ServiceError, match="can be learnt from, 500 are wanted"):
        client.wait(job["id"], every=0.02)
    assert "asked for" in client.policy("fraud")["decision"]
    for wrong in ({"every_hours": -1}, {"colour": 1}, {"quarantine": {"a": [1]}}):
        told = problem(http.put("/policies/fraud", json={"policy": wrong}), 422)
        assert told["field"] == "policy"
    client.remove_policy("fraud")
    problem(http.get("/policies/fraud"), 404)


def test_drift(client: Client, http: TestClient) -> None:
    assert list(client.drift("moved")) == []
    assert {one["drift"] for one in client.stats("moved")["columns"]} == {None}
    for asked in ({"model": "fraud"}, {"reference": "payments"}):
        job = client.wait(client.compare_drift("moved", **asked)["id"], every=0.02)
        assert job["result"]["drifted"] is True
    newest, _ = client.drift("moved", limit=1)
    moved = [f for f in newest["report"]["features"] if f["drifted"]]
    assert [f["feature"] for f in moved] == ["amount"]
    assert moved[0]["effect"] > 0.5
    told = {one["name"]: one["drift"] for one in client.stats("moved")["columns"]}
    assert told["amount"] == {
        "report": newest["id"], "at": newest["at"],
        "reference": newest["report"]["reference"],
        **{k: moved[0][k] for k in told["amount"].keys() & moved[0].keys()},
    }  # fmt: skip
    assert told["amount"]["drifted"]
    assert told["amount"]["change"]
    assert not told["hour"]["drifted"]
    assert {one["drift"] for one in client.stats("payments")["columns"]} == {None}
    assert list(client.drift("moved", drifted=False)) == []
    problem(http.get("/drift/nothing"), 404)
    problem(http.post("/drift/moved", json={}), 422)


def test_who_may(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = Settings(home=tmp_path_factory.mktemp("keys"), require_key=True, workers=0)
    with TestClient(create_app(made), LOCAL, raise_server_exceptions=False) as http:
        key = http.app.state.service.keys.create("w", "write")  # type: ignore[attr-defined]
        headers = {"Authorization": f"Bearer {key}"}
        for method, path, body in (
            ("POST", "/models/m/shadow", {"version": 1}),
            ("POST", "/models/m/ab", {"version": 1, "share": 0.1}),
            ("DELETE", "/models/m/challenger", None),
            ("DELETE", "/models/m/golden", None),
            ("PUT", "/policies/m", {"policy": {}}),
        ):
            problem(http.request(method, path, json=body, headers=headers), 403)
        problem(http.get("/policies/m", headers=headers), 404)
