"""The tables a service keeps, in SQLite or PostgreSQL, and their versions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from awry.core.errors import AwryError
from awry.ops.settings import Settings

#: Raised by one with each change of the tables, together with an entry in MIGRATIONS.
VERSION = 1
#: Statements that bring a database from the version before to each version; a new one is made as
#: the tables below say.
MIGRATIONS: dict[int, tuple[str, ...]] = {}
#: Names PostgreSQL's advisory lock under which one process at a time changes the tables.
_LOCK = 0x61777279


class StoreError(AwryError):
    """A database that cannot be used."""


class Json(sa.types.TypeDecorator[Any]):
    """Plain data as text, the same in every database."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


tables = sa.MetaData()

migrations = sa.Table(
    "migrations", tables,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("applied", sa.Float, nullable=False),
)  # fmt: skip

keys = sa.Table(
    "keys", tables,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float),
)  # fmt: skip

datasets = sa.Table(
    "datasets", tables,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("columns", Json, nullable=False),
    sa.Column("problems", Json, nullable=False),
    sa.Column("stats", Json),
)  # fmt: skip

models = sa.Table(
    "models", tables,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("champion", sa.Integer),
)  # fmt: skip

versions = sa.Table(
    "versions", tables,
    sa.Column("model", sa.ForeignKey("models.name"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("file", sa.String(200), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("method", sa.String(100), nullable=False),
    sa.Column("columns", Json, nullable=False),
    sa.Column("facts", Json, nullable=False),
)  # fmt: skip

promotions = sa.Table(
    "promotions", tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model", sa.ForeignKey("models.name"), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("undone", sa.Boolean, nullable=False, default=False),
)  # fmt: skip

jobs = sa.Table(
    "jobs", tables,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("request", Json, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("worker", sa.String(32)),
    sa.Column("lease", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("cancel", sa.Boolean, nullable=False, default=False),
    sa.Column("progress", Json),
    sa.Column("result", Json),
    sa.Column("error", Json),
)  # fmt: skip


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
        options: dict[str, Any] = {"connect_args": {"timeout": 30}} if self.embedded else {}
        self.engine = sa.create_engine(url, pool_pre_ping=not self.embedded, **options)
        if self.embedded:
            sa.event.listen(self.engine, "connect", _open_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
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
            new = not sa.inspect(connection).has_table("migrations")
            if new:
                tables.create_all(connection)
            found = connection.scalar(sa.select(sa.func.max(migrations.c.version))) or 0
            if found > VERSION:
                raise StoreError(
                    f"the database has version {found}, this awry knows up to {VERSION}; "
                    "use the awry that wrote it, or a newer one"
                )
            for version in range(found + 1, VERSION + 1):
                for statement in () if new else MIGRATIONS[version]:
                    connection.exec_driver_sql(statement)
                connection.execute(migrations.insert().values(version=version, applied=time.time()))


def _open_sqlite(connection: Any, _: Any) -> None:
    # SQLAlchemy says when a transaction begins, not the driver.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reader that turns writer half way fails where another has written; writers say so first.
    writes = connection.get_execution_options().get("awry_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def insert_once(connection: sa.Connection, table: sa.Table, **values: Any) -> None:
    """Insert a row, unless one with its key is there."""
    dialects = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    insert: Any = dialects[connection.dialect.name](table)
    connection.execute(insert.values(**values).on_conflict_do_nothing())
