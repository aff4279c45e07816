"""KNN and LOF beside scikit-learn and faiss: CPU seconds, recall, memory, equality of the scores.

    python benchmarks/neighbors.py                          # all, in about half an hour of CPU
    python benchmarks/neighbors.py --exact 10000 --beside 0 --large 0

Three parts, each fit in a process of its own on one thread, after a warm-up on few rows:

- exact, beside scikit-learn's fastest search in so many columns (brute) and its k-d tree;
- approximate, beside faiss's HNSW and inverted lists (where faiss-cpu is installed), set to a
  recall of 0.95 or more;
- large: KNN and LOF at a million rows.

The tables are normal columns without any structure, the worst case for every search, and twenty
correlated clusters. A fit searches the neighbours of all rows.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
COLUMNS, NEIGHBORS = 20, 10
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def table(kind: str, rows: int) -> np.ndarray:
    """``"normal"`` or ``"clusters"``."""
    rng = np.random.default_rng(0)
    if kind == "normal":
        return rng.normal(size=(rows, COLUMNS))
    centres, mixes = 2 * rng.normal(size=(20, COLUMNS)), rng.normal(size=(20, COLUMNS, COLUMNS)) / 4
    X, labels = rng.normal(size=(rows, COLUMNS)), rng.integers(0, 20, rows)
    for c in range(20):
        X[labels == c] = X[labels == c] @ mixes[c] + centres[c]
    return X


def awry_knn(X: np.ndarray) -> tuple[np.ndarray, float]:
    from awry.detectors.tabular.knn import KNN

    detector = KNN(NEIGHBORS).fit(X)
    return detector.decision_scores_, detector.recall_


def awry_approximate(X: np.ndarray) -> tuple[np.ndarray, float]:
    from awry.detectors.tabular.knn import KNN

    detector = KNN(NEIGHBORS, algorithm="approximate").fit(X)
    return detector.decision_scores_, detector.recall_


def awry_lof(X: np.ndarray) -> tuple[np.ndarray, float]:
    from awry.detectors.tabular.lof import LOF

    detector = LOF(NEIGHBORS).fit(X)
    return detector.decision_scores_, detector.recall_


def sklearn_knn(X: np.ndarray, algorithm: str = "brute") -> tuple[np.ndarray, float]:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=NEIGHBORS, algorithm=algorithm).fit(X).kneighbors()[0][
        :, -1
    ], 1.0


def sklearn_tree(X: np.ndarray) -> tuple[np.ndarray, float]:
    return sklearn_knn(X, "kd_tree")


def sklearn_lof(X: np.ndarray) -> tuple[np.ndarray, float]:
    from sklearn.neighbors import LocalOutlierFactor

    peer = LocalOutlierFactor(n_neighbors=NEIGHBORS, algorithm="brute").fit(X)
    return -peer.negative_outlier_factor_, 1.0


def _faiss(X: np.ndarray, index: Any, name: str, efforts: list[int]) -> tuple[np.ndarray, float]:
    """Search with the least effort that reaches a recall of 0.95 on sampled rows."""
    import faiss

    X = X.astype(np.float32)
    index.train(X[: 1 << 18])
    index.add(X)
    sample = np.random.default_rng(0).choice(len(X), 500, replace=False)
    truth = faiss.knn(X[sample], X, NEIGHBORS + 1)[0][:, -1:] * (1 + 1e-5)
    for effort in efforts:
        faiss.ParameterSpace().set_index_parameter(index, name, effort)
        recall = float(np.mean(index.search(X[sample], NEIGHBORS + 1)[0][:, 1:] <= truth))
        if recall >= 0.95:
            break
    return np.sqrt(index.search(X, NEIGHBORS + 1)[0][:, -1]), recall


def faiss_hnsw(X: np.ndarray) -> tuple[np.ndarray, float]:
    import faiss

    return _faiss(X, faiss.index_factory(COLUMNS, "HNSW16"), "efSearch", [16, 32, 64, 128, 256])


def faiss_lists(X: np.ndarray) -> tuple[np.ndarray, float]:
    import faiss

    index = faiss.index_factory(COLUMNS, f"IVF{max(16, len(X) // 256)},Flat")
    return _faiss(X, index, "nprobe", [8, 16, 32, 64, 96, 128, 192, 256])


FITS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, float]]] = {
    "KNN: awry": awry_knn,
    "KNN: awry, approximate": awry_approximate,
    "KNN: scikit-learn, brute": sklearn_knn,
    "KNN: scikit-learn, k-d tree": sklearn_tree,
    "KNN: faiss, HNSW": faiss_hnsw,
    "KNN: faiss, inverted lists": faiss_lists,
    "LOF: awry": awry_lof,
    "LOF: scikit-learn, brute": sklearn_lof,
}


def measure(name: str, kind: str, rows: int, scores: str) -> dict[str, Any]:
    """One fit in this process."""
    warnings.simplefilter("ignore")
    FITS[name](table("clusters", 6000))
    X = table(kind, rows)
    before, start = _peak(), time.process_time()
    found, recall = FITS[name](X)
    seconds = time.process_time() - start
    np.save(scores, found)
    return {"seconds": seconds, "recall": recall, "memory": (_peak() - before) / 2**30}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(part: str, name: str, kind: str, rows: int, folder: Path) -> dict[str, Any]:
    """One fit in a process of its own."""
    path = folder / "scores.npy"
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, kind, str(rows), str(path)],
        env=os.environ | dict.fromkeys(THREADS, "1"),
        check=True,
        capture_output=True,
        text=True,
    )
    row = {"part": part, "table": kind, "rows": rows, "fit": name}
    return row | json.loads(done.stdout.splitlines()[-1]) | {"scores": np.load(path)}


def compare(part: str, names: list[str], kind: str, rows: int, folder: Path) -> list[dict]:
    """Fits of one table; scores are compared with the first of the same detector."""
    results: list[dict[str, Any]] = []
    for name in names:
        row = run(part, name, kind, rows, folder)
        print(part, kind, rows, name, f"{row['seconds']:.1f} s", flush=True)
        peers = [r for r in results if r["fit"].split(":")[0] == name.split(":")[0]]
        if peers and part == "exact":
            gaps = np.abs(row["scores"] - peers[0]["scores"]) / peers[0]["scores"]
            row["differs"] = float(gaps.max())
        results.append(row)
    for row in results:
        del row["scores"]
    return results


def markdown(results: list[dict[str, Any]]) -> str:
    lines = [
        "| table | rows | fit | CPU s | recall | memory | scores differ by |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for r in results:
        differs = f"{r['differs']:.0e}" if "differs" in r else ""
        lines.append(
            f"| {r['table']} | {r['rows']:,} | {r['fit']} | {r['seconds']:.2f} "
            f"| {r['recall']:.3f} | {r['memory']:.2f} GiB | {differs} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exact", type=int, nargs="*", default=[10_000, 50_000])
    parser.add_argument("--beside", type=int, default=200_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, kind, rows, path = options.measure
        print(json.dumps(measure(name, kind, int(rows), path)))
        return
    exact = ["KNN: awry", "KNN: scikit-learn, brute", "LOF: awry", "LOF: scikit-learn, brute"]
    beside = ["KNN: awry, approximate"]
    if importlib.util.find_spec("faiss"):
        beside += ["KNN: faiss, HNSW", "KNN: faiss, inverted lists"]
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("normal", "clusters"):
            for rows in options.exact:
                tree = ["KNN: scikit-learn, k-d tree"] if rows <= 10_000 else []
                results += compare("exact", exact + tree, kind, rows, folder)
            if options.beside:
                results += compare("approximate", beside, kind, options.beside, folder)
            if options.large:
                results += compare("large", ["KNN: awry", "LOF: awry"], kind, options.large, folder)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "neighbors.json").write_text(json.dumps(results, indent=1) + "\n")
    head = (
        f"{COLUMNS} columns, {NEIGHBORS} neighbours, CPU seconds on one thread to fit, which "
        "searches the neighbours of every row; memory beyond the table.\n\n"
    )
    (options.out / "neighbors.md").write_text(head + markdown(results))
    print(head + markdown(results))


if __name__ == "__main__":
    main()
