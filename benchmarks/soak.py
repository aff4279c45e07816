"""Whether `awry serve` and `awry stream` stay as small as they began.

    python benchmarks/soak.py [--minutes 10] [--only serve]

Each runs by itself under load: the service judges rows of a model, trains and
judges a data set again and again, and is asked for its lists; the worker judges what a generator
makes. Sampled each second is the memory that belongs to the process alone (private pages, as Linux
tells them; of pages that are shared with others nobody can say whose they are). Told are where it
stood after half of the time, at the end, and the slope of a line through the last half, with its
standard error, both of the means of ten stretches of it, as one second says little beside the last:
flat is a slope that twice the error, or a megabyte an hour, explains.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from awry.client import Client, ServiceError

HERE = Path(__file__).parent
FEATURES, ROWS = 20, 5_000


def private(process: subprocess.Popen[bytes]) -> float:
    """Megabytes of memory that a process shares with nobody."""
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    kilobytes = [int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")]
    return sum(kilobytes) / 1024


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def awry(home: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "awry", *words],
        env={**os.environ, "AWRY_HOME": str(home), "AWRY_RATE": "1e6", "AWRY_BURST": "1000000",
             # So few that the cache of models is full long before the time is over.
             "AWRY_CACHED_MODELS": "2",
             "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def sample(process: subprocess.Popen[bytes], seconds: float) -> np.ndarray:
    """Memory each second: seconds and megabytes."""
    begun, found = time.monotonic(), []
    while (now := time.monotonic() - begun) < seconds:
        if process.poll() is not None:
            raise SystemExit(f"it ended by itself, with {process.returncode}")
        found.append((now, private(process)))
        time.sleep(1.0)
    return np.array(found)


def judged(samples: np.ndarray) -> dict[str, float]:
    """What became of the memory."""
    # What is loaded and compiled only once is there by then.
    at, size = samples[len(samples) // 2 :].T
    parts = [part.mean(axis=0) for part in np.array_split(np.column_stack([at / 3600, size]), 10)]
    hours, means = np.array(parts).T
    design = np.column_stack([hours, np.ones_like(hours)])
    (slope, _), rest, *_ = np.linalg.lstsq(design, means, rcond=None)
    variance = float(rest[0]) / (len(hours) - 2) if len(rest) else 0.0
    error = np.sqrt(variance / ((hours - hours.mean()) ** 2).sum())
    return {
        "minutes": round(float(samples[-1, 0]) / 60, 1),
        "mb_first": round(float(samples[0, 1]), 1),
        "mb_at_half": round(float(size[0]), 1),
        "mb_last": round(float(size[-1]), 1),
        "mb_most": round(float(samples[:, 1].max()), 1),
        "mb_per_hour": round(float(slope), 1),
        "standard_error": round(float(error), 1),
    }


def wait(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not ready():
        if time.monotonic() > until:
            raise SystemExit("it does not answer")
        time.sleep(0.1)


def serve(home: Path, seconds: float) -> tuple[np.ndarray, int]:
    """Load the service; its memory, and the requests it answered."""
    import httpx2

    port, stop, counts = free_port(), threading.Event(), [0, 0, 0]
    rng = np.random.default_rng(0)
    data = rng.normal(size=(ROWS, FEATURES))
    names = [f"x{j}" for j in range(FEATURES)]
    text = "\n".join([",".join(names), *(",".join(f"{v:.4f}" for v in row) for row in data)])
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            return bool(Client(url).ready()["ready"])
        except httpx2.TransportError:
            return False

    def asking(i: int, ask: Callable[[Client], Any], pause: float) -> None:
        with Client(url) as client:
            while not stop.is_set():
                try:
                    ask(client)
                    counts[i] += 1
                except ServiceError as error:
                    if error.status != 503:
                        raise
                time.sleep(pause)

    def judge(client: Client) -> None:
        rows = [dict(zip(names, row, strict=True)) for row in data[:20].tolist()]
        client.detect(rows, model="m", explain=True)

    def look(client: Client) -> None:
        client.models(), client.datasets(), client.jobs(), client.event_counts()
        next(client.events(), None)

    def work(client: Client) -> None:
        client.wait(client.train("m", "d", method="isolation_forest", promote=True)["id"])
        client.wait(client.detect_batch("d", model="m")["id"])

    with awry(home, "serve", "--port", str(port), "--log-level", "warning") as process:
        wait(up)
        with Client(url) as client:
            client.upload("d", io.BytesIO(text.encode()))
            work(client)
        loads = [(judge, 0.02), (look, 0.1), (work, 1.0)]
        threads = [threading.Thread(target=asking, args=(i, *load)) for i, load in enumerate(loads)]
        for thread in threads:
            thread.start()
        try:
            return sample(process, seconds), sum(counts)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def stream(home: Path, seconds: float) -> tuple[np.ndarray, int]:
    """Load a worker; its memory, and the events it judged."""
    import httpx2

    port = free_port()
    address = f"http://127.0.0.1:{port}/metrics"

    def events() -> int:
        try:
            lines = httpx2.get(address).text.splitlines()
        except httpx2.TransportError:
            return 0
        found = [line for line in lines if line.startswith("awry_stream_events_total")]
        return sum(int(float(line.split()[-1])) for line in found)

    source = "generator://financial_transactions?rate=1000"
    with awry(
        home, "stream", "--from", source, "--to", f"sqlite:///{home / 'stream.db'}", "--key",
        "card_id", "--amount", "amount", "--metrics-port", str(port), "-q",
    ) as process:  # fmt: skip
        wait(lambda: events() > 2_000)
        return sample(process, seconds), events()


def page(found: dict[str, dict[str, float]]) -> str:
    """The results for people."""
    head = ["", *next(iter(found.values()))]
    lines = [
        head,
        ["---"] * len(head),
        *([name, *map(str, row.values())] for name, row in found.items()),
    ]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    words = " ".join((__doc__ or "").split("\n\n")[2].split())
    return f"# Memory over time\n\n{words}\n\n{rows}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of each")
    parser.add_argument("--only", choices=["serve", "stream"])
    options = parser.parse_args()
    seconds, file = options.minutes * 60, HERE / "soak.json"
    found = json.loads(file.read_text()) if options.only else {}
    for name, load in (("awry serve", serve), ("awry stream", stream)):
        if options.only not in (None, load.__name__):
            continue
        with tempfile.TemporaryDirectory(prefix="awry-soak-") as folder:
            samples, done = load(Path(folder), seconds)
        found[name] = {"requests_or_events": done, **judged(samples)}
        sys.stderr.write(f"{name}: {found[name]}\n")
    file.write_text(json.dumps(found, indent=2) + "\n")
    (HERE / "soak.md").write_text(page(found))


if __name__ == "__main__":
    main()
