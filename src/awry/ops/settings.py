"""What can be set of a service, from the environment, with defaults that are safe."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from awry.core.params import Constraint, ParameterError, integer, real

#: Hosts that only this machine can reach.
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")

_LIMITS: dict[str, Constraint] = {
    "port": integer(0, 65_535),
    "max_body_bytes": integer(1),
    "max_upload_bytes": integer(1),
    "max_dataset_rows": integer(1),
    "max_dataset_bytes": integer(1),
    "max_rows": integer(1),
    "max_columns": integer(1),
    "max_json_depth": integer(1),
    "max_param": integer(1),
    "max_queued_jobs": integer(0),
    "max_detections": integer(1),
    "min_fit_rows": integer(2),
    "workers": integer(0),
    "max_attempts": integer(1),
    "cached_models": integer(1),
    "kept_calm_rows": integer(0),
    "kept_rows_per_hour": integer(0),
    "kept_rows_days": real(0, closed="(]"),
    "golden_rows": integer(1),
    "golden_min_recall": real(0, 1),
    "golden_max_false_alarms": real(0, 1),
    "rollout_seconds": real(0, closed="(]"),
    "drift_hours": real(0, closed="(]"),
    "score_cache_seconds": real(0),
    "latency_budget_ms": real(0, closed="(]"),
    "rate": real(0, closed="(]"),
    "burst": integer(1),
    "lease_seconds": real(0, closed="(]"),
    "scores_days": real(0, closed="(]"),
    "events_days": real(0, closed="(]"),
    "upkeep_seconds": real(0, closed="(]"),
    "poll_seconds": real(0, closed="(]"),
    "alert_seconds": real(0, closed="(]"),
}


@dataclass(frozen=True)
class Settings:
    """Settings of a service; each is read from ``AWRY_`` and its name in capitals.

    Parameters
    ----------
    home : Path
        Folder of the embedded database, data sets, models and results.
    database_url : str
        ``postgresql://…``; by default SQLite in ``home``.
    host, port
        Where the server listens.
    require_key : bool, optional
        Whether requests need an API key; by default as soon as the server listens beyond this
        machine.
    cors_origins : tuple of str
        Web pages that may call the service; none by default.
    max_body_bytes, max_upload_bytes : int
        Bytes of a JSON body and of an uploaded file.
    max_dataset_rows, max_dataset_bytes : int
        Rows of a data set, and its bytes in memory as columns.
    max_rows, max_columns, max_json_depth : int
        Of one request.
    max_param : int
        The largest integer a client may give for a parameter of a detector, and the sum of those in
        a list, but where it counts rows or points: how many trees, epochs or units there may be.
    min_fit_rows : int
        So many rows in one request are enough to judge them by themselves.
    max_detections : int
        Requests judged at one time; more are told to come again.
    latency_budget_ms : float
        Milliseconds after which a request is answered without the second stage of a cascade.
    workers : int
        Jobs that run at one time in this process; 0 leaves them to other processes.
    max_queued_jobs : int
        Jobs that may wait.
    max_attempts : int
        So often a job is begun anew when the process that ran it is gone.
    lease_seconds : float
        A job whose process has not been heard of for so long is taken over.
    poll_seconds : float
        Between looks for jobs that other processes queued.
    scores_days, events_days : float
        Scores, and events with what was said of them, are deleted when they are so old; the counts
        and the distribution of scores of each hour are kept as long as events.
    upkeep_seconds : float
        Between looks for what is to be deleted.
    record_requests : bool
        Whether what requests had judged is kept, too.
    kept_calm_rows : int
        Of those judged in one second by one model, so many that are not flagged are kept one by
        one, and all that are; the others are counted in their hour.
    alert_sinks : tuple of str
        Who is told of alerts, see :mod:`awry.ops.sinks`; nobody by default.
    alert_allow : tuple of str
        Networks that sinks may be in although they are link-local or a cloud's metadata.
    alert_seconds : float
        Between looks whether a rule of alerts is true.
    rate, burst
        Requests a second, and at once, of each key (or address).
    cached_models : int
        Models kept loaded.
    kept_rows_per_hour, kept_rows_days
        Of the rows that requests had judged by a model, so many of each hour are kept for so long,
        for drift monitors and retraining; 0 keeps none.
    golden_rows : int
        Rows of one model's golden set.
    golden_min_recall, golden_max_false_alarms : float
        Of its anomalies, the share a new version must find, and of its normal rows, the share it
        may flag; policies may say otherwise.
    rollout_seconds : float
        Between looks at policies, challengers and bounds.
    drift_hours : float
        Between reports of drift in what requests ask, which are of the rows since the one before.
    redis_url : str
        ``redis://…``: rates, cool-downs and live counts are then those of all processes together.
    score_cache_seconds : float
        Seconds for which the score of a row is remembered, for a row that is asked again; 0: none.
    influx_url : str
        ``http://host:8086/database`` of InfluxDB 1, ``http://host:8086/org/bucket`` of 2 and 3:
        scores and events are written there, too.
    mlflow_uri : str
        Of an MLflow tracking server, which is told of trained and promoted models.
    kafka_brokers : str
        ``host:port,…`` for addresses ``kafka:///topic`` that name none.
    kafka_topic : str
        Events that are found are sent there, too; nowhere by default.

    Examples
    --------
    >>> Settings.from_environment({"AWRY_MAX_ROWS": "500"}).max_rows
    500
    """

    home: Path = field(default_factory=lambda: Path.home() / ".awry")
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    require_key: bool | None = None
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 8 << 20
    max_upload_bytes: int = 1 << 30
    max_dataset_rows: int = 10_000_000
    max_dataset_bytes: int = 8 << 30
    max_rows: int = 10_000
    max_columns: int = 1_000
    max_json_depth: int = 16
    max_param: int = 10_000
    min_fit_rows: int = 50
    max_detections: int = 8
    latency_budget_ms: float = 100.0
    workers: int = 1
    max_queued_jobs: int = 100
    max_attempts: int = 3
    lease_seconds: float = 30.0
    poll_seconds: float = 1.0
    scores_days: float = 30.0
    events_days: float = 365.0
    upkeep_seconds: float = 60.0
    record_requests: bool = True
    kept_calm_rows: int = 10_000
    rate: float = 100.0
    burst: int = 200
    cached_models: int = 32
    alert_sinks: tuple[str, ...] = field(default=(), repr=False)  # an address may hold a token
    alert_allow: tuple[str, ...] = ()
    alert_seconds: float = 15.0
    kept_rows_per_hour: int = 500
    kept_rows_days: float = 30.0
    golden_rows: int = 2_000
    golden_min_recall: float = 0.9
    golden_max_false_alarms: float = 0.1
    rollout_seconds: float = 60.0
    drift_hours: float = 24.0
    redis_url: str = field(default="", repr=False)
    score_cache_seconds: float = 0.0
    influx_url: str = field(default="", repr=False)
    mlflow_uri: str = field(default="", repr=False)
    kafka_brokers: str = ""
    kafka_topic: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.home / 'awry.db'}")
        if self.kafka_topic and not self.kafka_brokers:
            raise ParameterError("AWRY_KAFKA_TOPIC needs AWRY_KAFKA_BROKERS, got none")
        for name, (words, test) in _LIMITS.items():
            if not test(getattr(self, name)):
                raise ParameterError(
                    f"AWRY_{name.upper()} must be {words}, got {getattr(self, name)!r}"
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:
        """Settings that ``environment`` holds; those ``given`` and not None come first."""
        environment = os.environ if environment is None else environment
        found: dict[str, Any] = {}
        for one in dataclasses.fields(cls):
            text = environment.get(f"AWRY_{one.name.upper()}")
            if text is not None:
                found[one.name] = _value(one.name, text, str(one.type))
        return cls(**found | {k: v for k, v in given.items() if v is not None})

    @property
    def needs_key(self) -> bool:
        """Whether requests need an API key."""
        return self.host not in LOCAL_HOSTS if self.require_key is None else self.require_key


def _value(name: str, text: str, kind: str) -> Any:
    """``text`` in the type the field is declared with."""
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind.startswith("bool"):
        truths = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in truths:
            raise ParameterError(f"AWRY_{name.upper()} must be true or false, got {text!r}")
        return truths[text.lower()]
    if kind in ("int", "float"):
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            words = "an integer" if kind == "int" else "a number"
            raise ParameterError(f"AWRY_{name.upper()} must be {words}, got {text!r}") from None
    return text
