"""Counts and latencies for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from awry.ops.service import Service

#: Names the folder in which several processes keep their counts, where there are several.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class Metrics:
    """The metrics of one server."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._children: dict[Any, Any] = {}
        self._queue = _Queue(service)
        self.registry.register(self._queue)
        self._requests = Counter(
            "awry_http_requests", "Requests answered.", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "awry_http_request_seconds", "Seconds a request took.", ("route",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._rows = Counter(
            "awry_rows_judged", "Rows judged in requests.", ("model", "method"),
            registry=self.registry,
        )  # fmt: skip
        self._flagged = Counter(
            "awry_rows_flagged", "Rows flagged in requests.", ("model", "method"),
            registry=self.registry,
        )  # fmt: skip

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; ``route`` is its template, so that there are few."""
        method = method if method in _METHODS else "other"
        self._child(self._requests, method, route, str(status)).inc()
        self._child(self._seconds, route).observe(seconds)

    def judged(self, model: str | None, method: str, rows: int, flagged: int) -> None:
        """Count rows that were judged."""
        self._child(self._rows, model or "", method).inc(rows)
        self._child(self._flagged, model or "", method).inc(flagged)

    def _child(self, metric: Any, *labels: str) -> Any:
        """``metric`` with its labels, which are few."""
        found = self._children.get((metric, labels))
        if found is None:
            found = self._children[metric, labels] = metric.labels(*labels)
        return found

    def text(self) -> bytes:
        """All of it, as Prometheus reads it; where there are several processes, of all of them."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        together.register(self._queue)
        return generate_latest(together)


class _Queue(Collector):
    """The jobs in each state, counted when they are asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterator[Metric]:
        # Without this the database would be asked when the collector is registered.
        yield GaugeMetricFamily("awry_jobs", "Jobs by state.", labels=["state"])

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily("awry_jobs", "Jobs by state.", labels=["state"])
        for state, count in self._service.jobs.count().items():
            gauge.add_metric([state], count)
        yield gauge
