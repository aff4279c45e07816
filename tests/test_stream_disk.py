"""A disk that is full: a clear word, what was kept before is whole, nothing is there twice."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.stream.patience import cannot_write
from awry.stream.plan import Plan
from awry.stream.sources import open_source
from awry.stream.worker import Tally, Worker
from test_stream_killed import count, finish, messages, outputs, worker

EVENTS = 6_000


def work(source: str, store: Store) -> Tally:
    plan = Plan(key="card", amount="amount")
    return Worker(open_source(source), plan, store, name="s", batch=100, every=0.0).run()


@contextmanager
def opened(home: Path, *, pages: int | None = None) -> Iterator[Store]:
    """A store whose file can have so many pages: SQLite then says that the disk is full."""
    store = Store(Settings(home=home))
    if pages is not None:
        limit = f"PRAGMA max_page_count={pages}"
        sa.event.listen(store.engine, "connect", lambda one, _: one.execute(limit))
        store.engine.dispose()
    yield store
    store.close()


def test_a_full_disk_ends_the_worker_and_what_was_kept_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join(messages(EVENTS)) + b"\n")
    source = f"file://{path}?follow=0"
    with opened(tmp_path / "whole") as store:
        work(source, store)
    with opened(tmp_path / "full") as store, store.read() as connection:
        pages = connection.scalar(sa.text("PRAGMA page_count"))
    with opened(tmp_path / "full", pages=pages + 80) as store:
        with pytest.raises(AwryError, match=r"^the disk is full: .*full/awry\.db does not take"):
            work(source, store)
        with store.read() as connection:
            assert connection.scalar(sa.text("PRAGMA integrity_check")) == "ok"
            kept = connection.scalar(sa.text("SELECT count(*) FROM scores"))
        assert 0 < kept < EVENTS - EVENTS // 1000
    with opened(tmp_path / "full") as store:  # there is room again
        assert work(source, store).events == EVENTS - EVENTS // 1000 - kept
    first, second = (
        outputs(f"sqlite:///{tmp_path / w / 'awry.db'}", "s") for w in ("whole", "full")
    )
    assert second == first


@contextmanager
def small_disk(where: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes; skips where none can be mounted."""
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", where],
                          capture_output=True, check=False)  # fmt: skip
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.slow
def test_the_program_on_a_disk_that_fills_up(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join(messages(EVENTS)) + b"\n")
    source = f"file://{path}?follow=0"
    whole = f"sqlite:///{tmp_path / 'whole.db'}"
    finish(worker(source, whole, tmp_path, "--name", "s"))
    size = (tmp_path / "whole.db").stat().st_size
    with small_disk(tmp_path / "disk", str(size * 3 // 4)) as disk:
        url = f"sqlite:///{disk / 'kept.db'}"
        process = worker(source, url, tmp_path, "--name", "s")
        told = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 2, told
        assert f"{disk / 'kept.db'} does not take what is to be kept" in told
        assert "Traceback" not in told
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert 0 < count(url) < EVENTS - EVENTS // 1000
        finish(worker(source, url, tmp_path, "--name", "s"))
        assert outputs(url, "s") == outputs(whole, "s")


def test_postgresql_says_it_by_its_code() -> None:
    psycopg = pytest.importorskip("psycopg")
    error = sa.exc.OperationalError("INSERT", {}, psycopg.errors.DiskFull("No space left\nHINT"))
    url = sa.make_url("postgresql://u:secret@db:5433/awry")
    words = cannot_write(error, url)
    assert words is not None
    assert words.startswith("the disk is full: the database awry at db:5433 does not take")
    assert "secret" not in words
    assert cannot_write(psycopg.OperationalError("the connection is closed"), url) is None
