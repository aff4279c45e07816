"""Uploads that are damaged, in a wrong encoding, or far larger unpacked: told, and nothing left."""

from __future__ import annotations

import gzip
import io
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from awry.ops.settings import Settings
from awry.server import create_app

TABLE = pa.table({"amount": np.arange(40) / 3, "hour": np.arange(40) % 24, "city": ["Köln"] * 40})
MOST = 16 * 2**20


def written() -> dict[str, bytes]:
    """A good file of each format."""
    out: dict[str, bytes] = {}
    for name, write in (("csv", csv.write_csv), ("parquet", parquet.write_table)):
        file = io.BytesIO()
        write(TABLE, file)
        out[name] = file.getvalue()
    out["arrow"] = bytes(pa.ipc.serialize_pandas(TABLE.to_pandas()))
    rows = TABLE.to_pylist()
    out["jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    out["json"] = json.dumps(rows).encode()
    return out


GOOD = written()


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    made = Settings(
        home=tmp_path_factory.mktemp("home"), rate=1e6, burst=10**6, workers=0,
        max_upload_bytes=2**20, max_dataset_bytes=MOST, max_dataset_rows=10**9,
    )  # fmt: skip
    with TestClient(create_app(made), "http://localhost", raise_server_exceptions=False) as client:
        yield client


def upload(http: TestClient, content: bytes, format_: str | None = None) -> Any:
    form = {"name": "fuzz"} | ({"format": format_} if format_ else {})
    return http.post("/datasets", data=form, files={"file": ("f", content)})


def files(http: TestClient) -> list[Path]:
    home = http.app.state.service.settings.home  # type: ignore[attr-defined]
    return sorted((home / "datasets").iterdir())


def refused_or_whole(http: TestClient, answer: Any) -> None:
    """Either it is refused in words and leaves no file, or it is a data set like others."""
    if answer.status_code == 201:
        assert http.get("/datasets/fuzz/stats").status_code == 200
        assert http.delete("/datasets/fuzz").status_code == 204
    else:
        assert answer.status_code in (413, 422), answer.text
        assert answer.json()["detail"]
    assert files(http) == []


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(GOOD)), told=st.booleans())
def test_damaged_files(http: TestClient, data: st.DataObject, name: str, told: bool) -> None:
    content = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
        if what == "flip" and at < len(content):
            content[at] ^= data.draw(st.integers(1, 255))
        elif what == "cut":
            del content[at:]
        elif what == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        else:
            del content[at : at + data.draw(st.integers(1, 50))]
    refused_or_whole(http, upload(http, bytes(content), name if told else None))


@pytest.mark.parametrize("name", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig", "cp037"])
def test_encodings(http: TestClient, name: str, encoding: str) -> None:
    text = GOOD[name].decode().replace("\\u00f6", "ö")
    answer = upload(http, text.encode(encoding), name)
    if encoding == "utf-8-sig":
        assert answer.status_code == 201, answer.text
        assert [c["name"] for c in answer.json()["columns"]] == TABLE.column_names
    refused_or_whole(http, answer)


def peak() -> int:
    """The most memory this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bombs() -> dict[str, bytes]:
    """Files of less than a megabyte that hold a quarter of a gigabyte or more."""
    zeros = b"0,0\n" * 2**20
    packed = io.BytesIO()
    with gzip.open(packed, "wb", 9) as file:
        file.write(b"a,b\n")
        for _ in range(32):
            file.write(zeros)
    column = io.BytesIO()
    with parquet.ParquetWriter(column, pa.schema({"a": pa.int64()}), compression="zstd") as writer:
        for _ in range(32):
            writer.write_table(pa.table({"a": np.zeros(2**20, np.int64)}))
    text = io.BytesIO()
    with parquet.ParquetWriter(text, pa.schema({"a": pa.string()})) as writer:
        writer.write_table(pa.table({"a": ["x" * 10**6] * 256}))
    return {"csv": packed.getvalue(), "parquet": column.getvalue(), "text": text.getvalue()}


def test_what_is_far_larger_unpacked(http: TestClient) -> None:
    for name, content in bombs().items():
        assert len(content) < 2**20, name
        before = peak()
        answer = upload(http, content)
        assert answer.status_code == 413, (name, answer.text)
        refused_or_whole(http, answer)
        # The whole of it would have taken twice as much.
        assert peak() - before < 8 * MOST, name


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "arrow-stream", "json", "jsonl"])
def test_columns_are_counted_before_they_are_looked_at(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    most = http.app.state.service.settings.max_columns  # type: ignore[attr-defined]

    def looked(*_: object, **__: object) -> None:
        raise AssertionError("a column was looked at")

    with monkeypatch.context() as patch:
        patch.setattr("awry.data.parse.settle", looked)
        patch.setattr("awry.data.readers.objects.from_values", looked)
        patch.setattr("awry.data.readers.columnar.plain_batch", looked)
        answer = upload(http, wide(most + 1, kind))
    assert answer.status_code == 413, answer.text
    assert f"{most + 1:,} columns" in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert files(http) == []


def wide(columns: int, kind: str) -> bytes:
    """A file of one row."""
    row = {f"c{i}": i / 2 for i in range(columns)}
    if kind == "csv":
        return f"{','.join(row)}\n{','.join(map(str, row.values()))}\n".encode()
    if kind in ("json", "jsonl"):
        return json.dumps([row] if kind == "json" else row).encode() + b"\n"
    table, out = pa.Table.from_pylist([row]), io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, out)
    else:
        make = pa.ipc.new_stream if kind == "arrow-stream" else pa.ipc.new_file
        with make(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


def test_as_many_columns_as_are_allowed_are_kept(tmp_path: Path) -> None:
    with TestClient(
        create_app(Settings(home=tmp_path, workers=0, max_columns=3)), "http://localhost"
    ) as http:
        assert upload(http, wide(3, "csv")).status_code == 201
        http.delete("/datasets/fuzz")
        # One long line among others makes no wide table.
        long = b"a,b,c\n1,2,3\n4,5,6,7,8,9\n7,8,9\n"
        assert upload(http, long).status_code == 201
