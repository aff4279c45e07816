"""Messages as records, whatever they are written as; schemas that are none are told by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from awry.cli import app
from awry.core.errors import DataError
from awry.stream.formats import decoder


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_lines_are_cut_where_the_header_is(separator: str, mark: bytes) -> None:
    rows = [["card", "city name", "amount"], ["c1", "Rome", "1.5"], ["c2", "", "2"]]
    lines = [separator.join(row).encode() for row in rows]
    read = decoder("csv", header=(mark + lines[0]).decode())
    records, reasons = read([mark + lines[0], *lines[1:], mark + lines[0], b"c3" + lines[1][2:]])
    assert reasons == {}
    assert records == [
        None,
        {"card": "c1", "city name": "Rome", "amount": "1.5"},
        {"card": "c2", "city name": None, "amount": "2"},
        None,
        {"card": "c3", "city name": "Rome", "amount": "1.5"},
    ]


def test_a_separator_within_quotes_cuts_nothing() -> None:
    records, _ = decoder("csv", header="a;b")([b'"x;y, z";2,5'])
    assert records == [{"a": "x;y, z", "b": "2,5"}]
    records, _ = decoder("csv", header="words")([b"one, two"])
    assert records == [{"words": "one, two"}]


def test_a_line_cut_otherwise_is_told_with_the_separator() -> None:
    _, reasons = decoder("csv", header="a,b")([b"1;2"])
    assert reasons[0].endswith("1 cells where 2 columns are named, separated by ','")


@pytest.mark.parametrize("header", ["", " ", ";;", 'a,"b" c'])
def test_a_header_that_names_nothing_is_refused(header: str) -> None:
    with pytest.raises(DataError, match="header"):
        decoder("csv", header=header)


def test_a_file_of_a_spreadsheet_is_judged_by_its_keys(tmp_path: Path) -> None:
    rows = [f"c{i % 5};{50 + i % 7}" for i in range(400)]
    source = tmp_path / "in.csv"
    source.write_text("\n".join(["card;amount", *rows]), encoding="utf-8-sig")
    told, kept = tmp_path / "told.jsonl", tmp_path / "kept.db"
    shown = CliRunner().invoke(
        app,
        ["stream", "--from", f"file://{source}?follow=0", "--key", "card", "-q",
         "--to", f"file://{told}?rows=all", "--state", f"sqlite:///{kept}"],
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    events = [json.loads(line) for line in told.read_text().splitlines()]
    assert len(events) == 400
    assert {event["key"] for event in events} == {f"c{i}" for i in range(5)}


def test_a_first_line_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes("card,größe\n".encode("cp1252"))
    shown = CliRunner().invoke(
        app, ["stream", "--from", f"file://{source}?follow=0", "--format", "csv",
              "--state", f"sqlite:///{tmp_path / 'kept.db'}"],
    )  # fmt: skip
    assert str(shown.exception) == f"{source}: the first line is not UTF-8"


def test_a_file_without_a_header_is_told_by_name(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(b"")
    shown = CliRunner().invoke(
        app, ["stream", "--from", f"file://{source}?follow=0", "--state", f"sqlite:///{tmp_path}/s"]
    )
    assert isinstance(shown.exception, DataError)
    assert "in.csv: the first line is empty and names no columns" in str(shown.exception)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type": "recrd", "name": "x", "fields": []}', "is no Avro schema: .*recrd"),
        ('{"type": ', "is no Avro schema: .*Expecting value"),
        (None, "cannot be read: No such file"),
    ],
)
def test_an_avro_schema_that_is_none_is_told_by_name(
    text: str | None, words: str, tmp_path: Path
) -> None:
    pytest.importorskip("fastavro")
    path = tmp_path / "bad.avsc"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=f"bad.avsc {words}"):
        decoder("avro", schema=str(path))


def test_a_protobuf_schema_that_is_none_is_told_by_name(tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2

    path = tmp_path / "bad.desc"
    path.write_text('{"type": "record"}')
    with pytest.raises(DataError, match=r"bad.desc is no Protobuf schema: DecodeError"):
        decoder("protobuf", schema=f"{path}#x.Y")
    path.unlink()
    with pytest.raises(DataError, match=r"bad.desc cannot be read"):
        decoder("protobuf", schema=f"{path}#x.Y")
    path.write_bytes(descriptor_pb2.FileDescriptorSet().SerializeToString())
    with pytest.raises(DataError, match=r"bad.desc describes no message 'x.Y'"):
        decoder("protobuf", schema=f"{path}#x.Y")
