"""One way to open a table, whatever it is kept in."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from awry.core.errors import DataError
from awry.data.problems import Problems
from awry.data.readers import sql
from awry.data.readers.blocks import Block
from awry.data.readers.conform import Columns
from awry.data.readers.openers import FORMATS, File, Opener, Query

#: Types of text columns are settled on so many rows.
SAMPLE = 1 << 16
#: What may delimit cells: a tab or a printable ASCII character that is no quote.
_MARKS = "\t" + "".join(map(chr, range(32, 127))).replace('"', "")


class Source:
    """A table that can be read in batches, or at once.

    Made by :func:`open_source`. The first rows are read at once, and the types of text columns
    settled on them; what cannot be used later is set aside and told in ``problems``.

    Attributes
    ----------
    name : str
        What messages call it.
    format : str
        ``csv``, ``parquet``, ``arrow``, ``json`` or ``sql``.
    schema : pa.Schema
        Names and types of the columns, the same in every batch.
    problems : Problems
        Rows and cells set aside so far, and oddities of the whole source.
    rows_read : int
        Rows handed out so far.
    """

    def __init__(self, opener: Opener, batch_rows: int) -> None:
        self.name, self.batch_rows, self._opener = opener.name, batch_rows, opener
        self.problems = Problems()
        self.rows_read = 0
        live = opener.blocks(self.problems)
        sample = list(itertools.islice(live, 1))
        if not sample or not sample[0].batch.num_columns:
            raise DataError("it holds no columns", source=self.name, remedy="give a table")
        self.format = opener.format
        self._columns: Columns | None = None
        self.schema = sample[0].batch.schema
        if self.format in ("csv", "json", "sql"):
            self._columns = Columns(sample, complete=_fill(sample, live))
            self.schema = self._columns.schema
        #: The rows looked at already and the rest, for the first pass.
        self._first: Iterator[Block] | None = itertools.chain(sample, live)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema.names)

    @property
    def fraction(self) -> float | None:
        """How much of a file has been read, from 0 to 1; None where that is not known."""
        raw = self._opener.raw
        if raw is None:
            return None
        if raw.closed:
            return 1.0
        try:
            size = os.fstat(raw.fileno()).st_size
            return min(1.0, raw.tell() / size) if size else None
        except OSError:  # no file, or a pipe
            return None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of ``batch_rows`` (the last may be shorter).

        Can be called again, except where the source is a stream that has gone by.
        """
        blocks = self._first
        if blocks is None:
            if self._opener.once:
                raise DataError(
                    "it can be read only once", source=self.name, remedy="save it to a file"
                )
            self.problems.forget()
            blocks = self._opener.blocks(self.problems)
        self._first, self.rows_read = None, 0
        for batch in _rechunk(self._typed(blocks), self.batch_rows):
            self.rows_read += batch.num_rows
            yield batch

    def read(self) -> pa.Table:
        """All rows as one table."""
        table = pa.Table.from_batches(self.batches(), schema=self.schema)
        return self._columns.whole_numbers(table) if self._columns else table

    def _typed(self, blocks: Iterator[Block]) -> Iterator[pa.RecordBatch]:
        before = 0
        for block in blocks:
            if self._columns is not None:
                yield self._columns.conform(block, self.problems, before)
            elif block.batch.schema == self.schema:
                yield block.batch
            else:  # a nested or binary column that reads otherwise in a later batch
                yield block.batch.cast(self.schema)
            before += block.batch.num_rows


def open_source(
    path: str | os.PathLike[str] | IO[bytes],
    *,
    query: str | None = None,
    format: str | None = None,
    batch_rows: int = 65536,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    max_columns: int | None = None,
) -> Source:
    """Open a table for reading.

    Parameters
    ----------
    path : str, path or binary file
        A file (CSV, Parquet, Arrow, Feather, JSON or JSON Lines; compressed by gzip, zstd, bzip2
        or xz or not), ``-`` for standard input, ``sqlite:///PATH``, or ``postgresql://…``.
    query : str, optional
        For a database: the rows to read. It is sent as it stands.
    format : str, optional
        One of ``csv, tsv, parquet, arrow, feather, json, jsonl, ndjson``; told from the content
        where it is not given.
    batch_rows : int, default=65536
        Rows in a batch.
    delimiter, header, encoding : optional
        For CSV, where the guess is wrong: one character; whether the first line holds the names;
        the name of a codec.
    max_columns : int, optional
        A file of more is refused before anything is done with them.

    Raises
    ------
    TooWideError
        Where there are more than ``max_columns``.
    DataError
        Where there is nothing to read, or nothing that is a table; one line says what to do.

    Examples
    --------
    >>> import io
    >>> source = open_source(io.BytesIO(b"city,amount\\nRome,12\\nOslo,7,8\\nParis,9\\n"))
    >>> source.read().to_pydict()
    {'city': ['Rome', 'Paris'], 'amount': [12, 9]}
    >>> [str(problem) for problem in source.problems]
    ["line 3: 'Oslo,7,8' has 3 cells where there are 2 columns"]
    """
    if format is not None and format not in FORMATS:
        raise DataError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if batch_rows < 1:
        raise DataError(f"batch_rows must be an integer >= 1, got {batch_rows}")
    if delimiter is not None and (len(delimiter) != 1 or delimiter not in _MARKS):
        raise DataError(f"delimiter must be one ASCII character, got {delimiter!r}")
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if isinstance(path, str) and "://" in path:
        if not path.startswith(sql.SCHEMES):
            raise DataError(
                "this is no address awry reads", source=path, remedy="download it, name the file"
            )
        return Source(Query(path, query), batch_rows)
    if delimiter is None and format == "tsv":
        delimiter = "\t"
    options = {"delimiter": delimiter, "header": header, "encoding": encoding}
    file = File(path, format, batch_rows, options, max_columns)
    if query is not None:
        raise DataError(
            "this is a file, not a database", source=file.name, remedy="leave --query out"
        )
    return Source(file, batch_rows)


def read(path: str | os.PathLike[str] | IO[bytes], **options: Any) -> pa.Table:
    """The whole table at ``path``; the options are those of :func:`open_source`.

    Examples
    --------
    >>> import io
    >>> read(io.BytesIO(b"a;b\\n1,5;x\\n2,5;y\\n")).to_pydict()
    {'a': [1.5, 2.5], 'b': ['x', 'y']}
    """
    return open_source(path, **options).read()


def _fill(sample: list[Block], live: Iterator[Block]) -> bool:
    """Add to ``sample`` up to :data:`SAMPLE` rows; whether these are all rows there are."""
    count = sum(block.batch.num_rows for block in sample)
    while count < SAMPLE:
        block = next(live, None)
        if block is None:
            return True
        sample.append(block)
        count += block.batch.num_rows
    return False


def _rechunk(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """``batches`` cut and joined to ``rows`` rows each."""
    held: list[pa.RecordBatch] = []
    room = rows
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, room)
            batch = batch.slice(part.num_rows)
            held.append(part)
            room -= part.num_rows
            if not room:
                yield _join(held)
                held, room = [], rows
    if held:
        yield _join(held)


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
