"""What of a column is compared, and how its values before and now are shown and told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.inputs import FloatArray
from awry.data import wording
from awry.data.columns import ColumnProfile
from awry.data.values import (
    as_float,
    as_seconds,
    bin_edges,
    count_levels,
    is_whole,
    labels,
    level_codes,
)

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
#: The level of all values that the reference does not know.
NEW = "(new)"
#: Bars of a picture of numbers, and levels named in words.
_BINS, _NAMED = 30, 3


class Shares(NamedTuple):
    """How the values of both sides fall into bins or levels, for a picture.

    Attributes
    ----------
    edges : ndarray or None
        Of bins, one more than there are shares; None for levels.
    names : list of str
        Of levels; empty for bins.
    reference, current : ndarray
    """

    edges: FloatArray | None
    names: list[str]
    reference: FloatArray
    current: FloatArray


def aspect(column: ColumnProfile) -> str:
    """What of a column is compared, where it is not its values."""
    if column.kind == "time":
        return "weekday" if column.stats["dates_only"] else "hour"
    return "length" if column.kind == "text" else ""


def level_names(column: ColumnProfile, values: pa.Array, most: int) -> list[str]:
    """The names of a column's levels, one for all others at the end; empty where it has none."""
    if column.kind in ("number", "text"):
        return []
    if column.kind == "time":
        if column.stats["dates_only"]:
            return WEEKDAYS
        return [f"{hour:02d}:00" for hour in range(24)]
    return [*count_levels(values, most).names, NEW]


def view(column: ColumnProfile, values: pa.Array, levels: list[str]) -> FloatArray:
    """What is compared of a column's typed values: numbers, or codes of levels; NaN if missing."""
    if column.kind == "number":
        return as_float(values)
    if column.kind == "text":
        return as_float(pc.utf8_length(labels(values)))
    if column.kind == "time":
        seconds = as_seconds(values)
        if column.stats["dates_only"]:
            return (seconds // 86_400 + 3) % 7  # 1970 began on a Thursday
        return seconds % 86_400 // 3600
    named = len(levels) - 1
    codes = level_codes(values, levels[:-1]).astype(float)
    # Behind the names stand the missing ones, then all others.
    return np.where(codes == named, np.nan, np.where(codes > named, named, codes))


def missing(values: pa.Array) -> FloatArray:
    if pa.types.is_string(values.type):
        values = labels(values)  # blank is missing too
    gone = values.is_null(nan_is_null=True)
    return np.asarray(gone.to_numpy(zero_copy_only=False)).astype(float)


def level_shares(levels: list[str], before: FloatArray, codes: FloatArray) -> Shares:
    counts = np.bincount(codes.astype(int), minlength=len(levels)).astype(float)
    sides = [side / max(side.sum(), 1) for side in (before, counts)]
    kept = (sides[0] + sides[1] > 0) | (np.arange(len(counts)) < 1)
    names = [name for name, keep in zip(levels, kept, strict=True) if keep]
    return Shares(None, names, sides[0][kept], sides[1][kept])


def bins(reference: FloatArray, current: FloatArray) -> Shares:
    """Shares in bins of one width over the middle 98 % of both sides, the rest in the end bins.

    Of whole numbers each bin holds as many, or some would look rarer than they are.
    """
    sides = [side for side in (reference, current) if len(side)]
    ends = (
        np.array([np.quantile(side, (0.01, 0.99)) for side in sides]) if sides else np.zeros((1, 2))
    )
    low, high = float(ends.min()), float(ends.max())
    edges = bin_edges(low, high, _BINS, whole=all(map(is_whole, sides)))
    shares = [
        np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / max(len(side), 1)
        for side in (reference, current)
    ]
    return Shares(edges, [], *shares)


def moved_levels(shares: Shares) -> str:
    """The levels whose shares changed most."""
    order = np.argsort(-np.abs(shares.current - shares.reference), kind="stable")[:_NAMED]
    return ", ".join(
        f"{wording.cut(shares.names[i], 24)} {wording.share(float(shares.reference[i]))} → "
        f"{wording.share(float(shares.current[i]))}"
        for i in order
    )


def moved_numbers(reference: FloatArray, current: FloatArray, unit: Sequence[str]) -> str:
    """The median and the middle nine tenths, before and now."""
    if not len(reference) or not len(current):
        return "no values on one side"
    sides = [np.quantile(side, (0.05, 0.5, 0.95)) for side in (reference, current)]
    told = [[wording.number(float(v), (unit[0], unit[1])) for v in side] for side in sides]
    (low, middle, high), (low2, middle2, high2) = told
    return f"median {middle} → {middle2}, mostly {low} … {high} → {low2} … {high2}"
