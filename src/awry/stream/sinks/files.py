"""Lines of JSON, to a file or to standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from awry.core.errors import DataError
from awry.stream.address import Address
from awry.stream.sinks.base import Mark, Message, Sink


class StdoutSink(Sink):
    """``-``; once: lines that went out half would come out twice, and a reader who went away
    does not come back."""

    def deliver(self, messages: list[Message], mark: Mark) -> None:
        sys.stdout.buffer.write(_lines(messages))
        sys.stdout.buffer.flush()


class FileSink(Sink):
    """``file:///path``: lines are added at its end, and on disk before the worker goes on."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._path = Path(address.host + address.path).absolute()
        if not self._path.parent.is_dir():
            raise DataError(f"the folder {str(self._path.parent)!r} does not exist")

    def _send(self, messages: list[Message], mark: Mark) -> None:
        # Opened anew, so that a rotated file is let go.
        with self._path.open("ab") as file:
            begin = file.tell()
            try:
                file.write(_lines(messages))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(begin)
                raise


def _lines(messages: list[Message]) -> bytes:
    return b"".join(msgspec.json.encode(message) + b"\n" for message in messages)
