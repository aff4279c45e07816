"""Labelled series: every detector fitted on the training part and judged on the test part."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

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
from awry.core import registry
from awry.core.inputs import FloatArray, IntArray
from awry.core.progress import track
from awry.core.series import Series
from awry.core.windows import spread, windows
from awry.data.periods import dominant_period
from awry.metrics.ranges import point_adjusted
from awry.metrics.ranking import best_f
from awry.metrics.series import evaluate_series

SETS = ("smap_msl", "asd", "wsd", "aiops")
#: Points kept of a longer part.
MAX_POINTS = 40_000
#: The longest buffer of VUS, and that of a series without a period.
LONGEST_WINDOW, DEFAULT_WINDOW = 125, 100
#: Share of the variance that the components of the baseline keep.
KEPT_VARIANCE = 0.9
#: The peers that are run on windows, and the most windows they learn from, evenly spaced.
WINDOW_PEERS = ("pyod:KNN", "pyod:IForest", "pyod:LOF")
PEER_WINDOWS = 2_000

NOTES = (
    "Fitted on the training part without its labels, judged on the test part. VUS with buffers up "
    f"to the period of the training part, {LONGEST_WINDOW} points at most, {DEFAULT_WINDOW} "
    "without a period; ± is the standard error of its mean. Event-wise and affiliation F1 at the "
    "threshold with the best F1 over points, which sees the labels: where flagging all is best, "
    "event-wise F1 is 1, so read it beside the row of random scores.",
    "(PA-F1), point-adjusted at its own best threshold, is there for comparison with published "
    "figures only; the row of random scores shows what it is worth.",
    f"Of parts longer than {MAX_POINTS} points the last of the training part and the first stretch "
    "of the test part with an anomaly are taken; PyOD's detectors learn from "
    f"{PEER_WINDOWS} windows at most.",
)


@dataclass(frozen=True)
class Score:
    """One detector on one series; ``failed`` says why it counts as chance, if it does."""

    data: str
    series: str
    channels: str
    detector: str
    vus_pr: float
    vus_roc: float
    auprc: float
    event_f1: float
    affiliation_f1: float
    comparison_only_point_adjusted_f1: float
    cpu_seconds: float
    failed: str = ""


METRICS = tuple(Score.__dataclass_fields__)[4:-2]


@dataclass(frozen=True)
class Task:
    """A series with its training part (n, d), its test part (m, d) and the labels of that (m,)."""

    name: str
    train: FloatArray
    test: FloatArray
    labels: IntArray
    cut: bool

    @property
    def window(self) -> int:
        """The longest buffer of VUS and the length of the peers' windows."""
        period = dominant_period(self.train[:, 0]) or DEFAULT_WINDOW
        return min(period, LONGEST_WINDOW, len(self.test))

    def filled(self) -> tuple[FloatArray, FloatArray]:
        """Both parts without gaps, standardised by the training part."""
        train, test = (Series(part).filled()[0] for part in (self.train, self.test))
        return standardised(train, train), standardised(train, test)


@dataclass
class Outcome:
    """All scores, and by set how many series were skipped for want of an anomaly and how many cut.

    Attributes
    ----------
    scores : list of Score
    skipped, cut : dict of str to int
    """

    scores: list[Score]
    skipped: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)


def run(
    folder: str | Path,
    detectors: Sequence[str],
    *,
    rivals: Sequence[str] = (),
    sets: Sequence[str] | None = None,
    series: int | None = None,
    channels: Sequence[str] = ("all",),
    out: str | Path | None = None,
) -> Outcome:
    """Run the benchmark.

    Parameters
    ----------
    folder : path
        Holds ``SET.npz`` files with ``NAME:train``, ``NAME:test``, each (T,) or (T, d), and
        ``NAME:label`` or ``NAME:test_label`` (T,) for each series.
    detectors : sequence of str
        Names of awry's detectors of series.
    rivals : sequence of str, default=()
        Of ``WINDOW_PEERS``; they score windows, whose mean a point gets.
    sets : sequence of str, optional
        Only these.
    series : int, optional
        At most so many of each set, evenly spaced in the order of their names.
    channels : sequence of {"all", "first"}, default=("all",)
        ``"first"`` gives detectors the first channel alone.
    out : path, optional
        A JSON file, rewritten after every series; scores it already holds are not computed again,
        but for failures.

    Returns
    -------
    Outcome
        The baselines of :func:`baselines` are always among the detectors.
    """
    scorers: dict[str, Callable[[Task], FloatArray]] = dict(baselines())
    scorers |= {f"awry:{name}": _awry(name) for name in detectors}
    scorers |= {name: _windowed(s) for name, s in peers().items() if name in rivals}
    done = [score for score in load(out, Score) if not score.failed]
    have = {(s.data, s.series, s.channels, s.detector) for s in done}
    outcome = Outcome(done)
    for path in npz_files(Path(folder), sets, "give the folder of series"):
        found = list(tasks(path))
        judged = [task for task in found if 0 < task.labels.sum() < len(task.labels)]
        outcome.skipped[path.stem] = len(found) - len(judged)
        if series is not None and len(judged) > series:
            judged = [judged[i] for i in np.linspace(0, len(judged) - 1, series).astype(int)]
        outcome.cut[path.stem] = sum(task.cut for task in judged)
        for task in track(path.stem, judged):
            for which, part in _parts(task, channels):
                for name, scorer in scorers.items():
                    if (path.stem, task.name, which, name) not in have:
                        done.append(measure(path.stem, which, name, scorer, part))
            save(out, done)
    return outcome


def tasks(path: Path) -> Iterator[Task]:
    """The series of a set in the order of their names, long ones cut."""
    with np.load(path, allow_pickle=False) as file:
        for name in sorted(key[:-6] for key in file.files if key.endswith(":train")):
            label = f"{name}:label" if f"{name}:label" in file.files else f"{name}:test_label"
            train, test = (
                file[f"{name}:{part}"].astype(np.float64).reshape(len(file[f"{name}:{part}"]), -1)
                for part in ("train", "test")
            )
            labels = file[label].ravel().astype(np.int64)
            # Never before the first anomaly's stretch, and whole at the end of the series.
            start = int(labels.argmax()) // MAX_POINTS * MAX_POINTS
            start = max(min(start, len(test) - MAX_POINTS), 0)
            end = start + MAX_POINTS
            yield Task(
                name, train[-MAX_POINTS:], test[start:end], labels[start:end],
                max(len(train), len(test)) > MAX_POINTS,
            )  # fmt: skip


def _parts(task: Task, channels: Sequence[str]) -> Iterator[tuple[str, Task]]:
    for which in channels:
        if which == "all":
            yield which, task
        elif task.train.shape[1] > 1 or "all" not in channels:
            first = (task.train[:, :1], task.test[:, :1])
            yield which, Task(task.name, *first, task.labels, task.cut)


def measure(
    data: str, which: str, name: str, scorer: Callable[[Task], FloatArray], task: Task
) -> Score:
    """How a scorer does on a series; ``which`` says which channels of it these are."""
    scores, cpu, failed = attempt(lambda: scorer(task), len(task.test))
    if scores is None:
        scores = _random(task)
    adjusted = best_f(task.labels, point_adjusted(task.labels, scores))[0]
    found = evaluate_series(task.labels, scores, window=task.window)
    found["comparison_only_point_adjusted_f1"] = adjusted
    measured = {metric: found[metric] for metric in METRICS}
    return Score(data, task.name, which, name, **measured, cpu_seconds=cpu, failed=failed)


def baselines() -> dict[str, Callable[[Task], FloatArray]]:
    """Rows that stand beside every table; all but random look at single, standardised points."""
    return {
        "baseline:random": _random,
        "baseline:L2 norm": lambda task: np.linalg.norm(task.filled()[1], axis=1),
        "baseline:1-NN": _nearest,
        "baseline:PCA": _reconstruction,
    }


def _random(task: Task) -> FloatArray:
    return np.random.default_rng(zlib.crc32(task.name.encode())).random(len(task.test))


def _nearest(task: Task) -> FloatArray:
    train, test = task.filled()
    found = NearestNeighbors(n_neighbors=1).fit(train).kneighbors(test)[0][:, 0]
    return np.asarray(found)


def _reconstruction(task: Task) -> FloatArray:
    """What components that keep 90 % of the variance leave; of one channel, all of it."""
    train, test = task.filled()
    _, size, axes = np.linalg.svd(train, full_matrices=False)
    shares = np.cumsum(size**2) / max(float((size**2).sum()), np.finfo(float).tiny)
    kept = axes[: min(int(np.searchsorted(shares, KEPT_VARIANCE)) + 1, train.shape[1] - 1)]
    return np.asarray(np.linalg.norm(test - test @ kept.T @ kept, axis=1))


def _awry(name: str) -> Callable[[Task], FloatArray]:
    if registry.get(name).card.modality != "series":
        raise ValueError(f"tsb: {name} is no detector of series; see `awry detectors`")
    return lambda task: create(name, 0).fit(task.train).decision_function(task.test)


def _windowed(scorer: Scorer) -> Callable[[Task], FloatArray]:
    def score(task: Task) -> FloatArray:
        length = min(task.window, len(task.train))
        learnt, judged = (
            windows(part, length).reshape(len(part) - length + 1, -1) for part in task.filled()
        )
        scores = scorer(learnt[:: -(-len(learnt) // PEER_WINDOWS)], judged, 0)
        return spread(scores, len(task.test), length)

    return score


@dataclass(frozen=True)
class Summary:
    """One detector over the series of a set: means, and median and standard error of VUS-PR."""

    detector: str
    series: int
    vus_pr: float
    vus_pr_median: float
    vus_pr_error: float
    vus_roc: float
    auprc: float
    event_f1: float
    affiliation_f1: float
    comparison_only_point_adjusted_f1: float
    cpu_seconds: float


#: How the columns of a table are called.
HEAD = (
    "detector", "series", "VUS-PR", "median", "±", "VUS-ROC", "AUPRC", "event F1",
    "affiliation F1", "(PA-F1)", "CPU s",
)  # fmt: skip


def summarise(scores: Sequence[Score], data: str | None, channels: str = "all") -> list[Summary]:
    """The detectors on a set, or on all sets together, best mean VUS-PR first.

    A detector that ran on fewer series than another has no mean that could be compared and is left
    out.
    """
    chosen = [s for s in scores if s.channels == channels and data in (None, s.data)]
    by_name: dict[str, list[Score]] = {}
    for score in chosen:
        by_name.setdefault(score.detector, []).append(score)
    whole = max(map(len, by_name.values()), default=0)
    rows = []
    for name, own in by_name.items():
        if len(own) == whole:
            mean = {m: float(np.mean([getattr(s, m) for s in own])) for m in METRICS}
            vus_pr = [s.vus_pr for s in own]
            error = float(np.std(vus_pr, ddof=1) / whole**0.5) if whole > 1 else float("nan")
            cpu = sum(s.cpu_seconds for s in own)
            rows.append(
                Summary(name, whole, **mean, vus_pr_median=float(np.median(vus_pr)),
                        vus_pr_error=error, cpu_seconds=cpu)
            )  # fmt: skip
    return sorted(rows, key=lambda row: -row.vus_pr)


def groups(scores: Sequence[Score]) -> dict[str, list[Summary]]:
    """The summaries by what they are about: each set, then all together where there are several."""
    found: dict[str, list[Summary]] = {}
    for channels in sorted({s.channels for s in scores}):
        of = f"{channels} channel{'s' * (channels == 'all')}"
        names = list(dict.fromkeys(s.data for s in scores if s.channels == channels))
        found |= {f"{name}, {of}": summarise(scores, name, channels) for name in names}
        if len(names) > 1:
            found[f"All sets, {of}"] = summarise(scores, None, channels)
    return found


def remarks(outcome: Outcome) -> list[str]:
    """What was left out, and who failed where."""
    lines = []
    for name, skipped in outcome.skipped.items():
        lines.append(
            f"{name}: {skipped} series without an anomaly skipped, {outcome.cut[name]} cut to "
            f"{MAX_POINTS} points"
        )
    return lines + failures(outcome.scores)


def table_row(row: Summary) -> list[str | int]:
    """The cells of a table's row, as ``HEAD``."""
    _, _, *measured, cpu = (getattr(row, name) for name in Summary.__dataclass_fields__)
    return [row.detector, row.series, *(f"{v:.3f}" for v in measured), f"{cpu:.1f}"]


def markdown(outcome: Outcome) -> str:
    """The notes and the summaries as Markdown tables."""
    lines = []
    for note in NOTES:
        lines += [note, ""]
    lines += [f"- {line}" for line in remarks(outcome)]
    for title, rows in groups(outcome.scores).items():
        lines += ["", f"### {title}", "", markdown_table(HEAD, [table_row(r) for r in rows])]
    return "\n".join(lines) + "\n"
