"""The database of a service: SQLite or PostgreSQL, and how its tables come about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from awry.core.errors import AwryError
from awry.ops.settings import Settings
from awry.ops.tables import VERSION, migrations

#: What is raised where a database does not answer, or has no connection left.
AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
#: Seconds to wait for a connection while all are in use.
_POOL_SECONDS = 5.0
#: Names PostgreSQL's advisory lock under which one process at a time changes the tables.
_LOCK = 0x61777279


class StoreError(AwryError):
    """A database that cannot be used."""


class Store:
    """The database of a service; made, or brought up to date, when it is opened.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    StoreError
        Where the database is of a newer awry, or of a kind awry does not use.
    """

    def __init__(self, settings: Settings) -> None:
        url = sa.make_url(settings.database_url)
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        elif url.get_backend_name() != "sqlite":
            raise StoreError(
                f"AWRY_DATABASE_URL must be postgresql://… or sqlite:///…, got {url!r}"
            )
        self.embedded = url.get_backend_name() == "sqlite"
        if self.embedded and settings.home:
            settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What waits for SQLite's one writer waits this long, and is then told to come again.
        options = {"timeout": 30} if self.embedded else {}
        self.engine = sa.create_engine(
            url,
            pool_pre_ping=not self.embedded,
            pool_timeout=_POOL_SECONDS,
            connect_args=options,
        )
        if self.embedded:
            sa.event.listen(self.engine, "connect", _open_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            sa.event.listen(self.engine, "do_connect", _open_postgres)
        self._writing = self.engine.execution_options(awry_write=True)
        self._migrate()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to look with."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: all of it is kept, or nothing where an error leaves it."""
        with self._writing.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Raise where the database does not answer."""
        with self.read() as connection:
            connection.execute(sa.select(sa.func.count()).select_from(migrations))

    def close(self) -> None:
        self.engine.dispose()

    def _migrate(self) -> None:
        with self.write() as connection:
            if not self.embedded:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            found = 0
            if sa.inspect(connection).has_table("migrations"):
                found = connection.scalar(sa.select(sa.func.max(migrations.c.version))) or 0
            if found > VERSION:
                raise StoreError(
                    f"the database has version {found}, this awry knows up to {VERSION}; "
                    "use the awry that wrote it, or a newer one"
                )
            if found < VERSION:
                # Alembic takes a while to import, and a database that is up to date needs none.
                from awry.ops.migrations import upgrade

                upgrade(connection)


def _open_sqlite(connection: Any, _: Any) -> None:
    # SQLAlchemy says when a transaction begins, not the driver.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _open_postgres(_: Any, __: Any, args: Any, options: dict[str, Any]) -> Any:
    from awry.ops.postgres import OPTIONS, Connection

    return Connection.connect(*args, **OPTIONS | options)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reader that turns writer half way fails where another has written; writers say so first.
    writes = connection.get_execution_options().get("awry_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def insert_once(
    connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]] | None = None, **row: Any
) -> None:
    """Insert a row, or several, unless one with its key is there."""
    dialects = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    insert: Any = dialects[connection.dialect.name](table)
    connection.execute(insert.on_conflict_do_nothing(), [row] if rows is None else rows)


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Insert many plain rows: by COPY in PostgreSQL, in one prepared statement in SQLite."""
    names = ", ".join(f'"{table.c[name].name}"' for name in columns)
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as to,
        ):
            for row in rows:
                to.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608
    # The driver's own takes the rows one by one, however many.
    driver = connection.connection.driver_connection
    driver.executemany(statement, rows)
