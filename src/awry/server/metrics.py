"""Counts and latencies for Prometheus."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from awry.ops.monitor import StoreCollector, Watch, instrument
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
        self._stored = StoreCollector(service.store, service.jobs)
        self.registry.register(self._stored)
        self._requests = instrument("awry_http_requests", self.registry)
        self._seconds = instrument("awry_http_request_seconds", self.registry, buckets=_SECONDS)
        self._errors = instrument("awry_errors", self.registry)
        self._rows = instrument("awry_rows_judged", self.registry)
        self._flagged = instrument("awry_rows_flagged", self.registry)
        service.recorder.losses.append(instrument("awry_rows_lost", self.registry).inc)
        self._degraded = instrument("awry_degraded_seconds", self.registry)
        #: Runs while the service does.
        self.watch = Watch(
            service.ready, lambda part, passed: self._child(self._degraded, part).inc(passed)
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; ``route`` is its template, so that there are few."""
        method = method if method in _METHODS else "other"
        self._child(self._requests, method, route, str(status)).inc()
        self._child(self._seconds, route).observe(seconds)

    def failed(self, kind: str) -> None:
        """Count a request that ended in an error; of kinds there are few."""
        self._child(self._errors, kind).inc()

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
        together.register(self._stored)
        return generate_latest(together)
