"""A database that goes away under load: requests are told to come again, and nothing is lost."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from tests.servers import awry_server, postgres_server, wait_until

from awry.client import Client

pytest.importorskip("psycopg")

ROWS = b"amount,hour\n" + b"".join(b"%d,%d\n" % (50 + i % 7, i % 24) for i in range(300))
ONE = {"data": [{"amount": 1000, "hour": 14}], "model": "payments"}


class Load:
    """Threads that ask without end; what they were answered."""

    def __init__(self, url: str) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.jobs: list[str] = []
        self._stop = threading.Event()
        self._http = httpx2.Client(base_url=url, timeout=60)
        asks = (self._judge, self._look, self._train)
        self._threads = [threading.Thread(target=self._ask, args=(ask,)) for ask in asks]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._http.close()

    def of(self, name: str) -> set[int]:
        return {status for what, status in self.answers if what == name}

    def _ask(self, ask: Callable[[], httpx2.Response]) -> None:
        while not self._stop.is_set():
            answer = ask()
            self.answers[ask.__name__, answer.status_code] += 1
            time.sleep(0.02)

    def _judge(self) -> httpx2.Response:
        return self._http.post("/v1/detect", json=ONE)

    def _look(self) -> httpx2.Response:
        return self._http.get("/v1/models")

    def _train(self) -> httpx2.Response:
        body = {"name": "trained", "dataset": "payments", "method": "modified_zscore"}
        answer = self._http.post("/v1/models", json=body)
        if answer.status_code == 202:
            self.jobs.append(answer.json()["id"])
            time.sleep(0.3)
        return answer


def test_a_database_that_hangs_is_noticed_and_known_again(tmp_path: Path) -> None:
    with (
        postgres_server() as server,
        awry_server(home=tmp_path, database_url=server.make_database()) as url,
        httpx2.Client(base_url=url, timeout=60) as http,
    ):
        assert [http.get(path).status_code for path in ("/ready", "/v1/models", "/")] == [200] * 3
        with server.hanging():
            ready = http.get("/ready")
            assert ready.status_code == 503
            assert ready.json()["dependencies"]["database"]["error"] == "TimeoutError"
            assert ready.json()["dependencies"]["files"]["ok"]
            told = http.get("/metrics")
            assert told.status_code == 200
            assert "awry_http_requests_total{" in told.text
            assert "awry_events_open{" not in told.text
            for path in ("/v1/models", "/"):
                assert http.get(path).status_code == 503
        wait_until(lambda: http.get("/ready").status_code == 200)
        wait_until(lambda: http.get("/v1/models").status_code == 200)
        assert "awry_events_open{" in http.get("/metrics").text


def test_a_database_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with (
        postgres_server() as server,
        awry_server(
            home=tmp_path, database_url=server.make_database(), rate=1e6, burst=10**6,
            lease_seconds=1.0, poll_seconds=0.05, max_attempts=10,
        ) as url,
        Client(url) as client,
    ):  # fmt: skip
        client.upload("payments", io.BytesIO(ROWS))
        client.wait(client.train("payments", "payments", method="modified_zscore")["id"])

        def ready() -> bool:
            return bool(client.ready()["ready"])

        with Load(url) as load:
            wait_until(lambda: len(load.jobs) >= 2 and load.answers["_judge", 200] > 10)
            for _ in range(2):
                server.stop()
                wait_until(lambda: not ready())
                was = load.answers["_look", 503]
                wait_until(lambda was=was: load.answers["_look", 503] > was + 5)
                server.start()
                wait_until(ready)
                was, jobs = load.answers["_look", 200], len(load.jobs)
                wait_until(
                    lambda was=was, jobs=jobs: (
                        load.answers["_look", 200] > was + 5 and len(load.jobs) > jobs
                    )
                )
        answered = {name: load.of(name) for name in ("_judge", "_look", "_train")}
        assert answered["_look"] == {200, 503}
        assert answered["_train"] <= {202, 503}
        assert answered["_judge"] <= {200, 503}
        # What was accepted is done, and done once.
        for job in load.jobs:
            client.wait(job, timeout=60)
        (versions,) = (m["versions"] for m in client.models() if m["name"] == "trained")
        made = [client.model("trained", version)["job"] for version in versions]
        assert len(set(made)) == len(made)
        assert set(load.jobs) <= set(made)
