"""Who is let in: keys and roles, other sites, rates; and what is told of each request."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from awry.client import Client, ServiceError
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.shared_local import Rate
from awry.ops.store import AWAY
from awry.server import create_app
from awry.server.logs import JsonLines
from awry.server.pages.session import ASSETS, FILES
from servers import awry_server, wait_until

LOCAL = "http://localhost"


def serve(home: Path, **limits: Any) -> TestClient:
    return TestClient(create_app(Settings(home=home, workers=0, **limits)), LOCAL)


def test_beyond_this_machine_every_route_but_health_needs_a_key(tmp_path: Path) -> None:
    http = serve(tmp_path, host="0.0.0.0")
    paths = http.get("/openapi.json").json()["paths"]
    assert len(paths) > 12
    for path, methods in paths.items():
        for method in methods:
            address = path.replace("{id}", "0" * 32).replace("{name}", "x")
            answer = http.request(method, address.replace("{version}", "1"))
            if path in ("/health", "/ready"):
                assert answer.status_code == 200
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "key" in answer.json()["detail"]


def test_roles(tmp_path: Path) -> None:
    http = serve(tmp_path, require_key=True)
    keys = http.app.state.service.keys  # type: ignore[attr-defined]
    made = {role: keys.create(role, role) for role in ("read", "write", "admin")}

    def status(role: str, method: str, path: str, body: Any = None) -> int:
        heads = {"Authorization": f"Bearer {made[role]}"}
        return http.request(method, path, json=body, headers=heads).status_code

    train = {"name": "m", "dataset": "nowhere"}
    asked: list[tuple[str, str, Any, tuple[int, int, int]]] = [
        ("GET", "/models", None, (200, 200, 200)),
        ("GET", "/metrics", None, (200, 200, 200)),
        ("POST", "/detect", {"data": [{"a": 1}]}, (422, 422, 422)),
        ("POST", "/models", train, (403, 404, 404)),
        ("POST", "/detect/batch", {"dataset_name": "nowhere"}, (403, 404, 404)),
        ("DELETE", "/datasets/nowhere", None, (403, 404, 404)),
        ("POST", "/models/m/promote", {"version": 1}, (403, 403, 404)),
        ("POST", "/models/m/rollback", None, (403, 403, 404)),
    ]
    for method, path, body, expected in asked:
        found = tuple(status(role, method, path, body) for role in made)
        assert found == expected, (method, path)
    assert http.get("/models", headers={"X-API-Key": made["read"]}).status_code == 200
    assert http.get("/models", headers={"X-API-Key": made["read"] + "x"}).status_code == 401


def test_a_wrong_key_is_refused_where_none_is_needed(tmp_path: Path) -> None:
    http = serve(tmp_path)
    assert http.get("/models").status_code == 200
    with pytest.raises(ServiceError, match="not known") as caught:
        Client(key="awry_x_y", http=http).models()
    assert caught.value.status == 401


def test_an_upload_without_a_key_is_refused_before_it_is_read(tmp_path: Path) -> None:
    http = serve(tmp_path, require_key=True)
    # Read first, it would be no form, which is 400.
    heads = {"content-type": "multipart/form-data; boundary=x"}
    assert http.post("/datasets", content=b"x", headers=heads).status_code == 401


@pytest.mark.parametrize(
    ("heads", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[broken"}, 403),
        ({"host": "rebound.example"}, 403),
        ({"host": "127.0.0.1:8000"}, 200),
    ],
)
def test_pages_of_other_sites_cannot_use_a_service_without_keys(
    tmp_path: Path, heads: dict[str, str], status: int
) -> None:
    assert serve(tmp_path).get("/models", headers=heads).status_code == status


def test_cors_is_closed_unless_opened(tmp_path: Path) -> None:
    heads = {"origin": "http://page.example", "access-control-request-method": "GET"}
    closed = serve(tmp_path / "a").options("/models", headers=heads)
    assert "access-control-allow-origin" not in closed.headers
    opened = serve(tmp_path / "b", cors_origins=("http://page.example",))
    found = opened.options("/models", headers=heads)
    assert found.headers["access-control-allow-origin"] == "http://page.example"
    assert opened.get("/models", headers={"origin": "http://page.example"}).status_code == 200
    other = opened.options("/models", headers={**heads, "origin": "http://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_the_rate_is_each_callers_own(tmp_path: Path) -> None:
    http = serve(tmp_path, rate=0.01, burst=2)
    keys = http.app.state.service.keys  # type: ignore[attr-defined]
    one, two = ({"X-API-Key": keys.create(name)} for name in ("one", "two"))
    assert [http.get("/models", headers=one).status_code for _ in range(3)] == [200, 200, 429]
    assert http.get("/models", headers=two).status_code == 200
    refused = http.get("/models", headers=one)
    assert int(refused.headers["retry-after"]) > 50
    wrong = {"X-API-Key": "awry_a_b"}
    found = [http.get("/models", headers=wrong).status_code for _ in range(3)]
    assert found == [401, 401, 429], "guessing has its rate, too"
    assert http.get("/health").status_code == 200


def test_a_bucket_fills_as_time_goes_by() -> None:
    bucket = Rate(8.0, 1)
    taken = sum(bucket.wait("me", now=t / 64) == 0 for t in range(6_400))
    assert taken == 800


def test_request_ids_and_log_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    http = serve(tmp_path)
    with caplog.at_level(logging.INFO, logger="awry.server.access"):
        kept = http.get("/datasets/nothing", headers={"x-request-id": "abc-1"})
        made = http.get("/health", headers={"x-request-id": "a b\tc" * 30})
    assert kept.headers["x-request-id"] == "abc-1"
    assert len(made.headers["x-request-id"]) == 32
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert (line["request_id"], line["status"], line["caller"]) == ("abc-1", 404, "local")
    assert line["route"].endswith("/datasets/{name}")


def test_what_goes_wrong_inside_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(Settings(home=tmp_path, workers=0))

    def fail() -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(app.state.service.models, "list", fail)
    answer = TestClient(app, LOCAL, raise_server_exceptions=False).get("/models")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "a secret" in caplog.text


def test_a_database_that_is_gone_is_503_and_comes_back(tmp_path: Path) -> None:
    http = serve(tmp_path)
    database = tmp_path / "awry.db"
    http.app.state.service.store.engine.dispose()  # type: ignore[attr-defined]
    hidden = list(tmp_path.glob("awry.db*"))
    for path in hidden:
        path.rename(tmp_path / f"hidden-{path.name}")
    database.mkdir()
    assert http.get("/health").status_code == 200
    told = http.get("/ready")
    assert (told.status_code, told.json()["dependencies"]["files"]["ok"]) == (503, True)
    assert not told.json()["dependencies"]["database"]["ok"]
    assert http.get("/models").status_code == 503
    database.rmdir()
    for path in hidden:
        (tmp_path / f"hidden-{path.name}").rename(path)
    assert http.get("/ready").status_code == 200
    assert http.get("/models").status_code == 200


def test_requests_that_get_no_connection_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("awry.ops.store._POOL_SECONDS", 0.02)
    http = serve(tmp_path, require_key=True)
    service = http.app.state.service  # type: ignore[attr-defined]
    heads = {"Authorization": f"Bearer {service.keys.create('one', 'admin')}"}
    with contextlib.ExitStack() as held:
        for _ in range(15):
            held.enter_context(service.store.read())
        answer = http.get("/v1/models", headers=heads)  # whose key cannot be looked up
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["remedy"] == "try again"
        ready = http.get("/ready")
        assert ready.status_code == 503
        assert ready.json()["dependencies"]["database"]["error"] == "TimeoutError"
    assert http.get("/v1/models", headers=heads).status_code == 200
    with contextlib.ExitStack() as held:
        for _ in range(15):
            held.enter_context(service.store.read())
        answer = http.get("/v1/models", headers=heads)  # whose key is remembered
        assert (answer.status_code, answer.json()["remedy"]) == (503, "try again")
    counted = 'awry_errors_total{kind="database"} 2.0'
    assert counted in http.get("/metrics", headers=heads).text


@pytest.mark.parametrize("kind", AWAY)
def test_whatever_a_database_that_is_away_raises_is_no_fault_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    http = serve(tmp_path)
    error = kind("gone", None, OSError()) if issubclass(kind, sa.exc.DBAPIError) else kind("gone")

    def fail(*_: object) -> None:
        raise error

    service = http.app.state.service  # type: ignore[attr-defined]
    monkeypatch.setattr(service.models, "list", fail)
    for path in ("/v1/models", "/page/models"):
        answer = http.get(path)
        assert answer.status_code == 503
        assert "database does not answer" in answer.text


def test_it_lives_while_every_thread_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, waiting = threading.Event(), list[int]()

    def wait(*_: object) -> list[Any]:
        waiting.append(1)
        go.wait(120)
        return []

    monkeypatch.setattr(Models, "list", wait)
    with (
        awry_server(home=tmp_path, workers=0) as url,
        httpx2.Client(base_url=url, timeout=30, limits=httpx2.Limits(max_connections=64)) as asks,
        httpx2.Client(base_url=url, timeout=30) as http,
        ThreadPoolExecutor(45) as many,
    ):
        try:
            asked = [many.submit(asks.get, "/v1/models", timeout=150) for _ in range(45)]
            wait_until(lambda: len(waiting) == 40)
            for path in ("/health", "/ready", "/metrics", *(f"{ASSETS}{name}" for name in FILES)):
                assert http.get(path).status_code == 200, path
            assert len(waiting) == 40
        finally:
            go.set()
        assert {one.result().status_code for one in asked} == {200}
