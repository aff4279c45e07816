"""The values of a column as numbers, seconds or the names of levels, whatever they came as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.inputs import FloatArray, IntArray
from awry.data import parse
from awry.data.kinds import EPOCHS

_NONE = np.empty(0, dtype=np.int64)


def typed(values: pa.Array, reading: Mapping[str, Any] | None) -> tuple[pa.Array, IntArray]:
    """``values`` (plain) as ``reading`` has it, and the positions of those that do not fit."""
    if reading is None or _class(values.type) == reading["type"]:
        return values, _NONE
    if reading["type"] != "epoch":
        return parse.apply(values.cast(pa.string()), dict(reading))
    if _class(values.type) == "time":
        return values, _NONE
    numbers, unfit = typed(values, parse.PLAIN)
    with np.errstate(over="ignore"):  # what is infinite now was no time before
        micros = as_float(numbers) / EPOCHS[reading["unit"]] * 1e6
    ok = np.abs(micros) < 2.0**62
    return pa.array(
        np.where(ok, micros, 0).astype("M8[us]"), pa.timestamp("us", "UTC"), mask=~ok
    ), unfit


def _class(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return "number"
    if pa.types.is_timestamp(kind):
        return "time"
    return "boolean" if pa.types.is_boolean(kind) else "text"


def as_float(values: pa.Array) -> FloatArray:
    """Numbers or truths as float64, NaN where missing."""
    floats = values if pa.types.is_float64(values.type) else values.cast(pa.float64(), safe=False)
    return np.asarray(floats.to_numpy(zero_copy_only=False))


def as_seconds(values: pa.Array) -> FloatArray:
    """Timestamps as float64 seconds since 1970, NaN where missing."""
    micros = values.cast(pa.int64()).cast(pa.float64(), safe=False)
    return np.asarray(pc.divide(micros, 1e6).to_numpy(zero_copy_only=False))


def labels(values: pa.Array) -> pa.StringArray:
    """Plain ``values`` as the names of levels; 5 and 5.0 are one level."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    text = values if pa.types.is_string(values.type) else values.cast(pa.string())
    return parse.clean(text)


class LevelCounts(NamedTuple):
    """The most frequent levels of a column, equally frequent ones in alphabetic order."""

    names: list[str]
    sizes: IntArray  # rows that have each
    distinct: int  # levels in all
    once: int  # of them, those that one row has
    missing: int  # rows without a level


def count_levels(values: pa.Array, most: int) -> LevelCounts:
    """Count the levels of ``values`` and name the ``most`` most frequent ones."""
    counts = pc.value_counts(values)
    table = pa.table({"name": labels(counts.field(0)), "rows": counts.field(1)})
    table = table.filter(pc.field("name").is_valid())
    if pc.count_distinct(table["name"]).as_py() < len(table):
        # Different values may be one level: with blanks around it, 5 and 5.0.
        table = table.group_by("name", use_threads=False).aggregate([("rows", "sum")])
        table = table.rename_columns(["name", "rows"])
    sizes = table["rows"].to_numpy()
    if len(sizes) > 2 * most:  # no need to sort them all
        table = table.filter(pa.array(sizes >= np.partition(sizes, -most)[-most]))
    top = table.sort_by([("rows", "descending"), ("name", "ascending")]).slice(0, most)
    missing = len(values) - int(sizes.sum())
    once = int(np.count_nonzero(sizes == 1))
    return LevelCounts(top["name"].to_pylist(), top["rows"].to_numpy(), len(sizes), once, missing)


def level_codes(values: pa.Array, names: list[str]) -> IntArray:
    """Position in ``names`` of each level; of a missing one behind the last, of any other two."""
    coded = values.dictionary_encode()
    level = labels(coded.dictionary)
    found = pc.index_in(level, value_set=pa.array(names, pa.string())).fill_null(len(names) + 1)
    position = np.append(found.to_numpy().astype(np.int64), len(names))
    position[:-1][level.is_null().to_numpy(zero_copy_only=False)] = len(names)
    codes = coded.indices.fill_null(len(position) - 1).to_numpy()
    return np.asarray(position[codes])


def key_codes(table: pa.Table, names: Sequence[str]) -> tuple[IntArray, list[str]]:
    """The group of each row as a number, and the groups' names: values of ``names`` joined by /.

    Examples
    --------
    >>> key_codes(pa.table({"host": ["b", "a", "b"], "core": [0, 0, 0]}), ["host", "core"])
    (array([1, 0, 1]), ['a/0', 'b/0'])
    """
    if not names:
        return np.zeros(table.num_rows, dtype=np.int64), [""]
    texts = [pc.fill_null(table[name].cast(pa.string()), "") for name in names]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "/")
    coded = joined.combine_chunks().dictionary_encode()
    found = coded.dictionary.to_pylist()
    order = np.array(sorted(range(len(found)), key=found.__getitem__), dtype=np.int64)
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    return rank[coded.indices.to_numpy()], [found[i] for i in order]


def is_whole(values: FloatArray) -> bool:
    """Whether all of ``values`` are whole numbers, and small enough to have neighbours."""
    return all(
        np.array_equal(some, np.rint(some)) and bool((np.abs(some) < 2.0**52).all())
        for some in (values[:100], values)
    )


def bin_edges(low: float, high: float, most: int, *, whole: bool = False) -> FloatArray:
    """Edges of at most ``most`` bins of one width, from ``low`` to ``high``.

    Of ``whole`` numbers each bin holds as many, or some would look rarer than they are; then the
    ends reach as far as that takes.

    Examples
    --------
    >>> bin_edges(0, 2, 4), bin_edges(1, 5, 3, whole=True)
    (array([0. , 0.5, 1. , 1.5, 2. ]), array([0.5, 2.5, 4.5, 6.5]))
    """
    if not whole:
        room = 0.0 if high > low else max(0.5, 1e-9 * abs(low))
        return np.linspace(low - room, high + room, most + 1)
    low, high = np.floor(low) - 0.5, np.ceil(high) + 0.5
    width = max(1.0, float(np.ceil((high - low) / most)))
    return np.asarray(low + width * np.arange(np.ceil((high - low) / width) + 1))
