"""Network detectors for tables beside nearest neighbours, PyOD's and DeepOD's networks.

    python benchmarks/deep_tables.py --data ../shared/data/adbench                 # hours of CPU
    python benchmarks/deep_tables.py --data ../shared/data/adbench --seeds 1 --only vae,knn

Protocol: ADBench's sets of up to --rows rows; half of the normal rows train, of which at most 500
are kept; of the others at most 2,000 normal and 500 anomalous rows are judged. Every network, ours
and theirs, learns for the same epochs with the same batches, its other settings as its library has
them; GOAD and ICL, which make hundreds of views of every row, for fewer, here and there. DeepOD's
GOAD and PyOD's AnoGAN are left out for their cost; PyOD's GAALs want columns in [0, 1] and are in
adversarial.py. Deep Isolation Forest learns nothing, but maps rows by networks. PyOD's DevNet is
measured as it is, although it gives its loss labels and outputs in the wrong order. Those that
learn from labels get ten labelled anomalies more, which are then not judged; they are in a table of
their own. One thread; what was measured is kept in the JSON and not measured again.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits

from awry.bench.adbench import sample, split
from awry.bench.runs import load, markdown_table, npz_files, save
from awry.core import registry

HERE = Path(__file__).parent
EPOCHS, BATCH, LABELLED = 50, 64, 10
TRAIN_ROWS, NORMAL_ROWS, ODD_ROWS = 500, 2_000, 500
#: Epochs of what makes hundreds of views of every row.
FEWER = {"goad": 3, "icl": 10}
#: Shallow detectors that stand beside the networks.
BESIDE = ("knn", "isolation_forest", "auto")
#: In every table.
ALWAYS = ("awry:knn", "awry:auto")
PYOD = {
    "auto_encoder:AutoEncoder": {"epoch_num": EPOCHS, "batch_size": BATCH, "verbose": 0},
    "vae:VAE": {"epoch_num": EPOCHS, "batch_size": BATCH, "verbose": 0},
    "deep_svdd:DeepSVDD": {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0},
    "lunar:LUNAR": {"n_epochs": EPOCHS},
    "dif:DIF": {},
    "alad:ALAD": {"epochs": EPOCHS, "batch_size": BATCH},
    "devnet:DevNet": {"epochs": EPOCHS, "batch_size": BATCH},
}
DEEPOD = ("DeepSVDD", "ICL", "NeuTraL", "RDP", "RCA", "DeepSAD", "DevNet", "PReNet")
#: Of PyOD and DeepOD.
LABELS = ("DeepSAD", "DevNet", "PReNet")
#: Ours that maps rows by networks, although it needs no torch.
UNTAUGHT = "deep_isolation_forest"


@dataclass(frozen=True)
class Run:
    """One detector on one set with one seed."""

    detector: str
    data: str
    seed: int
    labels: bool
    auroc: float
    auprc: float
    fit_seconds: float
    score_seconds: float
    failed: str = ""


@dataclass(frozen=True)
class Contender:
    """What makes a detector, and whether it learns from labels."""

    make: Callable[[int, int], Any]
    labels: bool


def contenders() -> dict[str, Contender]:
    """By ``library:name``."""
    found: dict[str, Contender] = {}
    for card in registry.cards():
        network = card.modality == "table" and (card.extra == "deep" or card.name == UNTAUGHT)
        if (network or card.name in BESIDE) and card.name != "distilled":
            found[f"awry:{card.name}"] = Contender(_awry(card.name), card.supervision != "none")
    for name, settings in PYOD.items():
        short = name.partition(":")[2]
        found[f"pyod:{short}"] = Contender(_pyod(name, settings), short in LABELS)
    for name in DEEPOD:
        found[f"deepod:{name}"] = Contender(_deepod(name), name in LABELS)
    return found


def epochs(name: str) -> int:
    return FEWER.get(name.lower(), EPOCHS)


def _awry(name: str) -> Callable[[int, int], Any]:
    def make(d: int, seed: int) -> Any:
        detector = registry.create(name)
        known = detector.get_params(deep=False)
        given = {"random_state": seed, "epochs": epochs(name), "batch_size": BATCH}
        return detector.set_params(**{k: v for k, v in given.items() if k in known})

    return make


def _pyod(name: str, settings: dict[str, Any]) -> Callable[[int, int], Any]:
    module, cls = name.split(":")

    def make(d: int, seed: int) -> Any:
        found = getattr(importlib.import_module(f"pyod.models.{module}"), cls)
        known = found.__init__.__code__.co_varnames
        given = {"random_state": seed, "random_seed": seed, "n_features": d}
        return found(**settings, **{k: v for k, v in given.items() if k in known})

    return make


def _deepod(name: str) -> Callable[[int, int], Any]:
    def make(d: int, seed: int) -> Any:
        found = getattr(importlib.import_module("deepod.models"), name)
        return found(
            epochs=epochs(name), batch_size=BATCH, device="cpu", verbose=0, random_state=seed
        )

    return make


def measure(name: str, contender: Contender, path: Path, seed: int) -> Run:
    """Fit on the normal half, with labelled anomalies where they are used, and judge the rest."""
    import torch

    X, y = sample(path, seed)
    train, test, truth = split(X, y, "train_on_normal", seed)
    rng = np.random.default_rng(seed)
    train = train[rng.permutation(len(train))[:TRAIN_ROWS]]
    if len(test) > NORMAL_ROWS:
        drawn = rng.permutation(len(test))
        normal, odd = drawn[truth[drawn] == 0], drawn[truth[drawn] == 1]
        kept = np.sort(np.r_[normal[:NORMAL_ROWS], odd[:ODD_ROWS]])
        test, truth = test[kept], truth[kept]
    labels = None
    if contender.labels:
        odd = rng.permutation(np.flatnonzero(truth))[: min(LABELLED, int(truth.sum()) // 2)]
        labels = np.r_[np.zeros(len(train), int), np.ones(len(odd), int)]
        train = np.vstack([train, test[odd]])
        test, truth = np.delete(test, odd, axis=0), np.delete(truth, odd)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # what some peers draw from
    times, failed, scores = [time.process_time()], "", np.zeros(len(test))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            detector = contender.make(train.shape[1], seed)
            detector.fit(train) if labels is None else detector.fit(train, labels)
            times.append(time.process_time())
            scores = np.asarray(detector.decision_function(test), dtype=float).ravel()
        if scores.shape != truth.shape or not np.isfinite(scores).all():
            raise ValueError("scores are not one finite number a row")
    except Exception as error:
        failed, scores = f"{type(error).__name__}: {error}".splitlines()[0], np.zeros(len(test))
    times.append(time.process_time())
    known = 0 < truth.sum() < len(truth)
    return Run(
        name, path.stem, seed, contender.labels,
        float(roc_auc_score(truth, scores)) if known else float("nan"),
        float(average_precision_score(truth, scores)) if known else float("nan"),
        times[1] - times[0], times[-1] - times[1], failed,
    )  # fmt: skip


def measure_all(path: Path, seed: int, names: list[str]) -> list[Run]:
    """Those named on one set with one seed."""
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    threadpool_limits(1)
    known = contenders()
    return [measure(name, known[name], path, seed) for name in names]


def size(path: Path) -> int:
    with np.load(path, allow_pickle=False) as file:
        return len(file["y"])


def markdown(runs: list[Run]) -> str:
    """A part for the sets with the most seeds and one for all sets, so that means are of equals."""
    kept = [r for r in runs if not np.isnan(r.auprc)]
    seeds = {data: len({r.seed for r in kept if r.data == data}) for data in {r.data for r in kept}}
    lines = [
        f"At most {TRAIN_ROWS:,} training rows, {EPOCHS} epochs in batches of {BATCH}, one thread.",
        "± is the standard deviation over seeds of the mean over sets; CPU seconds are sums over",
        "sets, of one seed. **Bold**: above nearest neighbours (k = 5).",
    ]
    for n in sorted({max(seeds.values()), min(seeds.values())}, reverse=True):
        part = [r for r in kept if seeds[r.data] >= n and r.seed < n]
        whole = f"{len({r.data for r in part})} sets, {n} seed{'s' * (n > 1)}"
        for title, labels in (("no labels", False), ("ten labelled anomalies", True)):
            both = [
                r for r in part if r.labels == labels or r.detector in ("awry:knn", "awry:auto")
            ]
            lines += ["", f"### {whole}, {title}", "", _table(both)]
    faults = sorted({f"- {r.detector} on {r.data}: {r.failed}" for r in runs if r.failed})
    return "\n".join([*lines, "", *faults, ""])


def _table(runs: list[Run]) -> str:
    rows = _summary(runs)
    knn = next((row for row in rows if row[0] == "awry:knn"), None)
    head = ["detector", "AUROC", "±", "AUPRC", "±", "train CPU s", "score CPU s", "sets"]
    for row in rows:
        if knn is not None:
            row[1] = f"**{row[1]:.3f}**" if row[1] > knn[1] else row[1]
            row[3] = f"**{row[3]:.3f}**" if row[3] > knn[3] else row[3]
    cells = [[f"{v:.3f}" if isinstance(v, float) else v for v in row] for row in rows]
    return markdown_table(head, cells)


def _summary(runs: list[Run]) -> list[list[Any]]:
    by: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by[run.detector].append(run)
    rows = []
    for name, own in by.items():
        seeds, sets = sorted({r.seed for r in own}), sorted({r.data for r in own})
        cell = {(r.seed, r.data): r for r in own}
        per_seed = {
            metric: [np.mean([getattr(cell[s, d], metric) for d in sets if (s, d) in cell])
                     for s in seeds]
            for metric in ("auroc", "auprc")
        }  # fmt: skip
        means = [
            np.mean([np.mean([getattr(r, m) for r in own if r.data == d]) for d in sets])
            for m in ("auroc", "auprc", "fit_seconds", "score_seconds")
        ]
        rows.append(
            [name, float(means[0]), float(np.std(per_seed["auroc"])), float(means[1]),
             float(np.std(per_seed["auprc"])), f"{means[2] * len(sets):.0f}",
             f"{means[3] * len(sets):.1f}", len(sets)]
        )  # fmt: skip
    return sorted(rows, key=lambda row: -row[3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ADBench's folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=700_000, help="of the largest set")
    parser.add_argument("--only", default="", help="detectors, between commas, without library")
    parser.add_argument("--workers", type=int, default=1, help="sets measured at a time")
    parser.add_argument("--out", type=Path, default=HERE / "deep_tables.json")
    options = parser.parse_args()
    wanted = {name for name in options.only.split(",") if name}
    runs = load(options.out, Run)
    have = {(r.detector, r.data, r.seed) for r in runs}
    names = [n for n in contenders() if not wanted or n.partition(":")[2] in wanted]
    paths = [
        p for p in npz_files(options.data, None, "give ADBench's folder") if size(p) <= options.rows
    ]
    # A fresh process for each job, as some peers keep what they learnt; seeds outermost, so that
    # what is stopped early leaves whole rounds.
    with ProcessPoolExecutor(options.workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        jobs = [
            pool.submit(measure_all, path, seed, todo)
            for seed in range(options.seeds)
            for path in sorted(paths, key=size)
            if (todo := [n for n in names if (n, path.stem, seed) not in have])
        ]
        for i, job in enumerate(jobs, 1):
            runs += job.result()
            save(options.out, runs)
            options.out.with_suffix(".md").write_text(markdown(runs))
            sys.stderr.write(f"{i} of {len(jobs)} sets and seeds\n")


if __name__ == "__main__":
    main()
