"""Requests with rows: verdicts row by row, requests judged together, models swapped under them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

import awry
from awry.detectors.tabular.cascade import Cascade
from awry.model import Model
from awry.ops.answers import Answer, Ask
from awry.ops.detect import Judging
from awry.ops.errors import BusyError, UnfitError
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.server import create_app
from awry.server.batches import Batches

LOCAL = "http://localhost"
rng = np.random.default_rng(0)
N = 300
TABLE = pa.table(
    {
        "amount": rng.normal(50, 5, N),
        "hour": rng.integers(8, 18, N),
        "city": rng.choice(["Rome", "Oslo", "Bonn"], N),
        "at": [f"2024-03-{1 + i % 28:02d}T{8 + i % 10:02d}:00:00" for i in range(N)],
        "dirty": ["?" + "!" * (i % 3) if i % 30 == 5 else f"{v:.2f}"
                  for i, v in enumerate(rng.normal(size=N))],
    }
)  # fmt: skip
NUMBERS = pa.table({f"x{i}": rng.normal(size=N) for i in range(20)})
ROWS = TABLE.to_pylist()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models, one of them in two versions."""
    home = tmp_path_factory.mktemp("home")
    made = Settings(home=home)
    store = Store(made)
    models = Models(store, made)
    for name, table in (("mixed", TABLE), ("numbers", NUMBERS)):
        models.add(name, awry.fit(table, detector="isolation_forest"), about={}, by="me")
    second = awry.fit(NUMBERS, detector="isolation_forest", random_state=1)
    models.add("numbers", second, about={}, by="me")
    store.close()
    return home


@pytest.fixture(scope="module")
def http(home: Path) -> Iterator[TestClient]:
    made = Settings(home=home, rate=1e6, burst=10**6, workers=0)
    with TestClient(create_app(made), LOCAL, raise_server_exceptions=False) as client:
        yield client


def detect(http: TestClient, rows: Sequence[Any], model: str = "mixed", **more: Any) -> Any:
    answer = http.post("/detect", json={"data": rows, "model": model, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_bad_rows_come_back_and_the_others_are_judged(http: TestClient) -> None:
    bad = [{**ROWS[1], "amount": "a lot"}, {**ROWS[2], "at": "yesterday", "amount": True},
           {**ROWS[3], "hour": [1]}, {**ROWS[4], "hour": {"h": 1}, "amount": {"a": 1}}]  # fmt: skip
    found = detect(http, [ROWS[0], bad[0], ROWS[5], *bad[1:3]])
    alone = detect(http, [ROWS[0], ROWS[5]])
    assert (found["rows"], found["rejected"], alone["rejected"]) == (5, 3, 0)
    first, second, third, fourth, fifth = found["results"]
    assert [one["row"] for one in found["results"]] == [0, 1, 2, 3, 4]
    assert [first["score"], third["score"]] == [one["score"] for one in alone["results"]]
    assert (second["score"], second["anomaly"]) == (None, None)
    (problem,) = second["problems"]
    assert problem["field"] == "amount"
    assert problem["reason"] == "'a lot' is not a number"
    assert problem["remedy"].startswith("give a number")
    assert {p["field"] for p in fourth["problems"]} == {"amount", "at"}
    assert fifth["problems"][0]["reason"] == "[1] is not a number"
    nested = detect(http, [ROWS[0], bad[3]])["results"][1]
    assert nested["notes"], "a column that is an object is missing, and others are new"


def test_what_training_has_not_seen_is_noted(http: TestClient) -> None:
    odd = {**ROWS[0], "amount": 1e6, "city": "Atlantis", "hour": None, "extra": 1}
    found = detect(http, [ROWS[0], odd, {k: v for k, v in ROWS[1].items() if k != "city"}])
    plain, noted, lacking = found["results"]
    assert "notes" not in plain
    notes = {note["field"]: note["note"] for note in noted["notes"]}
    assert notes["city"] == "is a level that was never seen"
    assert notes["hour"] == "is missing and never was"
    assert notes["amount"].startswith("is outside ")
    assert noted["anomaly"]
    assert lacking["notes"] == [{"field": "city", "note": "is missing and never was"}]
    assert found["notes"] == ["column 'extra' is not known from training and is ignored"]


def test_what_was_unreadable_in_training_too_is_judged(http: TestClient) -> None:
    (one,) = detect(http, [{**ROWS[0], "dirty": "!!"}])["results"]
    assert one["score"] is not None
    assert one["notes"] == [{"field": "dirty", "note": "is not a number"}]


def test_the_notes_of_a_request_are_bounded(http: TestClient) -> None:
    rows = [dict.fromkeys(NUMBERS.column_names, 1000000000.0)] * 500
    found = detect(http, rows, "numbers")
    assert 2_000 <= sum(len(one.get("notes", [])) for one in found["results"]) <= 2_020
    assert all(one["anomaly"] for one in found["results"])


def test_long_bodies_of_numbers_are_decoded_as_such_with_the_same_answer(http: TestClient) -> None:
    rows = [{k: None if i % 50 == 7 and k == "x3" else v for k, v in row.items()}
            for i, row in enumerate(NUMBERS.to_pylist())]  # fmt: skip
    first, second = (detect(http, rows, "numbers") for _ in range(2))
    assert first == second
    assert [one["score"] for one in first["results"]] == [
        detect(http, [row], "numbers")["results"][0]["score"] for row in rows[:20]
    ] + [one["score"] for one in first["results"][20:]]
    # The same columns in another order, one more, one fewer, and another model's.
    turned = [dict(reversed(row.items())) for row in rows]
    assert detect(http, turned, "numbers") == first
    more = detect(http, [{**row, "y": 1} for row in rows], "numbers")
    assert (more["results"], len(more["notes"])) == (first["results"], 1)
    fewer = [{k: v for k, v in row.items() if k != "x0"} for row in rows]
    told = http.post("/detect", json={"data": fewer, "model": "numbers"})
    assert (told.status_code, told.json()["field"]) == (422, "data.x0")
    assert http.post("/detect", json={"data": rows, "model": "mixed"}).status_code == 422
    wrong = detect(http, [*rows, {**rows[0], "x1": "?!"}], "numbers")
    assert (wrong["rejected"], wrong["results"][:-1]) == (1, first["results"])
    explained = detect(http, rows, "numbers", explain=True)["results"]
    assert len(explained[0]["reasons"]) == 3


def test_what_is_asked_for_is_done_in_every_way(http: TestClient) -> None:
    loose = detect(http, ROWS, threshold=0.2, explain=True)
    strict = detect(http, ROWS, threshold="quantile:0.999")
    # One beyond the quantile, and those with a value no column of numbers should hold.
    assert (loose["flagged"], strict["flagged"]) == (60, 1 + 10)
    assert all("reasons" in one for one in loose["results"])
    by_method = http.post("/v1/detect", json={"data": ROWS[:1], "method": "isolation_forest"})
    assert by_method.json()["model"]["name"] == "mixed"


def test_requests_at_once_get_their_own_answers(http: TestClient) -> None:
    expected = [one["score"] for one in detect(http, ROWS)["results"]]
    bodies: list[Any] = [{"data": [row], "model": "mixed"} for row in ROWS[:60]]
    bodies[7] = {"data": [{"hour": 1}], "model": "mixed"}
    bodies[9] = {"data": [ROWS[9]], "model": "nobody"}
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda body: http.post("/detect", json=body), bodies))
    assert [found[7].status_code, found[9].status_code] == [422, 404]
    for i, answer in enumerate(found):
        if i not in (7, 9):
            assert answer.json()["results"][0]["score"] == pytest.approx(expected[i], rel=1e-12)


def test_what_waits_while_a_batch_is_judged_goes_with_the_next() -> None:
    sizes: list[int] = []
    goes_on = threading.Event()

    def work(asks: Sequence[Ask], deadline: float) -> list[Any]:
        sizes.append(len(asks))
        assert deadline > time.monotonic()
        goes_on.wait(10)
        return [UnfitError("no") if ask.rows == 3 else ask.rows for ask in asks]

    async def main() -> list[Any]:
        batches = Batches(work, 60.0, most_rows=40)
        first = asyncio.create_task(batches.answer(Ask({}, 1)))
        while not sizes:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(batches.answer(Ask({}, n))) for n in (2, 3, 4, 5)]
        await asyncio.sleep(0)
        gone = asyncio.create_task(batches.answer(Ask({}, 6)))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(BusyError):
            await batches.answer(Ask({}, 30))
        goes_on.set()
        found = await asyncio.gather(first, *others, gone, return_exceptions=True)
        found.append(await batches.answer(Ask({}, 7)))
        batches.close()
        return found

    found = asyncio.run(main())
    assert sizes == [1, 5, 1]
    assert [f for f in found if isinstance(f, int)] == [1, 2, 4, 5, 7]
    assert isinstance(found[2], UnfitError)


def test_time_that_runs_out_is_told(home: Path) -> None:
    made = Settings(home=home)
    store = Store(made)
    judging = Judging(Models(store, made), made)
    _, model = judging._models.load("mixed")
    given: list[float] = []

    def score_within(X: Any, seconds: float) -> tuple[Any, bool]:
        given.append(seconds)
        return model.detector_.score_checked(X), seconds < 0

    object.__setattr__(model.detector_, "score_within", score_within)
    asks = [judging.ask(ROWS[:2], model="mixed"), judging.ask(ROWS[2:3], model="mixed")]
    late, late_too = judging.answer_quickly(asks, time.monotonic() - 1)
    assert isinstance(late, Answer)
    assert isinstance(late_too, Answer)
    assert late.degraded
    assert late_too.degraded
    in_time = judging.detect(ROWS[:2], model="mixed")
    assert not in_time.degraded
    assert in_time.results == late.results
    assert given[0] < 0 < given[1] <= made.latency_budget_ms / 1e3
    store.close()


def test_promoting_swaps_models_between_requests(http: TestClient) -> None:
    rows = NUMBERS.to_pylist()[:3]
    one, two = (detect(http, rows, "numbers", version=v) for v in (1, 2))
    assert one["results"] != two["results"]
    seen: list[Any] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.append(detect(http, rows, "numbers"))

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        for version in (2, 1, 2, 1):
            before = len(seen)
            assert http.post("/models/numbers/promote", json={"version": version}).is_success
            assert detect(http, rows, "numbers")["model"]["version"] == version
            while len(seen) < before + 4 and not any(task.done() for task in asking):
                time.sleep(0.002)
        stop.set()
        for task in asking:
            task.result()
    assert all(answer in (one, two) for answer in seen)
    assert {answer["model"]["version"] for answer in seen} == {1, 2}


def test_answers_are_as_openapi_says(http: TestClient) -> None:
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    for name, made in (("DetectAnswer", Answer), ("Judged", None)):
        fields = set(schemas[name]["properties"])
        struct = made or msgspec.structs.fields(Answer)[8].type.__args__[0]
        assert fields == {field.name for field in msgspec.structs.fields(struct)}


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _post(port: int, path: str, body: Any) -> Any:
    data = json.dumps(body).encode()
    heads = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, heads)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture
def several(home: Path) -> Iterator[int]:
    """The port of a server of two processes."""
    port = _port()
    command = [sys.executable, "-m", "awry", "serve", "--processes", "2", "--port", str(port),
               "--log-level", "warning"]  # fmt: skip
    environment = {**os.environ, "AWRY_HOME": str(home), "AWRY_WORKERS": "0", "AWRY_RATE": "1e6",
                   "AWRY_BURST": "1000000"}  # fmt: skip
    server = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.05)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@pytest.mark.skipif(sys.platform == "win32", reason="processes share a port on POSIX")
def test_several_processes_see_a_promotion_and_count_together(several: int) -> None:
    body = {"data": NUMBERS.to_pylist()[:1], "model": "numbers"}

    def versions(n: int = 40) -> set[int]:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda _: _post(several, "/detect", body), range(n))
            return {answer["model"]["version"] for answer in found}

    assert len(versions()) == 1
    _post(several, "/models/numbers/promote", {"version": 2})
    time.sleep(0.6)
    assert versions() == {2}
    _post(several, "/models/numbers/promote", {"version": 1})
    time.sleep(0.6)
    assert versions() == {1}
    # A client that goes away before its answer leaves the server alive.
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", several)) as gone:
            content = json.dumps(body).encode()
            gone.sendall(
                b"POST /detect HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(content), content)
            )
    assert versions(8) == {1}
    address = f"http://127.0.0.1:{several}/metrics"
    with urllib.request.urlopen(address, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    rows = [line for line in lines if line.startswith("awry_rows_judged_total{")]
    assert len(rows) == 1
    assert 128 <= float(rows[0].split()[-1]) <= 148


@pytest.mark.parametrize("milliseconds", [1e-6, 1e7])
def test_the_second_stage_of_a_cascade_has_the_time_there_is(
    tmp_path: Path, milliseconds: float
) -> None:
    cascade = Cascade(judge="knn", keep=0.5, random_state=0)
    made = Settings(home=tmp_path, latency_budget_ms=milliseconds, workers=0)
    store = Store(made)
    model = Model(cascade).fit(NUMBERS)
    Models(store, made).add("two", model, about={}, by="me")
    store.close()
    with TestClient(create_app(made), LOCAL) as http:
        found = detect(http, NUMBERS.to_pylist(), "two")
    scores = np.array([one["score"] for one in found["results"]])
    assert found["degraded"] == (milliseconds < 1)
    same = np.isclose(scores, model.train_scores_, rtol=1e-12)
    assert same[model.detector_.members_[0].decision_scores_ <= model.detector_.cut_].all()  # type: ignore[attr-defined]
    assert same.all() == (not found["degraded"])
