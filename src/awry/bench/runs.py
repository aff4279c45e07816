"""What the benchmarks share: sets in a folder, timed attempts, and scores kept between runs."""

from __future__ import annotations

import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from awry.core import registry
from awry.core.detector import Detector
from awry.core.errors import DataError
from awry.core.inputs import FloatArray

T = TypeVar("T")


class _Attempt(Protocol):
    @property
    def data(self) -> str: ...
    @property
    def detector(self) -> str: ...
    @property
    def failed(self) -> str: ...


def npz_files(folder: Path, sets: Sequence[str] | None, remedy: str) -> list[Path]:
    """The sets of a folder, or those named; a number before the first ``_`` need not be given."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise DataError("holds no .npz file", source=str(folder), remedy=remedy)
    if sets is None:
        return files
    missing = [s for s in sets if not any(s in _names(path) for path in files)]
    if missing:
        known = ", ".join(path.stem for path in files)
        raise DataError(
            f"holds none of {', '.join(missing)}", source=str(folder), remedy=f"it holds {known}"
        )
    return [path for path in files if _names(path) & set(sets)]


def _names(path: Path) -> set[str]:
    number, _, rest = path.stem.partition("_")
    return {path.stem, rest} if number.isdigit() else {path.stem}


def create(name: str, seed: int) -> Detector:
    """A detector with its default settings, seeded where it draws."""
    detector = registry.create(name)
    if detector.card.stochastic:
        detector.set_params(random_state=seed)
    return detector


def standardised(reference: FloatArray, X: FloatArray) -> FloatArray:
    """Columns of ``X`` in standard deviations of ``reference`` from its mean."""
    scale = reference.std(axis=0)
    return (X - reference.mean(axis=0)) / np.where(scale > 0, scale, 1.0)


def attempt(score: Callable[[], FloatArray], n: int) -> tuple[FloatArray | None, float, str]:
    """The ``n`` scores that ``score`` gives, CPU seconds, and why there are none if there are none.

    A run of hours does not end at one detector's failure; the caller takes chance scores instead
    and names it.
    """
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers
        try:
            scores = np.asarray(score(), dtype=np.float64)
            if scores.shape != (n,) or not np.isfinite(scores).all():
                raise DataError(f"scores {scores.shape} are not {n} finite numbers")
        except Exception as error:
            failed = f"{type(error).__name__}: {error}".splitlines()[0]
            return None, time.process_time() - start, failed
    return scores, time.process_time() - start, ""


def load(out: str | Path | None, kind: Callable[..., T]) -> list[T]:
    """The scores an earlier run has written to ``out``."""
    if out is None or not Path(out).exists():
        return []
    return [kind(**row) for row in json.loads(Path(out).read_text())]


def save(out: str | Path | None, scores: Sequence[Any]) -> None:
    """Write the scores to ``out`` in whole, so that what ends a run early leaves the last ones."""
    if out is not None:
        part = Path(out).with_name(Path(out).name + ".part")
        part.write_text(json.dumps([asdict(s) for s in scores], indent=0))
        part.replace(out)


def failures(scores: Sequence[_Attempt]) -> list[str]:
    """Who failed where and how often, in words."""
    found = Counter(f"{s.detector} failed on {s.data} ({s.failed})" for s in scores if s.failed)
    return [line + f", {times} times" * (times > 1) for line, times in found.items()]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown; floats with four digits, or as the caller has written them."""
    cells = [[f"{v:.4f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    lines = [f"| {' | '.join(line)} |" for line in (head, *cells)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
