"""One-class machines and Gaussian densities beside scikit-learn's: CPU time, memory, accuracy.

    nice python benchmarks/boundary.py [--rows 1000000] [--data ../shared/data/adbench]

Each detector of each library runs in a process of its own, with one thread, warmed up on a few rows
first, so that compiling does not count; the least of up to three runs is taken. It is fitted on a
large table of 20 columns and scores the same rows; memory is the growth of the process' peak
meanwhile, in sizes of the table. A machine that solves for every row takes no large table. Accuracy
is the mean AUROC over the smaller ADBench tables, at most 3,000 rows of each drawn by seed,
standardised, fitted on all rows and the same rows scored. Writes boundary.json and .md beside this
file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Name -> module, class, parameters, share of ``--rows`` in the large table.
DETECTORS: dict[str, tuple[str, str, dict[str, Any], float]] = {
    "awry NystroemOCSVM": ("awry.detectors", "NystroemOCSVM", {}, 1),
    "awry OCSVM": ("awry.detectors", "OCSVM", {}, 0),
    "scikit-learn OneClassSVM": ("sklearn.svm", "OneClassSVM", {}, 0),
    "awry MCD": ("awry.detectors", "MCD", {}, 0.1),
    "awry MCD, all rows, support 1/2": (
        "awry.detectors", "MCD", {"max_samples": None, "support_fraction": 0.5}, 0.1,
    ),
    "scikit-learn EllipticEnvelope": ("sklearn.covariance", "EllipticEnvelope", {}, 0.1),
    "awry GMM": ("awry.detectors", "GMM", {}, 0.1),
    "awry GMM, 4 components, all rows": (
        "awry.detectors", "GMM", {"n_components": 4, "max_samples": None}, 0.1,
    ),
    "scikit-learn GaussianMixture, 4 components": (
        "sklearn.mixture", "GaussianMixture", {"n_components": 4}, 0.1,
    ),
}  # fmt: skip
EXACT = ("awry OCSVM", "scikit-learn OneClassSVM")
SETS = ("cardio", "glass", "Ionosphere", "letter", "Stamps", "vertebral", "WDBC", "wine", "yeast",
        "breastw")  # fmt: skip
MAX_ROWS = 3000


def scorer(name: str, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that fits the detector to a table and scores its rows, higher = more anomalous."""
    module, cls, params, _ = DETECTORS[name]
    detector: Any = getattr(importlib.import_module(module), cls)(**params)
    if "random_state" in detector.get_params():
        detector.set_params(random_state=seed)

    def score(X: np.ndarray) -> np.ndarray:
        detector.fit(X)
        if module == "awry.detectors":
            return np.asarray(detector.decision_function(X))
        return -np.asarray(detector.score_samples(X))

    return score


def large_table(rows: int) -> np.ndarray:
    """Three Gaussian clouds of 20 correlated columns, and one row in a hundred from a wide one."""
    rng = np.random.default_rng(0)
    mixing, centers = rng.normal(size=(20, 20)) / 4, rng.normal(scale=2, size=(3, 20))
    X = np.empty((rows, 20))
    # By blocks, so that the peak before the measurement is the table's alone.
    for block in np.array_split(X, range(10_000, rows, 10_000)):
        n = len(block)
        block[:] = rng.normal(size=(n, 20)) @ mixing + centers[rng.integers(0, 3, n)]
        odd = rng.random(n) < 0.01
        block[odd] = rng.normal(scale=6, size=(int(odd.sum()), 20))
    return X


def small_tables(folder: str, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Standardised rows and labels by set."""
    from awry.bench import adbench

    found = {}
    for path in sorted(Path(folder).glob("*.npz")):
        if path.stem.partition("_")[2] in SETS:
            X, y = adbench.sample(path, seed)
            picks = np.random.default_rng(seed).permutation(len(X))[:MAX_ROWS]
            X, _, y = adbench.split(X[picks], y[picks], "transductive", seed)
            found[path.stem] = X, y
    return found


def speed(name: str, rows: int) -> dict[str, float]:
    """CPU seconds of fitting and scoring the large table, and what it took beside the table."""
    X = large_table(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times: list[float] = []
    while len(times) < 3 and sum(times) < 10:
        start = time.process_time()
        scorer(name, 0)(X)
        times.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": rows,
        "cpu_s": min(times),
        "memory_of_input": (peak - before) * 1024 / X.nbytes,
        "peak_mb": peak / 1024,
    }


def measure(name: str, rows: int, folder: str, seeds: int) -> dict[str, Any]:
    """The figures of one detector, in this process."""
    warnings.simplefilter("ignore")
    scorer(name, 0)(large_table(2000))
    size = int(rows * DETECTORS[name][3])
    found: dict[str, Any] = {"large": speed(name, size) if size else None}
    auroc: dict[str, list[float]] = {}
    cpu = 0.0
    for seed in range(seeds):
        for data, (X, y) in small_tables(folder, seed).items():
            start = time.process_time()
            scores = scorer(name, seed)(X)
            cpu += (time.process_time() - start) / seeds
            auroc.setdefault(data, []).append(float(roc_auc_score(y, scores)))
    means = {data: float(np.mean(values)) for data, values in auroc.items()}
    return found | {"auroc": means, "mean_auroc": float(np.mean([*means.values()])), "cpu_s": cpu}


def in_a_process(name: str, rows: int, folder: str, seeds: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--rows", str(rows), "--data", folder,
               "--seeds", str(seeds), "--one", name]  # fmt: skip
    environment = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(done.stdout))


def differences(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """AUROC of the scalable machine less that of the exact ones, over the sets."""
    ours = found["awry NystroemOCSVM"]["auroc"]
    out = {}
    for name in EXACT:
        gaps = np.array([ours[data] - auroc for data, auroc in found[name]["auroc"].items()])
        out[name] = {
            "mean": float(gaps.mean()),
            "lowest": float(gaps.min()),
            "highest": float(gaps.max()),
        }
    return out


def markdown(result: dict[str, Any]) -> str:
    found = result["detectors"]
    some = next(iter(found.values()))["auroc"]
    lines = [
        f"Fit and score of 20 columns, one thread; AUROC over {len(some)} tables and "
        f"{result['seeds']} seeds.",
        "",
        "| detector | rows | CPU-s | memory / input | peak, MB | AUROC | CPU-s, small tables |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, f in found.items():
        big = f["large"]
        cells = (
            f"{big['rows']:,} | {big['cpu_s']:.1f} | {big['memory_of_input']:.2f} "
            f"| {big['peak_mb']:.0f}"
            if big
            else "– | – | – | –"
        )
        lines.append(f"| {name} | {cells} | {f['mean_auroc']:.3f} | {f['cpu_s']:.1f} |")
    lines += [
        "",
        "AUROC of the scalable machine less that of the exact ones:",
        "",
        "| exact machine | mean | lowest table | highest table |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {gap['mean']:+.3f} | {gap['lowest']:+.3f} | {gap['highest']:+.3f} |"
        for name, gap in result["differences"].items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", default="../shared/data/adbench")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--one", choices=DETECTORS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.rows, args.data, args.seeds)))
        return
    found = {}
    for name in DETECTORS:
        found[name] = in_a_process(name, args.rows, args.data, args.seeds)
        print(name, found[name]["large"], found[name]["mean_auroc"], flush=True)
    result = {"rows": args.rows, "seeds": args.seeds, "detectors": found,
              "differences": differences(found)}  # fmt: skip
    (HERE / "boundary.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "boundary.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
