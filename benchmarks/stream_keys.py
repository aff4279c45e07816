"""A million keys through one stream worker: what it holds in memory, and how fast it is.

    python benchmarks/stream_keys.py

`awry stream` reads a file of JSON lines with 5 numbers each, in which a million keys come once each
and then 200,000 of them, drawn at random, again; all scores are kept in PostgreSQL. 100,000 keys,
the default, are held in memory, the others beside the state in the database. The memory is the most
that the process held (VmHWM); with 1,000 keys, which come 200 times each, it is what it holds
anyway. Writes stream_keys.json and stream_keys.md beside this file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.bench.runs import markdown_table

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from tests.servers import postgres_server  # noqa: E402

from stream_worker import run  # noqa: E402  # isort: skip

KEYS, AGAIN, FEATURES = 1_000_000, 200_000, 5
#: Events at the start, which are not judged, so that detectors of their keys need not begin.
WARMUP = 256
RUNS = {
    "context of each key": ["--key", "k", "--amount", "x0"],
    "a detector for each key": ["--key", "k", "--per-key"],
}


def write(path: Path, keys: int, again: int) -> None:
    """An event of each key, then ``again`` of any."""
    rng = np.random.default_rng(0)
    order = np.concatenate([np.arange(keys), rng.integers(0, keys, again)])
    with path.open("w") as file:
        for at in range(0, len(order), 10_000):
            some = order[at : at + 10_000].tolist()
            X = rng.normal(size=(len(some), FEATURES)).round(5).tolist()
            for key, row in zip(some, X, strict=True):
                fields = {f"x{j}": value for j, value in enumerate(row)}
                file.write(json.dumps({"k": f"k{key}", **fields}) + "\n")


def kept(database: str) -> int:
    """Records of keys in the database."""
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = connection.scalar(sa.text("SELECT count(*) FROM stream_states"))
    engine.dispose()
    return int(found or 0) - 1  # one is the partition's own


def main() -> None:
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        postgres = stack.enter_context(postgres_server())
        path = Path(home) / "events.jsonl"
        for keys in (1_000, KEYS):
            write(path, keys, AGAIN)
            for name, options in RUNS.items():
                database = postgres.make_database()
                found = run(database, f"file://{path}?follow=1", home, options, keys + AGAIN)
                results.append({"keys": keys, "what": name, **found})
                print(results[-1], flush=True)
                assert keys - WARMUP <= kept(database) <= keys
                write_down(results)


def write_down(results: list[dict[str, Any]]) -> None:
    (HERE / "stream_keys.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [
        "# A million keys through one stream worker",
        "",
        f"`python benchmarks/stream_keys.py`; an event of each key and {AGAIN:,} more, of "
        f"{FEATURES} numbers; scores and what is known of each key in PostgreSQL; a machine with "
        f"two cores shared with it (load {os.getloadavg()[0]:.0f}). At most 100,000 keys are in "
        "memory.",
        "",
        markdown_table(
            ("keys", "what", "peak memory", "events per CPU-s", "events per s of wall time"),
            [
                (f"{r['keys']:,}", r["what"], f"{r['MiB']:,.0f} MiB", f"{r['rate']:,.0f}",
                 f"{r['wall']:,.0f}")
                for r in results
            ],
        ),
    ]  # fmt: skip
    (HERE / "stream_keys.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
