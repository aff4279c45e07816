"""Events in a topic of Kafka, too, for others to act on."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from awry.core.optional import optional
from awry.core.plain import plain
from awry.ops.beside import Beside
from awry.ops.judgement import Judgement
from awry.result import SEVERITIES

_log = logging.getLogger(__name__)

#: Seconds between looks at what was delivered, to find out whether brokers answer, and that what is
#: left at the end is given.
_PAUSE, _PATIENCE, _LAST = 0.5, 2.0, 5.0


def broker_settings(brokers: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """librdkafka's settings for ``brokers``; AWRY_KAFKA_USERNAME and _PASSWORD are those of SASL.

    Examples
    --------
    >>> broker_settings("a:9092", {"AWRY_KAFKA_USERNAME": "me"})
    {'bootstrap.servers': 'a:9092', 'sasl.username': 'me'}
    """
    known = os.environ if environment is None else environment
    found: dict[str, Any] = {"bootstrap.servers": brokers}
    for name in ("username", "password"):
        secret = known.get(f"AWRY_KAFKA_{name.upper()}")
        if secret is not None:
            found[f"sasl.{name}"] = secret
    return found


class KafkaMirror:
    """Tells a topic of each event that is found, and holds nobody up.

    librdkafka keeps what cannot be delivered now and tries again, 100,000 events and five minutes
    at most, and writes each once.

    Attributes
    ----------
    lost : int
        Events that were not delivered, since the process began.
    """

    def __init__(self, brokers: str, topic: str, **settings: Any) -> None:
        kafka = optional("confluent_kafka", extra="stream", needed_by="AWRY_KAFKA_TOPIC")
        self._topic, self.lost = topic, 0
        self._producer: Any = kafka.Producer(
            {
                **broker_settings(brokers),
                "enable.idempotence": True,
                "linger.ms": 20,
                "queue.buffering.max.messages": 100_000,
                # It says each second that nobody is there; we say so once, at /ready.
                "log_level": 0,
                "error_cb": lambda error: _log.debug("Kafka: %s", error.str()),
                **settings,
            }
        )
        self._beside = Beside("awry-kafka", _PAUSE, lambda: self._producer.poll(0))
        self.start = self._beside.start

    def hear(self, made: Judgement) -> None:
        """Take the events of a judgement."""
        for key, message in _messages(made):
            try:
                self._producer.produce(
                    self._topic, msgspec.json.encode(message), key, on_delivery=self._delivered
                )
            except BufferError:
                self._lose("more events wait than there is room for")

    def check(self) -> None:
        """Raise where no broker answers."""
        self._producer.list_topics(self._topic, timeout=_PATIENCE)

    def close(self) -> None:
        """Deliver what is left, as far as that works at once, and stop."""
        self._beside.close()
        left = self._producer.flush(_LAST)
        if left:
            self.lost += left
            _log.error("%d events were not told to Kafka", left)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._lose(error.str())

    def _lose(self, why: str) -> None:
        if not self.lost:
            _log.error("Kafka is not told of all events: %s", why)
        self.lost += 1


def _messages(made: Judgement) -> Iterator[tuple[str, dict[str, Any]]]:
    if made.role != "champion":
        return
    for event in made.events:
        yield event.key or made.source, {
            "source": made.source, "model": made.model, "version": made.version,
            "key": event.key, "kind": event.kind, "severity": SEVERITIES[event.severity],
            "score": plain(event.score), "threshold": plain(made.threshold),
            "start": event.start, "end": event.end, "items": event.size, "item": event.item,
            "summary": event.words, "reasons": plain([vars(reason) for reason in event.reasons]),
        }  # fmt: skip
