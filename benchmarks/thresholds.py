"""How many clean rows thresholds flag, and how many anomalies: the default against other rules.

    nice python benchmarks/thresholds.py --data ../shared/data/adbench

Scores come from scikit-learn's and PyOD's detectors, fitted on the rows they score. Three kinds of
tables: *clean* (the normal rows of each ADBench set, and drawn ones), *real* (ADBench sets with
their anomalies) and *planted* (drawn rows with 2 to 30 % anomalies of four kinds). Of the latter
two only tables count whose scores rank well (AUROC above 0.85): a threshold cannot mend scores.
``gmm`` and ``copod`` were not looked at when the default was made.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from awry.core.threshold import make_threshold
from awry.metrics.ranking import Decision, auroc, best_f

RULES = ["adaptive", "quantile:0.9", "quantile:0.99", "sigma:3", "mad:3.5", "gaussian:0.01",
         "pot:0.01,0.9"]  # fmt: skip
UNSEEN = ("gmm", "copod")
MAX_ROWS = 3000
Cell = dict[str, object]


def detectors(seed: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Name -> a function from rows (n, d) to scores (n,)."""
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.pca import PCA
    from sklearn.covariance import EmpiricalCovariance
    from sklearn.ensemble import IsolationForest
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    def neighbours(X: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=10).fit(X).kneighbors()[0].mean(axis=1)

    def mixture(X: np.ndarray) -> np.ndarray:
        model = GaussianMixture(3, covariance_type="diag", random_state=seed, reg_covar=1e-3)
        return -model.fit(X).score_samples(X)

    return {
        "iforest": lambda X: -IsolationForest(random_state=seed).fit(X).score_samples(X),
        "knn": neighbours,
        "lof": lambda X: -LocalOutlierFactor(20).fit(X).negative_outlier_factor_,
        "mahalanobis": lambda X: EmpiricalCovariance().fit(X).mahalanobis(X),
        "ecod": lambda X: ECOD().fit(X).decision_scores_,
        "hbos": lambda X: HBOS().fit(X).decision_scores_,
        "pca": lambda X: PCA(random_state=seed).fit(X).decision_scores_,
        "gmm": mixture,
        "copod": lambda X: COPOD().fit(X).decision_scores_,
    }


def tables(folder: Path, seed: int) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """(kind, name, X, y) of every table of one seed."""
    rng = np.random.default_rng(seed)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            X, y = file["X"].astype(float), file["y"].astype(int).ravel()
        name = path.stem.partition("_")[2]
        for kind, rows in (("clean", np.flatnonzero(y == 0)), ("real", np.arange(len(y)))):
            picks = rng.permutation(rows)[:MAX_ROWS]
            yield kind, name, X[picks], y[picks]
    bodies: dict[str, Callable[[int, int], np.ndarray]] = {
        "normal": lambda n, d: rng.normal(size=(n, d)) @ rng.normal(size=(d, d)),
        "uniform": lambda n, d: rng.random((n, d)),
        "lognormal": lambda n, d: rng.lognormal(0, 0.6, (n, d)),
        "t3": lambda n, d: rng.standard_t(3, (n, d)),
        "blobs": lambda n, d: rng.normal(size=(n, d)) + 5 * rng.integers(0, 3, (n, 1)),
    }
    for body, draw in bodies.items():
        for n, d in ((150, 3), (1000, 2), (3000, 15)):
            yield "clean", f"{body}-{n}x{d}", draw(n, d), np.zeros(n, int)
        for how in ("box", "cluster", "wide", "shift"):
            for share in (0.02, 0.05, 0.1, 0.2, 0.3):
                X = draw(1000, 5)
                count = round(1000 * share)
                X[:count] = plant(rng, X, count, how)
                yield "planted", f"{body}-{how}-{share}", X, (np.arange(1000) < count).astype(int)


def plant(rng: np.random.Generator, X: np.ndarray, count: int, how: str) -> np.ndarray:
    """Anomalies (count, d): in a box, a far cluster, a wider cloud or one shifted column."""
    mean, std, d = X.mean(axis=0), X.std(axis=0), X.shape[1]
    if how == "box":
        return mean + std * rng.uniform(-6, 6, (count, d))
    if how == "cluster":
        return mean + std * (4 * rng.choice([-1, 1], d) + 0.5 * rng.normal(size=(count, d)))
    if how == "wide":
        return mean + std * 3 * rng.normal(size=(count, d))
    rows, column = X[rng.integers(0, len(X), count)].copy(), rng.integers(0, d, count)
    rows[np.arange(count), column] += 6 * std[column] * rng.choice([-1, 1], count)
    return rows


def measure(kind: str, y: np.ndarray, scores: np.ndarray) -> dict[str, dict[str, float]]:
    """Rule -> what it flags; with anomalies, also the two oracles that see the labels."""
    cuts = {rule: make_threshold(rule).fit(scores).threshold_ for rule in RULES}
    if kind != "clean":
        cuts["oracle: 1 % of normal rows"] = float(np.quantile(scores[y == 0], 0.99))
        cuts["oracle: best F1"] = float(np.nextafter(best_f(y, scores)[1], -np.inf))
    found = {}
    for rule, cut in cuts.items():
        made = Decision.of(y, scores > cut)
        found[rule] = {"flagged": float((scores > cut).mean())}
        if kind != "clean":
            found[rule] |= {"f1": made.f(), "precision": made.precision, "recall": made.recall,
                            "false_positive_rate": made.false_positive_rate}  # fmt: skip
    return found


def study(folder: Path, seeds: int) -> list[Cell]:
    """One cell for each table and detector."""
    cells: list[Cell] = []
    for seed in range(seeds):
        for kind, name, X, y in tables(folder, seed):
            X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)
            for detector, score in detectors(seed).items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        scores = np.asarray(score(X))
                    except (ValueError, np.linalg.LinAlgError):
                        continue  # PyOD's PCA gives up on some tables
                if not np.isfinite(scores).all() or (
                    kind != "clean" and (y.sum() == 0 or auroc(y, scores) < 0.85)
                ):
                    continue
                cells.append({"kind": kind, "table": name, "detector": detector, "seed": seed,
                              "drawn": "-" in name, "rules": measure(kind, y, scores)})  # fmt: skip
    return cells


def summary(cells: list[Cell]) -> str:
    """Markdown tables of means, with the tenth and ninetieth percentile over the cells."""

    def values(chosen: list[Cell], rule: str, what: str) -> np.ndarray:
        return np.array([c["rules"][rule][what] for c in chosen])  # type: ignore[index]

    def spread(v: np.ndarray) -> str:
        low, middle, high = 100 * np.quantile(v, [0.1, 0.5, 0.9])
        return f"{100 * v.mean():.2f} ({low:.1f}, {middle:.1f}, {high:.1f})"

    clean = [c for c in cells if c["kind"] == "clean"]
    columns = {
        "normal rows of ADBench": [c for c in clean if not c["drawn"]],
        "drawn": [c for c in clean if c["drawn"]],
        "detectors not looked at": [c for c in clean if c["detector"] in UNSEEN],
    }
    lines = ["Flagged of clean tables, %: mean (10th percentile, median, 90th).", "",
             "| rule | " + " | ".join(f"{k}, {len(v)} cells" for k, v in columns.items()) + " |",
             "|---|" + "---|" * len(columns)]  # fmt: skip
    lines += [
        f"| `{r}` | " + " | ".join(spread(values(v, r, "flagged")) for v in columns.values()) + " |"
        for r in RULES
    ]
    for kind in ("planted", "real"):
        some = [c for c in cells if c["kind"] == kind]
        unseen = [c for c in some if c["detector"] in UNSEEN]
        lines += ["", f"Tables with anomalies, {kind}, {len(some)} cells: mean ± standard "
                  "deviation over cells; last, F1 of the detectors not looked at.", "",
                  "| rule | F1 | precision | recall | normal rows flagged, % | F1, unseen |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for rule in some[0]["rules"]:  # type: ignore[attr-defined]
            f1 = values(some, rule, "f1")
            p, r = (values(some, rule, m).mean() for m in ("precision", "recall"))
            false = 100 * values(some, rule, "false_positive_rate").mean()
            lines.append(f"| `{rule}` | {f1.mean():.3f} ± {f1.std():.2f} | {p:.3f} | {r:.3f} | "
                         f"{false:.2f} | {values(unseen, rule, 'f1').mean():.3f} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def means(cells: list[Cell]) -> dict[str, object]:
    """Kind -> detector -> rule -> metric -> mean over tables and seeds, and the number of cells."""
    tree: dict[str, object] = {}
    for kind, detector in sorted({(str(c["kind"]), str(c["detector"])) for c in cells}):
        some = [c["rules"] for c in cells if (c["kind"], c["detector"]) == (kind, detector)]
        rules = {
            rule: {what: round(float(np.mean([r[rule][what] for r in some])), 4) for what in found}
            for rule, found in some[0].items()  # type: ignore[attr-defined]
        }
        tree.setdefault(kind, {})[detector] = {"cells": len(some), "rules": rules}  # type: ignore[index]
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    start = time.process_time()
    cells = study(args.data, args.seeds)
    text = summary(cells)
    args.out.mkdir(parents=True, exist_ok=True)
    cpu = round(time.process_time() - start, 1)
    record = {"seeds": args.seeds, "cpu_seconds": cpu, "means": means(cells)}
    (args.out / "thresholds.json").write_text(json.dumps(record, indent=1) + "\n")
    (args.out / "thresholds.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
