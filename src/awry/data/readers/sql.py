"""Rows of an SQL query: SQLite by the standard library, PostgreSQL by psycopg."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import pyarrow as pa

from awry.core.errors import DataError
from awry.core.optional import optional
from awry.data.readers.blocks import Block
from awry.data.readers.streams import check_path
from awry.data.tables import from_values, unique_names

_ROWS = 1 << 14
SCHEMES = ("sqlite://", "postgresql://", "postgres://")


def blocks(url: str, query: str | None, name: str) -> Iterator[Block]:
    """Yield the rows of ``query``, at least one block; the database is opened for reading only."""
    open_rows = _sqlite if url.startswith("sqlite://") else _postgres
    with open_rows(url, query, name) as (names, fetch):
        names = unique_names(names)
        chunk = fetch(_ROWS)
        while True:
            columns = zip(*chunk, strict=True) if chunk else [()] * len(names)
            arrays = [from_values(list(column)) for column in columns]
            yield Block(pa.record_batch(arrays, names=names))
            chunk = fetch(_ROWS)
            if not chunk:
                return


def label(url: str) -> str:
    """``url`` without its user and password, fit for messages."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return url
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


Rows = tuple[list[str], Any]


@contextmanager
def _sqlite(url: str, query: str | None, name: str) -> Iterator[Rows]:
    path = url.removeprefix("sqlite://").removeprefix("/")
    # By the custom of SQLAlchemy a relative path; people also mean /path.
    if not os.path.exists(path) and os.path.exists("/" + path):
        path = "/" + path
    check_path(path, name)
    try:
        file = f"file:{quote(os.path.abspath(path))}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as connection:
            # Text that is not UTF-8 stays readable instead of ending the query.
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            if query is None:
                found = connection.execute(
                    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                    "AND name NOT LIKE 'sqlite_%' ORDER BY name"
                )
                query = _only_table([row[0] for row in found], name)
            cursor = connection.execute(query)
            if cursor.description is None:
                raise _no_rows(name)
            yield [column[0] for column in cursor.description], cursor.fetchmany
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise DataError(f"it cannot be read ({error})", source=name, remedy=_REMEDY) from None


_REMEDY = "check the database and the --query"


@contextmanager
def _postgres(url: str, query: str | None, name: str) -> Iterator[Rows]:
    psycopg = optional("psycopg", extra="sql", needed_by="PostgreSQL")
    try:
        with psycopg.connect(url, connect_timeout=15) as connection:
            connection.read_only = True
            if query is None:
                found = connection.execute(
                    "SELECT table_name FROM information_schema.tables "
                    "WHERE table_schema = ANY (current_schemas(false)) ORDER BY table_name"
                )
                query = _only_table([row[0] for row in found.fetchall()], name)
            # A named cursor stays on the server: rows come as they are asked for.
            with connection.cursor(name="awry") as cursor:
                cursor.execute(query)
                yield [column.name for column in cursor.description], cursor.fetchmany
    except psycopg.Error as error:
        said = str(error).partition("\n")[0]
        raise DataError(f"it cannot be read ({said})", source=name, remedy=_REMEDY) from None


def _only_table(tables: Iterable[str], name: str) -> str:
    """A query for the one table there is."""
    tables = list(tables)
    if len(tables) == 1:
        quoted = tables[0].replace('"', '""')
        return f'SELECT * FROM "{quoted}"'  # noqa: S608 (an identifier of the database, quoted)
    shown = ", ".join(tables[:8]) + (", …" if len(tables) > 8 else "")
    raise DataError(
        f"it has {len(tables)} tables ({shown})" if tables else "it has no tables",
        source=name,
        remedy="say which rows with --query 'SELECT …'",
    )


def _no_rows(name: str) -> DataError:
    return DataError(
        "the query returns no rows", source=name, remedy="give a query that selects rows"
    )
