"""Topics of Kafka, shared among workers of one group."""

from __future__ import annotations

import logging
import time
from typing import Any

from awry.core.errors import AwryError, DataError
from awry.core.optional import optional
from awry.ops.kafka_mirror import broker_settings
from awry.stream.address import Address
from awry.stream.records import Batch, Position
from awry.stream.sources.base import Assigned, Revoked

log = logging.getLogger(__name__)


def kafka_settings(address: Address) -> dict[str, Any]:
    """librdkafka's settings for an address: its options with a dot, secrets from the environment.

    ``AWRY_KAFKA_USERNAME`` and ``AWRY_KAFKA_PASSWORD`` are those of SASL, ``AWRY_KAFKA_BROKERS``
    the brokers of addresses that name none.
    """
    brokers = address.host or address.secret("AWRY_KAFKA_BROKERS")
    if not brokers:
        raise DataError(
            f"{address.text!r} names no broker",
            remedy="write kafka://host:9092/topic, or set AWRY_KAFKA_BROKERS",
        )
    own = {name: address.options.pop(name) for name in [*address.options] if "." in name}
    return broker_settings(brokers) | own


class KafkaSource:
    """``kafka://host:port,…/topic,…``; options ``group`` and any of librdkafka with a dot.

    Workers with the same group share the partitions. Where a partition goes on is what the
    database says, whatever the group's offsets are; these are written too, for tools that show lag.
    """

    replays = True
    holds_back = False

    def __init__(self, address: Address) -> None:
        optional("confluent_kafka", extra="stream", needed_by="kafka://")
        self.name, self.ended = address.name, False
        self.topics = [t for t in address.path.strip("/").split(",") if t]
        if not self.topics:
            raise DataError(f"{self.name} names no topic", remedy="write kafka://host:9092/topic")
        self._group = address.take("group", None)
        self._settings = {
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            # So much may wait here, whatever the broker has.
            "queued.max.messages.kbytes": "65536",
            **kafka_settings(address),
        }
        self._consumer: Any = None
        self._lost: list[tuple[str, int]] = []

    def open(self, assigned: Assigned, revoked: Revoked) -> None:
        from confluent_kafka import OFFSET_BEGINNING, Consumer

        def take(consumer: Any, partitions: list[Any]) -> None:
            for one in partitions:
                position = assigned(one.topic, one.partition)
                one.offset = OFFSET_BEGINNING if position is None else position.next
            consumer.assign(partitions)

        def give(consumer: Any, partitions: list[Any], lost: bool = False) -> None:
            revoked([(one.topic, one.partition) for one in partitions], lost)
            consumer.unassign()

        self._consumer = Consumer(
            {
                **self._settings,
                "group.id": self._group or f"awry {self.name}",
                # Eager: all partitions are given back and taken anew, with nothing between.
                "partition.assignment.strategy": "range,roundrobin",
                "enable.auto.commit": False,
                "error_cb": lambda error: log.warning("%s: %s", self.name, error.str()),
            },
            logger=log,
        )
        self._consumer.subscribe(
            self.topics, on_assign=take, on_revoke=give,
            on_lost=lambda consumer, partitions: give(consumer, partitions, True),
        )  # fmt: skip

    def poll(self, most: int, timeout: float) -> list[Batch]:
        from confluent_kafka import KafkaError

        messages = self._consumer.consume(most, timeout)
        parts: dict[tuple[str, int], tuple[list[int], list[bytes]]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise AwryError(f"{self.name}: there is no such topic: {error.str()}")
                if error.fatal():
                    raise AwryError(f"{self.name}: {error.str()}")
                log.warning("%s: %s", self.name, error.str())
                continue
            where = (message.topic(), message.partition())
            offsets, values = parts.setdefault(where, ([], []))
            offsets.append(message.offset())
            values.append(message.value() or b"")
        now = time.time()
        return [
            Batch(topic, partition, offsets, values, Position(offsets[-1] + 1), now)
            for (topic, partition), (offsets, values) in parts.items()
        ]

    def seek(self, topic: str, partition: int, position: Position | None) -> None:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        to = OFFSET_BEGINNING if position is None else position.next
        self._consumer.seek(TopicPartition(topic, partition, to))

    def done(self, topic: str, partition: int, position: Position) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        where = TopicPartition(topic, partition, position.next)
        try:
            self._consumer.commit(offsets=[where], asynchronous=True)
        except KafkaException as error:  # for show alone
            log.debug("%s: %s", self.name, error)

    def lag(self) -> int | None:
        from confluent_kafka import KafkaException

        waiting = 0
        try:
            for one in self._consumer.position(self._consumer.assignment()):
                _, high = self._consumer.get_watermark_offsets(one, cached=True)
                if high >= 0 and one.offset >= 0:
                    waiting += max(high - one.offset, 0)
        except KafkaException:
            return None
        return waiting

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
