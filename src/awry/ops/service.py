"""All parts of a service, put together."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from awry.ops.datasets import Datasets
from awry.ops.detect import Judging
from awry.ops.feedback import Feedback
from awry.ops.findings import Findings
from awry.ops.jobs import Jobs
from awry.ops.keys import Keys
from awry.ops.lookup import Lookup
from awry.ops.models import Models
from awry.ops.recorder import Recorder
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.upkeep import Upkeep
from awry.ops.work import Workshop

#: Seconds after which a file that nothing names is taken for left behind.
_IN_THE_MAKING = 86_400


class Service:
    """What a server, or a program, drives.

    Parameters
    ----------
    settings : Settings, optional
        Those of the environment by default.

    Attributes
    ----------
    store, keys, datasets, models, judging, jobs, workshop, findings, lookup, feedback,
    upkeep, recorder
        Its parts.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store = Store(self.settings)
        self.keys = Keys(self.store)
        self.datasets = Datasets(self.store, self.settings)
        self.models = Models(self.store, self.settings)
        self.judging = Judging(self.models, self.settings)
        self.workshop = Workshop(self.store, self.datasets, self.models, self.settings)
        self.findings = Findings(self.store)
        self.lookup = Lookup(self.store)
        self.feedback = Feedback(self.store)
        self.upkeep = Upkeep(self.store, self.settings)
        self.recorder = Recorder(self.findings, self.models)
        if self.settings.record_requests:
            self.judging.heard = self.recorder.hear
        self.jobs = Jobs(self.store, self.settings, self.workshop.kinds)

    def start(self) -> None:
        """Clear away what killed processes left behind, and start the workers."""
        for part, kept in (
            ("datasets", self.datasets.files()),
            ("models", self.models.files()),
            ("results", self.jobs.files()),
        ):
            sweep(self.settings.home / part, kept)
        self.jobs.start()
        self.upkeep.start()
        self.recorder.start()

    def close(self) -> None:
        """Stop the workers and let go of the database."""
        self.jobs.close()
        self.upkeep.close()
        self.recorder.close()
        self.store.close()

    def submit(self, kind: str, request: dict[str, Any], *, by: str) -> dict[str, Any]:
        """Queue a job, if it can be done."""
        return self.jobs.submit(kind, self.workshop.prepare(kind, request), by=by)

    def ready(self) -> dict[str, dict[str, Any]]:
        """Whether each thing the service depends on answers, and how soon."""
        return {"database": _probe(self.store.ping), "files": _probe(self._write_a_file)}

    def _write_a_file(self) -> None:
        with tempfile.TemporaryFile(dir=self.settings.home) as file:
            file.write(b"ready")


def sweep(folder: Path, kept: set[str]) -> None:
    """Remove files of ``folder`` that nothing names, but for those that may still be made."""
    for path in folder.iterdir():
        if path.name not in kept and time.time() - path.stat().st_mtime > _IN_THE_MAKING:
            path.unlink(missing_ok=True)


def _probe(check: Callable[[], None]) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        check()
    except Exception as error:
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True, "latency_ms": round(1e3 * (time.perf_counter() - begun), 3)}
