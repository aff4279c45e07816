"""The tables, their versions, and settings; on SQLite, and on PostgreSQL where there is one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from awry.core.params import ParameterError
from awry.ops import tables as schema
from awry.ops.errors import ConflictError, NotFoundError, TooLargeError, UnfitError
from awry.ops.keys import Keys
from awry.ops.limits import check_depth
from awry.ops.migrations import scripts, upgrade
from awry.ops.settings import Settings
from awry.ops.store import Store, StoreError


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("database") if postgres else ""
    return Settings(home=tmp_path, database_url=url)


def test_a_new_database_is_made_once_and_opened_again(settings: Settings) -> None:
    for _ in range(2):
        store = Store(settings)
        with store.read() as connection:
            found = connection.execute(sa.select(schema.migrations.c.version)).scalars().all()
        assert found == list(range(1, schema.VERSION + 1))
        store.close()


def test_sqlite_writes_ahead(tmp_path: Path) -> None:
    Store(Settings(home=tmp_path)).close()
    with sqlite3.connect(tmp_path / "awry.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_migrations_make_the_tables_the_code_knows(settings: Settings) -> None:
    assert scripts().get_current_head() == f"{schema.VERSION:04}"
    store = Store(settings)
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert not [
            found for found in compare_metadata(context, schema.tables)
            if "alembic_version" not in str(found)
        ]  # fmt: skip
    store.close()


def make_version_1(settings: Settings) -> Store:
    """A database as the first awry left it, with something in it."""
    store = Store.__new__(Store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_migrate", lambda self: None)
        store.__init__(settings)  # type: ignore[misc]
    with store.write() as connection:
        upgrade(connection, "0001")
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.execute(schema.models.insert().values(name="kept", created=1.0))
    return store


def test_a_database_from_before_alembic_is_taken_up(settings: Settings) -> None:
    make_version_1(settings).close()
    for _ in range(2):
        store = Store(settings)
        with store.read() as connection:
            assert connection.scalars(sa.select(schema.models.c.name)).all() == ["kept"]
            found = connection.scalars(sa.select(schema.migrations.c.version)).all()
            assert sorted(found) == list(range(1, schema.VERSION + 1))
            assert connection.scalars(sa.select(schema.events.c.id)).all() == []
        store.close()


def test_a_newer_database_is_refused(settings: Settings) -> None:
    store = Store(settings)
    with store.write() as connection:
        connection.execute(schema.migrations.insert().values(version=99, applied=1.0))
    store.close()
    with pytest.raises(StoreError, match="version 99, this awry knows up to"):
        Store(settings)


_KILLED = """
import os, signal, sys
import sqlalchemy as sa
from awry.ops.settings import Settings
from awry.ops.store import Store

def kill(connection, cursor, statement, *more):
    if "CREATE TABLE feedback" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(sa.Engine, "before_cursor_execute", kill)
Store(Settings(home=sys.argv[1], database_url=sys.argv[2]))
"""


def test_a_migration_that_is_killed_leaves_the_old_and_can_be_done_again(
    settings: Settings,
) -> None:
    old = make_version_1(settings)
    command = [sys.executable, "-c", _KILLED, str(settings.home), settings.database_url]
    assert subprocess.run(command, check=False).returncode == -9
    names = sa.inspect(old.engine).get_table_names()
    assert "models" in names
    assert not {"events", "scores", "alembic_version"} & set(names)
    old.close()
    store = Store(settings)
    with store.read() as connection:
        assert connection.scalars(sa.select(schema.models.c.name)).all() == ["kept"]
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.feedback)) == 0
    store.close()


def test_what_was_rolled_up_keeps_its_counts(settings: Settings) -> None:
    make_version_1(settings).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("awry.ops.migrations.upgrade", partial(upgrade, to="0006"))
        store = Store(settings)
    with store.write() as connection:
        for source, model, version, hour, updated in (
            ("data", "m", 1, 1, 5.0), ("data", "m", 1, 2, 9.0), ("data", "m", 2, 1, 20.0),
            ("m", "m", 1, 1, 7.0), ("topic", "", 0, 1, 8.0),
        ):  # fmt: skip
            connection.exec_driver_sql(
                "INSERT INTO score_rollups (source, model, version, role, hour, rows, flagged, "
                f"sketch, updated) VALUES ('{source}', '{model}', {version}, 'champion', {hour}, "
                f"10, 1, '[]', {updated})"
            )
        connection.exec_driver_sql(
            "INSERT INTO judgements (at, origin, source, role, rows, flagged) "
            "VALUES (8.0, 'stream', 'topic', 'champion', 10, 1)"
        )
    store.close()
    store = Store(settings)
    t = schema.score_rollups.c
    with store.read() as connection:
        found = connection.execute(
            sa.select(t.source, t.version, t.hour, t.origin, t.updated, t.rows, t.sketch)
            .order_by(t.source, t.version, t.hour)
        ).all()  # fmt: skip
    store.close()
    assert [tuple(row) for row in found] == [
        ("data", 1, 1, "job", 9.0, 10, []), ("data", 1, 2, "job", 9.0, 10, []),
        ("data", 2, 1, "job", 20.0, 10, []), ("m", 1, 1, "request", 7.0, 10, []),
        ("topic", 0, 1, "stream", 8.0, 10, []),
    ]  # fmt: skip


def test_many_may_write_at_once(settings: Settings) -> None:
    stores = [Store(settings) for _ in range(4)]
    failures: list[BaseException] = []

    def work(store: Store) -> None:
        try:
            for _ in range(5):
                Keys(store).create("one")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(Keys(stores[0]).list()) == 20
    for store in stores:
        store.close()


def test_keys_are_digests_rotate_and_run_out(settings: Settings) -> None:
    store = Store(settings)
    keys = Keys(store)
    text = keys.create("ci", "write")
    key_id = text.split("_")[1]
    assert keys.check(text) == (key_id, "write")
    assert keys.check(text[:-1] + ("a" if text[-1] != "a" else "b")) is None
    for wrong in ("", "awry", f"awry_{key_id}_", text.replace("awry", "other"), "awry_\udcff_x"):
        assert keys.check(wrong) is None
    with store.read() as connection:
        assert text not in str(connection.execute(sa.select(schema.keys)).all())
    new = keys.rotate(key_id, grace_days=0)
    assert keys.check(text) is None
    caller = keys.check(new)
    assert caller is not None
    assert (caller.may("read"), caller.may("write"), caller.may("admin")) == (True, True, False)
    keys.revoke(caller.id)
    assert keys.check(new) is None
    with pytest.raises(NotFoundError, match="no key"):
        keys.rotate("nobody")
    with pytest.raises(UnfitError, match="no role"):
        keys.create("x", "owner")
    store.close()


def test_a_key_in_the_place_of_another_ends_with_it_and_none_comes_back(settings: Settings) -> None:
    store = Store(settings)
    keys = Keys(store)

    def number(text: str) -> str:
        return text.split("_")[1]

    def ends(text: str) -> float | None:
        return next(one["expires"] for one in keys.list() if one["id"] == number(text))

    for days in (None, 30.0):
        old = keys.create("dash", days=days)
        end = ends(old)
        new = keys.rotate(number(old))
        assert ends(new) == end
        assert keys.check(new) is not None
        sooner = ends(old)
        assert sooner is not None
        assert end is None or sooner < end
    soon = keys.create("soon", days=0.5)
    end = ends(soon)
    keys.rotate(number(soon))
    assert ends(soon) == end, "its grace is no longer than itself"
    keys.revoke(number(new))
    out = keys.create("out", days=0.0)
    made = len(keys.list())
    for over in (new, out):
        with pytest.raises(ConflictError, match="revoked, or has run out"):
            keys.rotate(number(over))
    assert len(keys.list()) == made
    store.close()


def test_settings_come_from_the_environment_and_are_checked(tmp_path: Path) -> None:
    found = Settings.from_environment(
        {"AWRY_HOME": str(tmp_path), "AWRY_RATE": "2.5", "AWRY_CORS_ORIGINS": "http://a, http://b",
         "AWRY_REQUIRE_KEY": "true", "AWRY_HOST": "0.0.0.0"}, port=9000,
    )  # fmt: skip
    assert (found.rate, found.cors_origins, found.port) == (2.5, ("http://a", "http://b"), 9000)
    assert found.database_url == f"sqlite:///{tmp_path / 'awry.db'}"
    for name, value in (("RATE", "fast"), ("WORKERS", "-1"), ("REQUIRE_KEY", "maybe")):
        with pytest.raises(ParameterError, match=f"AWRY_{name} must be"):
            Settings.from_environment({f"AWRY_{name}": value})


def test_a_key_is_needed_beyond_this_machine(tmp_path: Path) -> None:
    assert not Settings(home=tmp_path).needs_key
    assert Settings(home=tmp_path, host="0.0.0.0").needs_key
    assert Settings(home=tmp_path, require_key=True).needs_key


def test_other_databases_are_refused_without_showing_their_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Store(Settings(home=tmp_path, database_url="mysql://me:secret@host/db"))
    assert "secret" not in str(caught.value)


def test_depth_is_bounded_without_the_stack() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(TooLargeError, match="more than 16"):
        check_depth(deep, 16)
