"""CSV and its kin: text in rows and columns, read block by block as text.

Arrow's parser does the work. The bytes are cut into blocks at ends of records here, so that memory
stays flat, every row knows its line, and what Arrow cannot make sense of (a quote that is never
closed) costs one line instead of the file.
"""

from __future__ import annotations

import bisect
import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from awry.core.errors import DataError
from awry.data.problems import Problems
from awry.data.readers import streams
from awry.data.readers.blocks import Block
from awry.data.readers.dialect import Dialect, sniff

_CHUNK = 1 << 20
#: A record may be this long; past it a quote counts as never closed.
_LONGEST = 8 << 20


def blocks(
    stream: IO[bytes],
    name: str,
    problems: Problems,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    max_columns: int | None = None,
) -> Iterator[Block]:
    """Yield the rows of ``stream`` as blocks of text columns, at least one, maybe empty."""
    chunks = _utf8(stream, name, problems, encoding)
    first = next(chunks)
    text = first.decode("utf-8", "replace")
    dialect = sniff(text, problems, delimiter, header, max_columns)
    grammar = _Grammar(dialect)
    skipped = sum(map(len, first.splitlines(keepends=True)[: dialect.skip])) if dialect.skip else 0
    chunks = itertools.chain([first[skipped:]], chunks)
    some = False
    for line, raw in _whole_records(chunks, grammar, dialect.skip + 1):
        yield _parse(_valid(raw, line, problems), line, grammar, problems)
        some = True
    if not some:
        yield _parse(b"", 1, grammar, problems)


class _Grammar:
    """A dialect and the patterns of its records, by the rules of RFC 4180."""

    def __init__(self, dialect: Dialect) -> None:
        self.delimiter, self.names = dialect.delimiter, dialect.names
        mark = re.escape(dialect.delimiter.encode())
        quoted, bare = rb'"(?:[^"]++|"")*+', rb'(?!")[^\r\n' + mark + rb"]*+"
        cells = rb"(?:(?:" + quoted + rb'"|' + bare + rb")" + mark + rb")*+"
        last = rb"(?:" + quoted + rb'"|' + bare + rb")"
        #: A whole record with its line end.
        self.record = re.compile(cells + last + rb"(?:\r\n|\n|\r|\Z)")
        #: A record whose last quote is still open at the end of the text.
        self.open = re.compile(cells + quoted + rb"\Z")


def _utf8(
    stream: IO[bytes], name: str, problems: Problems, encoding: str | None
) -> Iterator[bytes]:
    """Chunks of ``stream`` in UTF-8, lines ended by a line feed."""
    head = stream.read(_CHUNK)
    encoding = encoding or streams.encoding_of(head[: streams.HEAD], name)
    try:
        plain = codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        raise DataError(f"no encoding is called {encoding!r}", source=name) from None
    decoder = None if plain else codecs.getincrementaldecoder(encoding)(errors="replace")
    if encoding == "cp1252":
        problems.add("the file is not UTF-8 and was read as Windows-1252")
    old_mac = b"\r" in head and b"\n" not in head
    while head:
        chunk = head if decoder is None else decoder.decode(head).encode("utf-8", "replace")
        yield chunk.replace(b"\r", b"\n") if old_mac else chunk
        head = stream.read(_CHUNK)


def _whole_records(
    chunks: Iterator[bytes], grammar: _Grammar, line: int
) -> Iterator[tuple[int, bytes]]:
    """Cut ``chunks`` at ends of records: (number of the first line, bytes)."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        while end := _last_end(rest, grammar):
            yield line, rest[:end]
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
    if rest:
        yield line, rest


def _last_end(text: bytes, grammar: _Grammar) -> int:
    """Behind the last record known to be whole; 0 where none is."""
    end = text.rfind(b"\n") + 1
    if text.count(b'"', 0, end) % 2 == 0:
        return end
    position = 0
    while position < end:
        match = grammar.record.match(text, position)
        if match and match.end() <= end:
            position = match.end()
        elif match or (grammar.open.match(text, position) and len(text) - position < _LONGEST):
            break
        else:  # a quote that is never closed, or closed in the middle of a cell
            position = text.find(b"\n", position) + 1
    return position


def _valid(text: bytes, line: int, problems: Problems) -> bytes:
    """``text`` with the lines that are not UTF-8 read as Windows-1252."""
    try:
        text.decode()
        return text
    except UnicodeDecodeError:
        pass
    lines = text.split(b"\n")
    for i, one in enumerate(lines):
        try:
            one.decode()
        except UnicodeDecodeError:
            lines[i] = one.decode("cp1252", "replace").encode()
            problems.add("is not UTF-8 and was read as Windows-1252", line=line + i)
    return b"\n".join(lines)


def _parse(text: bytes, line: int, grammar: _Grammar, problems: Problems) -> Block:
    """Rows of ``text``, which begins at ``line``; those of another width are set aside."""
    if grammar.delimiter == " ":
        text = re.sub(rb"(?m)^ | (?=\r?$)", b"", re.sub(rb"[ \t]+", b" ", text))
    ragged: list[pa.csv.InvalidRow] = []
    try:
        table = _arrow(text, grammar, ragged)
    except pa.ArrowInvalid:
        return _careful(text, line, grammar, problems)
    feeds = text.count(b"\n") + (not text.endswith(b"\n"))
    if table.num_rows == feeds:
        return Block(_batch(table, grammar), lambda i: line + i)
    # Blank lines, ragged rows or line feeds inside quotes: find where each record begins.
    starts = _starts(text, grammar)
    if starts is None or len(starts) != table.num_rows + len(ragged):
        return _careful(text, line, grammar, problems)
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    numbers = line + np.searchsorted(ends, starts)
    bad = {row.number - 1 for row in ragged}
    for row in ragged:
        _set_aside(row.text, row.actual_columns, int(numbers[row.number - 1]), grammar, problems)
    kept = np.delete(numbers, sorted(bad))
    return Block(_batch(table, grammar), lambda i: int(kept[i]))


def _arrow(text: bytes, grammar: _Grammar, ragged: list[pa.csv.InvalidRow]) -> pa.Table:
    def skip(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    if not text.strip(b"\r\n"):
        return pa.table({name: pa.array([], pa.string()) for name in grammar.names})
    return pa.csv.read_csv(
        io.BytesIO(text),
        read_options=pa.csv.ReadOptions(
            use_threads=False, column_names=grammar.names, block_size=len(text) + 1
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=grammar.delimiter, newlines_in_values=True, invalid_row_handler=skip
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(grammar.names, pa.string()), strings_can_be_null=False
        ),
    )


def _batch(table: pa.Table, grammar: _Grammar) -> pa.RecordBatch:
    columns = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in table.columns]
    return pa.record_batch(columns, names=grammar.names)


def _set_aside(text: str, width: int, line: int, grammar: _Grammar, problems: Problems) -> None:
    if text.strip():
        what = f"has {width} cell{'s' * (width != 1)} where there are {len(grammar.names)} columns"
        problems.add(what, line=line, text=text.rstrip("\r\n"))


def _starts(text: bytes, grammar: _Grammar) -> np.ndarray | None:
    """Where each record begins, blank lines left out; None where one breaks the rules."""
    starts, position = [], 0
    for match in grammar.record.finditer(text):
        if match.start() != position:
            return None
        position = match.end()
        if match.group().strip(b"\r\n"):
            starts.append(match.start())
    return np.array(starts, dtype=np.int64) if position == len(text) else None


def _careful(text: bytes, line: int, grammar: _Grammar, problems: Problems) -> Block:
    """As :func:`_parse`, record by record: a line that breaks the rules is judged by itself."""
    width = len(grammar.names)
    feeds = [m.start() for m in re.finditer(b"\n", text)]
    rows: list[list[str]] = []
    lines: list[int] = []
    position = 0
    while position < len(text):
        match = grammar.record.match(text, position)
        end = match.end() if match else (text.find(b"\n", position) + 1 or len(text))
        record = text[position:end].decode().rstrip("\r\n")
        number = line + bisect.bisect_left(feeds, position)
        position = end
        cells = _cells(record, grammar)
        if len(cells) == width and record and (match or record.count('"') % 2 == 0):
            rows.append(cells)
            lines.append(number)
        elif match:
            _set_aside(record, len(cells), number, grammar, problems)
        else:
            problems.add("opens a quote that is never closed", line=number, text=record)
    columns = [pa.array(c, pa.string()) for c in zip(*rows, strict=True)]
    columns = columns or [pa.array([], pa.string())] * width
    return Block(pa.record_batch(columns, names=grammar.names), lines.__getitem__)


def _cells(record: str, grammar: _Grammar) -> list[str]:
    lines = io.StringIO(record, newline="")
    try:
        return next(csv.reader(lines, delimiter=grammar.delimiter), [])
    except csv.Error:  # a cell longer than the csv module takes
        return [c.strip('"').replace('""', '"') for c in record.split(grammar.delimiter)]
