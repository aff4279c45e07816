"""Events in a topic of Kafka."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from awry.core.errors import DataError
from awry.core.params import ParameterError
from awry.ops.kafka_mirror import KafkaMirror
from awry.ops.settings import Settings
from awry.stream.address import Address
from awry.stream.sources.kafka import kafka_settings
from servers import free_port, mock_kafka, wait_until
from test_ops_influx import NOW, event, judged

kafka = pytest.importorskip("confluent_kafka")


def test_each_event_is_told_once() -> None:
    with mock_kafka("found", {}) as broker:
        mirror = KafkaMirror(broker, "found")
        mirror.start()
        mirror.check()
        mirror.hear(judged(events=[event(), event(key=None, score=float("nan"))]))
        mirror.hear(judged(role="challenger", events=[event()]))
        mirror.close()
        assert mirror.lost == 0
        reader = kafka.Consumer(
            {"bootstrap.servers": broker, "group.id": "g", "auto.offset.reset": "earliest"}
        )
        reader.subscribe(["found"])
        got: list[Any] = []
        wait_until(lambda: bool(got.extend(reader.consume(10, 0.2)) or len(got) >= 2))
        got += reader.consume(10, 0.5)
        reader.close()
    assert sorted(message.key() for message in got) == [b"s 1", b"web, 1"]
    told = {message.key(): json.loads(message.value()) for message in got}
    assert told[b"web, 1"]["summary"].startswith("x = 3")
    assert (told[b"web, 1"]["severity"], told[b"web, 1"]["start"]) == ("critical", NOW)
    assert told[b"s 1"]["score"] is None


def test_what_is_not_delivered_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    mirror = KafkaMirror(
        f"127.0.0.1:{free_port()}", "found", **{
            "message.timeout.ms": 100, "queue.buffering.max.messages": 3,
        },
    )  # fmt: skip
    mirror.start()
    with pytest.raises(kafka.KafkaException):
        mirror.check()
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            mirror.hear(judged(events=[event()]))
        assert mirror.lost >= 2
        wait_until(lambda: mirror.lost == 5)
    mirror.close()
    assert len(caplog.records) == 1


def test_a_topic_needs_brokers() -> None:
    with pytest.raises(ParameterError, match="AWRY_KAFKA_BROKERS"):
        Settings(kafka_topic="x")


def test_addresses_that_name_no_broker_have_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWRY_KAFKA_BROKERS", "a:9092,b:9092")
    monkeypatch.setenv("AWRY_KAFKA_PASSWORD", "secret")
    address = Address.parse("kafka:///topic?security.protocol=SASL_SSL")
    assert kafka_settings(address) == {
        "bootstrap.servers": "a:9092,b:9092", "sasl.password": "secret",
        "security.protocol": "SASL_SSL",
    }  # fmt: skip
    assert kafka_settings(Address.parse("kafka://c/t"))["bootstrap.servers"] == "c"
    monkeypatch.delenv("AWRY_KAFKA_BROKERS")
    with pytest.raises(DataError, match="names no broker"):
        kafka_settings(Address.parse("kafka:///topic"))
