"""What a request to judge rows costs, beside a bare FastAPI route and scikit-learn behind one.

    python benchmarks/serve.py [--seconds 5]

One server process at a time on loopback, loaded by wrk (16 connections, one thread); what counts is
the CPU time of the server's process, as other work shares the machine. Latencies under load are of
16 requests waiting at once; the ones at a fixed rate are from the moment each request was due, so
that waiting for the ones before counts. Needs `wrk`, scikit-learn and `awry[server]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
FEATURES, ROWS, RATE = 20, 1_000, 116
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local file = io.open("BODY")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.read + summary.errors.write
  io.write(string.format('{"requests": %d, "bad": %d, "p50": %f, "p95": %f, "p99": %f}',
    summary.requests, bad, latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    latency:percentile(99) / 1000))
end
"""


def training() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(10_000, FEATURES))


def peer(kind: str, port: int) -> None:
    """Serve a bare route, or scikit-learn's Isolation Forest behind one."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from sklearn.ensemble import IsolationForest

    class Rows(BaseModel):
        data: list[dict[str, float]]
        model: str

    app = FastAPI()
    forest = IsolationForest(random_state=0).fit(training()) if kind == "scikit-learn" else None

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    async def detect(rows: Rows) -> dict[str, Any]:
        if forest is None:
            return {"rows": len(rows.data)}
        X = np.array([list(row.values()) for row in rows.data])
        return {"scores": (-forest.score_samples(X)).tolist()}

    detect.__annotations__["rows"] = Rows  # a local class, which its name would not find
    app.post("/detect")(detect)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def make_model(home: Path) -> None:
    import pyarrow as pa

    import awry
    from awry.ops.models import Models
    from awry.ops.settings import Settings
    from awry.ops.store import Store

    table = pa.table(dict(zip(names(), training().T, strict=True)))
    settings = Settings(home=home)
    store = Store(settings)
    for name, detector in (("m", "isolation_forest"), ("c", "cascade")):
        model = awry.fit(table, detector=detector)
        Models(store, settings).add(name, model, about={}, by="benchmark")
    store.close()


def names() -> list[str]:
    return [f"feature_{i}" for i in range(FEATURES)]


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A server's process, once it answers."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    server = subprocess.Popen(command, env=env)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} does not answer") from None
                time.sleep(0.1)
        yield server.pid
    finally:
        server.terminate()
        server.wait(30)


def cpu(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(pid: int, port: int, body: Path, seconds: float) -> dict[str, Any]:
    script = body.with_suffix(".lua")
    script.write_text(LUA.replace("BODY", str(body)))
    command = ["wrk", "-t1", "-c16", "--timeout", "10s", "-s", str(script)]
    address = f"http://127.0.0.1:{port}/detect"
    heads = {"content-type": "application/json"}
    first = urllib.request.Request(address, body.read_bytes(), heads)
    urllib.request.urlopen(first, timeout=120).read()  # which loads the model
    subprocess.run([*command, "-d2s", address], check=True, stdout=subprocess.DEVNULL)
    before = cpu(pid)
    out = subprocess.run(
        [*command, f"-d{seconds:g}s", address], check=True, capture_output=True, text=True
    ).stdout
    found = json.loads(out[out.rindex("{") :])
    assert not found["bad"], found
    spent = cpu(pid) - before
    rows = len(json.loads(body.read_text())["data"])
    return {
        "rows": rows,
        "requests_per_cpu_second": round(found["requests"] / spent),
        "rows_per_cpu_second": round(rows * found["requests"] / spent),
        **{f"{p}_ms": round(found[p], 2) for p in ("p50", "p95", "p99")},
    }


async def at_rate(port: int, body: Path, seconds: float) -> dict[str, float]:
    """Milliseconds from when each request was due until its answer, at RATE a second."""
    content = body.read_bytes()
    head = (
        "POST /detect HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    due: asyncio.Queue[float | None] = asyncio.Queue()
    took: list[float] = []

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (when := await due.get()) is not None:
            writer.write(head.encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")
            length = next(
                line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(int(length.split(b":")[1]))
            took.append(1e3 * (time.perf_counter() - when))
        writer.close()

    workers = [asyncio.create_task(worker()) for _ in range(16)]
    begin = time.perf_counter() + 0.1
    for i in range(int(RATE * seconds)):
        when = begin + i / RATE
        await asyncio.sleep(max(0.0, when - time.perf_counter()))
        due.put_nowait(when)
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    p50, p95, p99 = np.percentile(took, (50, 95, 99))
    return {
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "p99_ms": round(float(p99), 2),
    }


def in_process() -> dict[str, float]:
    """Microseconds of CPU to score one row in the program, by columns and as a table."""
    import pyarrow as pa

    import awry

    X = training()
    model = awry.fit(pa.table(dict(zip(names(), X.T, strict=True))), detector="isolation_forest")
    model.prepare()
    found = {}
    rows = [dict(zip(names(), ([v] for v in row), strict=True)) for row in X[:1_000].tolist()]
    tables = [pa.table(row) for row in rows]
    for name, score, items in (
        ("one_row_columns", model.score_columns, rows),  # type: ignore[union-attr]
        ("one_row_table", model.score, tables),  # type: ignore[union-attr]
    ):
        took = []
        for item in items:
            begun = time.process_time_ns()
            score(item)
            took.append((time.process_time_ns() - begun) / 1e3)
        found[f"{name}_p50_us"], found[f"{name}_p95_us"] = np.percentile(took[100:], (50, 95))
    return {k: round(float(v), 1) for k, v in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--peer", choices=["bare", "scikit-learn"])
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    if given.peer:
        peer(given.peer, given.port)
        return
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(1)
        bodies = {n: Path(folder, f"{n}.json") for n in (1, ROWS)}
        for n, path in bodies.items():
            rows = np.round(rng.normal(size=(n, FEATURES)), 4).tolist()
            data = [dict(zip(names(), row, strict=True)) for row in rows]
            path.write_text(json.dumps({"data": data, "model": "m"}))
        cascade = Path(folder, "cascade.json")
        cascade.write_text(bodies[1].read_text().replace('"m"', '"c"'))
        make_model(Path(folder, "home"))
        command = [sys.executable, __file__, "--port", str(port), "--peer"]
        serve = [sys.executable, "-m", "awry", "serve", "--port", str(port), "--log-level"]
        home = {"AWRY_HOME": f"{folder}/home", "AWRY_RATE": "1e9", "AWRY_BURST": "1000000000"}
        unrecorded = {**home, "AWRY_RECORD_REQUESTS": "false"}
        for name, line, env, sizes in (
            ("bare FastAPI route", [*command, "bare"], {}, (1, ROWS)),
            ("FastAPI and scikit-learn", [*command, "scikit-learn"], {}, (1, ROWS)),
            ("awry", [*serve, "warning"], unrecorded, (1, ROWS)),
            ("awry, a log line for each request", [*serve, "info"], unrecorded, (1,)),
            ("awry, scores recorded", [*serve, "warning"], home, (1, ROWS)),
        ):
            with running(line, port, **env) as pid:
                for n in sizes:
                    key = f"{name}, {n:,} row{'s' * (n > 1)}"
                    found[key] = load(pid, port, bodies[n], given.seconds)
                    print(key, found[key])
                rated = {"1 row": bodies[1], "1 row, a cascade": cascade}
                if name not in ("bare FastAPI route", "awry", "awry, scores recorded"):
                    continue
                for what, body in rated.items():
                    if name.startswith("awry") or body is bodies[1]:
                        rate = asyncio.run(at_rate(port, body, 2 * given.seconds))
                        found[f"{name}, {what}, {RATE} requests/s"] = rate
                        print(what, rate)
    found["in process"] = in_process()
    print(found["in process"])
    (HERE / "serve.json").write_text(json.dumps(found, indent=1))
    head = "| server | requests / CPU-s | rows / CPU-s | p50 ms | p95 ms | p99 ms |"
    lines = [head, "|---|---|---|---|---|---|"]
    for name, one in found.items():
        if "p50_ms" in one:
            cells = [f"{one[k]:,}" if k in one else "" for k in
                     ("requests_per_cpu_second", "rows_per_cpu_second", "p50_ms", "p95_ms",
                      "p99_ms")]  # fmt: skip
            lines.append(f"| {name} | {' | '.join(cells)} |")
    own = found["in process"]
    lines += [
        "",
        f"In process, one row: {own['one_row_columns_p95_us']} µs of CPU (p95) by "
        f"`Model.score_columns`, {own['one_row_table_p95_us']} µs by `Model.score`.",
    ]
    (HERE / "serve.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
