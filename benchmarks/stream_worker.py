"""Events per CPU second of the whole stream worker: JSON in, scores, state and offsets kept.

    python benchmarks/stream_worker.py

The worker is a process of its own, `awry stream`, that reads a file of JSON lines with 20 numbers
each and keeps all scores; its CPU time is what the kernel counts for that process, from the first
commit on, so that starting up is left out. The latency is from the reading of an event to the
commit of its score: at full speed, which includes waiting for the commit of a quarter of a second,
and from a generator that keeps a pace of 1,000 a second. Needs a
PostgreSQL (one is started where its programs are installed). Writes stream_worker.json and
stream_worker.md beside this file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.bench.runs import markdown_table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from tests.servers import free_port, postgres_server  # noqa: E402

EVENTS, FEATURES = 120_000, 20
RUNS: list[tuple[str, list[str]]] = [
    ("streaming_gaussian", []),
    ("half_space_trees", ["-d", "half_space_trees"]),
    ("streaming_gaussian, context of 1,000 keys", ["--key", "k"]),
    ("streaming_gaussian for each of 1,000 keys", ["--key", "k", "--per-key"]),
]
TICK = os.sysconf("SC_CLK_TCK")


def write(path: Path) -> None:
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for at in range(0, EVENTS, 10_000):
            X = rng.normal(size=(10_000, FEATURES)).round(5)
            for i, row in enumerate(X.tolist(), at):
                fields = {f"x{j}": v for j, v in enumerate(row)}
                file.write(json.dumps({"k": f"k{i * 7919 % 1000}", **fields}) + "\n")


def cpu(pid: int) -> float:
    """CPU seconds of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak(pid: int) -> float:
    """Most memory a process has held, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def metrics(port: int) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    alone = (re.sub(r'\{?,?stream="[^"]*"\}?', "", x) for x in lines if x[0] != "#")
    return {k: float(v) for k, _, v in (x.rpartition(" ") for x in alone)}


def p99(found: dict[str, float]) -> float:
    """Upper end of the bucket that holds the 99 % quantile of the latency, in seconds."""
    name = "awry_stream_event_seconds_bucket"
    buckets = {k: v for k, v in found.items() if k.startswith(name)}
    total = max(buckets.values())
    ends = [
        float(k.partition('le="')[2].rstrip('"}')) for k, v in buckets.items() if v >= 0.99 * total
    ]
    return min(ends)


def run(
    database: str, source: str, home: str, options: list[str], end: int | None
) -> dict[str, Any]:
    """Rates of one worker; ``end`` events, or ten seconds of a source that has no end."""
    port = free_port()
    command = ["stream", "--from", source, "--to", database, "--metrics-port", str(port), "-q"]
    process = subprocess.Popen(
        [sys.executable, "-m", "awry", *command, *options],
        env={**os.environ, "AWRY_HOME": home, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    first: tuple[float, float, float] | None = None
    last, found, memory = (0.0, 0.0, 0.0), {}, 0.0
    while process.poll() is None:
        # Asking costs the worker, too.
        time.sleep(0.1)
        try:
            spent, memory, now = cpu(process.pid), peak(process.pid), metrics(port)
        except (FileNotFoundError, AssertionError):  # it ended this moment
            break
        done = now.get("awry_stream_events_total", 0.0)
        if not done:
            continue
        found = now
        first = first or (done, spent, time.monotonic())
        last = (done, spent, time.monotonic())
        if done == end or (end is None and time.monotonic() - first[2] > 10):
            process.terminate()
            break
    process.wait()
    assert first is not None
    events, seconds, wall = (b - a for a, b in zip(first, last, strict=True))
    return {
        "events": events, "rate": events / seconds, "wall": events / wall, "p99": p99(found),
        "MiB": memory,
    }  # fmt: skip


def main() -> None:
    results = []
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        postgres = stack.enter_context(postgres_server())
        path = Path(home) / "events.jsonl"
        write(path)
        for kind in ("PostgreSQL", "SQLite"):
            for i, (name, options) in enumerate(RUNS):
                database = f"sqlite:///{home}/{i}.db"
                if kind == "PostgreSQL":
                    database = postgres.make_database()
                fast = run(database, f"file://{path}?follow=1", home, options, EVENTS)
                results.append({"database": kind, "what": name, **fast})
                print(results[-1], flush=True)
            paced = run(
                database, "generator://iot_sensors?rate=1000", home, ["--every", "0.05"], None
            )
            results.append({"database": kind, "what": "1,000 events/s, kept every 50 ms", **paced})
            print(results[-1], flush=True)
            if kind == "PostgreSQL":
                engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
                with engine.connect() as connection:
                    kept = connection.scalar(sa.text("SELECT count(*) FROM scores"))
                engine.dispose()
                assert kept >= EVENTS
            write_down(results)


def write_down(results: list[dict[str, Any]]) -> None:
    (HERE / "stream_worker.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [
        "# The stream worker, JSON in and scores in the database",
        "",
        f"`python benchmarks/stream_worker.py`; {FEATURES} numbers an event, one worker process on "
        "a machine with two cores, shared with PostgreSQL and whatever else ran. Events per CPU "
        "second count the worker alone; the goal is 20,000. The 99 % quantile of the latency, from "
        "reading to commit, is told as the end of its bucket (the paced worker makes its events "
        "itself); it and the wall time say as much of "
        f"what else ran (load {os.getloadavg()[0]:.0f} here) as of the worker.",
        "",
        markdown_table(
            ("database", "what", "events per CPU-s", "events per s of wall time", "p99 latency",
             "peak memory"),
            [
                (r["database"], r["what"], f"{r['rate']:,.0f}", f"{r['wall']:,.0f}",
                 f"≤ {r['p99']:g} s", f"{r['MiB']:,.0f} MiB")
                for r in results
            ],
        ),
    ]  # fmt: skip
    (HERE / "stream_worker.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
