"""ADBench's tables: every detector on every set, transductive and trained on normal rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from awry.bench.peers import Scorer, peers
from awry.bench.runs import (
    attempt,
    create,
    failures,
    load,
    markdown_table,
    npz_files,
    save,
    standardised,
)
from awry.core.inputs import FloatArray, IntArray
from awry.core.progress import track

#: Rows kept of a larger set.
MAX_ROWS = 10_000
PROTOCOLS = ("transductive", "train_on_normal")


@dataclass(frozen=True)
class Score:
    """One detector on one set with one seed; ``failed`` says why it scored nothing, if it did."""

    protocol: str
    data: str
    detector: str
    seed: int
    auroc: float
    auprc: float
    cpu_seconds: float
    failed: str = ""


def run(
    folder: str | Path,
    detectors: Sequence[str],
    *,
    rivals: Sequence[str] = (),
    protocols: Sequence[str] = PROTOCOLS,
    seeds: int = 5,
    sets: Sequence[str] | None = None,
    out: str | Path | None = None,
) -> list[Score]:
    """Run the benchmark.

    Parameters
    ----------
    folder : path
        Holds ``NAME.npz`` files with ``X`` (n, d) and ``y`` (n,).
    detectors : sequence of str
        Names of awry's detectors.
    rivals : sequence of str, default=()
        Names of :func:`awry.bench.peers.peers` to run, too.
    protocols : sequence of str
        ``"transductive"`` fits on all rows and scores the same; ``"train_on_normal"`` fits on one
        half of the normal rows and scores the rest, copies of a row staying on one side.
    seeds : int, default=5
    sets : sequence of str, optional
        Only these.
    out : path, optional
        A JSON file, rewritten after every set; scores it already holds are not computed again.

    Returns
    -------
    list of Score
    """
    scorers: dict[str, Scorer] = {f"awry:{name}": _awry(name) for name in detectors}
    scorers |= {name: scorer for name, scorer in peers().items() if name in rivals}
    files = npz_files(Path(folder), sets, "give ADBench's folder")
    done = load(out, Score)
    have = {(s.protocol, s.data, s.detector, s.seed) for s in done}
    for path in track("adbench", files):
        for seed in range(seeds):
            X, y = sample(path, seed)
            for protocol in protocols:
                train, test, truth = split(X, y, protocol, seed)
                for name, scorer in scorers.items():
                    if (protocol, path.stem, name, seed) not in have:
                        done.append(
                            _measure(protocol, path.stem, name, scorer, train, test, truth, seed)
                        )
        save(out, done)
    return done


def sample(path: Path, seed: int) -> tuple[FloatArray, IntArray]:
    """At most 10,000 rows of a set and their labels, drawn by ``seed``."""
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"].astype(np.float64), file["y"].astype(np.int64).ravel()
    if len(X) > MAX_ROWS:
        picks = np.random.default_rng(seed).choice(len(X), MAX_ROWS, replace=False)
        X, y = X[picks], y[picks]
    return X, y


def split(
    X: FloatArray, y: IntArray, protocol: str, seed: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Training rows, test rows and the labels of those, standardised by the training rows."""
    if protocol == "transductive":
        train = test = standardised(X, X)
        return train, test, y
    groups = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    first = np.random.default_rng(seed).permutation(groups.max() + 1) % 2 == 0
    learn = (y == 0) & first[groups]
    return standardised(X[learn], X[learn]), standardised(X[learn], X[~learn]), y[~learn]


def _measure(
    protocol: str, data: str, name: str, scorer: Scorer,
    train: FloatArray, test: FloatArray, truth: IntArray, seed: int,
) -> Score:  # fmt: skip
    scores, cpu, failed = attempt(lambda: scorer(train, test, seed), len(test))
    if scores is None:  # It knows nothing about the set: chance level.
        scores = np.zeros(len(test))
    auroc, auprc = float("nan"), float("nan")
    if 0 < truth.sum() < len(truth):
        auroc = float(roc_auc_score(truth, scores))
        auprc = float(average_precision_score(truth, scores))
    return Score(protocol, data, name, seed, auroc, auprc, cpu, failed)


def _awry(name: str) -> Scorer:
    def score(train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
        detector = create(name, seed)
        detector.fit(train)
        return detector.decision_scores_ if test is train else detector.decision_function(test)

    return score


@dataclass(frozen=True)
class Summary:
    """One detector over all sets of one protocol: means over sets of means over seeds."""

    detector: str
    sets: int
    auroc: float
    auprc: float
    rank: float
    spread: float
    cpu_seconds: float


def per_set(scores: Sequence[Score], protocol: str, metric: str) -> dict[str, dict[str, float]]:
    """Mean over seeds, by detector and set."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for s in scores:
        if s.protocol == protocol:
            values[s.detector][s.data].append(getattr(s, metric))
    return {
        name: {data: float(np.nanmean(v)) for data, v in sets.items() if not np.isnan(v).all()}
        for name, sets in values.items()
    }


def summarise(scores: Sequence[Score], protocol: str) -> list[Summary]:
    """The detectors, best mean AUPRC first; ``rank`` is the mean rank by AUPRC over the sets.

    ``spread`` is the standard deviation over seeds of the mean AUPRC over sets.
    """
    auroc, auprc = (per_set(scores, protocol, m) for m in ("auroc", "auprc"))
    cpu = per_set(scores, protocol, "cpu_seconds")
    whole = max((len(sets) for sets in auprc.values()), default=0)
    # A detector that ran on fewer sets has no mean that could be compared.
    names = [name for name, sets in auprc.items() if len(sets) == whole]
    common = sorted(set.intersection(*(set(auprc[n]) for n in names))) if names else []
    ranks = np.array([rankdata([-auprc[n][d] for n in names]) for d in common]).reshape(
        -1, len(names)
    )
    rows = [
        Summary(
            name,
            len(auprc[name]),
            float(np.mean(list(auroc[name].values()))),
            float(np.mean(list(auprc[name].values()))),
            float(ranks[:, i].mean()) if len(common) else float("nan"),
            float(np.std(list(_by_seed(scores, protocol, name)))),
            float(np.sum(list(cpu[name].values()))),
        )
        for i, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row.auprc)


def markdown(scores: Sequence[Score], protocols: Sequence[str]) -> str:
    """The summaries as Markdown tables."""
    head = ["detector", "AUROC", "AUPRC", "mean rank", "± over seeds", "CPU s"]
    lines = []
    for protocol in protocols:
        rows = [
            [r.detector, r.auroc, r.auprc, f"{r.rank:.2f}", r.spread, f"{r.cpu_seconds:.1f}"]
            for r in summarise(scores, protocol)
        ]
        title = protocol.replace("_", " ").capitalize()
        lines += [f"### {title}", "", markdown_table(head, rows), ""]
    lines += [f"- {line}" for line in failures(scores)]
    return "\n".join(lines)


def _by_seed(scores: Sequence[Score], protocol: str, name: str) -> Iterator[float]:
    values: dict[int, list[float]] = defaultdict(list)
    for s in scores:
        if (s.protocol, s.detector) == (protocol, name):
            values[s.seed].append(s.auprc)
    return (float(np.nanmean(v)) for v in values.values())
