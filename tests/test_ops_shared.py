"""What processes know together: through a real Redis, without it, and while it comes and goes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

import take_tokens
from awry.ops.keys import Keys
from awry.ops.settings import Settings
from awry.ops.shared import Rates, Shared, space_of
from awry.ops.shared_redis import Remote
from awry.ops.sketch import Sketch
from awry.ops.store import Store
from awry.server import create_app
from servers import free_port, redis_server, wait_until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with redis_server() as port:
        yield port


@pytest.fixture
def url(port: int) -> str:
    import redis

    redis.Redis(port=port).flushall()
    return f"redis://127.0.0.1:{port}"


def process_of(port: int) -> int:
    import redis

    return int(redis.Redis(port=port).info("server")["process_id"])


@pytest.fixture(params=["local", "redis"])
def shared(request: pytest.FixtureRequest) -> Iterator[Shared]:
    made = Shared("" if request.param == "local" else request.getfixturevalue("url"))
    yield made
    made.close()


def test_counts_add_up_and_end(shared: Shared) -> None:
    shared.add("a", {"rows": 2, "flagged": 1}, 60.0)
    shared.add("a", {"rows": 3}, 60.0)
    shared.add("b", {"rows": 10}, 0.05)
    assert shared.counts("a") == {"rows": 5, "flagged": 1}
    assert shared.counts("a", "b", "c")["rows"] in (15, 5)
    wait_until(lambda: not shared.counts("b"))
    shared.add("a", {}, 60.0)
    assert not shared.degraded


def test_distributions_merge_to_that_of_all_values(shared: Shared) -> None:
    values = np.random.default_rng(0).normal(0.0, 100.0, 3_000)
    values[:10] = 0.0
    for part in np.split(values, 3):
        shared.observe("m", Sketch.of(part), 60.0)
    assert shared.distribution("m", "nothing").counts == Sketch.of(values).counts


def test_values_are_recalled_until_they_fade(shared: Shared) -> None:
    shared.keep({"a": b"1", "b": b"\0\xff"}, 60.0)
    shared.keep({"c": b"3"}, 0.05)
    wait_until(lambda: shared.recall(["c"]) == [None])
    assert shared.recall(["b", "nothing", "a"]) == [b"\0\xff", None, b"1"]


def test_values_are_recalled_by_others(url: str) -> None:
    one, other = Shared(url), Shared(url)
    one.keep({"a": b"1"}, 60.0)
    other.keep({"b": b"2"}, 60.0)
    assert other.recall(["a", "b", "c"]) == [b"1", b"2", None]


def test_services_of_different_databases_do_not_meet(url: str) -> None:
    one, other = (Shared(url, space_of(f"sqlite:///{name}.db")) for name in "ab")
    one.keep({"x": b"1"}, 60.0)
    assert other.recall(["x"]) == [None]


def test_two_processes_agree_on_a_rate(url: str) -> None:
    rate, burst, seconds = 50.0, 40, 2.0
    told = [url, str(rate), str(burst), str(seconds)]
    other = subprocess.Popen(
        [sys.executable, take_tokens.__file__, *told],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    begun = time.monotonic()
    assert other.stdin is not None
    other.stdin.write("go\n")
    other.stdin.flush()
    got = [take_tokens.take(url, rate, burst, seconds), int(other.communicate()[0])]
    passed = time.monotonic() - begun
    assert sum(got) <= burst + rate * passed + 1
    # Alone, each would have got nearly as much as both may.
    assert sum(got) >= 0.8 * (burst + rate * seconds)
    assert min(got) > 0


def test_redis_is_not_asked_for_each_request(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, asked = Shared(url), []
    take = shared.take
    monkeypatch.setattr(shared, "take", lambda *given: asked.append(given) or take(*given))
    rates = Rates(shared, 0.001, 100)
    found = [rates.wait("me") for _ in range(200)]
    assert sum(one == 0.0 for one in found) == 100
    assert len(asked) == 100 // 5 + 1  # five at a time; who is refused is refused here
    assert 900 < found[-1] <= 1_000
    assert rates.wait_at_once("me") is not None
    assert rates.wait_at_once("somebody else") is None


def test_without_redis_from_the_start(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    shared = Shared(f"redis://127.0.0.1:{port}")
    shared.keep({"a": b"1"}, 60.0)
    assert shared.recall(["a"]) == [b"1"]
    shared.add("n", {"rows": 1}, 60.0)
    assert shared.counts("n")["rows"] == 1
    assert Rates(shared, 1.0, 2).wait("me") == 0.0
    assert shared.degraded
    with pytest.raises(ConnectionError):
        shared.check()
    assert [r.levelname for r in caplog.records] == ["WARNING"], "it is told once"
    with redis_server(port):
        wait_until(lambda: not shared.degraded)
        other = Shared(f"redis://127.0.0.1:{port}")
        # What was known here meanwhile is known to all now.
        assert other.counts("n")["rows"] == 1
        shared.check()
    assert shared.degraded_seconds > 0.0


def test_killed_and_back_under_load(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "awry.ops.shared")
    stop, failed, done = threading.Event(), [], [0]

    def load(shared: Shared, rates: Rates) -> None:
        try:
            while not stop.is_set():
                shared.add("n", {"rows": 1}, 60.0)
                rates.wait(f"caller {done[0] % 7}")
                shared.recall(["a", "b"])
                done[0] += 1
        except Exception as error:
            failed.append(error)

    port = free_port()
    with redis_server(port):
        shared = Shared(f"redis://127.0.0.1:{port}")
        threads = [
            threading.Thread(target=load, args=(shared, Rates(shared, 100.0, 200)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: done[0] > 50)
        os.kill(process_of(port), signal.SIGKILL)
        wait_until(lambda: shared.degraded)
        before = done[0]
        wait_until(lambda: done[0] > before + 500)
    with redis_server(port):
        wait_until(lambda: not shared.degraded)
        before = done[0]
        wait_until(lambda: done[0] > before + 50)
        stop.set()
        for thread in threads:
            thread.join()
        there = Shared(f"redis://127.0.0.1:{port}").counts("n")["rows"]
    assert not failed
    assert there >= 550, "what was counted without Redis is there, and what came after"
    told = [record.getMessage() for record in caplog.records]
    assert ["does not answer" in told[0], "answers again" in told[1], len(told)] == [True, True, 2]


def test_a_redis_that_hangs_is_asked_once(
    port: int, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Shared(url)
    shared.keep({"before": b"1"}, 60.0)
    process = process_of(port)
    os.kill(process, signal.SIGSTOP)
    try:
        assert shared.counts("n") == {}
        assert shared.degraded
        asked: list[str] = []
        monkeypatch.setattr(Remote, "add", lambda *given: asked.append("add"))
        for _ in range(200):
            shared.add("n", {"rows": 1}, 60.0)
        assert not asked
        assert shared.recall(["before"]) == [b"1"], "who kept it knows without Redis, too"
    finally:
        os.kill(process, signal.SIGCONT)
    wait_until(lambda: not shared.degraded)
    assert shared.counts("n")["rows"] == 200


def test_a_key_is_looked_up_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(Settings(home=tmp_path))
    keys, elsewhere = Keys(store), Keys(store)
    text = keys.create("one", "write")
    key_id = text.split("_")[1]
    assert keys.recall(text) is None
    caller = keys.check(text)
    assert caller is not None
    assert keys.recall(text) == caller
    assert keys.recall(text + "x") is None
    now = time.monotonic()
    elsewhere.revoke(key_id)
    assert keys.recall(text) == caller, "another process does not know at once"
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.01)
    assert keys.recall(text) is None
    assert keys.check(text) is None
    monkeypatch.undo()
    other = keys.create("other")
    assert keys.check(other) is not None
    keys.revoke(other.split("_")[1])
    assert keys.recall(other) is None, "where it is revoked it falls at once"
    soon = keys.create("soon", days=1e-9)
    assert keys.check(soon) is None or keys.recall(soon) is None
    store.close()


def test_servers_share_a_callers_rate(tmp_path: Path, url: str) -> None:
    made = [
        TestClient(
            create_app(Settings(home=tmp_path, workers=0, redis_url=url, rate=0.01, burst=10)),
            "http://localhost",
        )
        for _ in range(2)
    ]
    found = [http.get("/datasets").status_code for _ in range(6) for http in made]
    assert found == [200] * 10 + [429] * 2
    told = made[0].get("/ready").json()
    assert (told["ready"], told["degraded"]) == (True, False)
    assert told["dependencies"]["redis"].keys() >= {"latency_ms"}


def test_a_service_whose_other_parts_are_gone_is_ready_and_degraded(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path, workers=0, redis_url=f"redis://127.0.0.1:{port}",
        influx_url=f"http://127.0.0.1:{port}/d",
    )  # fmt: skip
    with TestClient(create_app(settings), "http://localhost") as http:
        answer = http.get("/ready")
        assert answer.status_code == 200
        told = answer.json()
        assert (told["ready"], told["degraded"]) == (True, True)
        assert {name: one["ok"] for name, one in told["dependencies"].items()} == {
            "database": True, "files": True, "redis": False, "influx": False,
        }  # fmt: skip
        assert http.get("/datasets").status_code == 200
        now = {"rows": 0, "flagged": 0, "quantiles": {}}
        assert http.get("/rates/now", params={"source": "x"}).json() == now
        rows = [{"a": float(i % 7)} for i in range(60)]
        assert http.post("/detect", json={"data": rows}).status_code == 200
        asked = {"source": "requests"}
        wait_until(lambda: http.get("/rates/now", params=asked).json()["rows"] == 60)
