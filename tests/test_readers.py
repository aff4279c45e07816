"""Every format gives the same table; what cannot be used is told with its line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from awry.core.errors import DataError, MissingDependencyError
from awry.data.readers import open_source, read

ROWS = {"id": [1, 2, 3], "city": ["Rome", "São Paulo", 'a,b\n"c"'], "x": [1.5, None, -2.0]}
CSV = 'id,city,x\n1,Rome,1.5\n2,São Paulo,\n3,"a,b\n""c""",-2\n'


def _stream(text: str | bytes) -> io.BytesIO:
    return io.BytesIO(text if isinstance(text, bytes) else text.encode())


def _table() -> pa.Table:
    return pa.table(ROWS)


def _write_ipc(path, maker):
    with maker(str(path), _table().schema) as writer:
        writer.write_table(_table())


WRITERS = {
    "a.csv": lambda p: p.write_text(CSV),
    "a.tsv": lambda p: p.write_text(
        'id\tcity\tx\n1\tRome\t1.5\n2\tSão Paulo\t\n3\t"a,b\n""c"""\t-2\n'
    ),
    "semicolons.csv": lambda p: p.write_text(
        'id;city;x\n1;Rome;1,5\n2;São Paulo;\n3;"a,b\n""c""";-2\n'
    ),
    "bom.csv": lambda p: p.write_bytes(CSV.encode("utf-8-sig")),
    "utf16.csv": lambda p: p.write_bytes(CSV.encode("utf-16")),
    "utf16le.csv": lambda p: p.write_bytes(CSV.encode("utf-16-le")),
    "cp1252.csv": lambda p: p.write_bytes(CSV.encode("cp1252")),
    "crlf.csv": lambda p: p.write_bytes(CSV.replace("\n", "\r\n").replace("b\r\n", "b\n").encode()),
    "a.csv.gz": lambda p: p.write_bytes(gzip.compress(CSV.encode())),
    "two_members.csv.gz": lambda p: p.write_bytes(
        gzip.compress(CSV[:20].encode()) + gzip.compress(CSV[20:].encode())
    ),
    "a.csv.bz2": lambda p: p.write_bytes(bz2.compress(CSV.encode())),
    "a.csv.xz": lambda p: p.write_bytes(lzma.compress(CSV.encode())),
    "a.csv.zst": lambda p: p.write_bytes(pa.compress(CSV.encode(), codec="zstd", asbytes=True)),
    "a.parquet": lambda p: pa.parquet.write_table(_table(), p),
    "a.feather": lambda p: pa.feather.write_feather(_table(), str(p)),
    "file.arrow": lambda p: _write_ipc(p, pa.ipc.new_file),
    "stream.arrow": lambda p: _write_ipc(p, pa.ipc.new_stream),
    "a.json": lambda p: p.write_text(json.dumps(_table().to_pylist(), indent=1)),
    "columns.json": lambda p: p.write_text(json.dumps(ROWS)),
    "pandas.json": lambda p: p.write_text(pd.DataFrame(ROWS).to_json()),
    "wrapped.json": lambda p: p.write_text(json.dumps({"n": 3, "data": _table().to_pylist()})),
    "a.jsonl": lambda p: p.write_text("\n".join(map(json.dumps, _table().to_pylist()))),
    "pretty.json": lambda p: p.write_text(
        "\n".join(json.dumps(row, indent=2) for row in _table().to_pylist())
    ),
    "a.ndjson.gz": lambda p: p.write_bytes(
        gzip.compress("\n".join(map(json.dumps, _table().to_pylist())).encode())
    ),
    "called_parquet.csv": lambda p: pa.parquet.write_table(_table(), p),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    source = open_source(path, batch_rows=2)
    batches = list(source.batches())
    assert [b.num_rows for b in batches] == [2, 1]
    assert all(b.schema == source.schema for b in batches)
    table = pa.Table.from_batches(batches)
    assert table.to_pydict() == ROWS
    assert source.columns == list(ROWS)
    assert source.rows_read == 3
    # A second pass finds the same, problems included.
    first = [str(p) for p in source.problems]
    assert source.read().to_pydict() == ROWS
    assert [str(p) for p in source.problems] == first
    assert bool(first) == (name in ("cp1252.csv", "called_parquet.csv"))
    # From a stream that cannot be moved about in, as standard input is.
    assert open_source(_Pipe(path.read_bytes())).read().to_pydict() == ROWS


class _Pipe(io.RawIOBase):
    """Bytes that come a few at a time and only once."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        some = self._left.read(min(len(buffer), 1000))
        buffer[: len(some)] = some
        return len(some)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(
        sys, "stdin", types.SimpleNamespace(buffer=io.BufferedReader(_Pipe(CSV.encode())))
    )
    source = open_source("-")
    assert source.name == "standard input"
    assert source.read().to_pydict() == ROWS
    with pytest.raises(DataError, match="only once; save it to a file"):
        source.read()


def test_dates_and_zones_survive_each_format(tmp_path):
    when = pd.to_datetime(["2024-01-01 10:00", "2024-01-02 11:30"])
    frame = pd.DataFrame(
        {"local": when, "zoned": when.tz_localize("Europe/Paris"), "flag": [True, False]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True, date_format="iso")
    utc = [t.to_pydatetime() for t in frame["zoned"].dt.tz_convert("UTC")]
    for name in ("t.csv", "t.parquet", "t.jsonl"):
        found = read(tmp_path / name)
        assert found["zoned"].to_pylist() == utc
        assert [t.replace(tzinfo=None) for t in found["local"].to_pylist()] == list(when)
        assert found["flag"].to_pylist() == [True, False]


# -- CSV that people write ------------------------------------------------------------------------


def test_ragged_rows_are_set_aside_with_their_line():
    text = 'a,b,c\n1,2,3\n4,5\n\n6,"x\ny",7\n8,9,10,11\n12,13,14\n'
    source = open_source(_stream(text))
    assert source.read().to_pydict() == {"a": [1, 6, 12], "b": ["2", "x\ny", "13"], "c": [3, 7, 14]}
    assert [(p.line, p.text) for p in source.problems] == [(3, "4,5"), (7, "8,9,10,11")]
    assert "has 2 cells where there are 3 columns" in str(source.problems[0])


def test_a_quote_that_is_never_closed_costs_one_line():
    good = [f"{i},x{i},{i / 2}" for i in range(50)]
    lines = ["a,b,c", *good[:20], '1,"never closed,2', *good[20:40], '7,"a\nb",8', *good[40:]]
    source = open_source(_stream("\n".join(lines)))
    table = source.read()
    assert table.num_rows == 51
    assert table["a"].to_pylist() == [*range(40), 7, *range(40, 50)]
    assert [(p.line, p.what) for p in source.problems] == [
        (22, "opens a quote that is never closed")
    ]


def test_records_and_lines_hold_across_blocks(monkeypatch):
    """Blocks of a few bytes cut records, quotes and characters; the result must not notice."""
    from awry.data.readers import delimited

    rows = [f'{i},"é {i}\n""q"", {i}",{i * 0.5}' for i in range(300)]
    rows[100], rows[200] = "bad", "9,8,7,6"
    text = "n,t,x\n" + "\n".join(rows) + "\n"
    whole = open_source(_stream(text))
    expected = whole.read()
    line_of = 2 + 2 * 100
    assert [p.line for p in whole.problems] == [line_of, line_of + 1 + 2 * 99]
    assert expected["t"][1].as_py() == 'é 1\n"q", 1'
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(delimited, "_CHUNK", max(size, 200))
        monkeypatch.setattr(delimited.streams, "HEAD", 1 << 16)
        cut = open_source(_stream(text), batch_rows=size)
        assert cut.read().equals(expected) or cut.read().to_pydict() == expected.to_pydict()
        assert [p.line for p in cut.problems] == [p.line for p in whole.problems]


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("1,2,3\n4,5,6\n", ["column_1", "column_2", "column_3"], 2),
        ("red,small\nblue,big\nred,big\nblue,small\n", ["column_1", "column_2"], 4),
        ("name,city\nAnn,Rome\nBob,Oslo\n", ["name", "city"], 2),
        (",a,b\n0,1,2\n1,3,4\n", ["column_1", "a", "b"], 2),
        ("a,a,a_2,\n1,2,3,4\n", ["a", "a_3", "a_2", "column_4"], 1),
        ("value\n1\n2\n", ["value"], 2),
        ("My report\nof 2024\n\nx,y,z\n1,2,3\n4,5,6\n", ["x", "y", "z"], 2),
        ("sep=;\na;b\n1;2\n", ["a", "b"], 1),
        ('"a","b"\n"r1",1,2\n"r2",3,4\n', ["column_1", "a", "b"], 2),
        ("a,b\n1,2,\n3,4,\n", ["a", "b", "column_3"], 2),
        ("a   b  c\n1 2   3\n4  5  6\n", ["a", "b", "c"], 2),
        ("a|b\n1|2\n", ["a", "b"], 1),
        ("when\n2014-04-01 00:00:00\n2014-04-01 00:05:00\n", ["when"], 2),
        ("note;n\nx, y and z;1\np, q;2\n", ["note", "n"], 2),
        ("a,b\r1,2\r3,4\r", ["a", "b"], 2),
        ("just a line", ["just a line"], 0),
        ("a,b,c\n", ["a", "b", "c"], 0),
    ],
)
def test_headers_and_delimiters(text, names, rows):
    source = open_source(_stream(text))
    assert source.columns == names
    assert source.read().num_rows == rows


def test_oddities_of_the_header_are_told():
    source = open_source(_stream("title\na,a,\n1,2,3\n4,5,6\n"))
    assert [str(p) for p in source.problems] == [
        "line 1: 'title' stands before the header",
        "line 2: a second column 'a' is called 'a_2'",
        "line 2: column 3 has no name, so it is called 'column_3'",
    ]


def test_options_overrule_the_guess():
    text = _stream("x;y\nu;v\n".encode("utf-16-le"))
    source = open_source(text, delimiter=",", header=False, encoding="utf-16-le")
    assert source.read().to_pydict() == {"column_1": ["x;y", "u;v"]}


def test_a_late_odd_value_is_told_not_raised(monkeypatch):
    from awry.data.readers import source as module

    monkeypatch.setattr(module, "SAMPLE", 50)
    monkeypatch.setattr("awry.data.readers.delimited._CHUNK", 500)
    lines = [f"{i},{i % 7},2024-01-01T00:00:{i % 60:02d},true" for i in range(1000)]
    lines[900] = "many,3.5,yesterday,maybe"
    source = open_source(_stream("id,n,t,b\n" + "\n".join(lines)))
    assert [str(t) for t in source.schema.types] == ["int64", "double", "timestamp[us]", "bool"]
    table = source.read()
    assert table.slice(900, 1).to_pylist() == [{"id": None, "n": 3.5, "t": None, "b": None}]
    assert [str(p) for p in source.problems] == [
        "line 902, column 'id': 'many' is not a number",
        "line 902, column 't': 'yesterday' is not a time",
        "line 902, column 'b': 'maybe' is neither 'true' nor 'false'",
    ]
    assert source.problems[0].row == 901


def test_problems_are_capped_but_counted():
    text = "a,b\n" + "1,2\n1,2\n3\n" * 1500
    source = open_source(_stream(text))
    source.read()
    assert len(source.problems) == 1000
    assert source.problems.total == 1500
    assert source.problems.summary() == ["has 1 cell where there are 2 columns (1500 times)"]


def test_lines_that_are_not_utf8_are_read_and_told():
    body = "\n".join(f"{i},é" for i in range(20_000)).encode() + b"\n7,caf\xe9\n"
    source = open_source(_stream(b"n,t\n" + body))
    assert source.read()["t"][-1].as_py() == "café"
    assert [(p.line, p.what) for p in source.problems] == [
        (20_002, "is not UTF-8 and was read as Windows-1252")
    ]


def test_memory_stays_flat(tmp_path):
    """Reading ten times the rows takes no more memory at a time."""
    path = tmp_path / "long.csv"
    peaks = []
    for n in (40_000, 400_000):
        path.write_bytes(b"a,b,c\n" + b"1.25,some text,2024-01-01\n" * n)
        before = pa.total_allocated_bytes()
        source = open_source(path, batch_rows=10_000)
        peak = max(pa.total_allocated_bytes() - before for _ in source.batches())
        assert source.rows_read == n
        assert source.fraction == 1.0
        peaks.append(peak)
    assert peaks[1] < 2 * peaks[0] + 4e6


# -- JSON -----------------------------------------------------------------------------------------


def test_json_lines_set_bad_lines_aside_and_flatten():
    text = (
        '{"a": {"b": 1, "c": [1, 2]}, "t": "2024-01-01T00:00:00Z"}\n'
        'oops\n[1]\n\n{"a": {"b": 2.5}}\n'
    )
    source = open_source(_stream(text))
    assert source.format == "json"
    table = source.read()
    assert table.column_names == ["a.b", "a.c", "t"]
    assert table["a.b"].to_pylist() == [1.0, 2.5]
    assert table["a.c"].to_pylist() == ["[1, 2]", None]
    assert [(p.line, p.text) for p in source.problems] == [(2, "oops"), (3, "[1]")]


def test_json_values_of_several_sorts_become_text_and_late_columns_are_told(monkeypatch):
    monkeypatch.setattr("awry.data.readers.objects._ROWS", 2)
    text = '{"a": 1}\n{"a": "x"}\n{"a": true, "new": 5}\n{"a": null}\n'
    source = open_source(_stream(text))
    assert source.read().to_pydict() == {"a": ["1", "x", "true", None]}
    assert [str(p) for p in source.problems] == [
        "line 3, column 'new': first comes too late to be a column"
    ]


def test_a_json_array_is_read_as_it_comes():
    """Objects larger than what is read at a time, and blanks of all sorts between them."""
    rows = [{"i": i, "long": "x" * (i * 997 % 5000 + 1)} for i in range(400)]
    text = "[\n " + " ,\n\t".join(map(json.dumps, rows)) + "\n]\n"
    assert read(_stream(text)).to_pylist() == rows


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[{"a": 1},\n {"a": 2', "row 2"),
        ('[{"a": 1}\n', "row 2: the file ends in the middle"),
        ('[{"a": 1},\n {"a": }]', "row 2: this is not JSON"),
        ('[{"a": 1}]\n5', "row 2: the text goes on"),
        ("[]", "no rows"),
        ("{}", "no columns"),
    ],
)
def test_broken_json_is_an_error_with_its_line(text, where):
    with pytest.raises(DataError, match=where):
        read(_stream(text))


# -- databases ------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE sales (id INTEGER, amount REAL, note TEXT)")
    rows = [(i, i / 2, f"100% of '{i}'") for i in range(40_000)]
    connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def test_sqlite_streams_a_query(database):
    source = open_source(
        database, query="SELECT id, note FROM sales WHERE note LIKE '100%' AND id >= 5"
    )
    assert source.format == "sql"
    assert source.schema == pa.schema({"id": pa.int64(), "note": pa.string()})
    assert [b.num_rows for b in source.batches()][:1] == [39_995]
    assert source.read().slice(0, 1).to_pylist() == [{"id": 5, "note": "100% of '5'"}]
    assert open_source(database).read().num_rows == 40_000  # the only table
    empty = open_source(database, query="SELECT id, id FROM sales WHERE id < 0").read()
    assert (empty.num_rows, empty.column_names) == (0, ["id", "id_2"])


def test_sqlite_is_only_read(database):
    for query in ("DELETE FROM sales", "DROP TABLE sales", "SELECT 1; DROP TABLE sales"):
        with pytest.raises(DataError, match="--query"):
            open_source(database, query=query).read()
    assert open_source(database).read().num_rows == 40_000


def test_sqlite_values_of_several_sorts(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE a (v)")
    connection.execute("CREATE TABLE b (v)")
    connection.executemany("INSERT INTO a VALUES (?)", [(1,), ("two",), (b"\xff",), (None,)])
    connection.commit()
    connection.close()
    url = f"sqlite:///{tmp_path}/x.db"
    assert read(url, query="SELECT * FROM a")["v"].to_pylist() == ["1", "two", "ff", None]
    with pytest.raises(DataError, match=r"it has 2 tables \(a, b\).*--query"):
        open_source(url)


class _FakeCursor:
    def __init__(self, seen, name=None):
        self.seen, self.left = seen, [(i, i * 0.5) for i in range(20_000)]
        seen["name"] = name
        self.description = [types.SimpleNamespace(name="id"), types.SimpleNamespace(name="v")]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def execute(self, *arguments):
        self.seen["execute"] = arguments

    def fetchmany(self, n):
        self.seen["most"] = max(self.seen.get("most", 0), n)
        some, self.left = self.left[:n], self.left[n:]
        return some


def test_postgres_uses_a_server_side_cursor_and_sends_the_query_as_it_stands(monkeypatch):
    seen = {}

    class Connection:
        __enter__, __exit__ = lambda self: self, lambda self, *e: False

        def cursor(self, name=None):
            assert self.read_only
            return _FakeCursor(seen, name)

    module = types.SimpleNamespace(
        connect=lambda url, **options: seen.update(url=url) or Connection(), Error=RuntimeError
    )
    monkeypatch.setitem(sys.modules, "psycopg", module)
    url = "postgresql://ann:secret@db.example:5433/shop"
    query = "SELECT id, v FROM t WHERE note LIKE '5%'"
    source = open_source(url, query=query)
    assert source.name == "postgresql://db.example:5433/shop"
    assert source.read()["v"].to_pylist()[-1] == 9999.5
    assert (seen["url"], seen["execute"]) == (url, (query,))
    assert seen["name"]  # a named cursor is one on the server
    assert seen["most"] < 20_000


def test_postgres_without_psycopg(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        MissingDependencyError, match=r"^PostgreSQL needs psycopg: pip install 'awry\[sql\]'$"
    ):
        open_source("postgresql://u@h/db", query="SELECT 1")


@pytest.fixture
def postgres(tmp_path):
    """The address of a server of our own, where PostgreSQL and psycopg are installed."""
    pytest.importorskip("psycopg")
    if shutil.which("initdb") is None or shutil.which("runuser") is None:
        pytest.skip("PostgreSQL is not installed")
    home = tempfile.mkdtemp(dir="/tmp")  # pytest's folders are closed to other users
    shutil.chown(home, "nobody")
    programs = Path(shutil.which("initdb")).resolve().parent

    def run(program, *words):
        command = ["runuser", "-u", "nobody", "--", f"{programs}/{program}", "-D", f"{home}/data"]
        subprocess.run([*command, *words], check=True, capture_output=True, cwd="/")

    run("initdb", "-A", "trust")
    run("pg_ctl", "-w", "-l", f"{home}/log", "-o", f"-k {home} -h ''", "start")
    yield f"postgresql://nobody@/postgres?host={home}"
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(home)


@pytest.mark.slow
def test_postgres_for_real(postgres):
    import psycopg

    with psycopg.connect(postgres) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i AS id, i * 1.5 AS v, now() AS at, i % 2 = 0 AS even, "
            "'{\"a\": 1}'::jsonb AS j FROM generate_series(1, 30000) i"
        )
    table = read(postgres)
    assert table.num_rows == 30_000
    assert table.schema.types[:4] == [
        pa.int64(),
        pa.float64(),
        pa.timestamp("us", "UTC"),
        pa.bool_(),
    ]
    assert table["v"].to_pylist()[:2] == [1.5, 3.0]
    with pytest.raises(DataError, match="--query"):
        read(postgres, query="DROP TABLE t")


# -- what is no table -----------------------------------------------------------------------------


def _truncated(maker, keep):
    def write(path):
        maker(path)
        path.write_bytes(path.read_bytes()[:keep])

    return write


LONG = ("a,b\n" + "1,2\n" * 5000).encode()
BROKEN = {
    "empty.csv": (lambda p: p.write_bytes(b""), "the file is empty"),
    "blank.csv": (lambda p: p.write_bytes(b"\n \n"), "only blanks"),
    "noise.csv": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(4000)), "binary data"),
    "sheet.csv": (lambda p: p.write_bytes(b"PK\x03\x04xxxx"), "spreadsheet; save the sheet as CSV"),
    "x.db": (lambda p: p.write_bytes(b"SQLite format 3\x00..."), "sqlite:///PATH"),
    "picture.csv": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), "picture"),
    "cut.parquet": (_truncated(WRITERS["a.parquet"], 300), "no whole Parquet file"),
    "cut.arrow": (_truncated(WRITERS["stream.arrow"], 500), "no whole Arrow file"),
    "cut.feather": (_truncated(WRITERS["a.feather"], 500), "no whole Arrow file"),
    "cut.csv.gz": (lambda p: p.write_bytes(gzip.compress(LONG)[:-9]), "damaged or cut short"),
    "cut.csv.zst": (
        lambda p: p.write_bytes(pa.compress(LONG, codec="zstd", asbytes=True)[:-4]), "cut short",
    ),
    "cut.csv.bz2": (lambda p: p.write_bytes(bz2.compress(LONG)[:-9]), "damaged or cut short"),
    "cut.csv.xz": (lambda p: p.write_bytes(lzma.compress(LONG)[:-9]), "damaged or cut short"),
    "bad.csv.gz": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + b"\x07" * 50), "damaged or cut short"),
    "empty.csv.gz": (lambda p: p.write_bytes(gzip.compress(b"")), "the file is empty"),
    "folder": (lambda p: p.mkdir(), "this is a folder"),
    "missing.csv": (lambda p: None, "there is no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_table_is_one_clear_line(tmp_path, name):
    write, said = BROKEN[name]
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        open_source(path).read()
    message = str(caught.value)
    assert name in message
    assert said in message
    assert "\n" not in message
    assert ";" in message or "cannot be read" in message  # what to do about it


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("https://example.org/a.csv", {}, "download it"),
        ("a.csv", {"format": "xls"}, "format must be one of csv"),
        ("a.csv", {"batch_rows": 0}, "batch_rows must be an integer >= 1"),
        ("a.csv", {"delimiter": "ab"}, "delimiter must be one ASCII character"),
        ("a.csv", {"encoding": "klingon"}, "no encoding is called 'klingon'"),
        ("a.csv", {"format": "parquet"}, "the content is csv, not parquet; leave --format out"),
        ("a.csv", {"query": "SELECT 1"}, "not a database; leave --query out"),
        ("sqlite:///none.db", {"query": "SELECT 1"}, "there is no such file"),
    ],
)
def test_bad_use_is_one_clear_line(tmp_path, monkeypatch, path, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(CSV)
    with pytest.raises(DataError, match=said):
        open_source(path, **options)


def test_nested_and_unusual_arrow_types_become_plain(tmp_path):
    import datetime
    import decimal

    table = pa.table(
        {
            "s": pa.array([{"a": 1, "b": {"c": "x"}}, None]),
            "l": pa.array([[1, 2], None]),
            "d": pa.array([decimal.Decimal("1.50"), None]),
            "c": pa.array(["u", "v"]).dictionary_encode(),
            "day": pa.array([datetime.date(2024, 1, 2), None]),
            "t": pa.array([datetime.time(1, 2, 3), None]),
            "u": pa.array([2**63, 1], pa.uint64()),
            "raw": pa.array([b"ok", b"\xff"]),
            "none": pa.nulls(2),
        }
    )
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet").to_pydict()
    assert found == {
        "s.a": [1, None], "s.b.c": ["x", None], "l": ["[1, 2]", None], "d": [1.5, None],
        "c": ["u", "v"], "day": [datetime.datetime(2024, 1, 2), None],
        "t": [datetime.datetime(1970, 1, 1, 1, 2, 3), None], "u": [2.0**63, 1.0],
        "raw": ["ok", "ff"], "none": [None, None],
    }  # fmt: skip
