"""Events per CPU second of the online detectors, score and learn, beside river's and rrcf's.

    python benchmarks/stream.py

20 features (edges: three columns), one core. Ours take 100,000 rows in one call, a million edges;
the peers, which are called for each row, a few hundred to thousands of the same rows. The pause is
the most CPU time that one row of several windows takes, one at a time. Needs ``pip install river
rrcf "setuptools<81"``; without one its rows are left out. Writes stream.json and stream.md beside
this file.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from awry.core import registry

HERE = Path(__file__).parent
FEATURES, TRAIN, ROWS, EDGES, ONE = 20, 1_000, 100_000, 1_000_000, 2_000
#: Detector, parameters, the goal in events per CPU second.
RUNS: list[tuple[str, dict[str, Any], int | None]] = [
    ("half_space_trees", {"max_depth": 8}, 300_000),
    ("half_space_trees", {"max_depth": 15}, 80_000),
    ("robust_random_cut_forest", {}, 8_000),
    ("streaming_gaussian", {}, None),
    ("loda_online", {}, None),
    ("rs_hash", {}, None),
    ("online_isolation_forest", {}, None),
    ("streaming_ecod", {}, None),
    ("xstream", {}, None),
    ("incremental_knn", {}, None),
    ("incremental_lof", {}, None),
    ("online_autoencoder", {}, None),
    ("sliding_window", {"late": "wait"}, None),
    ("midas", {}, 10_000_000),
    ("midas_r", {}, 10_000_000),
    ("midas_f", {}, 10_000_000),
]


def rows(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, FEATURES)) + 8.0 * (rng.random((n, 1)) < 1e-3)


def edges(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.zipf(1.3, size=(n, 2)) % 10_000, np.arange(n) // 1_000]) * 1.0


def spent(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def river_trees(height: int, n: int) -> dict[str, Any]:
    from river import anomaly

    model = anomaly.HalfSpaceTrees(
        n_trees=25, height=height, window_size=250, seed=0,
        limits={f"x{j}": (-8.0, 8.0) for j in range(FEATURES)},
    )  # fmt: skip
    events = [{f"x{j}": v for j, v in enumerate(row)} for row in rows(n).tolist()]

    def one(x: dict[str, float]) -> None:
        model.score_one(x)
        model.learn_one(x)

    one(events[0])
    times = [spent(lambda x=x: one(x)) for x in events[1:]]
    return {"peer": "river", "peer_rate": len(times) / sum(times), "peer_pause": max(times) * 1e3}


def rrcf_forest(n: int) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import rrcf

    X, trees = rows(256 + n), [rrcf.RCTree() for _ in range(50)]
    for tree in trees:
        for i in range(256):
            tree.insert_point(X[i], index=i)

    def one(i: int) -> None:
        for tree in trees:
            tree.forget_point(i - 256)
            tree.insert_point(X[i], index=i)
            tree.codisp(i)

    times = [spent(lambda i=i: one(i)) for i in range(256, 256 + n)]
    return {"peer": "rrcf", "peer_rate": n / sum(times), "peer_pause": max(times) * 1e3}


def peer(name: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        if name == "half_space_trees":
            height = params["max_depth"]
            return river_trees(height, 4_000 if height < 10 else 600)
        if name == "robust_random_cut_forest":
            return rrcf_forest(100)
    except ImportError:
        pass
    return {}


def measure(name: str, params: dict[str, Any], goal: int | None) -> dict[str, Any]:
    detector = registry.create(name, **params)
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    graph = detector.card.family == "edges"
    X = edges(EDGES) if graph else rows(ROWS if goal is None or goal > 50_000 else ROWS // 5)
    detector.fit(X[:TRAIN])
    for x in X[:10]:
        detector.update(x[None])
    rate = len(X) / min(spent(lambda: detector.update(X)) for _ in range(3))
    pause = max(spent(lambda x=x: detector.update(x[None])) for x in X[:ONE])
    row = {"detector": name, **params, "goal": goal, "rate": rate, "pause": pause * 1e3}
    return row | peer(name, params)


def main() -> None:
    found = []
    for name, params, goal in RUNS:
        if name in registry.detectors("stream"):
            found.append(measure(name, params, goal))
            print(found[-1])
    (HERE / "stream.json").write_text(json.dumps(found, indent=1))
    lines = [
        "| detector | events a CPU second | goal | longest row, ms | peer | its events | its ms |",
        "|---" * 7 + "|",
    ]
    for row in found:
        name = row["detector"] + (f", depth {row['max_depth']}" if "max_depth" in row else "")
        goal = "" if row["goal"] is None else f"{row['goal']:,}"
        other = "- | - | -"
        if "peer" in row:
            other = f"{row['peer']} | {row['peer_rate']:,.0f} | {row['peer_pause']:.1f}"
        lines.append(f"| {name} | {row['rate']:,.0f} | {goal} | {row['pause']:.2f} | {other} |")
    (HERE / "stream.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
