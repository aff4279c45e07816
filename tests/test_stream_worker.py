"""The worker with its database and its sinks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import events, scores, stream_dead_letters, stream_offsets
from awry.run import fit
from awry.stream.formats import decoder
from awry.stream.lane import Lane
from awry.stream.ledger import Ledger, TakenOverError, clip
from awry.stream.plan import Plan
from awry.stream.records import Batch, Position
from awry.stream.sinks import open_sink
from awry.stream.sinks.base import Mark
from awry.stream.sources import open_source
from awry.stream.worker import Worker
from servers import ask_influx, free_port, influx_server, mock_kafka, wait_until


def records(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found = [
        {"a": float(x), "b": "uvw"[i % 3], "i": i % 5} for i, x in enumerate(rng.normal(size=n))
    ]
    for i in range(900, n, 200):
        found[i]["a"] = 30.0
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(Settings(home=tmp_path / "home"))
    yield made
    made.close()


def feed(lane: Lane, first: int, some: list[Any]) -> None:
    offsets = list(range(first, first + len(some)))
    lane.feed(Batch(lane.topic, lane.partition, offsets, some, Position(first + len(some)), 2e9))


def write(path: Path, n: int) -> str:
    lines = [json.dumps(r) for r in records(n)]
    lines[500] = '{"a": 1, '
    path.write_text("\n".join(lines) + "\n")
    return f"file://{path}?follow=0"


def test_what_others_wait_for_is_kept_at_once(store: Store) -> None:
    source: Any = open_source("http://127.0.0.1/")
    worker = Worker(source, Plan(), store, name="s", every=3_600.0)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        wait_until(lambda: source._server is not None)
        for i in range(3):
            body = b'{"a": %d}\n' % i
            with urllib.request.urlopen(f"http://127.0.0.1:{source.port}/", body, 60) as answer:
                assert json.load(answer) == {"accepted": 1}
    finally:
        worker.stop()
        thread.join(60)
    assert worker.tally.events == 3


def test_all_is_kept_and_told(tmp_path: Path, store: Store) -> None:
    source = write(tmp_path / "in.jsonl", 2_000)
    told, dead = tmp_path / "told.jsonl", tmp_path / "dead.jsonl"
    sinks = [open_sink(f"file://{told}"), open_sink(f"file://{dead}?rows=dead")]
    tally = Worker(open_source(source), Plan(), store, sinks, name="s").run()
    assert (tally.events, tally.dead) == (1_999, 1)
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(scores)) == 1_999
        odd = connection.execute(
            sa.select(scores.c.item).where(scores.c.severity > 0).order_by(scores.c.id)
        ).scalars()
        assert [json.loads(line)["id"] for line in told.read_text().splitlines()] == list(odd)
        found = connection.execute(sa.select(events.c["items"], events.c.reasons)).all()
        letter = connection.execute(sa.select(stream_dead_letters)).one()
    anomalies = [json.loads(line) for line in told.read_text().splitlines()]
    assert sum(one["record"]["a"] == 30.0 for one in anomalies) == 6
    assert anomalies[0]["reasons"][0]["column"] == "a"
    assert isinstance(anomalies[0]["reasons"][0]["value"], str)
    assert sum(items for items, _ in found) == len(anomalies)
    assert letter.message == b'{"a": 1, '
    assert json.loads(dead.read_text())["message"] == '{"a": 1, '
    # It goes on where it was: nothing is there to be judged again.
    again = Worker(open_source(source), Plan(), store, name="s").run()
    assert again.events == 0


def test_of_two_workers_with_one_partition_one_is_told(store: Store) -> None:
    plan = Plan()
    ledgers = [Ledger(store, "s") for _ in range(2)]
    lanes = []
    for ledger in ledgers:
        state, spill = ledger.open("t", 0)
        assert state is None
        lanes.append(Lane(plan, "t", 0, spill))
        feed(lanes[-1], 0, records(400))
    ledgers[0].commit([lanes[0]])
    with pytest.raises(TakenOverError):
        ledgers[1].commit([lanes[1]])
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(scores)) == 400
    # The slow one begins from what the other kept, and is then the one that goes on.
    state, spill = ledgers[1].open("t", 0)
    lane = Lane(plan, "t", 0, spill, state)
    assert lane.position == Position(400)
    feed(lane, 400, records(500)[400:])
    ledgers[1].commit([lane])
    lanes[0].clear()
    feed(lanes[0], 400, records(450)[400:])
    with pytest.raises(TakenOverError):
        ledgers[0].commit([lanes[0]])
    with store.read() as connection:
        assert connection.scalar(sa.select(stream_offsets.c.next)) == 500


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = request.getfixturevalue("database") if request.param == "postgresql" else ""
    made = Store(Settings(home=tmp_path / "home", database_url=url))
    yield made
    made.close()


@pytest.mark.parametrize("per_key", [False, True])
def test_a_million_keys_need_no_memory(any_store: Store, per_key: bool) -> None:
    rng = np.random.default_rng(0)
    settings: dict[str, Any] = {"key": "k", "amount": "a", "per_key": per_key}
    plan = Plan(capacity=200, **settings)
    some = [{"k": f"k{rng.integers(1_000)}\N{SNOWMAN}", "a": float(rng.lognormal())}
            for _ in range(3_000)]  # fmt: skip
    ledger = Ledger(any_store, "small")
    lane = Lane(plan, "t", 0, ledger.open("t", 0)[1])
    roomy = Lane(Plan(**settings), "t", 0, Ledger(any_store, "large").open("t", 0)[1])
    whole, parts = [], []
    for at in range(0, 3_000, 100):
        for one in (lane, roomy):
            feed(one, at, some[at : at + 100])
        parts += lane.judged
        whole += roomy.judged
        roomy.clear()
        assert lane.store is None or len(lane.store) <= 300
        if lane.store is not None and lane.store.crowded:
            ledger.commit([lane])
            lane.clear()
        else:
            lane.judged = []
    assert lane.store is not None
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.scores, b.scores)


def test_a_model_of_the_service_judges(tmp_path: Path, store: Store) -> None:
    settings = Settings(home=tmp_path / "home")
    trained = fit(records(800)[:800], detector="ecod")
    Models(store, settings).add("m", trained, about={}, by="me")
    source = write(tmp_path / "in.jsonl", 1_200)
    version, model = Models(store, settings).load("m")
    plan = Plan(model=model, model_name="m", model_version=version)
    Worker(open_source(source), plan, store, name="s", batch=77).run()
    with store.read() as connection:
        found = connection.execute(sa.select(scores.c.score).order_by(scores.c.id)).scalars().all()
    table = [r for i, r in enumerate(records(1_200)) if i != 500]
    np.testing.assert_allclose(found, trained.score(_table(table)), rtol=1e-12)


def _table(rows: list[dict[str, Any]]) -> Any:
    from awry.data.tables import as_table

    return as_table(rows)


def test_what_was_not_told_is_told_at_the_next_start(tmp_path: Path, store: Store) -> None:
    source, told = write(tmp_path / "in.jsonl", 1_500), tmp_path / "told.jsonl"
    sink = open_sink(f"file://{told}")
    kept = sink.deliver
    sink.deliver = lambda messages, mark: (_ for _ in ()).throw(AwryError("down"))  # type: ignore
    with pytest.raises(AwryError, match="down"):
        Worker(open_source(source), Plan(), store, [sink], name="s").run()
    sink.deliver = kept  # type: ignore[method-assign]
    Worker(open_source(source), Plan(), store, [sink], name="s").run()
    with store.read() as connection:
        odd = connection.execute(
            sa.select(scores.c.item).where(scores.c.severity > 0).order_by(scores.c.id)
        ).scalars()
        assert [json.loads(line)["id"] for line in told.read_text().splitlines()] == list(odd)


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path / 'kept.db'}", free_port()
    command = [
        "stream",
        "--from",
        "generator://iot_sensors?rate=2000",
        "--to",
        url,
        "--every",
        "0.1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "awry", *command, "--metrics-port", str(port), "--to", "-"],
        env={**os.environ, "AWRY_HOME": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    from urllib.request import urlopen

    def told(name: str) -> float:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        found = (x.rpartition(" ")[2] for x in lines if x.startswith(f"{name}{{stream="))
        return float(next(found, 0.0))

    wait_until(lambda: told("awry_stream_events_total") > 600 or process.poll() is not None)
    assert told("awry_stream_event_seconds_count") > 600
    process.send_signal(signal.SIGINT)
    out, words = process.communicate(timeout=30)
    assert process.returncode == 0, words.decode()
    made = sa.create_engine(url)
    with made.connect() as connection:
        kept = connection.scalar(sa.text("SELECT count(*) FROM scores"))
        assert connection.scalar(sa.text("SELECT next FROM stream_offsets")) == kept
        odd = connection.scalar(sa.text("SELECT count(*) FROM scores WHERE severity > 0"))
    made.dispose()
    assert words.decode().endswith(f"{kept:,} events, {odd:,} anomalies\n")
    assert len(out.splitlines()) == odd


# -- sinks ----------------------------------------------------------------------------------------

MESSAGES = [
    {"id": f"t/0/{i}", "stream": "s", "topic": "t", "partition": 0, "offset": i, "time": 1e9 + i,
     "score": 1.5 * i, "severity": "warning", "anomaly": True, "late": False, "key": "k, 1",
     "reasons": [], "record": {"a": i}}
    for i in range(5)
]  # fmt: skip
MARK = Mark("s", "t", 0, 5)


@contextmanager
def web(statuses: list[int]) -> Iterator[tuple[int, list[tuple[str, dict[str, str], bytes]]]]:
    """A server that answers with each status in turn, and what it was sent."""
    got: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, got
    server.shutdown()
    server.server_close()


def test_a_webhook_is_told_again_until_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWRY_WEBHOOK_AUTHORIZATION", "Bearer x")
    with web([503, 429]) as (port, got):
        sink = open_sink(f"webhook+http://127.0.0.1:{port}/hook?team=a&rows=all")
        sink.deliver(MESSAGES, MARK)
        sink.close()
    assert [path for path, _, _ in got] == ["/hook?team=a"] * 3
    assert len({headers["Idempotency-Key"] for _, headers, _ in got}) == 1
    assert got[0][1]["Authorization"] == "Bearer x"
    assert json.loads(got[2][2])["events"] == MESSAGES


def test_a_webhook_that_refuses_ends_the_worker() -> None:
    with web([400, 200]) as (port, got):
        sink = open_sink(f"webhook+http://127.0.0.1:{port}/hook")
        with pytest.raises(AwryError, match="answers 400"):
            sink.deliver(MESSAGES, MARK)
        assert len(got) == 1


def test_influx_keeps_each_point_once() -> None:
    with influx_server() as port:
        ask_influx(port, "CREATE DATABASE d")
        sink = open_sink(f"influx://127.0.0.1:{port}/d?rows=all")
        for _ in range(2):  # a second telling replaces the first
            sink.deliver(MESSAGES, MARK)
        sink.close()
        [series] = ask_influx(port, 'SELECT score, anomaly, "key" FROM awry')
    assert [row[1:] for row in series["values"]] == [[1.5 * i, True, "k, 1"] for i in range(5)]


def test_a_kafka_topic_is_told_once_of_each() -> None:
    confluent_kafka = pytest.importorskip("confluent_kafka")
    with mock_kafka("alerts", {}) as broker:
        for _ in range(2):  # as after an end between telling and the next commit
            sink: Any = open_sink(f"kafka://{broker}/alerts")
            sink.deliver(MESSAGES, MARK)
            # What a broker does with a transaction, and the mock cluster leaves undone.
            told = confluent_kafka.TopicPartition("alerts", 0, MARK.next)
            sink._readers["t", 0].commit(offsets=[told], asynchronous=False)
            sink.close()
        sink = open_sink(f"kafka://{broker}/alerts")
        sink.deliver(MESSAGES[:1], MARK._replace(next=6))
        sink.close()
        settings = {"bootstrap.servers": broker, "group.id": "g", "auto.offset.reset": "earliest"}
        consumer = confluent_kafka.Consumer(settings)
        consumer.subscribe(["alerts"])
        got: list[Any] = []
        wait_until(lambda: bool(got.extend(consumer.consume(10, 0.2)) or len(got) >= 6))
        got += consumer.consume(10, 0.5)
        consumer.close()
    assert [json.loads(m.value())["offset"] for m in got] == [0, 1, 2, 3, 4, 0]
    assert got[1].headers() == [("id", b"t/0/1")]
    assert got[1].key() == b"k, 1"


# -- formats --------------------------------------------------------------------------------------


def test_json_that_cannot_be_read_is_told() -> None:
    some = [b'{"a": 1}', b"[1]", b"\xff", b'{"a": ', b'{"a": 2}', b"", b'{"a":1},{"a":2}']
    found, reasons = decoder()(some)
    assert found == [{"a": 1}, None, None, None, {"a": 2}, None, None]
    assert sorted(reasons) == [1, 2, 3, 5, 6]


def test_csv_lines() -> None:
    found, reasons = decoder("csv", header="a,b")([b"a,b", b'1,"x, y"', b"2", b"3,"])
    assert found == [None, {"a": "1", "b": "x, y"}, None, {"a": "3", "b": None}]
    assert list(reasons) == [2]


def test_avro(tmp_path: Path) -> None:
    fastavro = pytest.importorskip("fastavro")
    import io

    schema = {"type": "record", "name": "E", "fields": [
        {"name": "a", "type": "double"}, {"name": "s", "type": ["null", "string"]}]}  # fmt: skip
    path = tmp_path / "e.avsc"
    path.write_text(json.dumps(schema))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), {"a": 1.5, "s": "x"})
    plain = out.getvalue()
    some = [plain, b"\0\0\0\0\7" + plain, plain[:4], plain + b"more"]
    found, reasons = decoder("avro", schema=str(path))(some)
    assert found[:2] == [{"a": 1.5, "s": "x"}] * 2
    assert sorted(reasons) == [2, 3]


def test_protobuf(tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="e.proto", package="p", syntax="proto3")
    made = file.message_type.add(name="Event")
    made.field.add(name="amount", number=1, type=kind.TYPE_DOUBLE, label=kind.LABEL_OPTIONAL)
    made.field.add(name="user_id", number=2, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    path = tmp_path / "e.desc"
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    event = message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Event"))
    some = [
        event(amount=2.5, user_id="u").SerializeToString(),
        event().SerializeToString(),
        b"\xff",
    ]
    found, reasons = decoder("protobuf", schema=f"{path}#p.Event")(some)
    assert found == [{"amount": 2.5, "user_id": "u"}, {"amount": 0.0, "user_id": ""}, None]
    assert list(reasons) == [2]


def test_long_names_stay_apart() -> None:
    one, two = "x" * 300 + "1", "x" * 300 + "2"
    assert len(clip(one, 255)) == 255
    assert clip(one, 255) != clip(two, 255)
    assert clip("a\0b", 255) == "a\ufffdb"
