"""Whether `awry stream` stays as small as it began, with all it can do switched on.

    python benchmarks/stream_soak.py [--minutes 10]

A worker judges what a generator makes, as fast as the machine lets it (below: events and seconds of
processor), with a context for each key, events put in order, a rule and drift reports, and keeps
every score in SQLite. Sampled each second, beside the
private memory that `benchmarks/soak.py` tells of, are SQLite's write-ahead log, which must not grow
either, and the state of the partition. Of the keys 2,000 are in memory, so that the store of keys
is full long before the time is over. Flat is a slope that twice the error, or a megabyte an hour,
explains.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import numpy as np

from soak import awry, free_port, judged, page, private, wait

HERE = Path(__file__).parent
#: Bounded parts in full use: keys that leave memory, events held for their order, open windows.
OPTIONS = (
    "--key", "merchant_id", "--amount", "amount", "--place", "lat,lon", "--time", "timestamp",
    "--lateness", "60", "--rule", "rate:window=60", "--drift", "5000",
    "--keys-in-memory", "2000", "-q",
)  # fmt: skip


def counted(port: int, name: str) -> int:
    """A counter of the worker; 0 before it answers."""
    try:
        lines = httpx2.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    except httpx2.TransportError:
        return 0
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(name + "{"))


def state_bytes(path: Path) -> float:
    """Megabytes of the partition's state, apart from its keys."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        query = "SELECT max(length(state)) FROM stream_states WHERE key NOT LIKE '%#%'"
        return float(connection.execute(query).fetchone()[0] or 0) / 2**20
    finally:
        connection.close()


def run(home: Path, seconds: float) -> tuple[np.ndarray, dict[str, float]]:
    """Samples of the worker: seconds and megabytes of memory, log and state; and what it did."""
    port, path = free_port(), home / "stream.db"
    source = "generator://financial_transactions?start=2000-01-01"
    words = ("--from", source, "--to", f"sqlite:///{path}", "--metrics-port", str(port), *OPTIONS)
    with awry(home, "stream", *words) as process:
        wait(lambda: counted(port, "awry_stream_events_total") > 20_000)
        begun, first, found = time.monotonic(), counted(port, "awry_stream_events_total"), []
        while (now := time.monotonic() - begun) < seconds:
            if process.poll() is not None:
                raise SystemExit(f"it ended by itself, with {process.returncode}")
            log = path.with_name("stream.db-wal").stat().st_size / 2**20
            state = state_bytes(path) if not len(found) % 10 else found[-1][3]
            found.append((now, private(process), log, state))
            time.sleep(1.0)
        events = counted(port, "awry_stream_events_total")
        cpu = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        done = {
            "events": events,
            "events_per_s": round((events - first) / now),
            "cpu_s": round((int(cpu[11]) + int(cpu[12])) / 100),
            "commits": counted(port, "awry_stream_commits_total"),
            "database_mb": round(path.stat().st_size / 2**20),
        }
    return np.array(found), done


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=Path, help="a CSV file for the samples themselves")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="awry-soak-") as folder:
        samples, done = run(Path(folder), 60 * options.minutes)
    if options.samples is not None:
        np.savetxt(options.samples, samples, "%.2f", ",", header="seconds,memory,log,state")
    parts = {"memory": 1, "write-ahead log": 2, "state of the partition": 3}
    found = {name: judged(samples[:, [0, column]]) for name, column in parts.items()}
    sys.stderr.write(f"{done} {found}\n")
    (HERE / "stream_soak.json").write_text(json.dumps({"run": done, **found}, indent=2) + "\n")
    told = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in done.items())
    text = page(found).replace("# Memory over time", "# Memory of a worker over time", 1)
    head, _, table = text.partition("\n|")
    about = " ".join((__doc__ or "").split("\n\n")[2].split())
    title = head.splitlines()[0]
    (HERE / "stream_soak.md").write_text(f"{title}\n\n{about}\n\nThis run: {told}.\n\n|{table}")


if __name__ == "__main__":
    main()
