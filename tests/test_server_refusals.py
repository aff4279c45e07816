"""What cannot be done is refused before it is begun, with the field and the remedy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from awry.client import Client
from awry.core import registry
from awry.ops.answers import Ask
from awry.ops.errors import UnfitError
from awry.ops.parameters import check_settings
from awry.ops.rollout import _for
from awry.ops.settings import Settings
from awry.server import create_app
from test_server_api import LOCAL, csv, problem

ROW = {"amount": 50.0, "hour": 12}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    made = Settings(
        home=tmp_path_factory.mktemp("home"), rate=1e6, burst=10**6, poll_seconds=0.02,
        max_json_depth=8, max_body_bytes=100_000,
    )  # fmt: skip
    with TestClient(create_app(made), LOCAL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def client(http: TestClient) -> Client:
    """A service with a model whose second version is of another method."""
    made = Client(http=http)
    made.upload("payments", io.BytesIO(csv()))
    for method in ("ecod", "mcd"):
        made.wait(made.train("pay", "payments", method=method)["id"], every=0.02)
    return made


def train(http: TestClient, **more: Any) -> Any:
    return http.post("/models", json={"name": "new", "dataset": "payments", **more})


# -- parameters of detectors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "field", "remedy"),
    [
        ("isolation_forest", {"n_estimators": 10**9}, "n_estimators", "at most 10,000"),
        ("isolation_forest", {"n_estimators": -3}, "n_estimators", "an integer >= 1"),
        ("isolation_forest", {"n_estimators": True}, "n_estimators", "an integer >= 1"),
        ("isolation_forest", {"nope": 1}, "nope", "n_estimators"),
        ("isolation_forest", {"max_samples": 10**18}, "max_samples", "10,000,000"),
        ("isolation_forest", {"n_jobs": 10**5}, "n_jobs", "cores"),
        ("isolation_forest", {"random_state": 10**400}, "random_state", "at most"),
        ("autoencoder", {"epochs": 10**6}, "epochs", "AWRY_MAX_PARAM"),
        ("autoencoder", {"hidden": [9_000, 9_000]}, "hidden", "in all"),
        ("autoencoder", {"hidden": [0]}, "hidden", "a list, each element an integer >= 1"),
        ("auto", {"n_estimators": 0}, "n_estimators", "it has"),
    ],
)
def test_parameters_are_looked_at_before_there_is_a_job(
    http: TestClient, client: Client, method: str, params: dict[str, Any], field: str, remedy: str
) -> None:
    jobs = client.jobs()
    told = problem(train(http, method=method, params=params), 422)
    assert told["field"] == f"params.{field}"
    assert remedy in told["remedy"]
    batch = {"dataset_name": "payments", "method": method, "params": params}
    assert problem(http.post("/detect/batch", json=batch), 422)["field"] == f"params.{field}"
    assert client.jobs() == jobs


def test_every_default_is_within_the_bounds_and_auto_may_be_either() -> None:
    for name, cls in registry.detectors().items():
        params = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in cls().get_params(deep=False).items()
            if isinstance(value, (int, float, str, tuple))
        }
        params.pop("detectors", None)
        check_settings({"method": name, "params": params}, Settings())
    for as_, params in (
        ("auto", {"shape_window": 8}), ("series", {"shape_window": 8}), ("table", {"n_jobs": 1}),
    ):  # fmt: skip
        check_settings({"method": "auto", "as_": as_, "params": params}, Settings())
    with pytest.raises(UnfitError, match="has no parameter 'shape_window'"):
        check_settings({"as_": "table", "params": {"shape_window": 8}}, Settings())


@pytest.mark.parametrize("threshold", [-5, "no such rule", "mad:x"])
def test_a_threshold_that_is_none_is_refused(
    http: TestClient, client: Client, threshold: Any
) -> None:
    rows = [ROW] * 60
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/models", {"name": "new", "dataset": "payments"}),
        ("/detect/batch", {"dataset_name": "payments"}),
        ("/detect", {"data": rows, "model": "pay"}),
        ("/detect", {"data": rows, "method": "knn"}),
    ]
    for path, body in asked:
        told = problem(http.post(path, json={**body, "threshold": threshold}), 422)
        assert told["field"] == "threshold"
        assert "sigma:3" in told["remedy"]


def test_an_unknown_method_says_where_methods_are_told(http: TestClient, client: Client) -> None:
    for body in ({"data": [ROW]}, {"data": [ROW], "model": "pay"}):
        told = problem(http.post("/detect", json={**body, "method": "forest"}), 422)
        assert told["field"] == "method"
        assert "awry detectors" in told["remedy"]


# -- which model answers --------------------------------------------------------------------------


def test_a_version_that_is_not_in_charge_is_named(http: TestClient, client: Client) -> None:
    told = problem(http.post("/detect", json={"data": [ROW], "method": "mcd"}), 422)
    assert "in charge" in told["detail"]
    assert "promote version 2 of 'pay'" in told["remedy"]
    told = problem(http.post("/detect", json={"data": [ROW], "method": "knn"}), 422)
    assert "there is no model of knn" in told["detail"]


def test_a_method_that_contradicts_the_model_is_refused(http: TestClient, client: Client) -> None:
    for version, right, wrong in ((None, "ecod", "mcd"), (2, "mcd", "ecod")):
        asked = {"model": "pay", **({} if version is None else {"version": version})}
        data = {"data": [ROW], **asked}
        assert http.post("/detect", json={**data, "method": right}).status_code == 200
        assert http.post("/detect", json={**data, "method": "auto"}).status_code == 200
        told = problem(http.post("/detect", json={**data, "method": wrong}), 422)
        assert told["field"] == "method"
        assert "leave it out" in told["remedy"]
        batch = {"dataset_name": "payments", **asked, "method": wrong}
        assert problem(http.post("/detect/batch", json=batch), 422)["field"] == "method"


def test_a_request_that_names_a_method_is_not_routed_to_another(
    http: TestClient, client: Client
) -> None:
    share = {"version": 2, "share": 0.999999999}
    assert http.post("/models/pay/ab", json=share).status_code == 200
    try:
        for more, version in (({"method": "ecod"}, 1), ({}, 2), ({"model": "pay"}, 2)):
            answer = http.post("/detect", json={"data": [ROW], **more}).json()
            assert answer["model"] == {"name": "pay", "version": version}, more
        # Shadows judge all the same what was asked for by method.
        judging = http.app.state.service.judging  # type: ignore[attr-defined]
        ask = _for(Ask({"amount": [50.0], "hour": [12]}, 1, method="ecod"), "pay", 2)
        (answer,) = judging.answer_aside([ask])
        assert answer.model["version"] == 2
    finally:
        http.delete("/models/pay/challenger")


# -- golden sets ----------------------------------------------------------------------------------


def test_a_golden_row_that_cannot_be_judged_is_refused(http: TestClient, client: Client) -> None:
    rows = [ROW, {"amount": "x", "hour": 2}]
    told = problem(
        http.post("/models/pay/golden", json={"data": rows, "labels": [0, 1]}), 422
    )  # fmt: skip
    assert told["field"] == "data.1.amount"
    assert "row 1" in told["detail"]
    assert "'x'" in told["detail"]
    assert told["remedy"] == "give a number, or null where there is none"
    assert http.get("/models/pay/golden").json()["rows"] == 0
    kept = http.post("/models/pay/golden", json={"data": [ROW], "labels": [0]}).json()
    assert (kept["rows"], kept["recall"]) == (1, None)


# -- requests that are none -----------------------------------------------------------------------

HEADS = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "status", "detail", "remedy"),
    [
        (b"{", 400, "line 1 column 2", "send JSON"),
        (b'{"data": [{"a": NaN}]}', 400, "use null", "send JSON"),
        (b'{"name": "\xff"}', 400, "not UTF-8", "UTF-8"),
        (b'{"data": [{"a": ' + b"1" * 5_000 + b"}]}", 400, "more than 4,300 digits", "shorter"),
        (b'{"data": [{"a": "\\ud800"}]}', 400, "surrogate", "whole characters"),
        (b"[" * 500 + b"]" * 500, 413, "nested more than 8 deep", "nest it less"),
        (b" " * 200_000, 413, "larger than 100,000 bytes", "send less"),
    ],
)
def test_a_body_that_is_none_comes_back_with_a_remedy(
    http: TestClient, content: bytes, status: int, detail: str, remedy: str
) -> None:
    told = problem(http.post("/models", content=content, headers=HEADS), status)
    assert detail in told["detail"]
    assert remedy in told["remedy"]
    assert "sys." not in told["detail"]


def test_keys_rates_and_routes_come_with_a_remedy(tmp_path: Any) -> None:
    made = Settings(home=tmp_path, require_key=True, rate=0.01, burst=3)
    with TestClient(create_app(made), LOCAL) as asked:
        key = asked.app.state.service.keys.create("reader", "read")  # type: ignore[attr-defined]
        assert "awry keys create" in problem(asked.get("/models"), 401)["remedy"]
        asked.headers["X-API-Key"] = key
        assert "--role" in problem(asked.get("/audit"), 403)["remedy"]
        assert "openapi" in problem(asked.get("/nowhere"), 404)["remedy"]
        assert "openapi" in problem(asked.patch("/models"), 405)["remedy"]
        assert "Retry-After" in problem(asked.get("/models"), 429)["remedy"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "remedy"),
    [
        ("GET", "/jobs/x", None, "id", "GET /jobs"),
        ("GET", "/models/..x", None, "name", "letters"),
        ("GET", "/events?source=%00", None, "source", "NUL"),
        ("GET", "/rates?source=%00", None, "source", "NUL"),
        ("PUT", "/alerts/rules", {"rules": [{"name": "a", "kind": "event", "quiet": [
            {"start": "25:99", "end": "07:00"}]}]}, "rules.0.quiet.0.start", "22:00"),
        ("POST", "/models/pay/promote", {"version": True}, "version", "a whole number"),
        ("POST", "/models/pay/promote", {"version": "1"}, "version", "without quotes"),
        ("POST", "/models/pay/promote", {"version": 1.0}, "version", "a whole number"),
        ("POST", "/models/pay/golden", {"data": [{}], "labels": [True]}, "labels.0", "whole"),
        ("POST", "/detect", {"data": [{}], "version": True}, "version", "a whole number"),
        ("POST", "/detect", {"data": [{}], "threshold": True}, "threshold", ""),
        ("POST", "/detect", {"data": [{}], "explain": "yes"}, "explain", "true or false"),
        ("GET", "/alerts?state=nope", None, "state", "give 'firing' or 'resolved'"),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_comes_with_its_own_remedy(
    http: TestClient, client: Client, method: str, path: str, body: Any, field: str, remedy: str
) -> None:
    told = problem(http.request(method, path, json=body), 422)
    assert told["field"] == field
    assert remedy in told["remedy"]


def test_a_parameter_that_is_not_known_is_refused(http: TestClient, client: Client) -> None:
    for path in ("/anomalies", "/events", "/incidents", "/alerts", "/v1/jobs", "/drift/payments"):
        told = problem(http.get(path, params={"limi": 1}), 422)
        assert (told["field"], told["remedy"]) == ("limi", "did you mean limit?")
        assert http.get(path, params={"limit": 1}).status_code == 200
    told = problem(http.get("/models", params={"page": 2}), 422)
    assert (told["field"], told["remedy"]) == ("page", "leave it out: there are none")


# -- jobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dataset", "dataset_name"])
def test_a_data_set_is_named_either_way_and_a_job_that_is_done_says_so(
    http: TestClient, client: Client, name: str
) -> None:
    trained = http.post("/models", json={"name": f"by-{name.replace('_', '-')}", name: "payments"})
    judged = http.post("/detect/batch", json={name: "payments", "method": "ecod"})
    for answer in (trained, judged):
        assert answer.status_code == 202, answer.text
        told = client.wait(answer.json()["id"], every=0.02)["progress"]
        assert told["done"] == told["total"] > 0
    both = {"dataset": "payments", "dataset_name": "payments", "name": "x"}
    assert problem(http.post("/models", json=both), 422)["remedy"] == "leave it out"
