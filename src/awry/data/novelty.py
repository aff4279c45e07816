"""What training ruled out: values no detector can have learned to weigh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.inputs import IntArray
from awry.data import parse
from awry.data.columns import ColumnProfile
from awry.data.encoders import Levels
from awry.data.values import as_float, labels, level_codes

#: A column, positions of rows, and what is new in them.
Novelty = tuple[str, IntArray, str]


def find_novelties(
    batch: pa.RecordBatch, profiles: Sequence[ColumnProfile], levels: Mapping[str, Levels]
) -> Iterator[Novelty]:
    """What in ``batch`` was never so in training, by column.

    Parameters
    ----------
    batch : pa.RecordBatch
        Columns in the order of ``profiles``.
    levels : mapping
        The known levels of each category.
    """
    columns = dict(zip((p.name for p in profiles), batch.columns, strict=True))
    for p in profiles:
        column, stats = columns[p.name], p.stats
        if p.kind == "empty":
            yield p.name, _where(column.is_valid()), "stands in a column that was always empty"
            continue
        values, unfit = p.typed(column)
        missing = _where(values.is_null())
        if p.kind == "number":
            floats = as_float(values)
            missing = np.flatnonzero(np.isnan(floats))
            if not stats["infinite"]:
                yield p.name, np.flatnonzero(np.isinf(floats)), "was never infinite"
        if len(unfit):
            yield p.name, unfit, parse.expectation(p.reading or {"type": p.kind})
        if not stats["missing"] and not stats["unfit"]:
            yield p.name, np.setdiff1d(missing, unfit), "is missing and never was"
        if p.kind == "constant":
            other = pc.not_equal(labels(values), stats["value"])
            yield p.name, _where(other), f"was always {stats['value']!r}"
        elif p.kind == "duplicate_of":
            twin = labels(columns[stats["of"]])
            other = pc.not_equal(labels(column).fill_null(""), twin.fill_null(""))
            yield p.name, _where(other), f"was always the same as {stats['of']!r}"
        elif p.name in levels and levels[p.name].closed:
            names = levels[p.name].names
            yield (
                p.name,
                np.flatnonzero(level_codes(values, names) > len(names)),
                "is a level that was never seen",
            )


def _where(mask: pa.BooleanArray) -> IntArray:
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
