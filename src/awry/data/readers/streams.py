"""Bytes from files and standard input: opened, decompressed, and told apart by what they hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa

from awry.core.errors import DataError

#: How many bytes formats, encodings and dialects are told from.
HEAD = 1 << 16

_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_BINARY = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow-stream",
}
#: Files that are no tables awry reads, and what to do about them.
_FOREIGN = {
    b"PK\x03\x04": ("this is a zip archive or a spreadsheet", "save the sheet as CSV, or unzip it"),
    b"\xd0\xcf\x11\xe0": ("this is an old Excel or Office file", "save the sheet as CSV"),
    b"SQLite format 3\x00": (
        "this is an SQLite database",
        "read it as sqlite:///PATH with --query 'SELECT …'",
    ),
    b"%PDF": ("this is a PDF document", "export the table as CSV"),
    b"\x89PNG": ("this is a picture", "give a table"),
    b"\xff\xd8\xff": ("this is a picture", "give a table"),
    b"\x93NUMPY": ("this is a numpy array", "load it with numpy and pass it to awry.detect"),
    b"\x89HDF": ("this is an HDF5 file", "export the table as CSV or Parquet"),
    b"Obj\x01": ("this is an Avro file", "convert it to Parquet"),
    b"ORC": ("this is an ORC file", "convert it to Parquet"),
}


@contextmanager
def open_bytes(
    path: str | IO[bytes], name: str, watch: Callable[[IO[bytes]], None] | None = None
) -> Iterator[Any]:
    """Open ``path`` (``-`` is standard input) for reading, decompressed if it is compressed.

    ``watch`` is given the file itself, whose position tells how far reading has come. Errors of
    the file system and of damaged compressed data come out as :class:`DataError`, also while the
    block reads.
    """
    try:
        with _raw(path, name) as raw:
            if watch is not None:
                watch(raw)
            yield _decompressed(raw)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(
            f"the file is damaged or cut short ({error})", source=name, remedy=_AGAIN
        ) from None
    except OSError as error:
        if error.errno is None:  # bz2 and Arrow's zstd report damage as an OSError
            raise DataError(
                f"the file is damaged or cut short ({error})", source=name, remedy=_AGAIN
            ) from None
        raise DataError(f"it cannot be read: {error.strerror}", source=name) from None


_AGAIN = "copy or export it again"


@contextmanager
def _raw(path: str | IO[bytes], name: str) -> Iterator[Any]:
    if path == "-":
        yield sys.stdin.buffer
        return
    if not isinstance(path, (str, os.PathLike)):
        yield path if hasattr(path, "peek") else io.BufferedReader(path)
        return
    check_path(path, name)
    with open(path, "rb", buffering=HEAD) as raw:
        yield raw


def check_path(path: str, name: str) -> None:
    """Say in one line why ``path`` is no file that can be read."""
    if os.path.isdir(path):
        raise DataError("this is a folder", source=name, remedy="name the files in it")
    if not os.path.exists(path):
        raise DataError("there is no such file", source=name, remedy="check the path")


def _decompressed(raw: Any) -> Any:
    head = raw.peek(8)[:8]
    codec = next((c for magic, c in _COMPRESSED.items() if head.startswith(magic)), None)
    if codec == "gzip":
        return gzip.open(raw)
    if codec == "bzip2":
        return bz2.open(raw)
    if codec == "xz":
        return lzma.open(raw)
    if codec == "zstd":
        return io.BufferedReader(_Arrow(pa.CompressedInputStream(raw, "zstd")), HEAD)
    return raw


class _Arrow(io.RawIOBase):
    """An Arrow stream as a Python one, which can be peeked into once buffered."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def sniff(head: bytes, name: str) -> str:
    """The format of a file that begins with ``head``: parquet, arrow, arrow-stream, json or csv.

    Raises
    ------
    DataError
        Where it is empty, or something that holds no table.
    """
    if not head:
        raise DataError("the file is empty", source=name, remedy="give a file with rows in it")
    for magic, kind in _BINARY.items():
        if head.startswith(magic):
            return kind
    for magic, (what, remedy) in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(what, source=name, remedy=remedy)
    text = decode(head, name).lstrip("\ufeff \t\r\n")
    if not text:
        raise DataError("it holds only blanks", source=name, remedy="give a file with rows in it")
    if _MARKUP.match(text):
        raise DataError(
            "this is a web page or XML, not a table", source=name,
            remedy="download or export the data itself, as CSV, JSON or Parquet",
        )  # fmt: skip
    return "json" if _JSON.match(text) else "csv"


def encoding_of(head: bytes, name: str) -> str:
    """The encoding of text that begins with ``head``: UTF-8, UTF-16, UTF-32 or Windows-1252."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(mark):
            return encoding
    if len(head) >= 4 and b"\x00" in head:
        for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            half = head[start : len(head) // 2 * 2 : 2]
            if half.count(0) > 0.6 * len(half) and head[1 - start :: 2].count(0) < 0.1 * len(half):
                return encoding
    control = len(head) - len(head.translate(None, _CONTROL))
    if control > 0.02 * len(head):
        raise DataError("this is binary data, not a table", source=name, remedy="give CSV, JSON, …")
    try:
        # The head may end inside a character.
        head.decode("utf-8") if len(head) < HEAD else head[: head.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


#: The first marks of JSON that are not those of a CSV file.
_JSON = re.compile(r'\{\s*(?:"|\}|\Z)|\[\s*(?:\{|\[|\]|\Z)')
_MARKUP = re.compile(r"<(?:!doctype\s|\?xml\s|!--|html\b|head\b|body\b)", re.I)
_CONTROL = bytes(b for b in range(32) if b not in b"\t\n\r\f\x1b\x1a\x01\x1f")


def decode(head: bytes, name: str) -> str:
    """The first bytes of a file as text."""
    return head.decode(encoding_of(head, name), "replace")


@contextmanager
def seekable(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """``stream`` itself, or a copy on disk where it cannot be moved about in."""
    if isinstance(stream, io.BufferedReader) and stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        while chunk := stream.read(1 << 20):
            copy.write(chunk)
        copy.seek(0)
        yield copy
