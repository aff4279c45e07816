"""What Prometheus is told: the name, kind, words and labels of each metric, in one place.

The server and the stream worker make theirs from this table, and `deploy/` names no others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from awry.ops.beside import Beside
from awry.ops.jobs import Jobs
from awry.ops.probes import Aside
from awry.ops.store import Store
from awry.ops.tables import (
    alerts,
    drift_reports,
    events,
    judgements,
    models,
    scores,
    stream_offsets,
    versions,
)
from awry.result import SEVERITIES

_log = logging.getLogger(__name__)


class Meter(NamedTuple):
    """A metric: what it is, in words, and what tells its values apart."""

    kind: str
    words: str
    labels: tuple[str, ...] = ()


#: By name; a counter is exported with the ending ``_total``.
METERS = {
    "awry_http_requests": Meter("counter", "Requests answered.", ("method", "route", "status")),
    "awry_http_request_seconds": Meter("histogram", "Seconds a request took.", ("route",)),
    "awry_errors": Meter("counter", "Requests that ended in an error, by its kind.", ("kind",)),
    "awry_rows_judged": Meter("counter", "Rows judged in requests.", ("model", "method")),
    "awry_rows_flagged": Meter("counter", "Rows flagged in requests.", ("model", "method")),
    "awry_rows_lost": Meter("counter", "Rows judged in requests whose scores were not kept."),
    "awry_degraded_seconds": Meter("counter", "Seconds without a part of the service.", ("part",)),
    "awry_jobs": Meter("gauge", "Jobs by state.", ("state",)),
    "awry_score": Meter("gauge", "Quantiles of the newest scores.", ("model", "quantile")),
    "awry_model_version": Meter("gauge", "The version in charge.", ("model",)),
    "awry_model_trained_timestamp_seconds": Meter(
        "gauge", "When the version in charge was trained.", ("model",)
    ),
    "awry_last_judged_timestamp_seconds": Meter(
        "gauge", "When a request or a stream was judged last.", ("model",)
    ),
    "awry_drift_statistic": Meter(
        "gauge", "Of the newest drift report's test.", ("dataset", "feature")
    ),
    "awry_drifted_features": Meter("gauge", "Features that have moved.", ("dataset",)),
    "awry_events_open": Meter("gauge", "Events nobody has looked at.", ("severity",)),
    "awry_alerts_firing": Meter("gauge", "Alerts that fire.", ("severity",)),
    "awry_stream_events": Meter("counter", "Events judged and kept.", ("stream",)),
    "awry_stream_anomalies": Meter("counter", "Events that were anomalies.", ("stream",)),
    "awry_stream_late": Meter("counter", "Events that came after the watermark.", ("stream",)),
    "awry_stream_undated": Meter("counter", "Events without a time to go by.", ("stream",)),
    "awry_stream_dead_letters": Meter("counter", "Messages that could not be judged.", ("stream",)),
    "awry_stream_commits": Meter("counter", "Transactions.", ("stream",)),
    "awry_stream_model_swaps": Meter(
        "counter", "Times another version of the model took over.", ("stream",)
    ),
    "awry_stream_model_version": Meter("gauge", "Version of the model in use.", ("stream",)),
    "awry_stream_partitions": Meter("gauge", "Partitions of this worker.", ("stream",)),
    "awry_stream_lag": Meter("gauge", "Messages that wait to be read.", ("stream",)),
    "awry_stream_queue": Meter("gauge", "Events read and not kept yet.", ("stream",)),
    "awry_stream_event_seconds": Meter(
        "histogram", "From an event's arrival to its score being kept.", ("stream",)
    ),
}

#: Newest scores that quantiles are of, and which.
_SCORES, _QUANTILES = 5_000, (0.5, 0.9, 0.99)
#: Seconds that they may take; Prometheus itself waits ten for all.
_PATIENCE = 5.0
#: A model that nothing was judged by for so long is taken for retired, not for silent.
_RETIRED = 7 * 86_400.0


def family(name: str) -> Any:
    """The metric ``name``, for a collector to fill in."""
    kinds: dict[str, Any] = {
        "counter": CounterMetricFamily, "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }  # fmt: skip
    kind, words, labels = METERS[name]
    return kinds[kind](name, words, labels=labels)


def instrument(name: str, registry: CollectorRegistry, **options: Any) -> Any:
    """The metric ``name``, to count with."""
    kinds: dict[str, Any] = {"counter": Counter, "histogram": Histogram}
    kind, words, labels = METERS[name]
    return kinds[kind](name, words, labels, registry=registry, **options)


_Values = dict[str, list[tuple[tuple[str, ...], float]]]


class StoreCollector(Collector):
    """What the database knows, looked up when Prometheus asks; the same from every process."""

    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._store, self._jobs = store, jobs
        self._look = Aside("metrics", self._found)

    def describe(self) -> Iterator[Metric]:
        # Without this the database would be asked when the collector is registered.
        yield family("awry_jobs")

    def collect(self) -> Iterator[Metric]:
        """The metrics; none where the database does not answer, which is told by itself."""
        try:
            found = self._look.call().result(_PATIENCE)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            told = str(error).partition("\n")[0] or f"no answer within {_PATIENCE:g} s"
            _log.error("the database did not tell metrics: %s", told)
            return
        for name, values in found.items():
            gauge = family(name)
            for labels, value in values:
                gauge.add_metric(labels, value)
            yield gauge

    def _found(self) -> _Values:
        found: _Values = {"awry_jobs": [((state,), n) for state, n in self._jobs.count().items()]}
        with self._store.read() as connection:
            for look in (_of_models, _of_scores, _of_drift, _of_findings):
                found |= look(connection, time.time())
        return found


def _of_models(connection: sa.Connection, now: float) -> _Values:
    j = judgements.c
    last = (
        sa.select(j.at)
        .where(j.model == models.c.name, j.version == models.c.champion, j.origin != "job")
        .where(j.at > now - _RETIRED)
        .order_by(j.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = sa.select(models.c.name, versions.c.version, versions.c.created, last).join(
        versions,
        sa.and_(versions.c.model == models.c.name, versions.c.version == models.c.champion),
    )
    rows = connection.execute(query).all()
    streams = connection.execute(
        sa.select(stream_offsets.c.source, sa.func.max(stream_offsets.c.updated))
        .where(stream_offsets.c.updated > now - _RETIRED)
        .group_by(stream_offsets.c.source)
    ).all()
    return {
        "awry_model_version": [((name,), version) for name, version, _, _ in rows],
        "awry_model_trained_timestamp_seconds": [((name,), made) for name, _, made, _ in rows],
        "awry_last_judged_timestamp_seconds": [
            ((name,), at) for name, _, _, at in rows if at is not None
        ]
        + [((source,), at) for source, at in streams],
    }


def _of_scores(connection: sa.Connection, now: float) -> _Values:
    newest = connection.scalar(sa.select(sa.func.max(scores.c.id))) or 0
    query = (
        sa.select(sa.func.coalesce(judgements.c.model, judgements.c.source), scores.c.score)
        .join(judgements, judgements.c.id == scores.c.judgement)
        .where(scores.c.id > newest - _SCORES, scores.c.score.is_not(None))
        .where(judgements.c.role == "champion")
    )
    by_model: dict[str, list[float]] = {}
    for name, score in connection.execute(query):
        by_model.setdefault(name, []).append(score)
    return {
        "awry_score": [
            ((name, str(q)), float(value))
            for name, given in by_model.items()
            for q, value in zip(_QUANTILES, np.quantile(given, _QUANTILES), strict=True)
        ]
    }


def _of_drift(connection: sa.Connection, now: float) -> _Values:
    newest = sa.select(sa.func.max(drift_reports.c.id)).group_by(drift_reports.c.source)
    query = sa.select(drift_reports.c.source, drift_reports.c.report)
    statistics: list[tuple[tuple[str, ...], float]] = []
    moved: list[tuple[tuple[str, ...], float]] = []
    for source, report in connection.execute(query.where(drift_reports.c.id.in_(newest))):
        features = report.get("features") or []
        moved.append(((source,), float(sum(bool(f["drifted"]) for f in features))))
        statistics += [
            ((source, f["feature"]), float(f["statistic"]))
            for f in features
            if f["statistic"] is not None
        ]
    return {"awry_drift_statistic": statistics, "awry_drifted_features": moved}


def _of_findings(connection: sa.Connection, now: float) -> _Values:
    return {
        "awry_events_open": _by_severity(connection, events, events.c.status == "open"),
        "awry_alerts_firing": _by_severity(connection, alerts, alerts.c.state == "firing"),
    }


def _by_severity(
    connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]
) -> list[tuple[tuple[str, ...], float]]:
    query = sa.select(table.c.severity, sa.func.count()).where(which).group_by(table.c.severity)
    counts: dict[int, int] = {row[0]: row[1] for row in connection.execute(query)}
    return [((SEVERITIES[level],), counts.get(level, 0)) for level in range(1, len(SEVERITIES))]


class Watch:
    """Counts the seconds for which a part of a service does not answer.

    Parameters
    ----------
    ready : callable
        Says of each part whether it is ``ok``, as :meth:`awry.ops.service.Service.ready` does.
    count : callable
        Takes a part and seconds.
    every : float
        Seconds between looks.
    """

    def __init__(
        self,
        ready: Callable[[], Mapping[str, Mapping[str, Any]]],
        count: Callable[[str, float], None],
        *,
        every: float = 5.0,
    ) -> None:
        self._ready, self._count = ready, count
        self._looked: float | None = None
        self._beside = Beside("awry-watch", every, self.look)
        self.start, self.close = self._beside.start, self._beside.close

    def look(self, now: float | None = None) -> None:
        """Add what has passed since the look before, for each part that does not answer now."""
        now = time.monotonic() if now is None else now
        passed = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        for part, found in self._ready().items():
            # A part that answers counts 0, so that its rate is known before it ever fails.
            self._count(part, 0.0 if found["ok"] else passed)
