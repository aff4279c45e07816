"""What a worker tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from awry.core.optional import optional
from awry.stream.worker import LATENCIES

if TYPE_CHECKING:
    from awry.stream.worker import Worker


def serve(worker: Worker, port: int) -> int:
    """Serve ``/metrics`` at ``port`` of this machine, of a free one for 0; which one."""
    client = optional("prometheus_client", extra="server", needed_by="--metrics-port")
    registry = client.CollectorRegistry()
    registry.register(_Collector(worker))
    server, _ = client.start_http_server(port, addr="127.0.0.1", registry=registry)
    return int(server.server_port)


class _Collector:
    """Reads the worker's own numbers when it is asked."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        worker, tally = self._worker, self._worker.tally
        for name, words, value in (
            ("events", "Events judged and kept.", tally.events),
            ("anomalies", "Events that were anomalies.", tally.anomalies),
            ("late", "Events that came after the watermark.", tally.late),
            ("dead_letters", "Messages that could not be judged.", tally.dead),
            ("commits", "Transactions.", tally.commits),
        ):
            yield CounterMetricFamily(f"awry_stream_{name}", words, value=value)
        yield GaugeMetricFamily(
            "awry_stream_partitions", "Partitions of this worker.", value=len(worker.lanes)
        )
        ends = [f"{end:g}" for end in LATENCIES[:-1]] + ["+Inf"]
        yield HistogramMetricFamily(
            "awry_stream_latency_seconds",
            "From an event's arrival to its score being kept.",
            buckets=list(zip(ends, tally.latencies.cumsum().tolist(), strict=True)),
            sum_value=tally.latency_seconds,
        )
        lag = worker.source.lag()
        if lag is not None:
            yield GaugeMetricFamily("awry_stream_lag", "Messages that wait.", value=lag)
