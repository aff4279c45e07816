"""The adversarial detectors over ten seeds: mean AUROC and AUPRC, and how far the seeds differ.

    python benchmarks/adversarial.py --data ADBENCH [--seeds 10] [--workers 2] [--out benchmarks]

Small tables of ADBench's, trained on one half of the normal rows and tested on the rest. A seed
draws the halves as well as weights, batches and noise; nearest neighbours, who draw nothing, say
what the halves alone make of it. PyOD's detectors have the same epochs and otherwise their own
settings. Its GAALs get rows between 0 and 1, where their noise lies, and their scores, which are
chances of being real, are turned; its AnoGAN is left out for its cost. One thread; CPU seconds to
train and to score the test rows. What was measured is kept in the JSON and not measured again.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from awry.bench.adbench import sample, split
from awry.bench.runs import attempt, markdown_table
from awry.core import registry
from awry.core.inputs import FloatArray

HERE = Path(__file__).parent
TABLES = ("37_Stamps", "43_WDBC")
#: Passes over the rows; those of the GAALs have 500 rows a step.
EPOCHS, GAAL_EPOCHS = 100, 300
OURS: dict[str, dict[str, Any]] = {
    "knn": {"n_neighbors": 5},
    "anogan": {"epochs": EPOCHS, "n_steps": 50, "search_lr": 0.1},
    **{name: {"epochs": EPOCHS} for name in ("f_anogan", "bigan", "alad", "ganomaly")},
    **{name: {"epochs": EPOCHS} for name in ("skip_ganomaly", "vae_gan")},
    **{name: {"epochs": GAAL_EPOCHS} for name in ("so_gaal", "mo_gaal")},
}
PYOD: dict[str, dict[str, Any]] = {
    "ALAD": {"epochs": EPOCHS},
    "SO_GAAL": {"stop_epochs": GAAL_EPOCHS // 3},
    "MO_GAAL": {"stop_epochs": GAAL_EPOCHS // 3},
}


def ours(name: str, train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
    detector = registry.create(name, **OURS[name])
    if detector.card.stochastic:
        detector.set_params(random_state=seed)
    return detector.fit(train).decision_function(test)


def pyod(name: str, train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (PyOD takes no other)
    cls = getattr(importlib.import_module(f"pyod.models.{name.lower()}"), name)
    gaal = name.endswith("GAAL")
    if gaal:
        scale = MinMaxScaler().fit(train)
        train, test = scale.transform(train), scale.transform(test)
    with contextlib.redirect_stdout(io.StringIO()):
        scores = np.asarray(cls(**PYOD[name]).fit(train).decision_function(test), dtype=float)
    return -scores if gaal else scores


def measure(path: Path, seed: int) -> list[dict[str, Any]]:
    """All detectors on one table with one seed."""
    train, test, truth = split(*sample(path, seed), "train_on_normal", seed)
    jobs = [(f"awry:{name}", ours, name) for name in OURS]
    if importlib.util.find_spec("pyod"):
        jobs += [(f"pyod:{name}", pyod, name) for name in PYOD]
    torch.set_num_threads(1)
    rows = []
    for label, run, name in jobs:
        with threadpool_limits(1):
            score = partial(run, name, train, test, seed)
            scores, cpu, failed = attempt(score, len(test))
        scores = np.zeros(len(test)) if scores is None else scores
        rows.append({
            "table": path.stem, "detector": label, "seed": seed, "failed": failed,
            "auroc": float(roc_auc_score(truth, scores)),
            "auprc": float(average_precision_score(truth, scores)),
            "cpu_seconds": cpu,
        })  # fmt: skip
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """Means over the tables of means over seeds, and of the deviations over seeds."""
    by: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in sorted(rows, key=lambda row: row["seed"]):
        for metric in ("auroc", "auprc", "cpu_seconds"):
            by[row["detector"]][metric][row["table"]].append(row[metric])
    tables = sorted({row["table"] for row in rows})
    head = ["detector", "AUROC", "±", "AUPRC", "±", *(t.partition("_")[2] for t in tables), "CPU s"]
    lines = []
    for name, metrics in by.items():
        cells: list[Any] = [name]
        for metric in ("auroc", "auprc"):
            runs = [metrics[metric][t] for t in tables]
            cells += [f"{np.mean([f(r) for r in runs]):.3f}" for f in (np.mean, np.std)]
        for t in tables:
            auroc = metrics["auroc"][t]
            cells.append(f"{np.mean(auroc):.3f} ± {np.std(auroc):.3f}")
        seconds = [np.mean(metrics["cpu_seconds"][t]) for t in tables]
        cells.append(f"{np.mean(seconds):.2f}")
        lines.append(cells)
    lines.sort(key=lambda cells: cells[1], reverse=True)
    failed = sorted(
        {f"- {r['detector']} on {r['table']}: {r['failed']}" for r in rows if r["failed"]}
    )
    return "\n".join([markdown_table(head, lines), *failed]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    kept = options.out / "adversarial.json"
    rows: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    done = {(row["table"], row["seed"]) for row in rows}
    todo = [(table, seed) for table in TABLES for seed in range(options.seeds)]
    todo = [job for job in todo if job not in done]
    paths = [options.data / f"{table}.npz" for table, _ in todo]
    with ProcessPoolExecutor(options.workers) as pool:
        for found in pool.map(measure, paths, [seed for _, seed in todo]):
            rows += found
            kept.write_text(json.dumps(rows, indent=0) + "\n")
            print(found[0]["table"], found[0]["seed"], flush=True)
    seeds = Counter(table for table, _ in {(row["table"], row["seed"]) for row in rows})
    head = (
        f"{', '.join(f'{table} with {n} seeds' for table, n in sorted(seeds.items()))}; {EPOCHS} "
        f"epochs ({GAAL_EPOCHS} for the GAALs; awry's AnoGAN searches in 50 steps of 0.1). AUROC "
        "and AUPRC: mean over tables and seeds, standard deviation over seeds, mean over tables; "
        "then the AUROC of each table; CPU seconds of a fit and its scores.\n\n"
    )
    (options.out / "adversarial.md").write_text(head + markdown(rows))
    print(head + markdown(rows))


if __name__ == "__main__":
    main()
