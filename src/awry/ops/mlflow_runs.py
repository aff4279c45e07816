"""What MLflow is told of one version: its run, with the model in it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import awry
from awry import io, run
from awry.core.errors import AwryError
from awry.judge import Judge

T = TypeVar("T")

#: Names the file of a version, which no other version has.
TAG = "awry.id"
#: Of MLflow: parameters and metrics of one call, and characters of a name and of a value.
_PARAMS, _METRICS, _NAME, _VALUE = 100, 1_000, 250, 500
#: Of names, what MLflow does not take.
_ODD = re.compile(r"[^\w\-. /:]")


def log_run(client: Any, experiment: str, row: Any, data: bytes, rows: Path | None) -> Any:
    """Make the run of a version, and end it.

    Parameters
    ----------
    client : mlflow.MlflowClient
    experiment : str
        Its id.
    row : Row of :data:`awry.ops.tables.versions`
    data : bytes
        The version's file.
    rows : Path, optional
        What it learnt from, for a report.
    """
    from mlflow.entities import Metric, Param

    judge: Judge = io.loads(data, source=f"{row.model}, version {row.version}")
    at = round(1e3 * row.created)
    begun = client.create_run(experiment, start_time=at, tags=_tags(row))
    number = begun.info.run_id
    params = [
        Param(_named(name), text[:_VALUE])
        for part in ("detector", "settings")
        for name, text in _flat(row.facts.get(part) or {}, part)
    ]
    for some in _batches(params, _PARAMS):
        client.log_batch(number, params=some)
    metrics = [Metric(_named(n), value, at, step) for n, value, step in _metrics(row, judge)]
    for many in _batches(metrics, _METRICS):
        client.log_batch(number, metrics=many)
    with tempfile.TemporaryDirectory(prefix="awry-mlflow-") as folder:
        _save_pyfunc(Path(folder), data)
        client.log_artifacts(number, f"{folder}/model", "model")
        for file in _reports(row, judge, rows, Path(folder)):
            client.log_artifact(number, str(file))
    client.set_terminated(number, "FINISHED", at)
    return begun


def _tags(row: Any) -> dict[str, str]:
    dataset = row.facts.get("dataset") or {}
    return {
        "mlflow.runName": f"{row.model} {row.version}",
        "mlflow.source.name": "awry",
        TAG: row.file,
        "awry.version": str(row.version),
        "awry.method": row.method,
        "awry.dataset": str(dataset.get("name", "")),
        "awry.dataset.sha256": str(dataset.get("sha256", "")),
    }


def _save_pyfunc(folder: Path, data: bytes) -> None:
    from mlflow import pyfunc

    file = folder / "model.awry"
    file.write_bytes(data)
    # A module of ours reads the file: nothing is pickled.
    pyfunc.save_model(
        str(folder / "model"),
        loader_module="awry.ops.mlflow_pyfunc",
        data_path=str(file),
        pip_requirements=[f"awry[server]=={awry.__version__}"],
    )


def _reports(row: Any, judge: Judge, rows: Path | None, folder: Path) -> Iterator[Path]:
    """The card, and a report on what it learnt from."""
    card = folder / "card.json"
    card.write_text(json.dumps(row.facts, indent=1))
    yield card
    if rows is None:
        return
    try:
        result = next(iter(run.score(rows, judge)))  # type: ignore[arg-type]
    except (StopIteration, AwryError):
        return
    yield result.report(folder / "report.html")


def _metrics(row: Any, judge: Judge) -> Iterator[tuple[str, float, int]]:
    """Figures of a version, and its curves, whose points have steps: name, value, step."""
    for name in ("threshold", "stated_rate", "rows"):
        yield from _known(name, row.facts.get(name), 0)
    for name, value in (row.facts.get("golden") or {}).items():
        yield from _known(f"golden.{name}", value, 0)
    scores = np.asarray(judge.train_scores_, dtype=float)
    scores = scores[np.isfinite(scores)]
    if len(scores):
        yield from _known("train_flagged", float((scores > judge.threshold_).mean()), 0)
        for step, value in enumerate(np.quantile(scores, np.linspace(0, 1, 101)).tolist()):
            yield from _known("train_score_percentile", value, step)
    for name, values in (getattr(judge.detector_, "history_", None) or {}).items():
        for step, value in enumerate(values):
            yield from _known(f"history.{name}", value, step)


def _known(name: str, value: Any, step: int) -> Iterator[tuple[str, float, int]]:
    """The point, if it is a number: databases do not take others."""
    if isinstance(value, (int, float)) and np.isfinite(value):
        yield name, float(value), step


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Nested plain data as names with dots, and text."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _named(name: str) -> str:
    return _ODD.sub("_", name)[:_NAME]


def _batches(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
