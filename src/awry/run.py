"""The one path: read, encode, detect, decide, say why.

The command line, and whatever serves or streams, parse their input and call these functions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry import io
from awry.core import progress, registry
from awry.core.errors import DataError, about, no_such
from awry.core.inputs import UNLABELLED, IntArray
from awry.data.problems import Problems
from awry.data.readers import Source, open_source
from awry.data.tables import as_table
from awry.dispatch import make_model
from awry.judge import Judge
from awry.metrics.evaluation import Evaluation
from awry.model import Model
from awry.result import Result
from awry.series_model import SeriesModel

#: What :func:`compare` runs when no detectors are named.
COMPARED = {
    "table": ("auto", "isolation_forest", "fair_cut_forest", "ecod", "knn", "mcd", "lof"),
    "series": ("auto", "seasonal_ewma", "matrix_profile", "sub_pca", "hampel", "windowed"),
}

#: Words for the labels 1 and 0, where a label column holds neither numbers nor booleans.
_YES = {
    "1",
    "1.0",
    "true",
    "yes",
    "y",
    "anomaly",
    "anomalous",
    "outlier",
    "abnormal",
    "fraud",
    "attack",
}
_NO = {"0", "0.0", "false", "no", "n", "normal", "inlier", "ok", "benign"}


def detect(
    data: Any,
    *,
    label: str | None = None,
    query: str | None = None,
    format: str | None = None,
    as_: str = "auto",
    **settings: Any,
) -> Result:
    """Find the anomalies in a table, or in the series it holds, in one line.

    Parameters
    ----------
    data : path, URL, list of paths, DataFrame, Arrow table, array or list of dicts
        The rows. Paths may be CSV, Parquet, Arrow, JSON or JSONL, ``sqlite:///`` and
        ``postgresql://`` URLs with ``query``, or ``"-"`` for standard input. Several paths are read
        as one table.
    label : str, optional
        A column of labels: kept out of what is judged, used by rules and detectors that learn from
        labels.
    query : str, optional
        The SQL query of a database URL.
    format : str, optional
        What a file is, where its content does not tell.
    as_ : {"auto", "table", "series"}, default="auto"
        Whether rows are judged by themselves or as points of series; see
        :func:`~awry.dispatch.make_model` for how that is told.
    **settings
        Parameters of :class:`~awry.model.Model`: ``detector``, ``params``, ``threshold``,
        ``context``, ``by``, ``kinds``, ``ignore``, ``random_state``; or of
        :class:`~awry.series_model.SeriesModel`, which also has ``time``, ``value``, ``holidays``
        and ``causal`` but no ``context``.

    Returns
    -------
    Result
        A :class:`~awry.series_result.SeriesResult` where it is series.

    Raises
    ------
    DataError
        Where the data cannot be used; one line says what, where and the remedy.

    Examples
    --------
    >>> import awry
    >>> rows = [{"amount": 10.0 + i % 7, "hour": i % 24} for i in range(300)]
    >>> rows[100]["amount"] = 5000.0
    >>> result = awry.detect(rows)
    >>> int(result.top(1)[0])
    100
    >>> result.explain([100])[0][0].column
    'amount'
    """
    name, table, problems = _whole(data, query, format)
    y, judged = _without_label(table, label, name)
    with about(name):
        model, notes = _fit(judged, y, as_, settings)
        result = model.judge_training(judged, source=name)
    result.notes = notes + result.notes
    problems.merge(result.problems)
    result.problems = problems
    result.index = getattr(data, "index", None) if hasattr(data, "iloc") else None
    return result


def fit(
    data: Any,
    *,
    label: str | None = None,
    query: str | None = None,
    format: str | None = None,
    as_: str = "auto",
    **settings: Any,
) -> Model | SeriesModel:
    """Learn what is normal from ``data``; the arguments are those of :func:`detect`."""
    name, table, _ = _whole(data, query, format)
    y, judged = _without_label(table, label, name)
    with about(name):
        return _fit(judged, y, as_, settings)[0]


def score(
    data: Any,
    model: Model | SeriesModel | str | os.PathLike[str],
    *,
    query: str | None = None,
    format: str | None = None,
    batch_rows: int = 65_536,
) -> Iterator[Result]:
    """Score ``data`` with a fitted model, batch by batch in flat memory.

    Parameters
    ----------
    data, query, format
        As for :func:`detect`.
    model : Model or path
    batch_rows : int, default=65536

    Yields
    ------
    Result
        Of all, where the model is one of series; else of each batch, in order, where ``problems``
        holds what was set aside since the batch before.
    """
    scorer = model if isinstance(model, Judge) else load_model(model)
    if isinstance(scorer, SeriesModel):
        # Where a series goes on is known when all of its rows are there.
        yield judge(data, scorer, query=query, format=format)
        return
    first = 1
    for source in _sources(data, query, format, batch_rows):
        batches = source.batches() if isinstance(source, Source) else source.to_batches(batch_rows)
        problems = source.problems if isinstance(source, Source) else Problems()
        told = Problems()
        name = source.name if isinstance(source, Source) else "table"
        for batch in batches:
            table = pa.Table.from_batches([batch])
            with about(name):
                result = scorer.judge(table, source=name, rows=np.arange(first, first + len(table)))
            result.problems = problems.since(told)
            told.merge(result.problems)
            first += len(table)
            fraction = getattr(source, "fraction", None)
            if fraction is not None:
                progress.report(f"score {name}", int(1000 * fraction), 1000)
            yield result


def judge(
    data: Any,
    model: Model | SeriesModel | str | os.PathLike[str],
    *,
    query: str | None = None,
    format: str | None = None,
) -> Result:
    """One result for all of ``data``, with a fitted model; arguments as for :func:`score`."""
    judge_ = model if isinstance(model, Judge) else load_model(model)
    name, table, problems = _whole(data, query, format)
    with about(name):
        result = judge_.judge(table, source=name)
    problems.merge(result.problems)
    result.problems = problems
    return result


def evaluate(
    data: Any,
    *,
    label: str,
    query: str | None = None,
    format: str | None = None,
    as_: str = "auto",
    **settings: Any,
) -> Evaluation:
    """Measure a detector on labelled data; labels are used to measure only, unless asked for.

    Parameters
    ----------
    label : str
        The column that says which rows are anomalies.
    data, query, format, as_, **settings
        As for :func:`detect`.

    Returns
    -------
    Evaluation
        Of series, the means over those that have labels of both kinds, by
        :func:`~awry.metrics.series.evaluate_series`.

    Examples
    --------
    >>> import awry
    >>> from awry.data import samples
    >>> found = awry.evaluate(samples.path("wdbc"), label="malignant", detector="ecod")
    >>> found.metrics["auroc"] > 0.9
    True
    """
    name, table, _ = _whole(data, query, format)
    y, judged = _without_label(table, label, name)
    assert y is not None
    with about(name):
        return _evaluate(judged, y, as_, settings)


def compare(
    data: Any,
    detectors: Sequence[str] | None = None,
    *,
    label: str,
    query: str | None = None,
    format: str | None = None,
    as_: str = "auto",
    **settings: Any,
) -> list[Evaluation]:
    """Measure several detectors on the same labelled data, best AUPRC first.

    Parameters
    ----------
    detectors : sequence of str, optional
        Names of detectors; by default those of ``COMPARED`` there are. Where the data is series,
        detectors of tables are put on windows.
    data, label, query, format, as_, **settings
        As for :func:`evaluate`.
    """
    name, table, _ = _whole(data, query, format)
    y, judged = _without_label(table, label, name)
    assert y is not None
    found = []
    with about(name):
        # Decided once: the same items must be measured for all.
        series = isinstance(make_model(judged, as_, settings)[0], SeriesModel)
        as_ = "series" if series else "table"
        there = set(registry.detectors())
        names = [d for d in COMPARED[as_] if d in there] if detectors is None else list(detectors)
        for detector in progress.track("compare", names):
            found.append(_evaluate(judged, y, as_, settings | {"detector": detector}))
    return sorted(found, key=lambda one: -one.metrics.get("vus_pr", one.metrics["auprc"]))


def comparable() -> list[str]:
    """Names of the table detectors that need no labels."""
    return [c.name for c in registry.cards("table") if c.supervision != "required"]


def labels_of(data: Any, label: str) -> IntArray:
    """The labels in the column ``label`` of ``data``: 1, 0 or -1 where none is given."""
    name, table, _ = _whole(data, None, None)
    y, _ = _without_label(table, label, name)
    assert y is not None
    return y


def _fit(
    table: pa.Table, y: IntArray | None, as_: str, settings: dict[str, Any]
) -> tuple[Model | SeriesModel, list[str]]:
    """The model for ``table``, fitted, and what was decided on the way."""
    model, notes = make_model(table, as_, settings)
    assert isinstance(model, (Model, SeriesModel))
    return model.fit(table, y), notes


def _evaluate(table: pa.Table, y: IntArray, as_: str, settings: dict[str, Any]) -> Evaluation:
    start = time.process_time()
    model, _ = _fit(table, y, as_, settings)
    cpu = time.process_time() - start
    name = model.detector_.card.name
    if isinstance(model, SeriesModel):
        read, scores = model.training_
        points = [(read.labels(i, y), own, read.series[i].times) for i, own in enumerate(scores)]
        return Evaluation.of_series(name, points, model.threshold_, cpu_seconds=cpu)
    return Evaluation.of(name, y, model.train_scores_, model.threshold_, cpu_seconds=cpu)


def load_model(path: str | os.PathLike[str]) -> Model | SeriesModel:
    """The model at ``path``, no mere detector."""
    model = io.load(path)
    if not isinstance(model, (Model, SeriesModel)):
        raise DataError(
            f"holds a {type(model).__name__}, not a Model",
            source=str(path),
            remedy="make one with awry fit, or load it with awry.load",
        )
    return model


def _sources(
    data: Any, query: str | None, format_: str | None, batch_rows: int
) -> Iterator[Source | pa.Table]:
    paths = [data] if isinstance(data, (str, os.PathLike)) else data
    named = isinstance(paths, (list, tuple)) and all(
        isinstance(p, (str, os.PathLike)) for p in paths
    )
    if not named or not paths:
        yield as_table(data)
        return
    for path in paths:
        yield open_source(path, query=query, format=format_, batch_rows=batch_rows)


def _whole(data: Any, query: str | None, format_: str | None) -> tuple[str, pa.Table, Problems]:
    """All rows of ``data``, what to call it, and what was set aside."""
    tables: list[pa.Table] = []
    names: list[str] = []
    problems = Problems()
    for source in _sources(data, query, format_, 65_536):
        if isinstance(source, pa.Table):
            return "table", source, problems
        progress.report(f"read {source.name}", 0)
        tables.append(source.read())
        names.append(Path(source.name).name if "://" not in source.name else source.name)
        problems.merge(source.problems)
    for name, table in zip(names[1:], tables[1:], strict=True):
        if table.column_names != tables[0].column_names:
            odd = set(table.column_names) ^ set(tables[0].column_names)
            raise DataError(
                f"its columns differ from those of {names[0]}: {', '.join(sorted(odd)) or 'order'}",
                source=name,
                remedy="give files with the same columns, or run them one by one",
            )
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise DataError(f"the files' columns differ in type ({error})", source=names[0]) from error
    if table.num_rows == 0:
        raise DataError("holds no rows", source=names[0], remedy="give at least a few")
    return " + ".join(names), table.combine_chunks(), problems


def _without_label(
    table: pa.Table, label: str | None, source: str
) -> tuple[IntArray | None, pa.Table]:
    """Labels as integers, and the table without their column."""
    if label is None:
        return None, table
    if label not in table.column_names:
        what, remedy = no_such("column", label, table.column_names)
        raise DataError(what, source=source, column=label, remedy=remedy)
    column = table[label]
    words = [w.strip().lower() for w in pc.unique(column.cast(pa.string()).drop_null()).to_pylist()]
    if not {*words} <= _YES | _NO | {"-1", "-1.0"}:
        shown = ", ".join(words[:4])
        raise DataError(
            f"holds {shown}, which are not labels", source=source, column=label,
            remedy="use 1 for anomalies, 0 for normal rows and nothing for rows not judged",
        )  # fmt: skip
    text = column.cast(pa.string())
    lowered = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    y = np.full(len(table), UNLABELLED)
    for value, known in ((1, _YES), (0, _NO)):
        y[pc.is_in(lowered, pa.array(sorted(known))).to_numpy(zero_copy_only=False)] = value
    return y, table.drop_columns([label])
