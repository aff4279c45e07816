"""Rows that look normal and are most like one that does not: what it might have been."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import parquet

from awry.core.inputs import FloatArray
from awry.ops.errors import OpsError
from awry.ops.tables import judgements, scores

if TYPE_CHECKING:
    from awry.ops.service import Service

#: Rows of a data set that are read, and of these compared; of more, parts evenly spread.
_READ, _COMPARED = 500_000, 100_000
#: Columns that are compared, and characters of a cell that are told.
_COLUMNS, _CHARACTERS = 50, 200


def of_event(service: Service, event: dict[str, Any], *, count: int = 5) -> list[dict[str, Any]]:
    """The normal rows nearest to the peak of an event; none where the data are there no more.

    Only rows of a table have them: what is normal for a point of a series is what was expected of
    it, and an event's extract holds that.
    """
    if not event["kind"].startswith("row") or not event["peak"].isdecimal():
        return []
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
        return []
    try:
        request = service.jobs.get(job)["request"]
        data = service.datasets.path(request["dataset"], request["dataset_id"])
    except OpsError:
        return []
    return normal_neighbours(data, int(event["peak"]), flagged, count=count)


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
    apart = np.zeros(len(places))
    for name in names:  # one at a time: memory stays at the largest
        apart += _apart(file.read_row_groups(groups, columns=[name]).column(0), own, places)
    nearest = np.argsort(apart, kind="stable")[:count]
    table = pa.table(
        {
            name: file.read_row_groups(groups, columns=[name]).column(0).take(places[nearest])
            for name in names
        }
    )
    return [
        {
            "row": int(numbers[places[at]]),
            "distance": float(apart[at] / len(names)),
            "cells": {name: str(value)[:_CHARACTERS] for name, value in cells.items()},
        }
        for at, cells in zip(nearest.tolist(), table.to_pylist(), strict=True)
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
