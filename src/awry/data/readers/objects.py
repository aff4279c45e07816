"""JSON: one object a line, an array of objects, or objects one after the other.

Nested objects become columns named with dots; lists stay as JSON text. In a file with one object a
line, a line that is none is set aside; elsewhere damage cannot be stepped over and is an error.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

import pyarrow as pa

from awry.core.errors import DataError
from awry.data.problems import Problems
from awry.data.readers import streams
from awry.data.readers.blocks import Block, check_width
from awry.data.tables import columns_of, flatten, from_values, keys_of, unique_names

_CHUNK = 1 << 20
_ROWS = 1 << 14
_BLANKS = " \t\r\n\ufeff"

#: A value and the line it begins on.
Located = tuple[Any, int]


def blocks(
    stream: IO[bytes], name: str, problems: Problems, *, max_columns: int | None = None
) -> Iterator[Block]:
    """Yield the objects of ``stream`` as blocks; a column is one the first block has."""
    text = _text(stream, name)
    keys: list[str] | None = None
    found = _objects(text, name, problems)
    while chunk := list(itertools.islice(found, _ROWS)):
        rows, lines = [row for row, _ in chunk], [line for _, line in chunk]
        if keys is None:
            keys = keys_of(rows)
            check_width(len(keys), max_columns)
            columns = columns_of(rows, keys)[1]
            names = unique_names(keys)
        else:
            columns = columns_of(rows, keys)[1]
            _tell_late(chunk, set(keys), problems)
        arrays = [from_values(column) for column in columns]
        yield Block(pa.record_batch(arrays, names=names), lines.__getitem__)
    if keys is None:
        raise DataError("it holds no rows", source=name, remedy="give JSON objects, one a row")


def _text(stream: IO[bytes], name: str) -> Iterator[str]:
    """Lines of ``stream``, cut where they are very long."""
    head = stream.peek(streams.HEAD)  # type: ignore[attr-defined]
    encoding = streams.encoding_of(head[: streams.HEAD], name)
    reader = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
    try:
        while line := reader.readline(_CHUNK):
            yield line
    finally:
        reader.detach()  # the stream is closed by who opened it


def _objects(
    text: Iterator[str], name: str, problems: Problems
) -> Iterator[tuple[dict[str, Any], int]]:
    """Flat rows and the line each begins on."""
    start = list(itertools.islice(text, 2))
    skipped = 0
    while start and not start[0].strip(_BLANKS):
        skipped += 1
        start = start[1:] + list(itertools.islice(text, 1))
    lines = itertools.chain(start, text)
    if any(isinstance(_loads(line), dict) for line in start):
        values: Iterator[Located] = _by_line(lines, problems, skipped + 1)
    else:
        values = _stream(lines, name, skipped + 1)
    first = list(itertools.islice(values, 2))
    if len(first) == 1 and isinstance(first[0][0], dict):
        values = ((row, first[0][1]) for row in _unwrap(first[0][0]))
    else:
        values = itertools.chain(first, values)
    for value, line in values:
        try:
            yield _row(value), line
        except RecursionError:
            problems.add("is nested too deeply", line=line)


def _by_line(lines: Iterable[str], problems: Problems, number: int) -> Iterator[Located]:
    for i, line in enumerate(lines, number):
        value = _loads(line)
        if isinstance(value, dict):
            yield value, i
        elif line.strip(_BLANKS):
            problems.add("is not a JSON object", line=i, text=line.strip(_BLANKS))


def _loads(line: str) -> Any:
    """The JSON value of ``line``, or None where it is none."""
    try:
        return json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None


def _stream(lines: Iterator[str], name: str, line: int) -> Iterator[Located]:
    """Values of an array, or values one after the other, decoded as the text comes in."""
    decoder = json.JSONDecoder()
    buffer, position, ended, want = "", 0, False, 1
    opened = closed = False
    while True:
        while position < len(buffer) and buffer[position] in _BLANKS + ("," if opened else ""):
            line += buffer[position] == "\n"
            position += 1
        mark = buffer[position : position + 1]
        if mark == "[" and not opened:
            opened, position = True, position + 1
            continue
        if mark == "]" and opened and not closed:
            closed, position = True, position + 1
            continue
        if mark and not closed:
            try:
                value, end = decoder.raw_decode(buffer, position)
            except RecursionError:
                raise DataError("the value is nested too deeply", source=name, row=line) from None
            except ValueError as error:
                if ended:
                    raise _broken(error, buffer, position, line, name) from None
            else:
                if ended or end < len(buffer):  # a number at the end may go on
                    yield value, line
                    line += buffer.count("\n", position, end)
                    position = end
                    continue
        elif mark:
            raise DataError("the text goes on after the end of its array", source=name, row=line)
        elif ended:
            if opened and not closed:
                raise DataError(
                    "the file ends in the middle of its array", source=name, row=line, remedy=_AGAIN
                )
            return
        # Ask for twice as much each time, so a long value is not decoded over and over.
        more = list(itertools.islice(lines, want))
        ended, want = not more, 2 * want if position == 0 else 1
        buffer, position = buffer[position:] + "".join(more), 0


_AGAIN = "copy or export it again"


def _broken(error: ValueError, buffer: str, position: int, line: int, name: str) -> DataError:
    at = getattr(error, "pos", position)
    said = getattr(error, "msg", str(error))
    number = line + buffer.count("\n", position, at)
    return DataError(f"this is not JSON ({said})", source=name, row=number, remedy=_AGAIN)


def _row(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return flatten(value)
    if isinstance(value, list):
        return {f"column_{i + 1}": v for i, v in enumerate(value)}
    return {"value": value}


def _unwrap(value: dict[str, Any]) -> list[Any]:
    """The rows of a file that is one object: a list of objects in it, or columns of values."""
    tables = [v for v in value.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if len(tables) == 1:
        return tables[0]
    columns = list(value.values())
    if columns and all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    # pandas' to_json: {"column": {"0": value, "1": value}}
    if len(columns) > 1 and all(
        isinstance(c, dict) and c.keys() == columns[0].keys() for c in columns
    ):
        return [{name: c[key] for name, c in value.items()} for key in columns[0]]
    return [value]


def _tell_late(chunk: list[tuple[dict[str, Any], int]], keys: set[str], problems: Problems) -> None:
    for row, line in chunk:
        if row.keys() <= keys:
            continue
        for key in sorted(row.keys() - keys):
            problems.add("first comes too late to be a column", line=line, column=key)
