"""Jobs are never lost and never done twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from awry.core import progress
from awry.ops.errors import BusyError, ConflictError, NotFoundError, UnfitError
from awry.ops.jobs import Job, Jobs
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import jobs as table
from test_ops_store import settings as settings


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    made = Store(settings)
    yield made
    made.close()


def make(store: Store, tmp_path: Path, work: Callable[[Job], None], **limits: Any) -> Jobs:
    return Jobs(store, Settings(home=tmp_path, **limits), {"count": work})


def finish(store: Store) -> Callable[[Job], None]:
    def work(job: Job) -> None:
        for _ in progress.track("count", range(job.request.get("steps", 1))):
            pass
        with store.write() as connection:
            job.settle(connection, {"attempt": job.attempt})

    return work


def expire(store: Store) -> None:
    """What a process that was killed leaves behind, when its lease has run out."""
    with store.write() as connection:
        connection.execute(table.update().values(lease=time.time() - 1))


def test_jobs_run_in_order_and_end(store: Store, tmp_path: Path) -> None:
    jobs = make(store, tmp_path, finish(store))
    first, second = (jobs.submit("count", {"steps": n}, by="me")["id"] for n in (1, 2))
    assert jobs.run_next()
    assert [jobs.get(key)["state"] for key in (first, second)] == ["done", "queued"]
    assert jobs.run_next()
    assert not jobs.run_next()
    assert jobs.get(second)["result"] == {"attempt": 1}
    assert jobs.count() == {"done": 2}
    assert {job["id"] for job in jobs.list()} == {first, second}


def test_a_job_of_a_dead_process_is_taken_over_after_its_lease(
    store: Store, tmp_path: Path
) -> None:
    jobs = make(store, tmp_path, finish(store))
    key = jobs.submit("count", {}, by="me")["id"]
    assert jobs._claim("dead") is not None
    assert not jobs.run_next(), "its lease has not run out"
    expire(store)
    assert jobs.run_next()
    assert jobs.get(key)["result"] == {"attempt": 2}


def test_a_lease_taken_before_the_clock_was_put_back_holds_nothing_up(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make(store, tmp_path, finish(store))
    key = jobs.submit("count", {}, by="me")["id"]
    assert jobs._claim("dead") is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    assert jobs.run_next()
    assert jobs.get(key)["result"] == {"attempt": 2}


def test_a_worker_that_lost_its_lease_changes_nothing(store: Store, tmp_path: Path) -> None:
    jobs = make(store, tmp_path, finish(store))
    key = jobs.submit("count", {}, by="me")["id"]
    slow = jobs._claim("slow")
    assert slow is not None
    expire(store)
    assert jobs.run_next("quick")
    jobs.renew(slow)
    assert slow.stop.is_set(), "it hears that the job is no longer its own"
    jobs._run(slow)
    assert jobs.get(key)["result"] == {"attempt": 2}
    assert jobs.get(key)["state"] == "done"


def test_a_job_that_kills_its_process_is_given_up(store: Store, tmp_path: Path) -> None:
    jobs = make(store, tmp_path, finish(store), max_attempts=2)
    key = jobs.submit("count", {}, by="me")["id"]
    for _ in range(2):
        assert jobs._claim("dead") is not None
        expire(store)
    assert not jobs.run_next()
    assert jobs.get(key)["state"] == "failed"
    assert "interrupted 2 times" in jobs.get(key)["error"]["what"]


def test_renewing_keeps_the_lease_and_tells_progress(store: Store, tmp_path: Path) -> None:
    jobs = make(store, tmp_path, finish(store))
    key = jobs.submit("count", {}, by="me")["id"]
    job = jobs._claim("me")
    assert job is not None
    job.called["/srv/data/1f.parquet"] = "payments"
    job.report("read /srv/data/1f.parquet", 3, 10)
    expire(store)
    jobs.renew(job)
    assert not job.stop.is_set()
    assert not jobs.run_next()
    assert jobs.get(key)["progress"] == {"task": "read payments", "done": 3, "total": 10}


def test_cancelling(store: Store, tmp_path: Path) -> None:
    jobs = make(store, tmp_path, finish(store))
    waiting = jobs.submit("count", {}, by="me")["id"]
    assert jobs.cancel(waiting)["state"] == "cancelled"
    assert not jobs.run_next()
    with pytest.raises(ConflictError, match="ended"):
        jobs.cancel(waiting)
    with pytest.raises(NotFoundError):
        jobs.cancel("0" * 32)

    other = make(store, tmp_path, finish(store))
    running = jobs.submit("count", {}, by="me")["id"]
    job = jobs._claim("me")
    assert job is not None
    other.cancel(running)  # another process hears of it through the database alone
    jobs._run(job)
    assert jobs.get(running)["state"] == "cancelled"
    assert jobs.get(running)["result"] is None


def test_a_job_whose_process_is_told_to_stop_goes_back_to_the_queue(
    store: Store, tmp_path: Path
) -> None:
    jobs = make(store, tmp_path, finish(store), max_attempts=1)
    key = jobs.submit("count", {"steps": 5}, by="me")["id"]
    job = jobs._claim("me")
    assert job is not None
    job.stop.set()
    jobs._run(job)
    assert jobs.get(key)["state"] == "queued"
    assert jobs.run_next(), "a restart is no failed attempt"
    assert jobs.get(key)["state"] == "done"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnfitError("is empty", field="dataset", remedy="fill it"),
         {"what": "is empty", "field": "dataset", "remedy": "fill it"}),
        (KeyError("secret"), {"what": "failed unexpectedly (KeyError); see the log"}),
    ],
)  # fmt: skip
def test_failures_are_told(
    store: Store, tmp_path: Path, error: Exception, told: dict[str, str]
) -> None:
    def work(job: Job) -> None:
        raise error

    jobs = make(store, tmp_path, work)
    key = jobs.submit("count", {}, by="me")["id"]
    assert jobs.run_next()
    assert (jobs.get(key)["state"], jobs.get(key)["error"]) == ("failed", told)


def test_the_queue_is_bounded(store: Store, tmp_path: Path) -> None:
    jobs = make(store, tmp_path, finish(store), max_queued_jobs=1)
    jobs.submit("count", {}, by="me")
    with pytest.raises(BusyError, match="wait already"):
        jobs.submit("count", {}, by="me")


def test_workers_of_two_processes_share_the_queue(store: Store, tmp_path: Path) -> None:
    done: list[str] = []

    def work(job: Job) -> None:
        with store.write() as connection:
            job.settle(connection, {})
        done.append(job.id)

    several = [
        make(store, tmp_path, work, workers=2, poll_seconds=0.02, max_queued_jobs=50)
        for _ in range(2)
    ]
    asked = [several[0].submit("count", {}, by="me")["id"] for _ in range(20)]
    for jobs in several:
        jobs.start()
    until = time.monotonic() + 30
    while several[0].count() != {"done": 20} and time.monotonic() < until:
        time.sleep(0.02)
    for jobs in several:
        jobs.close()
    assert sorted(done) == sorted(asked)
    with store.read() as connection:
        assert set(connection.scalars(sa.select(table.c.attempts))) == {1}
