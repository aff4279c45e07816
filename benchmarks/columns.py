"""ECOD, COPOD, HBOS, LODA and PCA beside PyOD's: CPU seconds, memory, equality of the scores.

    python benchmarks/columns.py [--rows 1000000] [--columns 20] [--out benchmarks]

Each detector of each library runs in a process of its own, with one thread, on the same table of
normal, skewed and integer columns; it is warmed up on a few rows first, so that compiling does not
count, and the better of two runs is taken. The training data are scored again as new rows. Memory
is the growth of the process' peak over what it held with the table in memory, in sizes of the
table.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("ECOD", "COPOD", "HBOS", "LODA", "PCA")
LIBRARIES = {"pyod": "pyod.models", "awry": "awry.detectors.tabular"}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def table(rows: int, columns: int) -> np.ndarray:
    """Columns in turn normal, log-normal, integers below 1000, and half as heavy as the normal."""
    rng = np.random.default_rng(0)
    X = np.empty((rows, columns))
    for j in range(columns):
        kind = j % 4
        if kind == 0:
            X[:, j] = rng.standard_normal(rows)
        elif kind == 1:
            X[:, j] = rng.lognormal(size=rows)
        elif kind == 2:
            X[:, j] = rng.integers(0, 1000, rows)
        else:
            X[:, j] = rng.standard_t(5, rows) + 0.5 * X[:, 0]
    return X


def measure(library: str, name: str, rows: int, columns: int, scores: str) -> dict[str, float]:
    """Fit and score in this process; write the training and the new scores to ``scores``."""
    warnings.simplefilter("ignore")
    cls: Any = getattr(importlib.import_module(f"{LIBRARIES[library]}.{name.lower()}"), name)
    params = {"contamination": 0.1} | ({"random_state": 0} if name == "LODA" else {})
    small = table(2000, columns)
    cls(**params).fit(small).decision_function(small)
    X = table(rows, columns)
    before = _peak()
    fits, passes = [], []
    for _ in range(2):
        detector = None  # the second time finds the memory of the first
        start = time.process_time()
        detector = cls(**params).fit(X)
        fits.append(time.process_time() - start)
        new = detector.decision_function(X)
        passes.append(time.process_time() - start - fits[-1])
    peak = _peak() - before
    np.save(scores, np.stack([detector.decision_scores_, new]))
    return {"fit": min(fits), "score": min(passes), "memory": peak / X.nbytes}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare(name: str, rows: int, columns: int) -> dict[str, Any]:
    """Both libraries' figures, the ratios, and the largest relative difference of the scores."""
    result: dict[str, Any] = {"detector": name}
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        for library in LIBRARIES:
            path = f"{folder}/{library}.npy"
            command = [sys.executable, __file__, "--rows", str(rows), "--columns", str(columns)]
            done = subprocess.run(
                [*command, "--measure", library, name, path],
                env=os.environ | dict.fromkeys(THREADS, "1"),
                check=True,
                capture_output=True,
                text=True,
            )
            result[library] = json.loads(done.stdout.splitlines()[-1])
            scores[library] = np.load(path)
    for part in ("fit", "score"):
        result[f"{part}_ratio"] = result["pyod"][part] / result["awry"][part]
    gaps = np.abs(scores["awry"] - scores["pyod"]) / np.maximum(1, np.abs(scores["pyod"]))
    result["training_difference"], result["new_difference"] = gaps.max(axis=1).tolist()
    return result


def markdown(results: list[dict[str, Any]]) -> str:
    """The results as a table; what is not meant to be equal shows a dash."""
    lines = [
        "| detector | fit: PyOD | awry | ratio | score: PyOD | awry | ratio "
        "| memory: PyOD | awry | training scores differ by | new by |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        pyod, awry = r["pyod"], r["awry"]
        cells = [
            r["detector"],
            *(f"{v:.2f} s" for v in (pyod["fit"], awry["fit"])),
            f"{r['fit_ratio']:.1f}",
            *(f"{v:.2f} s" for v in (pyod["score"], awry["score"])),
            f"{r['score_ratio']:.1f}",
            *(f"{v:.1f}×" for v in (pyod["memory"], awry["memory"])),
            # LODA draws other projections, and PyOD's looks values up in the wrong bin.
            "–" if r["detector"] == "LODA" else f"{r['training_difference']:.0e}",
            # PyOD's ECOD and COPOD rank new rows among the batch, awry's do not.
            f"{r['new_difference']:.0e}" if r["detector"] in ("HBOS", "PCA") else "–",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--detectors", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        library, name, path = options.measure
        print(json.dumps(measure(library, name, options.rows, options.columns, path)))
        return
    results = [compare(name, options.rows, options.columns) for name in options.detectors]
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"rows": options.rows, "columns": options.columns, "results": results}
    (options.out / "columns.json").write_text(json.dumps(report, indent=1) + "\n")
    head = f"{options.rows:,} × {options.columns}, CPU seconds on one thread.\n\n"
    (options.out / "columns.md").write_text(head + markdown(results))
    print(head + markdown(results))


if __name__ == "__main__":
    main()
