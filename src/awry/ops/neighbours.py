"""Rows that look normal and are most like one that does not: what it might have been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import parquet

from awry.core.errors import AwryError
from awry.core.inputs import FloatArray, IntArray
from awry.data.tables import as_table
from awry.data.wording import moment
from awry.ops.errors import OpsError
from awry.ops.keeper import HOUR, SAMPLED
from awry.ops.tables import judgements, kept_rows, scores

if TYPE_CHECKING:
    from awry.ops.service import Service

#: Rows of a data set that are read, and of these compared; of more, parts evenly spread.
_READ, _COMPARED = 500_000, 100_000
#: Columns that are compared, and characters of a cell that are told.
_COLUMNS, _CHARACTERS = 50, 200
#: Rows kept by a model that are compared, of so many hours before the event.
_KEPT, _HOURS = 2_000, 7 * 24


class Beside(NamedTuple):
    """Normal rows to show beside that of an event.

    Attributes
    ----------
    rows : list of dict
        ``row``, a name such as "Row 7", ``distance`` (0 to 1) and ``cells``, the nearest first.
    words : str
        Where they are from, or why there are none.
    """

    rows: list[dict[str, Any]]
    words: str


def of_event(service: Service, event: dict[str, Any], *, count: int = 5) -> Beside:
    """The normal rows nearest to the peak of an event.

    They come from the data set that was judged; where that is gone, or there was none, from what
    the model judged in those days, and else from what it learnt from. Only rows of a table have
    them: what is normal for a point of a series is what was expected of it, and an event's extract
    holds that.
    """
    if not (event["kind"].startswith("row") or event["extract"].get("row")):
        return Beside([], "")
    gone = ""
    if event["peak"].isdecimal():
        found = _in_dataset(service, event, count)
        if found is not None:
            return Beside(
                found, "The rows most like it that were not flagged, by Gower's distance."
            )
        gone = "The data set is gone. "
    model, version = event["model"], event["version"]
    cells = event["extract"].get("row")
    if model and cells:
        for find, where in (
            (_judged, f"that {model} judged in those days and did not flag"),
            (_learnt, f"that version {version} of {model} learnt from"),
        ):
            rows, names = find(service, event)
            if rows is not None and (found := _most_like(cells, rows, names, count)):
                words = f"{gone}Of the rows {where}, those most like it, by Gower's distance."
                return Beside(found, words)
    none = "There are no rows any more to compare this one with."
    return Beside([], gone + none if gone or model else "")


def _in_dataset(service: Service, event: dict[str, Any], count: int) -> list[dict[str, Any]] | None:
    """As :func:`normal_neighbours`, of the data set an event was found in; None if it is gone."""
    with service.store.read() as connection:
        job = connection.scalar(
            sa.select(judgements.c.job).where(judgements.c.id == event["judgement"])
        )
        items = connection.scalars(
            sa.select(scores.c.item).where(
                scores.c.judgement == event["judgement"], scores.c.severity > 0
            )
        )
        flagged = np.array([int(item) for item in items if item.isdecimal()], dtype=np.int64)
    if job is None:
        return None
    try:
        request = service.jobs.get(job)["request"]
        data = service.datasets.path(request["dataset"], request["dataset_id"])
    except OpsError:
        return None
    found = normal_neighbours(data, int(event["peak"]), flagged, count=count)
    return [one | {"row": f"Row {one['row']}"} for one in found]


def _judged(service: Service, event: dict[str, Any]) -> tuple[pa.Table | None, list[str]]:
    """Rows of the days up to an event that its model did not flag, and when each was."""
    t = kept_rows.c
    query = (
        sa.select(t.at, t.row)
        .where(
            t.model == event["model"], t.version == event["version"], t.severity == 0,
            t.priority < SAMPLED, t.hour >= event["start"] // HOUR - _HOURS,
            t.hour <= event["end"] // HOUR,
        )
        .order_by(t.hour.desc(), t.priority.desc())
        .limit(_KEPT)
    )  # fmt: skip
    with service.store.read() as connection:
        found = connection.execute(query).all()
    if not found:
        return None, []
    return as_table([one.row for one in found]), [moment(one.at // 60 * 60) for one in found]


def _learnt(service: Service, event: dict[str, Any]) -> tuple[pa.Table | None, list[str]]:
    """Rows an event's model learnt from and does not flag, and what they are called."""
    asked = (event["model"], event["version"])
    try:
        rows = service.drift.learnt(*asked)
        judge = service.models.load(*asked)[1]
        calm = np.flatnonzero(judge.severity(judge.score(rows)) == 0)
    except (AwryError, ValueError, pa.ArrowException):  # it is gone, or a model of series
        return None, []
    return rows.take(calm), [f"Learnt {n + 1:,}" for n in range(len(calm))]


def _most_like(
    cells: dict[str, str], rows: pa.Table, called: list[str], count: int
) -> list[dict[str, Any]]:
    """The ``rows`` that are nearest to a row of which the cells are known as text."""
    names = [name for name in rows.column_names if name in cells][:_COLUMNS]
    if not names or not len(rows):
        return []
    own = pa.table({n: _read(cells[n], rows.schema.field(n).type) for n in names})
    both = pa.concat_tables([rows.select(names), own])
    nearest, apart = _nearest(names, both.column, len(rows), np.arange(len(rows)), count)
    return _told([called[i] for i in nearest], apart, both.take(nearest))


def _read(text: str, kind: pa.DataType) -> pa.Array:
    """A cell as text, read as its column's kind; missing where it cannot be."""
    try:
        return pa.array([None if text == "None" else text], pa.string()).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(1, kind)


def normal_neighbours(
    data: Path, row: int, flagged: np.ndarray, *, count: int = 5
) -> list[dict[str, Any]]:
    """The unflagged rows of a Parquet file that are nearest to one of its rows.

    The distance is Gower's: the mean over columns of the difference divided by the column's
    range, for numbers and times, and of 0 or 1, for others; a missing value is as far as can be
    from one that is not. The range is that of the middle 98 % of values, and no difference counts
    for more than 1, so that one wild value does not make all others alike.

    Parameters
    ----------
    data : Path
    row : int
        Number of the row, from 1.
    flagged : ndarray
        Numbers of the rows that are not to be taken.
    count : int

    Returns
    -------
    list of dict
        ``row``, ``distance`` (0 to 1) and ``cells``, the nearest first.

    References
    ----------
    Gower, J. C. A general coefficient of similarity and some of its properties. Biometrics 27(4),
    1971.
    """
    file = parquet.ParquetFile(data)
    total = file.metadata.num_rows
    if not 1 <= row <= total:
        return []
    names = file.schema_arrow.names[:_COLUMNS]
    groups, numbers = _parts(file, row)
    places = np.unique(np.linspace(0, len(numbers) - 1, _COMPARED).astype(np.int64))
    places = places[~np.isin(numbers[places], np.append(flagged, row))]
    if not len(places):
        return []
    own = int(np.flatnonzero(numbers == row)[0])

    def column(name: str) -> pa.ChunkedArray:  # one at a time: memory stays at the largest
        return file.read_row_groups(groups, columns=[name]).column(0)

    nearest, apart = _nearest(names, column, own, places, count)
    there = places[nearest]
    table = pa.table({name: column(name).take(there) for name in names})
    return _told(numbers[there].tolist(), apart, table)


def _nearest(
    names: list[str], column: Callable[[str], pa.ChunkedArray], own: int, places: IntArray,
    count: int,
) -> tuple[IntArray, FloatArray]:  # fmt: skip
    """Which of ``places`` are nearest to the place ``own``, and by which distance."""
    apart = np.zeros(len(places))
    for name in names:
        apart += _apart(column(name), own, places)
    nearest = np.argsort(apart, kind="stable")[:count]
    return nearest, apart[nearest] / len(names)


def _told(called: list[Any], apart: FloatArray, rows: pa.Table) -> list[dict[str, Any]]:
    return [
        {
            "row": name,
            "distance": distance,
            "cells": {column: str(value)[:_CHARACTERS] for column, value in cells.items()},
        }
        for name, distance, cells in zip(called, apart.tolist(), rows.to_pylist(), strict=True)
    ]


def _parts(file: parquet.ParquetFile, row: int) -> tuple[list[int], np.ndarray]:
    """Row groups to read, the one with ``row`` among them, and the numbers of their rows."""
    about = file.metadata
    sizes = np.array([about.row_group(i).num_rows for i in range(about.num_row_groups)])
    ends = np.cumsum(sizes)
    many = max(1, int(_READ / ends[-1] * len(sizes)))
    spread = np.linspace(0, len(sizes) - 1, min(many, len(sizes))).astype(np.int64)
    groups = np.union1d(spread, np.searchsorted(ends, row - 1, "right"))
    numbers = [np.arange(ends[i] - sizes[i], ends[i]) + 1 for i in groups]
    return groups.tolist(), np.concatenate(numbers)


def _apart(column: pa.ChunkedArray, own: int, places: np.ndarray) -> FloatArray:
    """How far the values at ``places`` are from the one at ``own``, 0 to 1."""
    value, others = column[own], column.take(places)
    missing = others.is_null().to_numpy()
    if not value.is_valid:
        return (~missing).astype(float)
    kind = column.type
    if pa.types.is_temporal(kind):
        wide = pa.int32() if kind.bit_width == 32 else pa.int64()
        column, value, others = (part.cast(wide) for part in (column, value, others))
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        if pa.types.is_nested(kind):
            return np.zeros(len(places))
        same = pc.equal(others, value)
        return 1.0 - pc.fill_null(same, False).to_numpy().astype(float)
    low, high = np.nanquantile(_floats(column), [0.01, 0.99])
    if not np.isfinite(high - low):
        return np.zeros(len(places))
    gap = np.abs(_floats(others) - float(value.as_py()))
    apart = np.minimum(gap / (high - low), 1.0) if high > low else (gap > 0).astype(float)
    return np.where(missing | ~np.isfinite(apart), 1.0, apart)


def _floats(column: pa.ChunkedArray) -> FloatArray:
    return column.to_numpy().astype(np.float64)
