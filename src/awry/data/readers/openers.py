"""What stands behind a source: a file, a stream or a query, opened afresh for each pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Any, Protocol

from awry.core.errors import DataError
from awry.data.problems import Problems
from awry.data.readers import columnar, delimited, objects, sql, streams
from awry.data.readers.blocks import Block

#: What ``format=`` may say, and the reader of each.
FORMATS = {
    "csv": "csv", "tsv": "csv", "parquet": "parquet", "arrow": "arrow", "feather": "arrow",
    "json": "json", "jsonl": "json", "ndjson": "json",
}  # fmt: skip
_SUFFIXES = {f".{name}": reader for name, reader in FORMATS.items()} | {
    ".txt": "csv", ".tab": "csv", ".pq": "parquet", ".ipc": "arrow",
}  # fmt: skip
_PACKED = (".gz", ".zst", ".zstd", ".bz2", ".xz")


class Opener(Protocol):
    """Anything that yields blocks of rows.

    Attributes
    ----------
    name : str
        What messages call it.
    format : str
        Which reader it takes, known once the first block has been asked for.
    once : bool
        Whether its rows go by only once.
    raw : binary file or None
        The file whose position tells how far reading has come.
    """

    name: str
    format: str
    once: bool
    raw: IO[bytes] | None

    def blocks(self, problems: Problems) -> Iterator[Block]:
        """Yield the rows from the beginning."""


class Query:
    """Rows of a database query."""

    def __init__(self, url: str, query: str | None) -> None:
        self.url, self.query, self.name = url, query, sql.label(url)
        self.format, self.once = "sql", False
        self.raw: IO[bytes] | None = None

    def blocks(self, problems: Problems) -> Iterator[Block]:
        """Run the query and yield its rows."""
        return sql.blocks(self.url, self.query, self.name)


class File:
    """A file or a stream of bytes, told apart by what it holds.

    Parameters
    ----------
    path : str or binary file
        ``-`` is standard input.
    asked : str or None
        One of :data:`FORMATS`.
    batch_rows : int
        Rows to read at a time, where the format lets one choose.
    options : dict
        For CSV: ``delimiter``, ``header``, ``encoding``.
    max_columns : int, optional
        More are refused.
    """

    def __init__(
        self,
        path: str | IO[bytes],
        asked: str | None,
        batch_rows: int,
        options: dict[str, Any],
        max_columns: int | None = None,
    ) -> None:
        self.max_columns = max_columns
        self.path, self.asked, self.batch_rows, self.options = path, asked, batch_rows, options
        self.name = _name(path)
        self.once = path == "-" or not isinstance(path, str)
        self.format = ""
        self.raw: IO[bytes] | None = None

    def blocks(self, problems: Problems) -> Iterator[Block]:
        """Open the file and yield its rows."""
        with streams.open_bytes(self.path, self.name, self._watch) as stream:
            found = streams.sniff(stream.peek(streams.HEAD), self.name)
            self.format = self._settle(found.removesuffix("-stream"), problems)
            most = self.max_columns
            if self.format == "parquet":
                yield from columnar.parquet(stream, self.name, self.batch_rows, most)
            elif self.format == "arrow":
                streaming = found == "arrow-stream"
                yield from columnar.arrow(stream, self.name, streaming=streaming, max_columns=most)
            elif self.format == "json":
                yield from objects.blocks(stream, self.name, problems, max_columns=most)
            else:
                yield from delimited.blocks(
                    stream, self.name, problems, **self.options, max_columns=most
                )

    def _settle(self, found: str, problems: Problems) -> str:
        """The reader for what was asked for, what the file holds and what it is called."""
        if self.asked is not None:
            asked = FORMATS[self.asked]
            if asked == found or {asked, found} == {"csv", "json"}:
                return asked
            raise DataError(
                f"the content is {found}, not {self.asked}",
                source=self.name,
                remedy="leave --format out",
            )
        path = PurePath(self.name.lower())
        suffix = PurePath(path.stem).suffix if path.suffix in _PACKED else path.suffix
        called = _SUFFIXES.get(suffix, found)
        if (called, found) == ("json", "csv"):
            return "json"  # its first line is damaged
        if called != found:
            problems.add(f"the file is called {suffix} but holds {found}")
        return found

    def _watch(self, raw: IO[bytes]) -> None:
        self.raw = raw


def _name(path: str | IO[bytes]) -> str:
    if isinstance(path, str):
        return "standard input" if path == "-" else path
    name = getattr(path, "name", None)
    return name if isinstance(name, str) else "the stream"
