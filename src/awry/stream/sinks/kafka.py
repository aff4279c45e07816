"""A topic of Kafka, told in transactions."""

from __future__ import annotations

from typing import Any

import msgspec

from awry.core.errors import DataError
from awry.core.optional import optional
from awry.ops.posting import RefusedError
from awry.stream.address import Address
from awry.stream.sinks.base import Mark, Message, Sink
from awry.stream.sources.kafka import kafka_settings

_TIMEOUT = 30.0


class KafkaSink(Sink):
    """``kafka://host:port,…/topic``; options ``transactional`` (true) and librdkafka's with a dot.

    Each delivery is a transaction of an idempotent producer, and with its messages that
    transaction keeps how far the partition has been told of: as the offset of a consumer group,
    which is nobody's but this sink's. A delivery that is tried again after the worker's end finds
    there that it was done. So a reader of committed messages sees each once. Brokers that know no
    transactions get ``transactional=false``: an idempotent producer, and a batch told once more
    after a worker's end.

    A message's key is the event's key, or its id; its header ``id`` tells it from all others.
    """

    def __init__(self, address: Address) -> None:
        optional("confluent_kafka", extra="stream", needed_by="kafka://")
        super().__init__(address)
        self._transactional = address.take("transactional", True, bool)
        self._topic = address.path.strip("/")
        if not self._topic or "," in self._topic:
            raise DataError(f"{self.name} must name one topic")
        self._settings = kafka_settings(address)
        self._producers: dict[tuple[str, int], Any] = {}
        self._readers: dict[tuple[str, int], Any] = {}
        self._told: dict[tuple[str, int], int] = {}

    def _send(self, messages: list[Message], mark: Mark) -> None:
        from confluent_kafka import KafkaException

        where = (mark.topic, mark.partition)
        try:
            producer = self._producer(mark)
            if self._told.get(where, -1) >= mark.next:
                return
            if self._transactional:
                self._in_transaction(producer, messages, mark)
            else:
                self._produce(producer, messages)
        except KafkaException as error:
            self._forget(where)
            if error.args[0].fatal() and error.args[0].name() == "_FENCED":
                raise RefusedError(f"{self.name}: another worker tells of {where}") from error
            raise
        self._told[where] = mark.next

    def _in_transaction(self, producer: Any, messages: list[Message], mark: Mark) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        producer.begin_transaction()
        try:
            self._produce(producer, messages)
            producer.send_offsets_to_transaction(
                [TopicPartition(self._topic, 0, mark.next)],
                self._readers[mark.topic, mark.partition].consumer_group_metadata(), _TIMEOUT,
            )  # fmt: skip
            producer.commit_transaction(_TIMEOUT)
        except KafkaException as error:
            if error.args[0].txn_requires_abort():
                producer.abort_transaction(_TIMEOUT)
            raise

    def _produce(self, producer: Any, messages: list[Message]) -> None:
        failed: list[Any] = []

        def told(error: Any, _: Any) -> None:
            if error is not None:
                failed.append(error)

        for message in messages:
            key = message.get("key") or message["id"]
            value, headers = msgspec.json.encode(message), [("id", message["id"].encode())]
            while True:
                try:
                    producer.produce(self._topic, value, key, headers=headers, on_delivery=told)
                    break
                except BufferError:  # the queue is full: back-pressure
                    producer.poll(0.1)
        if producer.flush(_TIMEOUT):
            raise OSError(f"{self.name} did not take all within {_TIMEOUT:g} s")
        if failed:
            raise OSError(f"{self.name}: {failed[0].str()}")

    def _group(self, mark: Mark) -> str:
        return f"awry-told {mark.stream} {mark.topic}/{mark.partition} {self._topic}"

    def _producer(self, mark: Mark) -> Any:
        """The producer of a partition: a second one, of another worker, puts it out of action."""
        from confluent_kafka import Consumer, Producer, TopicPartition

        where = (mark.topic, mark.partition)
        if where in self._producers:
            return self._producers[where]
        settings = {**self._settings, "enable.idempotence": True, "linger.ms": 5}
        if not self._transactional:
            self._producers[where] = Producer(settings)
            return self._producers[where]
        producer = Producer({**settings, "transactional.id": self._group(mark)})
        producer.init_transactions(_TIMEOUT)
        # After the fence: whatever was in flight has been decided.
        reader = Consumer({**self._settings, "group.id": self._group(mark)})
        self._readers[where] = reader
        self._told[where] = reader.committed([TopicPartition(self._topic, 0)], _TIMEOUT)[0].offset
        self._producers[where] = producer
        return producer

    def _forget(self, where: tuple[str, int]) -> None:
        self._producers.pop(where, None)
        self._told.pop(where, None)
        reader = self._readers.pop(where, None)
        if reader is not None:
            reader.close()

    def close(self) -> None:
        for where in list(self._producers):
            self._forget(where)
