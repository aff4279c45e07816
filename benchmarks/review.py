"""Anomalies found in 60 questions: without feedback, by awry's review, and by coniferest's forests.

    OMP_NUM_THREADS=1 nice python benchmarks/review.py [--data ../shared/data/adbench] [--seeds 3]

On the ADBench tables, at most 10,000 rows drawn by seed. A question is about one row, its label the
answer. Every method asks for the row it scores highest among those not asked yet, then learns
from all answers: `none` never learns; `review` is `awry.review.Review` of an `aad_forest`, with
what a person would see, the reasons included; `unguarded` the same without the ranking before marks
in the running; the forests of coniferest (AADForest, PineForest) have their defaults, 100 trees of
256 rows like ours, and one thread. Times are of the CPU, a question each, with its scores for all
rows. Writes review.json and .md beside this file; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from awry.bench import adbench
from awry.bench.runs import load, markdown_table, npz_files, save
from awry.model import Model
from awry.review import Review

HERE = Path(__file__).parent
QUESTIONS = 60
Found = tuple[int, float]


@dataclass(frozen=True)
class Session:
    """Anomalies found in one session on one set, and CPU milliseconds a question."""

    data: str
    method: str
    seed: int
    rows: int
    anomalies: int
    found: int
    ms: float


def reviewed(X: np.ndarray, y: np.ndarray, seed: int, *, guard: bool) -> Found:
    names = [f"x{j}" for j in range(X.shape[1])]
    table = pa.table(dict(zip(names, X.T, strict=True)))
    kinds = dict.fromkeys(names, "number")
    model = Model("aad_forest", kinds=kinds, random_state=seed).fit(table)
    review = Review(model, table, guard=guard)
    begun = time.process_time()
    for _ in range(min(QUESTIONS, len(y))):
        question = review.next()
        assert question is not None
        review.answer(question.row, "anomaly" if y[question.row] else "normal")
    return review.found, time.process_time() - begun


def unlearning(X: np.ndarray, y: np.ndarray, seed: int) -> Found:
    names = [f"x{j}" for j in range(X.shape[1])]
    table = pa.table(dict(zip(names, X.T, strict=True)))
    kinds = dict.fromkeys(names, "number")
    model = Model("aad_forest", kinds=kinds, random_state=seed).fit(table)
    begun = time.process_time()
    top = np.argsort(-model.score(table), kind="stable")[:QUESTIONS]
    return int(y[top].sum()), time.process_time() - begun


def coniferest(name: str) -> Callable[[np.ndarray, np.ndarray, int], Found]:
    def run(X: np.ndarray, y: np.ndarray, seed: int) -> Found:
        import coniferest.aadforest
        import coniferest.pineforest

        module = getattr(coniferest, name.lower())
        forest: Any = getattr(module, name)(random_seed=seed, n_jobs=1)
        forest.fit(X)
        asked = np.zeros(len(y), dtype=bool)
        rows: list[int] = []
        begun = time.process_time()
        for _ in range(min(QUESTIONS, len(y))):
            # Lower is more anomalous there; -1 is an anomaly and 1 a normal row.
            rows.append(int(np.where(asked, np.inf, forest.score_samples(X)).argmin()))
            asked[rows[-1]] = True
            forest.fit_known(X, X[rows], np.where(y[rows] == 1, -1, 1))
        return int(y[rows].sum()), time.process_time() - begun

    return run


METHODS: dict[str, Callable[[np.ndarray, np.ndarray, int], Found]] = {
    "none": unlearning,
    "review": lambda X, y, seed: reviewed(X, y, seed, guard=True),
    "unguarded": lambda X, y, seed: reviewed(X, y, seed, guard=False),
    "coniferest AADForest": coniferest("AADForest"),
    "coniferest PineForest": coniferest("PineForest"),
}


def report(done: list[Session]) -> str:
    methods = [m for m in METHODS if any(s.method == m for s in done)]
    sets = list(dict.fromkeys(s.data for s in done))
    cells = {
        (d, m): [s for s in done if (s.data, s.method) == (d, m)] for d in sets for m in methods
    }

    def mean(kept: list[Session], what: str) -> float:
        return float(np.mean([getattr(s, what) for s in kept])) if kept else float("nan")

    rows = [
        [d, cells[d, "none"][0].rows, f"{mean(cells[d, 'none'], 'anomalies'):.0f}"]
        + [f"{mean(cells[d, m], 'found'):.1f}" for m in methods]
        for d in sets
    ]
    rows.append(["**mean**", "", ""] + [
        f"**{np.nanmean([mean(cells[d, m], 'found') for d in sets]):.1f}**" for m in methods
    ])  # fmt: skip
    start = {(s.data, s.seed): s.found for s in done if s.method == "none"}
    facts = []
    for m in methods[1:]:
        gains = [s.found - start[s.data, s.seed] for s in done if s.method == m]
        times = [mean(cells[d, m], "ms") for d in sets if cells[d, m]]
        facts.append(
            [m, len(gains), min(gains), sum(g < -1 for g in gains), sum(g > 0 for g in gains),
             f"{np.median(times):.1f}", f"{max(times):.1f}"]
        )  # fmt: skip
    return "\n".join([
        "# Feedback: anomalies found in 60 questions", "",
        "`OMP_NUM_THREADS=1 nice python benchmarks/review.py`: seeds "
        f"{sorted({s.seed for s in done})}. The margin and the prior of `aad_forest` were chosen "
        "on samples of these sets.", "",
        markdown_table(["set", "rows", "anomalies", *methods], rows), "",
        "Beside no feedback on the same rows, session by session:", "",
        markdown_table(
            ["method", "sessions", "least gain", "more than one below", "above",
             "ms a question, median set", "slowest set"], facts,
        ), "",
        f"coniferest {importlib.metadata.version('coniferest')}; {platform.machine()}, one thread, "
        "a shared machine.", "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=HERE.parent.parent / "shared/data/adbench")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--out", type=Path, default=HERE / "review.json")
    args = parser.parse_args()
    done = load(args.out, Session)
    have = {(s.data, s.method, s.seed) for s in done}
    for seed in range(args.seeds):
        for path in npz_files(Path(args.data), args.sets, "give ADBench's folder"):
            X, y = adbench.sample(path, seed)
            for name in args.methods:
                if (path.stem, name, seed) in have:
                    continue
                found, seconds = METHODS[name](X, y, seed)
                ms = 1e3 * seconds / min(QUESTIONS, len(y))
                done.append(
                    Session(path.stem, name, seed, len(y), int(y.sum()), found, round(ms, 2))
                )
            save(args.out, done)
    args.out.with_suffix(".md").write_text(report(done))


if __name__ == "__main__":
    main()
