"""Connections that are lost and come back: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.stream.plan import Plan
from awry.stream.records import Batch
from awry.stream.sources import open_source
from awry.stream.worker import Worker
from servers import mock_broker, mosquitto, postgres_server, proxy, redis_server, wait_until
from test_stream_killed import messages, outputs

EVENTS = 3_000
#: Messages of these that cannot be read.
DEAD = EVENTS // 1000


class Running:
    """A worker in a thread, which is stopped when it has kept ``total`` events.

    Parameters
    ----------
    cut, restore : callable, optional
        Called when a third of the events are kept, and a second after that.
    """

    def __init__(self, source: str, url: str, name: str, home: Path, **plan: Any) -> None:
        self._store = Store(Settings(home=home, database_url=url))
        made = Plan(key="card", amount="amount", **plan)
        self.worker = Worker(
            open_source(source), made, self._store, name=name, batch=50, every=0.01
        )

    def until(
        self,
        total: int,
        cut: Callable[[], None] | None,
        restore: Callable[[], None] = lambda: None,
        *,
        done: Callable[[], bool] | None = None,
    ) -> None:
        failed: list[BaseException] = []

        def run() -> None:
            try:
                # One that is to be cut goes so slowly that there is something left to cut.
                self.worker.run(lambda: time.sleep(0.001 if cut is None else 0.01))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        tally = self.worker.tally
        try:
            if cut is not None:
                wait_until(lambda: tally.events >= total // 3 or not thread.is_alive(), seconds=60)
                cut()
                time.sleep(1.0)
                assert tally.events < total, "all was kept before anything was cut"
                restore()
            done = done or (lambda: tally.events >= total)
            wait_until(lambda: done() or not thread.is_alive(), seconds=90)
        finally:
            self.worker.stop()
            thread.join(60)
            self._store.close()
        assert not failed, failed


def test_kafka(tmp_path: Path) -> None:
    several = {p: messages(EVENTS, partition=p) for p in (0, 1)}
    url, total = f"sqlite:///{tmp_path / 'kept.db'}", 2 * (EVENTS - DEAD)
    with mock_broker("events", several) as (broker, process):

        def source(group: str) -> str:
            # So little is fetched ahead that most is yet to come when the connection is cut.
            few = "queued.min.messages=50&fetch.message.max.bytes=8000"
            return f"kafka://{broker}/events?group={group}&{few}&reconnect.backoff.max.ms=500"

        Running(source("a"), url, "whole", tmp_path).until(total, None)
        cut = Running(source("b"), url, "cut", tmp_path)
        cut.until(
            total,
            lambda: process.send_signal(signal.SIGUSR1),
            lambda: process.send_signal(signal.SIGUSR2),
        )
    assert cut.worker.tally.events == total
    assert outputs(url, "cut") == outputs(url, "whole")


def test_redis(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    redis = pytest.importorskip("redis")
    url, total = f"sqlite:///{tmp_path / 'kept.db'}", EVENTS - DEAD
    with redis_server() as port, proxy(port) as between:
        client = redis.Redis(port=port)
        pipe = client.pipeline()
        for message in messages(EVENTS):
            pipe.xadd("s", {"data": message})
        pipe.execute()
        client.close()
        source = f"redis://127.0.0.1:{between.port}/s"
        Running(source, url, "whole", tmp_path).until(total, None)
        cut = Running(source, url, "cut", tmp_path)
        cut.until(total, between.cut, between.restore)
    assert "does not answer, trying again in 0.2 s" in caplog.text
    assert outputs(url, "cut") == outputs(url, "whole")


def test_mqtt_loses_nothing_and_tells_at_most_the_last_twice(tmp_path: Path) -> None:
    paho = pytest.importorskip("paho.mqtt.client")
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    with mosquitto() as port, proxy(port) as between:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        told = tmp_path / "told.jsonl"
        running = Running(f"mqtt://127.0.0.1:{between.port}/plant", url, "s", tmp_path)
        from awry.stream.sinks import open_sink

        running.worker.sinks.append(open_sink(f"file://{told}?rows=all"))

        def seen() -> Counter[int]:
            lines = told.read_text().splitlines() if told.exists() else []
            return Counter(json.loads(line)["record"]["i"] for line in lines if line[-1] == "}")

        def publish(low: int, high: int) -> None:
            for i in range(low, high):
                client.publish("plant", json.dumps({"card": "c", "amount": 1.0, "i": i}), 1)

        def cut() -> None:
            publish(600, 700)
            between.cut()
            publish(700, 900)

        # Subscribed by the time the first is published.
        begin = threading.Timer(1.0, publish, (0, 600))
        begin.start()
        running.until(900, cut, between.restore, done=lambda: set(seen()) == set(range(900)))
        client.loop_stop()
        client.disconnect()
    # Of 20 at most, as many as the broker sends at a time, it did not hear that they were kept.
    assert sum(seen().values()) - 900 <= 2 * 20


def test_mqtt_knows_again_what_was_kept_while_there_was_no_connection() -> None:
    paho = pytest.importorskip("paho.mqtt.client")
    seen: list[int] = []
    with mosquitto() as port, proxy(port) as between:
        source = open_source(f"mqtt://127.0.0.1:{between.port}/plant")
        source.open(lambda topic, partition: None, lambda gone, lost: None)

        def take(most: int) -> Batch:
            (batch,) = source.poll(most, 20.0)
            seen.extend(int(message) for message in batch.messages)
            return batch

        def keep(batch: Batch) -> None:
            source.done(batch.topic, batch.partition, batch.position)

        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        wait_until(lambda: bool(client.publish("plant", "0", 1) and source.lag()))
        for i in range(1, 300):
            client.publish("plant", str(i), 1)
        keep(take(1))
        wait_until(lambda: (source.lag() or 0) >= 15)
        first, second, third = take(5), take(5), take(5)
        between.cut()
        wait_until(lambda: not source.connected)
        keep(first)
        between.restore()
        wait_until(lambda: source.connected)
        keep(second)  # whether or not the broker has sent it again by now
        keep(third)
        while set(seen) != set(range(300)):
            keep(take(50))
        source.close()
        client.loop_stop()
    assert sorted(seen)[seen.count(0) :] == list(range(1, 300))


def test_a_source_that_is_not_there_is_told_in_a_line() -> None:
    pytest.importorskip("paho.mqtt.client")
    pytest.importorskip("redis")
    from servers import free_port

    for scheme in ("mqtt", "redis"):
        source = open_source(f"{scheme}://127.0.0.1:{free_port()}/x")
        with pytest.raises(AwryError, match=r"://127\.0\.0\.1:\d+/x does not answer"):
            source.open(lambda topic, partition: None, lambda partitions, lost: None)


def test_postgresql(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join(messages(EVENTS)) + b"\n")
    source, total = f"file://{path}?follow=0", EVENTS - DEAD
    with postgres_server() as server:
        urls = [server.make_database() for _ in range(2)]
        # So few keys in memory that others are asked for all the time.
        Running(source, urls[0], "s", tmp_path, capacity=16).until(total, None)
        cut = Running(source, urls[1], "s", tmp_path, capacity=16)
        cut.until(total, server.stop, server.start)
        whole, found = (outputs(url, "s") for url in urls)
    assert found == whole
    assert len(found["scores"]) == total
    assert sa.make_url(urls[0]).database != sa.make_url(urls[1]).database
