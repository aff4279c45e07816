"""The Numenta Anomaly Benchmark: one causal pass over every file, one setting for all."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from awry.bench.runs import attempt, failures, markdown_table, save
from awry.core import registry
from awry.core.inputs import FloatArray
from awry.core.progress import track
from awry.metrics import nab

PUBLISHED = (
    "Published on all 58 files (standard / low FP / low FN), so not comparable point for point: "
    "ARTime 74.85 / 65.15 / 80.36, HTM 70.10 / 63.12 / 74.32, CAD-OSE 69.90 / 66.98 / 73.18; "
    "standard only: random-cut forest 51.72, windowed Gaussian 39.65, random 16.83."
)
NOTE = (
    "Optimised: the best threshold of each profile with all labels in view, as NAB's own optimiser "
    "takes it. Frozen: for each folder the best threshold on the other folders, which has not seen "
    "its labels. The first 15 % of a file, 750 points at most, calibrate and are not judged."
)


@dataclass(frozen=True)
class Score:
    """A detector under one profile, with the threshold optimised and frozen beforehand."""

    detector: str
    profile: str
    threshold: float
    optimised: float
    frozen: float
    files: int
    cpu_seconds: float
    failed: str = ""

    @property
    def data(self) -> str:
        return "nab"


def run(
    folder: str | Path,
    detectors: Sequence[str],
    *,
    results: str | Path | None = None,
    out: str | Path | None = None,
) -> list[Score]:
    """Run the benchmark.

    Parameters
    ----------
    folder : path
        With ``data/`` and ``labels/combined_windows.json`` as in NAB.
    detectors : sequence of str
        Names of awry's online detectors; each goes over each file once, point by point, calibrated
        by the probationary part alone.
    results : path, optional
        A folder to which NAB's own result files are written, for NAB's own scorer.
    out : path, optional
        A JSON file for the scores.

    Returns
    -------
    list of Score
        Three profiles for each detector and for random scores.
    """
    corpus = nab.read_corpus(folder)
    scorers = {f"awry:{name}": _online(name) for name in detectors}
    found: list[Score] = []
    for name, scorer in {**scorers, "baseline:random": _random}.items():
        scores, total, failed = {}, 0.0, ""
        for file, series in track(name, list(corpus.items())):
            n = len(series.values)
            given, cpu, why = attempt(partial(scorer, file, series), n)
            scores[file] = _random(file, series) if given is None else given
            total += cpu
            failed = failed or (why and f"{file}: {why}")
        if results is not None:
            # NAB's file names are split at underscores.
            plain = name.partition(":")[2].replace("_", "")
            nab.write_results(
                results, plain, {f: nab.to_unit(s) for f, s in scores.items()}, corpus
            )
        found += score(name, scores, corpus, total, failed)
    save(out, found)
    return found


def _online(name: str) -> Callable[[str, nab.Series], FloatArray]:
    if not registry.get(name).card.online or "warmup" not in registry.get(name)._get_param_names():
        raise ValueError(f"nab: {name} is no online detector of series; see `awry detectors`")

    def score(file: str, series: nab.Series) -> FloatArray:
        warmup = max(nab.probationary(len(series.values)), 2)
        return registry.create(name, warmup=warmup).fit(series.values).decision_scores_

    return score


def _random(file: str, series: nab.Series) -> FloatArray:
    return np.random.default_rng(zlib.crc32(file.encode())).random(len(series.values))


def score(
    name: str,
    scores: Mapping[str, FloatArray],
    corpus: Mapping[str, nab.Series],
    cpu: float = 0.0,
    failed: str = "",
) -> list[Score]:
    """A detector's scores of all files under the three profiles."""
    return [
        Score(name, profile, best.threshold, best.score,
              frozen_score(scores, corpus, nab.PROFILES[profile]), len(corpus), cpu, failed)
        for profile, best in nab.nab_scores(scores, corpus).items()
    ]  # fmt: skip


def frozen_score(
    scores: Mapping[str, FloatArray], corpus: Mapping[str, nab.Series], profile: nab.Profile
) -> float:
    """The score where each folder's threshold is the best of the other folders.

    NaN where there is one folder only.
    """
    folders = {file.partition("/")[0] for file in corpus}
    if len(folders) < 2:
        return float("nan")
    raw = 0.0
    for folder in folders:
        own = {f: s for f, s in corpus.items() if f.partition("/")[0] == folder}
        others = {f: s for f, s in corpus.items() if f not in own}
        threshold, _ = nab.optimise(scores, others, profile)
        raw += nab.raw_score(scores, own, threshold, profile)
    return nab.normalise(raw, sum(len(s.windows) for s in corpus.values()), profile)


def rows(scores: Sequence[Score], threshold: str) -> list[list[str]]:
    """Detector, its scores under NAB's profiles, CPU seconds; best standard profile first.

    Parameters
    ----------
    threshold : {"optimised", "frozen"}
    """
    by_name: dict[str, dict[str, Score]] = {}
    for found in scores:
        by_name.setdefault(found.detector, {})[found.profile] = found
    ordered = sorted(by_name.items(), key=lambda item: -getattr(item[1]["standard"], threshold))
    return [
        [name, *(f"{getattr(own[p], threshold):.2f}" for p in nab.PROFILES),
         f"{own['standard'].cpu_seconds:.1f}"]
        for name, own in ordered
    ]  # fmt: skip


HEAD = ("detector", "standard", "low FP", "low FN", "CPU s")
TITLES = {
    "optimised": "Threshold optimised with the labels in view",
    "frozen": "Threshold frozen beforehand",
}


def remarks(scores: Sequence[Score]) -> list[str]:
    """What figures to compare with, and who failed where."""
    here = f"{scores[0].files} files are here."
    return [here, NOTE, PUBLISHED, *failures([s for s in scores if s.profile == "standard"])]


def markdown(scores: Sequence[Score]) -> str:
    """The scores as Markdown tables."""
    lines = []
    for line in remarks(scores):
        lines += [line, ""]
    for threshold, title in TITLES.items():
        lines += [f"### {title}", "", markdown_table(HEAD, rows(scores, threshold)), ""]
    return "\n".join(lines)
