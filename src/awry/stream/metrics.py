"""What a worker tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from awry.core.optional import optional
from awry.stream.worker import LATENCIES

if TYPE_CHECKING:
    from awry.stream.worker import Worker


def serve(worker: Worker, port: int, host: str = "127.0.0.1") -> int:
    """Serve ``/metrics`` at ``port``, at a free one for 0; which one."""
    client = optional("prometheus_client", extra="server", needed_by="--metrics-port")
    registry = client.CollectorRegistry()
    registry.register(_Collector(worker))
    server, _ = client.start_http_server(port, addr=host, registry=registry)
    return int(server.server_port)


class _Collector:
    """Reads the worker's own numbers when it is asked."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        from awry.ops.monitor import family

        worker, tally = self._worker, self._worker.tally
        for name, value in (
            ("awry_stream_events", tally.events),
            ("awry_stream_anomalies", tally.anomalies),
            ("awry_stream_late", tally.late),
            ("awry_stream_undated", tally.undated),
            ("awry_stream_dead_letters", tally.dead),
            ("awry_stream_commits", tally.commits),
            ("awry_stream_model_swaps", tally.swaps),
            ("awry_stream_model_version", worker.plan.model_version),
            ("awry_stream_partitions", len(worker.lanes)),
            ("awry_stream_queue", worker.waiting),
            ("awry_stream_lag", worker.source.lag()),
        ):
            if value is not None:
                told = family(name)
                told.add_metric([worker.name], value)
                yield told
        ends = [f"{end:g}" for end in LATENCIES[:-1]] + ["+Inf"]
        buckets = list(zip(ends, tally.latencies.cumsum().tolist(), strict=True))
        seconds = family("awry_stream_event_seconds")
        seconds.add_metric([worker.name], buckets, tally.latency_seconds)
        yield seconds
