"""All parts of a service, put together."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

from awry.ops.alerts import Alerts
from awry.ops.datasets import Datasets
from awry.ops.detect import Judging
from awry.ops.drift import Drift
from awry.ops.feedback import Feedback
from awry.ops.findings import Findings
from awry.ops.golden import Golden
from awry.ops.influx import Influx, InfluxMirror
from awry.ops.jobs import Jobs
from awry.ops.kafka_mirror import KafkaMirror
from awry.ops.keeper import Keeper
from awry.ops.keys import Keys
from awry.ops.live import Live
from awry.ops.lookup import Lookup
from awry.ops.mlflow_mirror import MlflowMirror
from awry.ops.models import Models
from awry.ops.overview import Overview
from awry.ops.probes import Probes
from awry.ops.recorder import Recorder
from awry.ops.retrain import Retraining
from awry.ops.review import Reviewing
from awry.ops.rollout import Rollout
from awry.ops.score_cache import ScoreCache
from awry.ops.settings import Settings
from awry.ops.shared import Shared, space_of
from awry.ops.store import Store
from awry.ops.upkeep import Upkeep
from awry.ops.warm import Warm
from awry.ops.work import Workshop

#: Seconds after which a file that nothing names is taken for left behind.
_IN_THE_MAKING = 86_400


class Elsewhere(Protocol):
    """A part of the service in another place."""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def check(self) -> None:
        """Raise where it does not answer."""


class Service:
    """What a server, or a program, drives.

    Parameters
    ----------
    settings : Settings, optional
        Those of the environment by default.

    Attributes
    ----------
    store, shared, keys, datasets, models, judging, jobs, workshop, findings, lookup, overview,
    feedback, reviewing, golden, rollout, keeper, drift, retraining, upkeep, recorder, warm
        Its parts.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store = Store(self.settings)
        self.shared = Shared(self.settings.redis_url, space_of(self.settings.database_url))
        self.keys = Keys(self.store)
        self.datasets = Datasets(self.store, self.settings)
        self.models = Models(self.store, self.settings)
        self.judging = Judging(self.models, self.settings)
        self.workshop = Workshop(self.store, self.datasets, self.models, self.settings)
        self.findings = Findings(self.store)
        self.lookup = Lookup(self.store)
        self.overview = Overview(self.store)
        self.feedback = Feedback(self.store)
        self.reviewing = Reviewing(self.store, self.models, self.feedback)
        self.upkeep = Upkeep(self.store, self.settings)
        self.recorder = Recorder(self.findings, self.models, self.settings)
        if self.settings.record_requests:
            self.judging.heard = self.recorder.hear
        self.alerts = Alerts(self.store, self.settings, shared=self.shared)
        self.golden = Golden(self.store, self.models, self.settings)
        self.rollout = Rollout(self.store, self.models, self.judging, self.findings, self.golden)
        self.keeper = self.workshop.keeper = Keeper(self.store, self.settings)
        self.drift = Drift(self.store, self.datasets, self.models, self.keeper, self.settings)
        self.retraining = Retraining(
            self.store, self.models, self.keeper, self.golden, self.rollout, self.drift,
            self.settings,
        )  # fmt: skip
        self.judging.route = self.rollout.route
        self.recorder.listeners += [self.keeper.hear, self.rollout.hear]
        more = {"retrain": self.retraining.work, "drift": self.drift.work}
        self.jobs = Jobs(self.store, self.settings, {**self.workshop.kinds, **more})
        self.retraining.jobs = self.jobs
        if self.settings.score_cache_seconds:
            self.judging.cache = ScoreCache(self.shared, self.settings.score_cache_seconds)
        self.live = Live(self.shared)
        self.workshop.findings = self.findings
        self.findings.heard.append(self.live.hear)
        self.warm = Warm(self.models, self.judging)
        self.models.charge.listeners.append(self.warm.wake)
        self.elsewhere = self._elsewhere()
        needed = {"database": lambda: self.store.ping(), "files": self._write_a_file}
        self._needed = set(needed)
        self._probes = Probes(needed | {name: part.check for name, part in self.elsewhere.items()})

    def start(self) -> None:
        """Clear away what killed processes left behind, and start the workers."""
        for part, kept in (
            ("datasets", self.datasets.files()),
            ("models", self.models.files()),
            ("results", self.jobs.files()),
            ("snapshots", self.retraining.files()),
        ):
            sweep(self.settings.home / part, kept)
        self.warm.start()
        self.jobs.start()
        self.upkeep.start()
        self.recorder.start()
        self.retraining.start()
        self.alerts.start()
        for other in self.elsewhere.values():
            other.start()

    def close(self) -> None:
        """Stop the workers and let go of the database."""
        self.warm.close()
        self.retraining.close()
        self.jobs.close()
        self.alerts.close()
        self.upkeep.close()
        self.recorder.close()
        for other in self.elsewhere.values():
            other.close()
        self.store.close()

    def submit(self, kind: str, request: dict[str, Any], *, by: str) -> dict[str, Any]:
        """Queue a job, if it can be done."""
        return self.jobs.submit(kind, self.workshop.prepare(kind, request), by=by)

    def ready(self) -> dict[str, dict[str, Any]]:
        """Whether each thing the service depends on answers within two seconds, and how soon.

        Without those that are not ``needed`` it goes on: degraded.
        """
        found = self._probes.ask()
        return {name: told | {"needed": name in self._needed} for name, told in found.items()}

    def _elsewhere(self) -> dict[str, Elsewhere]:
        """What there is in other places, and the service can do without for a while."""
        found: dict[str, Elsewhere] = {}
        settings = self.settings
        if settings.redis_url:
            found["redis"] = self.shared
        if settings.influx_url:
            found["influx"] = influx = InfluxMirror(Influx(settings.influx_url))
            self.findings.heard.append(influx.hear)
        if settings.kafka_topic:
            found["kafka"] = kafka = KafkaMirror(settings.kafka_brokers, settings.kafka_topic)
            self.findings.heard.append(kafka.hear)
        if settings.mlflow_uri:
            found["mlflow"] = MlflowMirror(
                settings.mlflow_uri, self.store, self.models, self.datasets
            )
        return found

    def _write_a_file(self) -> None:
        with tempfile.TemporaryFile(dir=self.settings.home) as file:
            file.write(b"ready")


def sweep(folder: Path, kept: set[str]) -> None:
    """Remove files of ``folder`` that nothing names, but for those that may still be made."""
    for path in folder.iterdir():
        if path.name not in kept and time.time() - path.stat().st_mtime > _IN_THE_MAKING:
            path.unlink(missing_ok=True)
