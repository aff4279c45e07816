"""A worker killed at any moment, and started again, gives what one gives that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.stream.plan import Plan
from awry.stream.sources import open_source
from awry.stream.worker import Worker
from servers import mock_kafka, wait_until

EVENTS = 24_000
#: Times a worker is killed; each costs a start, which with Kafka is long: AWRY_KILLS=20 does more.
KILLS, KAFKA_KILLS = (int(os.environ.get("AWRY_KILLS", least)) for least in ("20", "8"))
#: The unmodified program; small batches and frequent commits, so that much is under way.
OPTIONS = ["--key", "card", "--amount", "amount", "--batch", "200", "--every", "0.01", "-q"]


def messages(n: int, *, partition: int = 0) -> list[bytes]:
    """Events with anomalies, and one in a thousand that cannot be read."""
    rng = np.random.default_rng(partition)
    amounts, cards = rng.lognormal(3, 1, n), rng.integers(40, size=n)
    found = []
    for i in range(n):
        odd = i % 150 == 149
        record = {
            "card": f"c{cards[i]}", "amount": float(amounts[i]) * (200 if odd else 1),
            "hour": i % 24, "place": "moon" if odd else f"p{i % 7}",
        }  # fmt: skip
        found.append(b'{"card": ' if i % 1000 == 999 else json.dumps(record).encode())
    return found


def worker(source: str, database: str, home: Path, *more: str) -> subprocess.Popen[bytes]:
    command = ["stream", "--from", source, "--to", database, *OPTIONS, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "awry", *command],
        env={**os.environ, "AWRY_HOME": str(home), "NUMBA_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def count(url: str) -> int:
    """Scores kept so far."""
    made = engine(url)
    try:
        with made.connect() as connection:
            return int(connection.scalar(sa.text("SELECT count(*) FROM scores")) or 0)
    except sa.exc.DBAPIError:  # no table yet
        return 0
    finally:
        made.dispose()


def outputs(url: str, stream: str) -> dict[str, list[tuple[Any, ...]]]:
    """All a stream left in its tables, but for when that was written."""
    asked = {
        "scores": "SELECT item, score, severity FROM scores JOIN judgements "
        "ON judgements.id = scores.judgement WHERE source = :s ORDER BY item",
        "events": "SELECT key, kind, items, peak, score, severity, summary, reasons, \"extract\" "
        "FROM events "
        "WHERE source = :s ORDER BY key, kind, peak",
        "dead": "SELECT topic, partition, \"offset\", reason FROM stream_dead_letters "
        "WHERE source = :s ORDER BY topic, partition, \"offset\"",
        "offsets": "SELECT topic, partition, next FROM stream_offsets WHERE source = :s "
        "ORDER BY topic, partition",
    }  # fmt: skip
    made = engine(url)
    with made.connect() as connection:
        found = {
            name: [tuple(row) for row in connection.execute(sa.text(query), {"s": stream})]
            for name, query in asked.items()
        }
    made.dispose()
    return found


def kill_and_restart(
    start: Callable[[], subprocess.Popen[bytes]], url: str, before: int, total: int, kills: int
) -> None:
    """Kill a worker so many times, each somewhere within its share of the work, then let it end."""
    rng = random.Random(0)
    for kill in range(kills):
        goal = before + (total * (kill + 1)) // (kills + 4)
        process = start()
        wait_until(lambda process=process, goal=goal: (
            process.poll() is not None or count(url) >= goal), seconds=120)  # fmt: skip
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.stderr and process.stderr.read().decode()


def finish(process: subprocess.Popen[bytes]) -> None:
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told.decode()


def assert_whole(kept: dict[str, list[tuple[Any, ...]]], path: Path) -> None:
    """The offset tells of all messages before it, and of none after it, what became of them."""
    [(_, _, until)] = kept["offsets"] or [(None, None, 0)]
    assert len(kept["scores"]) + len(kept["dead"]) == path.read_bytes()[:until].count(b"\n")


class Killed(BaseException):
    """The end of a worker, from one statement to the next."""


def test_ended_at_each_transaction(tmp_path: Path) -> None:
    """The moments between transactions are short: a kill at random seldom falls into one."""
    path, url, lives = tmp_path / "events.jsonl", f"sqlite:///{tmp_path / 'awry.db'}", 0
    path.write_bytes(b"\n".join(messages(3_000)) + b"\n")

    def live(name: str, ends_at: tuple[str, int] | None) -> None:
        store, seen = Store(Settings(home=tmp_path)), [0]

        def happens(_: Any) -> None:
            seen[0] += 1
            if ends_at is not None and seen[0] == ends_at[1]:
                raise Killed

        if ends_at is not None:
            sa.event.listen(store.engine, ends_at[0], happens)
        plan = Plan(key="card", amount="amount", warmup=64)
        source = open_source(f"file://{path}?follow=0")
        try:
            Worker(source, plan, store, name=name, batch=50, every=0.0, every_items=50).run()
        finally:
            store.close()

    live("whole", None)
    while True:
        # Before a transaction begins all before it is kept; before it is committed it is not.
        ends_at = ("commit" if lives % 2 else "begin", 4 + lives % 7)
        lives += 1
        try:
            live("ended", ends_at)
        except Killed:
            assert_whole(outputs(url, "ended"), path)
            continue
        break
    assert lives > 10
    whole = outputs(url, "whole")
    assert len(whole["scores"]) == 2_997
    assert outputs(url, "ended") == whole


@pytest.mark.slow
def test_file_and_sqlite(tmp_path: Path) -> None:
    path, url = tmp_path / "events.jsonl", f"sqlite:///{tmp_path / 'kept.db'}"
    path.write_bytes(b"\n".join(messages(EVENTS)) + b"\n")
    source = f"file://{path}?follow=0"
    finish(worker(source, url, tmp_path, "--name", "whole"))
    whole = outputs(url, "whole")
    assert len(whole["scores"]) == EVENTS - EVENTS // 1000
    assert len(whole["dead"]) == EVENTS // 1000
    assert len(whole["events"]) > 5
    before = count(url)
    start = lambda: worker(source, url, tmp_path, "--name", "killed")  # noqa: E731
    kill_and_restart(start, url, before, EVENTS, KILLS)
    finish(start())
    assert outputs(url, "killed") == whole


@pytest.mark.slow
def test_kafka_and_postgresql(tmp_path: Path, database: str) -> None:
    several = {p: messages(EVENTS // 2, partition=p) for p in (0, 1)}
    with mock_kafka("events", several) as broker:

        def start(name: str) -> subprocess.Popen[bytes]:
            # Known by name to the group: it need not wait until the killed one is given up.
            options = f"group={name}&group.instance.id=one&session.timeout.ms=6000"
            source = f"kafka://{broker}/events?{options}"
            return worker(source, database, tmp_path, "--name", name)

        def run_to_the_end(name: str, total: int) -> None:
            process = start(name)
            wait_until(lambda: count(database) >= total or process.poll() is not None, seconds=90)
            process.send_signal(signal.SIGTERM)
            finish(process)

        total = EVENTS - EVENTS // 1000
        run_to_the_end("whole", total)
        whole = outputs(database, "whole")
        assert len(whole["scores"]) == total
        assert [row[2] for row in whole["offsets"]] == [EVENTS // 2] * 2
        kill_and_restart(lambda: start("killed"), database, total, total, KAFKA_KILLS)
        run_to_the_end("killed", 2 * total)
        assert outputs(database, "killed") == whole
