"""Connections to a PostgreSQL that is slow, or hangs."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from awry.ops.settings import Settings
from awry.ops.store import AWAY, Store, insert_rows
from awry.ops.tables import keys
from servers import Postgres, postgres_server

pytest.importorskip("psycopg")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever the server is asked whether it is there, after a short silence."""
    from awry.ops import postgres

    times: list[int] = []
    ask = postgres.Connection._ask

    def count(self: postgres.Connection) -> None:
        times.append(1)
        ask(self)

    monkeypatch.setattr(postgres, "_SILENCE", 0.15)
    monkeypatch.setattr(postgres, "_LONGEST", 0.15)
    monkeypatch.setattr(postgres.Connection, "_ask", count)
    return times


def test_a_statement_takes_as_long_as_it_takes(
    database: str, tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    store = Store(Settings(home=tmp_path, database_url=database))
    with store.read() as connection:
        assert connection.scalar(sa.text("SELECT 7 FROM pg_sleep(0.8)")) == 7
        assert len(asked) > 1

        def refuse(*_: object, **__: object) -> None:
            raise psycopg.OperationalError("sorry, too many clients already")

        monkeypatch.setattr(psycopg, "connect", refuse)
        assert connection.scalar(sa.text("SELECT 8 FROM pg_sleep(0.4)")) == 8
    store.close()


def copy_into(store: Store, server: Postgres) -> None:
    """Begin to write, and let the server hang before more rows come than the connection holds."""
    rows = ((f"k{i}", "n", "read", "d" * 64, 0.0) for i in range(1_000_000))
    with store.write() as connection:
        connection.execute(sa.text("SELECT 1"))
        with server.hanging():
            insert_rows(connection, keys, ("id", "name", "role", "digest", "created"), rows)


def test_a_server_that_hangs_ends_what_waits_for_it_and_is_used_again(
    tmp_path: Path, asked: list[int]
) -> None:
    with postgres_server() as server:
        store = Store(Settings(home=tmp_path, database_url=server.make_database()))
        store.ping()
        with server.hanging():
            with pytest.raises(AWAY):
                store.ping()
            assert asked
        store.ping()
        with pytest.raises(AWAY):
            copy_into(store, server)
        with store.read() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(keys)) == 0
        store.close()


def test_the_address_says_how_long_to_wait(database: str, tmp_path: Path) -> None:
    url = sa.make_url(database).update_query_dict({"connect_timeout": "7"})
    store = Store(Settings(home=tmp_path, database_url=url.render_as_string(hide_password=False)))
    with store.read() as connection:
        found = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    assert (found["connect_timeout"], found["tcp_user_timeout"]) == ("7", "30000")
    store.close()
