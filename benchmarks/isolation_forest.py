"""Isolation forests beside scikit-learn's and isotree's: CPU time, memory, one row, accuracy.

    nice python benchmarks/isolation_forest.py [--rows 1000000] [--data ../shared/data/adbench]

Each forest of each library runs in a process of its own, with one thread, warmed up on a few rows
first, so that compiling does not count; the least of three runs is taken. ``learn`` is growing the
trees, ``score`` scoring the rows they were grown on; awry's ``fit`` does both and sets the
threshold. ``one row`` is the median time of scoring a single row through the public interface.
Memory is the growth of the peak while learning, in sizes of the table. Accuracy is that of
``awry bench adbench``, transductive. Writes isolation_forest.json and .md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Name -> library and parameters; those of one kind of forest agree.
FORESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "awry IsolationForest": ("awry", {"name": "isolation_forest"}),
    "scikit-learn IsolationForest": ("sklearn", {}),
    "isotree, as IsolationForest": (
        "isotree", {"ndim": 1, "ntrees": 100, "sample_size": 256, "max_depth": 8},
    ),
    "awry FairCutForest": ("awry", {"name": "fair_cut_forest"}),
    "awry FairCutForest, 256 rows, ndim 2": (
        "awry", {"name": "fair_cut_forest", "max_samples": 256, "ndim": 2},
    ),
    "isotree, as FairCutForest": (
        "isotree", {"ndim": 2, "ntrees": 200, "sample_size": 256, "prob_pick_pooled_gain": 1},
    ),
    "awry ExtendedIsolationForest": ("awry", {"name": "extended_isolation_forest"}),
    "isotree, as ExtendedIsolationForest": (
        "isotree", {"ndim": 2, "ntrees": 100, "sample_size": 256, "max_depth": 8},
    ),
    "awry RandomHistogramForest": ("awry", {"name": "random_histogram_forest"}),
    "awry INNE": ("awry", {"name": "inne"}),
}  # fmt: skip
DETECTORS = ["isolation_forest", "fair_cut_forest", "extended_isolation_forest",
             "random_histogram_forest", "inne"]  # fmt: skip
RIVALS = ["sklearn:IsolationForest", "isotree:FairCutForest"]

Steps = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]


def steps(library: str, params: dict[str, Any]) -> Steps:
    """Functions that learn from a table, score it, and score one row."""
    if library == "awry":
        from awry.core import registry

        detector: Any = registry.create(**params, random_state=0)
        detector.fit(np.random.default_rng(1).normal(size=(5000, 20)))
        return (
            lambda X: detector._fit(detector._check_input(X, reset=True), None),
            detector.decision_function,
            detector.score_one,
        )
    if library == "sklearn":
        from sklearn.ensemble import IsolationForest

        forest: Any = IsolationForest(random_state=0, n_jobs=1)
        return forest.fit, forest.score_samples, lambda x: forest.score_samples(x[None])
    import isotree

    forest = isotree.IsolationForest(
        **params, random_seed=1, nthreads=1, missing_action="fail", coefs="normal"
    )
    return forest.fit, forest.predict, lambda x: forest.predict(x[None])


def least(work: Callable[[], Any]) -> float:
    """CPU seconds of the quickest of three runs; of one where it takes long."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < 10:
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure(name: str, rows: int) -> dict[str, float]:
    """The figures of one forest, in this process."""
    warnings.simplefilter("ignore")
    learn, score, score_one = steps(*FORESTS[name])
    X = np.random.default_rng(0).normal(size=(rows, 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learning = least(lambda: learn(X))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scoring = least(lambda: score(X))
    singles = []
    for x in X[:200]:
        start = time.perf_counter()
        score_one(x)
        singles.append(time.perf_counter() - start)
    return {
        "learn_cpu_s": learning,
        "score_cpu_s": scoring,
        "one_row_us": statistics.median(singles) * 1e6,
        "memory_of_input": (peak - before) * 1024 / X.nbytes,
    }


def in_a_process(name: str, rows: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--rows", str(rows), "--one", name]
    environment = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(done.stdout))


def accuracy(folder: str, seeds: int) -> list[dict[str, Any]]:
    from awry.bench import adbench

    scores = adbench.run(folder, DETECTORS, rivals=RIVALS, protocols=["transductive"], seeds=seeds)
    return [
        {"detector": s.detector, "sets": s.sets, "auroc": s.auroc, "auprc": s.auprc,
         "cpu_s": s.cpu_seconds}
        for s in adbench.summarise(scores, "transductive")
    ]  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    lines = [
        f"{result['rows']:,} rows of 20 normal columns, one thread.",
        "",
        "| forest | learn, CPU-s | score, CPU-s | one row, µs | memory / input |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {f['learn_cpu_s']:.2f} | {f['score_cpu_s']:.2f} | {f['one_row_us']:.0f} "
        f"| {f['memory_of_input']:.2f} |"
        for name, f in result["speed"].items()
    ]
    lines += [
        "",
        f"Means over ADBench tables and {result['seeds']} seeds, fitted on the rows scored.",
        "",
        "| detector | tables | AUROC | AUPRC | CPU-s, all tables |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {a['detector']} | {a['sets']} | {a['auroc']:.3f} | {a['auprc']:.3f} "
        f"| {a['cpu_s']:.2f} |"
        for a in result["accuracy"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", default="../shared/data/adbench")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", choices=FORESTS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.rows)))
        return
    speed = {}
    for name in FORESTS:
        speed[name] = in_a_process(name, args.rows)
        print(name, speed[name], flush=True)
    result = {
        "rows": args.rows,
        "seeds": args.seeds,
        "speed": speed,
        "accuracy": accuracy(args.data, args.seeds),
    }
    (HERE / "isolation_forest.json").write_text(json.dumps(result, indent=1))
    (HERE / "isolation_forest.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
