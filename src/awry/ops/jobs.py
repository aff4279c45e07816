"""Work that outlives a request: kept in the database, run by workers that hold a lease on it.

A job is ``queued``, ``running``, then ``done``, ``failed`` or ``cancelled``. A worker that runs one
renews its lease; a job whose lease ran out, because its process is gone, is begun anew by another,
so often as is allowed, then marked failed. Its end is written only by the worker that still holds
the lease, in one transaction with what it made: nothing is lost, and nothing is there twice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from awry.core import progress
from awry.core.errors import AwryError
from awry.core.plain import plain
from awry.ops.errors import BusyError, ConflictError, NotFoundError, OpsError
from awry.ops.leases import over
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import jobs

_log = logging.getLogger(__name__)


class _StoppedError(BaseException):
    """Raised inside a job that is to stop; work that catches errors of data must not catch it."""


@dataclass
class Job:
    """A job in the hands of the worker that runs it.

    Attributes
    ----------
    id, kind : str
    request : dict
        What is to be done.
    by : str
        Who asked for it.
    attempt : int
        From 1.
    called : dict of str to str
        What clients call the files whose paths progress names.
    """

    id: str
    kind: str
    request: dict[str, Any]
    by: str
    attempt: int
    worker: str
    stop: threading.Event = field(default_factory=threading.Event)
    progress: dict[str, Any] | None = None
    called: dict[str, str] = field(default_factory=dict)

    def report(self, task: str, done: int, total: int | None) -> None:
        """Hear of progress, and stop where that is asked for."""
        for own, name in self.called.items():
            task = task.replace(own, name)
        self.progress = {"task": task, "done": done, "total": total}
        if self.stop.is_set():
            raise _StoppedError

    def settle(self, connection: sa.Connection, result: dict[str, Any]) -> None:
        """Mark the job done, in the transaction that keeps what it made."""
        held = jobs.update().where(*_held(self), jobs.c.cancel.is_(False))
        whole = self.progress
        if whole is not None and whole["total"] is not None:
            whole = {**whole, "done": whole["total"]}
        row = connection.execute(
            held.values(
                state="done", result=plain(result), finished=time.time(), lease=None, error=None,
                progress=whole,
            )
        )  # fmt: skip
        if row.rowcount != 1:
            raise _StoppedError


#: Does what a job asks for, and settles it.
Work = Callable[[Job], None]


class Jobs:
    """The jobs of a service, and the workers of this process.

    Parameters
    ----------
    store : Store
    settings : Settings
    work : mapping of str to callable
        What is done for each kind of job.
    """

    def __init__(self, store: Store, settings: Settings, work: Mapping[str, Work]) -> None:
        self._store, self._settings, self._work = store, settings, work
        self._stop, self._wake = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, Job] = {}

    # -- asking -----------------------------------------------------------------------------------

    def submit(self, kind: str, request: dict[str, Any], *, by: str) -> dict[str, Any]:
        """Queue a job and return it."""
        key = uuid.uuid4().hex
        with self._store.write() as connection:
            waiting = connection.scalar(
                sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == "queued")
            )
            if (waiting or 0) >= self._settings.max_queued_jobs:
                raise BusyError(f"{waiting} jobs wait already", remedy="try again later")
            connection.execute(
                jobs.insert().values(
                    id=key,
                    kind=kind,
                    state="queued",
                    request=plain(request),
                    by=by,
                    created=time.time(),
                    attempts=0,
                    cancel=False,
                )
            )
        self._wake.set()
        return self.get(key)

    def get(self, key: str) -> dict[str, Any]:
        with self._store.read() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == key)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no job {key!r}", field="id", remedy="see GET /jobs")
        return _shown(row)

    def list(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest jobs, newest first."""
        query = sa.select(jobs).order_by(jobs.c.created.desc()).limit(limit)
        with self._store.read() as connection:
            return [_shown(row) for row in connection.execute(query)]

    def count(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        query = sa.select(jobs.c.state, sa.func.count().label("jobs")).group_by(jobs.c.state)
        with self._store.read() as connection:
            return {row.state: row.jobs for row in connection.execute(query)}

    def files(self) -> set[str]:
        """Names of the files that results are kept in."""
        with self._store.read() as connection:
            results = connection.scalars(sa.select(jobs.c.result).where(jobs.c.state == "done"))
            return {result["file"] for result in results if result and "file" in result}

    def cancel(self, key: str) -> dict[str, Any]:
        """Let a job not begin, or stop at its next step."""
        self.get(key)
        with self._store.write() as connection:
            here = jobs.c.id == key
            queued = connection.execute(
                jobs.update()
                .where(here, jobs.c.state == "queued")
                .values(state="cancelled", finished=time.time())
            )
            running = connection.execute(
                jobs.update().where(here, jobs.c.state == "running").values(cancel=True)
            )
            if not queued.rowcount and not running.rowcount:
                raise ConflictError("the job has ended already", field="id")
        if key in self._running:
            self._running[key].stop.set()
        return self.get(key)

    # -- working ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers of this process."""
        names = [f"awry-worker-{i}" for i in range(self._settings.workers)]
        loops = [(name, self._loop) for name in names]
        if loops:
            loops.append(("awry-heartbeat", self._beat))
        for name, loop in loops:
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self, *, timeout: float = 10.0) -> None:
        """Stop the workers; what they run goes back to the queue at its next step."""
        self._stop.set()
        self._wake.set()
        for job in list(self._running.values()):
            job.stop.set()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def run_next(self, worker: str = "inline") -> bool:
        """Run one job that waits, if there is one."""
        job = self._claim(worker)
        if job is None:
            return False
        self._running[job.id] = job
        try:
            self._run(job)
        finally:
            del self._running[job.id]
        return True

    def _loop(self) -> None:
        worker = uuid.uuid4().hex
        while not self._stop.is_set():
            try:
                if self.run_next(worker):
                    continue
            except sa.exc.SQLAlchemyError as error:
                told = str(error).partition("\n")[0]
                _log.error("the database did not answer a worker, which goes on trying: %s", told)
            self._wake.wait(self._settings.poll_seconds)
            self._wake.clear()

    def _claim(self, worker: str) -> Job | None:
        now = time.time()
        ready = sa.or_(
            jobs.c.state == "queued",
            sa.and_(
                jobs.c.state == "running", over(jobs.c.lease, self._settings.lease_seconds, now)
            ),
        )
        query = sa.select(jobs).where(ready).order_by(jobs.c.created).limit(1)
        with self._store.read() as connection:
            if connection.execute(query).one_or_none() is None:
                return None
        with self._store.write() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            here = jobs.update().where(jobs.c.id == row.id)
            if row.cancel or row.attempts >= self._settings.max_attempts:
                error = {
                    "what": f"interrupted {row.attempts} times: the process that ran it ended",
                    "remedy": "it may need more memory than there is; give it less data",
                }
                state = "cancelled" if row.cancel else "failed"
                told = None if row.cancel else error
                connection.execute(here.values(state=state, finished=now, lease=None, error=told))
                self._wake.set()
                return None
            lease = now + self._settings.lease_seconds
            connection.execute(
                here.values(
                    state="running",
                    worker=worker,
                    lease=lease,
                    started=now,
                    attempts=row.attempts + 1,
                    progress=None,
                )
            )
        return Job(row.id, row.kind, row.request, row.by, row.attempts + 1, worker)

    def _run(self, job: Job) -> None:
        _log.info("job %s (%s) begins, attempt %d", job.id, job.kind, job.attempt)
        try:
            with progress.listening(job.report):
                self._work[job.kind](job)
            _log.info("job %s is done", job.id)
        except _StoppedError:
            self._give_up(job)
        except OpsError as error:
            self._fail(job, {"what": error.what, "field": error.field, "remedy": error.remedy})
        except AwryError as error:
            self._fail(job, {"what": str(error)})
        except Exception as error:
            _log.exception("job %s failed", job.id)
            self._fail(job, {"what": f"failed unexpectedly ({type(error).__name__}); see the log"})

    def _fail(self, job: Job, error: dict[str, Any]) -> None:
        _log.info("job %s failed: %s", job.id, error["what"])
        with self._store.write() as connection:
            connection.execute(
                jobs.update()
                .where(*_held(job))
                .values(state="failed", error=error, finished=time.time(), lease=None)
            )

    def _give_up(self, job: Job) -> None:
        """End a job that was cancelled; put one back that another process can go on with."""
        with self._store.write() as connection:
            held = jobs.update().where(*_held(job))
            connection.execute(
                held.where(jobs.c.cancel.is_(True)).values(
                    state="cancelled", finished=time.time(), lease=None
                )
            )
            connection.execute(
                held.values(state="queued", worker=None, lease=None, attempts=job.attempt - 1)
            )

    def _beat(self) -> None:
        pause = min(self._settings.lease_seconds / 3, 1.0)
        while not self._stop.wait(pause) or self._running:
            for job in list(self._running.values()):
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    self.renew(job)
            if self._stop.is_set():
                time.sleep(pause)

    def renew(self, job: Job) -> None:
        """Prolong the lease of ``job``, tell its progress, and hear whether it is to stop."""
        lease = time.time() + self._settings.lease_seconds
        with self._store.write() as connection:
            row = connection.execute(
                jobs.update().where(*_held(job)).values(lease=lease, progress=job.progress)
            )
            cancelled = connection.scalar(sa.select(jobs.c.cancel).where(jobs.c.id == job.id))
        if row.rowcount != 1 or cancelled:
            job.stop.set()


def _held(job: Job) -> tuple[sa.ColumnElement[bool], ...]:
    """That the job is still in the hands of this worker, in this attempt."""
    return (
        jobs.c.id == job.id,
        jobs.c.state == "running",
        jobs.c.worker == job.worker,
        jobs.c.attempts == job.attempt,
    )


def _shown(row: Any) -> dict[str, Any]:
    return {k: v for k, v in row._mapping.items() if k not in ("worker", "lease", "cancel")}
