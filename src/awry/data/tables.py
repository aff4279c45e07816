"""One plain form for every table: an Arrow table of numbers, booleans, text and timestamps.

Readers and the encoder speak only of this form; whatever else comes in (pandas, dictionaries,
nested, decimal or dictionary-coded columns) is turned into it here.
"""

from __future__ import annotations

import datetime
import decimal
import json
import numbers
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.errors import DataError


def as_table(data: Any) -> pa.Table:
    """``data`` as a table of plain columns with distinct names.

    Parameters
    ----------
    data : pyarrow.Table, RecordBatch, pandas.DataFrame, mapping of columns, list of dicts
        or array of shape (n, d), whose columns are then named ``x0``, ``x1``, …
        The index of a DataFrame is not a column; ``reset_index`` makes it one.

    Raises
    ------
    DataError
        Where ``data`` is none of these.

    Examples
    --------
    >>> as_table([{"a": 1, "b": {"c": "x"}}, {"a": 2}]).column_names
    ['a', 'b.c']
    """
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        return plain_table(data)
    if isinstance(data, Mapping):
        return _from_columns(list(map(str, data)), list(data.values()))
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        columns = [data.iloc[:, i] for i in range(data.shape[1])]
        return _from_columns([_label(c) for c in data.columns], columns)
    if hasattr(data, "__arrow_c_stream__"):  # polars and other libraries that speak Arrow
        return plain_table(pa.table(data))
    if isinstance(data, np.ndarray) and data.ndim == 2:
        return _from_columns([f"x{i}" for i in range(data.shape[1])], list(data.T))
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        names, columns = columns_of([flatten(row) for row in data])
        return _from_columns(names, columns)
    raise DataError(
        f"a table cannot be made of {type(data).__name__}",
        remedy="give a pyarrow Table, a DataFrame, a dict of columns, a list of dicts or an array",
    )


def plain_table(table: pa.Table) -> pa.Table:
    """``table`` with nested columns flattened by dots and every column of a plain type."""
    while any(pa.types.is_struct(f.type) for f in table.schema):
        table = table.flatten()
    names = unique_names(table.column_names)
    return pa.table([_plain_chunks(column) for column in table.columns], names=names)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """As :func:`plain_table`, for one batch."""
    table = plain_table(pa.Table.from_batches([batch]))
    return pa.record_batch([_one(c) for c in table.columns], names=table.column_names)


def unique_names(names: Iterable[str]) -> list[str]:
    """``names`` with blank ones filled in and repeated ones numbered.

    Examples
    --------
    >>> unique_names(["a", "", "a", "a_2"])
    ['a', 'column_2', 'a_3', 'a_2']
    """
    given = [name.strip() for name in names]
    taken, seen, out = set(given), set(), []
    for i, name in enumerate(given):
        new, number = name or f"column_{i + 1}", 2
        base = new
        while new in seen or (new != name and new in taken):
            new, number = f"{base}_{number}", number + 1
        seen.add(new)
        out.append(new)
    return out


def flatten(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, their keys joined by dots."""
    if not prefix and not any(isinstance(value, dict) for value in row.values()):
        return dict(row)
    out: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and value:
            out.update(flatten(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = value
    return out


def keys_of(rows: list[dict[str, Any]]) -> list[str]:
    """All keys of ``rows`` in the order they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def columns_of(
    rows: list[dict[str, Any]], names: list[str] | None = None
) -> tuple[list[str], list[list[Any]]]:
    """Rows as columns, under ``names`` or all keys in the order they first appear."""
    if names is None:
        names = keys_of(rows)
    return names, [[row.get(name) for row in rows] for name in names]


def from_values(values: Any) -> pa.Array:
    """Python values, or a pandas or numpy column, as one plain array; a mixture becomes text."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return _from_mixture(list(values))
    kind = array.type
    if isinstance(values, list) and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        # Arrow takes the first value's class for all, and would drop the others' hours or zones.
        sorts = {(type(v), getattr(v, "tzinfo", None) is None) for v in values if v == v}
        if len(sorts - {(type(None), True)}) > 1:
            return _from_mixture(values)
    if isinstance(kind, pa.BaseExtensionType):
        return _from_mixture(list(values))
    return plain_array(array if isinstance(array, pa.Array) else array.combine_chunks())


def plain_array(array: pa.Array) -> pa.Array:
    """``array`` as integers, floats, booleans, text or timestamps in microseconds."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        uuid = kind.extension_name == "arrow.uuid"
        return _from_mixture(array.to_pylist()) if uuid else plain_array(array.storage)
    t = pa.types
    if t.is_dictionary(kind):
        return plain_array(array.dictionary_decode())
    if t.is_null(kind) or t.is_large_string(kind) or str(kind) == "string_view":
        return array.cast(pa.string())
    if t.is_uint64(kind) or t.is_decimal(kind) or t.is_float16(kind):
        return array.cast(pa.float64(), safe=False)
    if t.is_date(kind) or t.is_timestamp(kind):
        zone = "UTC" if t.is_timestamp(kind) and kind.tz is not None else None
        return array.cast(pa.timestamp("us", zone), safe=False)
    if t.is_time(kind):
        return array.cast(pa.time64("us"), safe=False).cast(pa.int64()).cast(pa.timestamp("us"))
    if t.is_duration(kind):
        micros = array.cast(pa.duration("us"), safe=False).cast(pa.int64())
        return pc.divide(micros.cast(pa.float64(), safe=False), 1e6)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        try:
            return array.cast(pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            return _from_mixture(array.to_pylist())
    if t.is_nested(kind):
        return _from_mixture(array.to_pylist())
    known = t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_string(kind)
    return array if known else _from_mixture(array.to_pylist())


def to_text(value: Any) -> str | None:
    """One value as a person would write it in a file."""
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a lone surrogate is no text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.hex()
    if isinstance(value, (list, tuple, dict, set)):
        plain = sorted(value, key=str) if isinstance(value, set) else value
        return json.dumps(plain, default=str, ensure_ascii=False)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def _from_mixture(values: list[Any]) -> pa.Array:
    """Values Arrow takes for no single type: numbers of several classes, or else text."""
    real = (numbers.Real, decimal.Decimal)
    present = [v for v in values if v is not None and v is not _pandas_na()]
    if present and all(isinstance(v, real) and not isinstance(v, bool) for v in present):
        try:
            return pa.array([None if v is None else float(v) for v in values], from_pandas=True)
        except (TypeError, ValueError, OverflowError):
            pass
    return pa.array([None if v is _pandas_na() else to_text(v) for v in values], pa.string())


def _pandas_na() -> Any:
    pandas = sys.modules.get("pandas")
    return object() if pandas is None else pandas.NA


def _from_columns(names: list[str], columns: list[Any]) -> pa.Table:
    arrays = []
    for name, column in zip(names, columns, strict=True):
        if isinstance(column, pa.ChunkedArray):
            arrays.append(_plain_chunks(column))
        elif isinstance(column, pa.Array):
            arrays.append(plain_array(column))
        elif isinstance(column, str) or not hasattr(column, "__len__"):
            raise DataError(f"holds {type(column).__name__}, not a column of values", column=name)
        else:
            arrays.append(from_values(column))
    lengths = {len(a) for a in arrays}
    if len(lengths) > 1:
        raise DataError(f"the columns differ in length: {', '.join(map(str, sorted(lengths)))}")
    return pa.table(arrays, names=unique_names(names))


def _plain_chunks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    chunks = [plain_array(chunk) for chunk in column.chunks]
    kinds = {chunk.type for chunk in chunks}
    if len(kinds) > 1:  # chunks of binary text and of junk, say
        chunks = [chunk.cast(pa.string()) for chunk in chunks]
    return pa.chunked_array(
        chunks, type=None if chunks else plain_array(pa.array([], column.type)).type
    )


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _label(name: Any) -> str:
    return ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
