"""The type of each column, settled on the first rows of a source and kept for all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.data import parse
from awry.data.problems import KEPT, Problems
from awry.data.readers.blocks import Block

#: Integers past this are not all exact as floats.
_EXACT = 1 << 53


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is read and the Arrow type it has in every batch."""

    name: str
    reading: parse.Reading
    type: pa.DataType

    def conform(self, found: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """``found`` in this column's type, and the positions of values that do not fit."""
        if found.type == self.type and not pa.types.is_string(found.type):
            return found, np.empty(0, dtype=np.int64)
        if _class(found.type) != self.reading["type"] or pa.types.is_string(found.type):
            typed, unfit = parse.apply(found.cast(pa.string()), self.reading)
        else:
            typed, unfit = found, np.empty(0, dtype=np.int64)
        if pa.types.is_integer(self.type) and pa.types.is_floating(typed.type):
            whole = pc.fill_null(pc.equal(pc.trunc(typed), typed), False)
            whole = pc.and_(whole, pc.less(pc.abs(typed), 2.0**63))
            broken = pc.and_not(pc.is_valid(typed), whole).to_numpy(zero_copy_only=False)
            unfit = np.union1d(unfit, np.flatnonzero(broken))
            typed = pc.if_else(whole, typed, pa.scalar(None, typed.type))
        return typed.cast(self.type, safe=False), unfit


class Columns:
    """The columns of a source whose values are text or Python's own.

    Parameters
    ----------
    sample : list of Block
        The first rows.
    complete : bool
        Whether they are all rows. Where they are not, whole numbers are read as floats, so that
        a late 3.5 is no misfit; only identifiers and very large numbers stay integers.
    """

    def __init__(self, sample: list[Block], *, complete: bool) -> None:
        names = sample[0].batch.schema.names
        self.columns = [
            _settle(name, [block.batch.column(i) for block in sample], complete)
            for i, name in enumerate(names)
        ]
        self.schema = pa.schema([(c.name, c.type) for c in self.columns])

    def conform(self, block: Block, problems: Problems, before: int) -> pa.RecordBatch:
        """``block`` typed; values that do not fit become null and are told in ``problems``.

        ``before`` is how many rows came before the block.
        """
        arrays = []
        for i, column in enumerate(self.columns):
            found = block.batch.column(i)
            typed, unfit = column.conform(found)
            arrays.append(typed)
            what = parse.expectation(column.reading)
            room = max(0, KEPT - len(problems))
            for position in unfit[:room].tolist():
                problems.add(
                    what,
                    row=before + position + 1,
                    line=None if block.line is None else block.line(position),
                    column=column.name,
                    text=str(found[position].as_py()),
                )
            if len(unfit) > room:
                problems.counts[column.name, what] += len(unfit) - room
        return pa.record_batch(arrays, schema=self.schema)

    def whole_numbers(self, table: pa.Table) -> pa.Table:
        """``table``, all rows, with the floats that are all whole numbers as integers again."""
        for i, column in enumerate(self.columns):
            if column.reading.get("integer") and pa.types.is_floating(column.type):
                try:
                    whole = table.column(i).cast(pa.int64())
                except pa.ArrowInvalid:
                    continue
                table = table.set_column(i, column.name, whole)
        return table


def _settle(name: str, chunks: list[pa.Array], complete: bool) -> Column:
    """The column named ``name``, from the first of its values."""
    chunks = [c for c in chunks if c.null_count < len(c)] or [pa.array([], pa.string())]
    classes = {_class(c.type) for c in chunks}
    if len(classes) > 1 or classes == {"text"}:
        text = pa.chunked_array([c.cast(pa.string()) for c in chunks])
        reading = parse.settle(text)
    elif classes == {"number"}:
        integer = all(pa.types.is_integer(c.type) for c in chunks)
        reading = {**parse.PLAIN, "integer": integer}
    elif classes == {"boolean"}:
        reading = parse.TRUTH
    else:
        utc = any(c.type.tz is not None for c in chunks)
        reading = {**parse.ISO, "utc": utc}
    return Column(name, reading, _type(reading, chunks, complete))


def _type(reading: parse.Reading, chunks: list[pa.Array], complete: bool) -> pa.DataType:
    if reading["type"] == "text":
        return pa.string()
    if reading["type"] == "boolean":
        return pa.bool_()
    if reading["type"] == "time":
        return pa.timestamp("us", "UTC" if reading["utc"] else None)
    if not reading["integer"]:
        return pa.float64()
    if complete:
        return pa.int64()
    probe = pa.chunked_array(
        [parse.apply(c.cast(pa.string()), reading)[0].cast(pa.int64(), safe=False) for c in chunks]
    ).drop_null()
    ends = pc.min_max(probe).as_py()
    large = max(-ends["min"], ends["max"]) > _EXACT
    return pa.int64() if large or pc.count_distinct(probe).as_py() == len(probe) else pa.float64()


def _class(kind: pa.DataType) -> str:
    """The type of reading that a plain Arrow type is."""
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind):
        return "time"
    return "text" if pa.types.is_string(kind) else "number"
