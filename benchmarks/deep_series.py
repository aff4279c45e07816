"""Every network detector of series beside PyOD's, random scores, PCA, 1-NN and shapes.

    python benchmarks/deep_series.py DATA [--detectors tranad,usad] [--only-write]

DATA holds SET.npz files as `awry bench tsb` takes them. Of each set the two shortest series with
an anomaly, SMAP and MSL being sets of their own; of longer parts the last points of the training
part and a stretch of the test part with its first anomaly. One setting for all networks, PyOD's
two (`pyod:ts_anomaly_transformer`, `pyod:ts_lstm`) included: the same epochs and, where they have
one, the same stride, else their defaults; DeepOD as installed has none. Scores are kept in
deep_series.json beside this file after every detector, and those that are there are not worked
out again, so that detectors can be run one at a time. Also writes deep_series.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from awry.bench import tsb
from awry.bench.runs import create, load, markdown_table, npz_files, save
from awry.core import registry
from awry.core.inputs import FloatArray
from awry.core.progress import track

HERE = Path(__file__).parent
PER_SET, POINTS = 2, 2_000
#: Of all networks; what a detector does not have is left out.
SETTING = {"epochs": 5, "stride": 4}
#: What they are held against, with parameters of their own.
OTHERS: dict[str, dict[str, int]] = {
    "sub_pca": {},
    "sub_knn": {"n_neighbors": 1},
    "matrix_profile": {},
}
#: PyOD's networks of series, and what their parameters are called.
PYOD: dict[str, tuple[str, dict[str, str]]] = {
    "pyod:ts_anomaly_transformer": ("AnomalyTransformer", {"epochs": "epochs", "stride": "step"}),
    "pyod:ts_lstm": ("LSTMAD", {"epochs": "epochs"}),
}
#: Point-adjusted F1 on the whole of SMAP and MSL, as published; the last are uniform draws.
PUBLISHED = {
    "TranAD": (0.892, 0.949),
    "Anomaly Transformer": (0.967, 0.936),
    "random": (0.962, 0.917),
}


def networks() -> list[str]:
    """The detectors of series that learn a network and score new points."""
    found = registry.detectors("series")
    return [n for n, cls in found.items() if cls.card.family == "networks"]


def shortened(task: tsb.Task) -> tsb.Task:
    first = int(task.labels.argmax())
    start = max(min(first - POINTS // 2, len(task.test) - POINTS), 0)
    part = slice(start, start + POINTS)
    return replace(task, train=task.train[-POINTS:], test=task.test[part], labels=task.labels[part])


def chosen(folder: Path) -> dict[str, list[tsb.Task]]:
    """The series by set."""
    sets: dict[str, list[tsb.Task]] = {}
    for path in npz_files(folder, None, "give the folder of series"):
        for task in tsb.tasks(path):
            name = task.name.split("-")[0] if path.stem == "smap_msl" else path.stem
            sets.setdefault(name, []).append(task)
    for name, tasks in sets.items():
        short = (shortened(t) for t in tasks if 0 < t.labels.sum() < len(t.labels))
        judged = [t for t in short if t.labels.sum() < len(t.labels)]
        judged.sort(key=lambda t: (t.train.size + t.test.size, t.name))
        sets[name] = judged[:PER_SET]
    return sets


def scorer(name: str) -> Callable[[tsb.Task], FloatArray]:
    if name == "random":
        return tsb.baselines()["baseline:random"]

    if name in PYOD:
        return _pyod(name)

    def score(task: tsb.Task) -> FloatArray:
        detector = create(name, 0)
        known = detector.get_params()
        wanted = OTHERS.get(name, SETTING)
        detector.set_params(**{k: v for k, v in wanted.items() if k in known})
        return detector.fit(task.train).decision_function(task.test)

    return score


def _pyod(name: str) -> Callable[[tsb.Task], FloatArray]:
    cls, called = PYOD[name]

    def score(task: tsb.Task) -> FloatArray:
        import torch

        torch.manual_seed(0)  # they take no seed
        module = importlib.import_module(f"pyod.models.{name.partition(':')[2]}")
        detector = getattr(module, cls)(**{theirs: SETTING[own] for own, theirs in called.items()})
        return np.asarray(detector.fit(task.train).decision_function(task.test))

    return score


def write(scores: list[tsb.Score]) -> None:
    """The table, best mean over the sets first; detectors that miss series are left out."""
    whole = {(s.data, s.series) for s in scores if s.detector == "random"}
    sets = list(dict.fromkeys(name for name, _ in sorted(whole)))
    rows: list[tuple[str, list[float]]] = []
    for name in dict.fromkeys(s.detector for s in scores):
        own = [s for s in scores if s.detector == name]
        if {(s.data, s.series) for s in own} != whole:
            continue
        by_set = [float(np.mean([s.vus_pr for s in own if s.data == x])) for x in sets]
        adjusted = [
            float(np.mean([s.comparison_only_point_adjusted_f1 for s in own if s.data == x]))
            for x in ("SMAP", "MSL")
        ]
        cpu = sum(s.cpu_seconds for s in own)
        rows.append((name, [float(np.mean(by_set)), *by_set, *adjusted, cpu]))
    rows.sort(key=lambda row: -row[1][0])
    cells = [[name, *(f"{v:.3f}" for v in row[:-1]), f"{row[-1]:.1f}"] for name, row in rows]
    head = ("detector", "VUS-PR", *sets, "SMAP (PA-F1)", "MSL (PA-F1)", "CPU s")
    published = [[name, f"{smap:.3f}", f"{msl:.3f}"] for name, (smap, msl) in PUBLISHED.items()]
    failed = [f"- {s.detector} failed on {s.series}: {s.failed}" for s in scores if s.failed]
    setting = ", ".join(f"{k} {v}" for k, v in SETTING.items())
    (HERE / "deep_series.md").write_text(
        "# Network detectors of series\n\n"
        f"VUS-PR, the mean over sets and by set, of the {PER_SET} shortest series of each, "
        f"{POINTS} points of training and test part at most. All networks with {setting}, else "
        "their defaults; a network that had more epochs would rank otherwise. PyOD's have the "
        "same epochs and, the transformer, the same stride, else their own defaults, such as a "
        "width of 512. "
        "`python benchmarks/deep_series.py DATA`.\n\n"
        + markdown_table(head, cells)
        + "\n\n(PA-F1), the point-adjusted F1 at its own best threshold, is there for comparison "
        "with published figures only, which are of all series of SMAP and MSL; the row of random "
        "scores shows what it is worth.\n\n"
        + markdown_table(("published", "SMAP (PA-F1)", "MSL (PA-F1)"), published)
        + "\n"
        + "".join(f"\n{line}" for line in failed)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--detectors", help="names with commas between; all if left out")
    parser.add_argument("--only-write", action="store_true", help="write the table anew")
    given = parser.parse_args()
    out = HERE / "deep_series.json"
    done = [s for s in load(out, tsb.Score) if not s.failed]
    if not given.only_write:
        names = (
            given.detectors.split(",")
            if given.detectors
            else ["random", *OTHERS, *networks(), *PYOD]
        )
        sets = chosen(given.data)
        for name in names:
            have = {(s.data, s.series) for s in done if s.detector == name}
            todo = [(x, t) for x, ts in sets.items() for t in ts if (x, t.name) not in have]
            for data, task in track(name, todo):
                done.append(tsb.measure(data, "all", name, scorer(name), task))
            save(out, done)
    write(done)


if __name__ == "__main__":
    main()
