"""The score of the Numenta Anomaly Benchmark, and result files its own scorer reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray

PROBATION = 0.15
_FIELDS = ["timestamp", "value", "anomaly_score", "label"]


class Profile(NamedTuple):
    """What a user gains by a detection and loses by a false alarm and by a miss."""

    tp: float
    fp: float
    fn: float


#: NAB's three application profiles (its ``config/profiles.json``).
PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Profile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class Series:
    """One file of the benchmark.

    Attributes
    ----------
    stamps : list of str
        As written in the file.
    values : ndarray of shape (n,)
    windows : ndarray of shape (k, 2)
        First and last position of each anomaly window, in order.
    """

    stamps: list[str]
    values: FloatArray
    windows: IntArray

    @property
    def labels(self) -> IntArray:
        """1 within the windows, else 0, shape (n,)."""
        labels = np.zeros(len(self.values), dtype=np.int64)
        for first, last in self.windows:
            labels[first : last + 1] = 1
        return labels


class Result(NamedTuple):
    """A detector's score under one profile."""

    threshold: float
    raw: float
    score: float


def read_corpus(root: str | Path) -> dict[str, Series]:
    """The series under ``root/data`` with windows of ``root/labels/combined_windows.json``.

    Labelled files that are not there are left out; keys are like ``realTraffic/speed_6005.csv``.
    """
    root = Path(root)
    labelled = json.loads((root / "labels" / "combined_windows.json").read_text())
    corpus = {}
    for name, limits in sorted(labelled.items()):
        path = root / "data" / name
        if path.exists():
            with path.open(newline="") as file:
                stamps, values = zip(*list(csv.reader(file))[1:], strict=True)
            windows = [[_position(stamps, t, name) for t in pair] for pair in limits]
            corpus[name] = Series(
                list(stamps),
                np.array(values, dtype=np.float64),
                np.array(windows, dtype=np.int64).reshape(-1, 2),
            )
    if not corpus:
        raise DataError("no labelled series", source=str(root / "data"))
    return corpus


def probationary(n: int, probation: float = PROBATION) -> int:
    """Points at the start of a file of ``n`` that are not judged: a share, 750 at most by default.

    Examples
    --------
    >>> probationary(1000), probationary(20_000)
    (150, 750)
    """
    return int(np.ceil(min(np.floor(probation * n), probation * 5000)))


def point_rewards(n: int, windows: ArrayLike, profile: Profile) -> tuple[FloatArray, IntArray]:
    """What flagging each point is worth, and the window it lies in (-1: none), each shape (n,).

    Within a window of w points, the point at i (0 to w - 1) is worth ``tp * s(-(w - i) / w)``,
    scaled to ``tp`` at the first, with ``s(x) = 2 / (1 + exp(5 x)) - 1``. A point d behind the last
    window is worth ``fp * s(d / (w - 1))``, ``-fp`` from 3 widths on and where no window precedes.
    """
    windows = np.asarray(windows, dtype=np.int64).reshape(-1, 2)
    at = np.arange(n)
    last = np.searchsorted(windows[:, 0], at, side="right") - 1
    rewards = np.full(n, -profile.fp)
    inside = np.full(n, -1)
    seen = last >= 0
    start, end = windows[last[seen]].T
    within = at[seen] <= end
    width = end - start + 1
    past = np.minimum((at[seen] - end) / np.maximum(width - 1, 1), 4.0)
    ahead = (at[seen] - end - 1) / width
    rewards[seen] = np.where(
        within,
        profile.tp * _sigmoid(ahead) / _sigmoid(-1.0),
        profile.fp * np.where(past > 3, -1.0, _sigmoid(past)),
    )
    inside[seen] = np.where(within, last[seen], -1)
    return rewards, inside


def sweep(
    scores: Mapping[str, ArrayLike],
    corpus: Mapping[str, Series],
    profile: Profile,
    probation: float = PROBATION,
) -> tuple[FloatArray, FloatArray]:
    """Thresholds, falling from infinity over the distinct scores, and the raw NAB score at each.

    Points scored at or above the threshold are flagged; the first ``probation`` of a file, 750
    points at most, is not judged. One sort serves all thresholds: a false alarm adds its reward
    as the threshold passes it, a window the rise of its best reward so far.
    """
    values, rewards, inside = [], [], []
    count = 0
    for name, series in corpus.items():
        n = len(series.values)
        skip = probationary(n, probation)
        worth, window = point_rewards(n, series.windows, profile)
        values.append(_of(scores, name, n)[skip:])
        rewards.append(worth[skip:])
        inside.append(np.where(window < 0, -1, window + count)[skip:])
        count += len(series.windows)
    value, gain, member = (np.concatenate(parts) for parts in (values, rewards, inside))
    order = np.argsort(-value, kind="stable")
    value, gain, member = value[order], gain[order].copy(), member[order]
    judged = np.unique(member[member >= 0])
    for window in judged:
        own = np.flatnonzero(member == window)
        gain[own] = np.diff(np.maximum.accumulate(np.append(-profile.fn, gain[own])))
    total = np.cumsum(np.append(-profile.fn * len(judged), gain))
    ends = np.append(0, np.flatnonzero(np.append(np.diff(value) != 0, True)) + 1)
    return np.append(np.inf, value[ends[1:] - 1]), total[ends]


def optimise(
    scores: Mapping[str, ArrayLike],
    corpus: Mapping[str, Series],
    profile: Profile,
    probation: float = PROBATION,
) -> tuple[float, float]:
    """The threshold over all files with the best raw score, the highest such, and that score."""
    thresholds, raw = sweep(scores, corpus, profile, probation)
    best = int(np.argmax(raw))
    return float(thresholds[best]), float(raw[best])


def raw_score(
    scores: Mapping[str, ArrayLike],
    corpus: Mapping[str, Series],
    threshold: float,
    profile: Profile,
    probation: float = PROBATION,
) -> float:
    """The raw score of one threshold over all files."""
    thresholds, raw = sweep(scores, corpus, profile, probation)
    return float(raw[np.searchsorted(-thresholds, -threshold, side="right") - 1])


def normalise(raw: float, n_windows: int, profile: Profile) -> float:
    """Raw score on the scale where the null detector has 0 and the perfect one 100."""
    null, perfect = -profile.fn * n_windows, profile.tp * n_windows
    return 100 * (raw - null) / (perfect - null)


def nab_scores(
    scores: Mapping[str, ArrayLike],
    corpus: Mapping[str, Series],
    threshold: float | None = None,
    probation: float = PROBATION,
) -> dict[str, Result]:
    """The NAB score under each profile.

    Parameters
    ----------
    scores : mapping of str to array-like of shape (n,)
        By file; higher = more anomalous, comparable between files.
    corpus : mapping of str to Series
        From :func:`read_corpus`.
    threshold : float, optional
        A threshold frozen beforehand. Without it, each profile's best over all files is taken with
        the labels in view, as NAB itself does.
    probation : float, default=0.15

    References
    ----------
    Lavin, Ahmad: "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly
    Benchmark", ICMLA 2015; where the paper and NAB's code differ (the place within a window, the
    750 points, the highest of equal thresholds), this follows the code (nab/sweeper.py).

    Examples
    --------
    >>> series = Series([], np.zeros(100), np.array([[40, 49]]))
    >>> perfect = np.zeros(100)
    >>> perfect[40] = 1.0
    >>> nab_scores({"a": perfect}, {"a": series})["standard"]
    Result(threshold=1.0, raw=1.0, score=100.0)
    """
    n_windows = sum(len(series.windows) for series in corpus.values())
    if not n_windows:
        raise DataError("the corpus holds no anomaly windows")
    results = {}
    for name, profile in PROFILES.items():
        if threshold is None:
            at, raw = optimise(scores, corpus, profile, probation)
        else:
            at, raw = threshold, raw_score(scores, corpus, threshold, profile, probation)
        results[name] = Result(at, raw, normalise(raw, n_windows, profile))
    return results


def write_results(
    folder: str | Path,
    detector: str,
    scores: Mapping[str, ArrayLike],
    corpus: Mapping[str, Series],
) -> list[Path]:
    """Write ``folder/detector/dataset/detector_file.csv`` for NAB's ``run.py --optimize --score``.

    NAB expects scores from 0 to 1. :func:`to_unit` brings others there without changing the result.
    """
    if "_" in detector or not detector:
        raise ValueError(f"write_results: detector must be a name without '_', got {detector!r}")
    paths = []
    for name, series in corpus.items():
        values = _of(scores, name, len(series.values))
        if values.min() < 0 or values.max() > 1:
            raise DataError("scores must be from 0 to 1", source=name, remedy="use nab.to_unit")
        path = _result_path(folder, detector, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_FIELDS)
            columns = (series.values.tolist(), values.tolist(), series.labels.tolist())
            writer.writerows(zip(series.stamps, *columns, strict=True))
        paths.append(path)
    return paths


def read_results(
    folder: str | Path, detector: str, corpus: Mapping[str, Series]
) -> dict[str, FloatArray]:
    """Anomaly scores by file from NAB result files, ours or those NAB publishes."""
    scores = {}
    for name in corpus:
        with _result_path(folder, detector, name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        scores[name] = np.array([row["anomaly_score"] for row in rows], dtype=np.float64)
    return scores


def to_unit(scores: ArrayLike) -> FloatArray:
    """Scores >= 0 as ``s / (1 + s)``, from 0 to 1 in the same order but for rounding above 1e8."""
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError("scores must be finite and >= 0")
    return values / (1 + values)


def _result_path(folder: str | Path, detector: str, name: str) -> Path:
    dataset, file = name.split("/")
    return Path(folder) / detector / dataset / f"{detector}_{file}"


def _of(scores: Mapping[str, ArrayLike], name: str, n: int) -> FloatArray:
    """Checked scores of one file."""
    if name not in scores:
        raise DataError("no scores", source=name, remedy="score every file of the corpus")
    values = np.asarray(scores[name], dtype=np.float64)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise DataError(f"scores must be {n} finite numbers, got {values.shape}", source=name)
    return values


def _position(stamps: tuple[str, ...], limit: str, name: str) -> int:
    """First row of a window's limit, which NAB writes with microseconds."""
    stamp = limit.split(".")[0]
    if stamp not in stamps:
        raise DataError(f"window limit {limit} is not a time of the series", source=name)
    return stamps.index(stamp)


def _sigmoid(x: ArrayLike) -> FloatArray:
    return 2 / (1 + np.exp(5 * np.asarray(x, dtype=np.float64))) - 1
