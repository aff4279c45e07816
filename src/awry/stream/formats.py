"""Messages as records: JSON, CSV lines, Avro, Protobuf. What cannot be read is told, not raised."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from awry.core.errors import DataError
from awry.core.optional import optional
from awry.data.problems import Problems
from awry.data.readers.dialect import SINGLE, sniff
from awry.stream.records import Record

#: Records, None where a message could not be read, and the reasons of these by index; a message
#: without a reason is none, such as the header of a file.
Decoded = tuple[list[Record | None], dict[int, str]]
Decoder = Callable[[Sequence[Any]], Decoded]

_BOM = "\ufeff"
NAMES = ("json", "csv", "avro", "protobuf")


def decoder(name: str = "json", *, schema: str | None = None, header: str | None = None) -> Decoder:
    """What turns messages of a format into records.

    Parameters
    ----------
    name : {"json", "csv", "avro", "protobuf"}
    schema : str, optional
        File of the schema: for Avro JSON (``.avsc``); for Protobuf a descriptor set, as ``protoc
        --include_imports --descriptor_set_out`` writes it, followed by ``#package.Message``.
    header : str, optional
        CSV: names of the columns, between the commas, semicolons, tabs or bars that the lines have
        too. A line that repeats them is passed over.
    """
    if name == "json":
        return _each(msgspec.json.Decoder(Record).decode)
    if name == "csv":
        return _Csv(header)
    if name in ("avro", "protobuf") and schema is None:
        raise DataError(f"{name} needs a schema", remedy="give its file with --schema FILE")
    if name == "avro":
        return _each(_avro(str(schema)))
    if name == "protobuf":
        return _each(_protobuf(str(schema)))
    raise DataError(f"there is no format {name!r}", remedy=f"one of {', '.join(NAMES)}")


def _each(read: Callable[[bytes], Any]) -> Decoder:
    def decode(messages: Sequence[Any]) -> Decoded:
        try:
            return [m if type(m) is dict else read(m) for m in messages], {}
        except Exception:
            return _one_by_one(read, messages)

    return decode


def _one_by_one(read: Callable[[bytes], Any], messages: Sequence[Any]) -> Decoded:
    records: list[Record | None] = []
    reasons: dict[int, str] = {}
    for i, message in enumerate(messages):
        try:
            records.append(message if isinstance(message, dict) else read(message))
        # What readers raise on crafted bytes is of many kinds; none may stop the stream.
        except Exception as error:
            records.append(None)
            reasons[i] = f"{type(error).__name__}: {error}"[:300]
    return records, reasons


class _Csv:
    """Lines of a CSV file, separated as its header is."""

    def __init__(self, header: str | None) -> None:
        self.names: list[str] | None = None
        if header is None:
            return
        header = header.removeprefix(_BOM)
        self.separator = sniff(header, Problems(), header=True).delimiter
        try:
            self.names = self._cells(header)
        except csv.Error as error:
            raise DataError(f"the header {header!r} is no line of CSV: {error}") from error
        if not any(name.strip() for name in self.names):
            raise DataError("the header names no columns", remedy="give them with --header")

    def __call__(self, messages: Sequence[Any]) -> Decoded:
        records, reasons = _one_by_one(self._read, messages)
        for i, record in enumerate(records):
            if record is not None and list(record) == list(record.values()):
                records[i] = None
        return records, reasons

    def _read(self, message: bytes) -> Record:
        if self.names is None:
            raise ValueError("the columns have no names; give them with --header")
        # Each file that a line may come from begins with a mark of its own, or with none.
        cells = self._cells(message.decode().removeprefix(_BOM))
        if len(cells) != len(self.names):
            raise ValueError(
                f"{len(cells)} cells where {len(self.names)} columns are named"
                + (f", separated by {self.separator!r}" if self.separator != SINGLE else "")
            )
        return {name: cell if cell else None for name, cell in zip(self.names, cells, strict=True)}

    def _cells(self, line: str) -> list[str]:
        return next(csv.reader([line], strict=True, delimiter=self.separator), [])


def _avro(schema: str) -> Callable[[bytes], Any]:
    fastavro = optional("fastavro", extra="stream", needed_by="--format avro")
    with _schema_told(schema, "Avro"):
        parsed = fastavro.parse_schema(json.loads(Path(schema).read_text(encoding="utf-8")))

    def read(message: bytes) -> Any:
        # Confluent's registry puts a zero and four bytes of a schema's number before the record.
        skip = 5 if message[:1] == b"\0" and len(message) > 5 else 0
        for start in dict.fromkeys((skip, 0)):
            rest = io.BytesIO(message[start:])
            try:
                record = fastavro.schemaless_reader(rest, parsed)
            except Exception:
                if start == 0:
                    raise
                continue
            if not rest.read(1):
                return record
        raise ValueError("bytes are left after the record; the schema is another one")

    return read


def _protobuf(schema: str) -> Callable[[bytes], Any]:
    optional("google.protobuf", extra="stream", needed_by="--format protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

    path, _, name = schema.rpartition("#")
    if not path:
        raise DataError(
            f"{schema!r} names no message", remedy="write --schema FILE#package.Message"
        )
    pool = descriptor_pool.DescriptorPool()
    with _schema_told(path, "Protobuf"):
        for file in descriptor_pb2.FileDescriptorSet.FromString(Path(path).read_bytes()).file:
            pool.Add(file)  # type: ignore[attr-defined]
    try:
        made = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except KeyError as error:
        raise DataError(f"{path} describes no message {name!r}") from error

    def read(message: bytes) -> Any:
        return json_format.MessageToDict(
            made.FromString(message), preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )  # fmt: skip

    return read


@contextmanager
def _schema_told(path: str, kind: str) -> Iterator[None]:
    """Say of which file it is that the schema cannot be read."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    # What the libraries raise on a schema that is none is of many kinds.
    except Exception as error:
        raise DataError(
            f"{path} is no {kind} schema: {type(error).__name__}: {error}"[:500]
        ) from error
