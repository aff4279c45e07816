"""Topics of an MQTT broker."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections import deque
from typing import Any

from awry.core.errors import AwryError, DataError
from awry.core.optional import optional
from awry.stream.address import Address
from awry.stream.records import Batch, Position
from awry.stream.sources.base import SinglePartition

log = logging.getLogger(__name__)
#: Messages that may wait here; then the broker waits.
_MOST = 10_000
#: Seconds that the last acknowledgements may take.
_LAST = 5.0


class MqttSource(SinglePartition):
    """``mqtt://host:1883/topic/filter``; options ``qos`` (1), ``client_id``, ``window``, ``tls``.

    A message is acknowledged once it is kept, in a session the broker remembers, so that none is
    lost while the worker or the connection is down. One that was kept while the connection was
    down is known when the broker sends it again. Whether an acknowledgement that was on its way
    as the connection ended has arrived cannot be known, for MQTT numbers nothing: such a message
    comes once more, as another one. At most ``window`` (20) are on their way at a time.

    With ``qos=0`` what is published while the connection is down is lost. There is no ``qos=2``:
    a message the client took over so is never sent again, kept or not. ``AWRY_MQTT_USERNAME`` and
    ``AWRY_MQTT_PASSWORD`` log in.
    """

    replays = False
    holds_back = True

    def __init__(self, address: Address) -> None:
        self._paho = optional("paho.mqtt.client", extra="stream", needed_by="mqtt://")
        super().__init__(address)
        self._filter = address.path.removeprefix("/")
        if not self._filter:
            raise DataError(f"{self.name} names no topic", remedy="write mqtt://host:1883/topic")
        self._host, self._port = address.host, address.port
        self._qos = address.take("qos", 1, int)
        if self._qos not in (0, 1):
            raise DataError(f"{self.name}: qos must be 0 or 1, got {self._qos}")
        default = "awry-" + hashlib.sha256(self.name.encode()).hexdigest()[:12]
        self._id = address.take("client_id", default)
        self._tls = address.take("tls", False, bool)
        self._window = address.take("window", 20, int)
        if self._window < 1:
            raise DataError(f"{self.name}: window must be at least 1, got {self._window}")
        self._login = (
            address.secret("AWRY_MQTT_USERNAME", address.user),
            address.secret("AWRY_MQTT_PASSWORD", address.password),
        )
        self._waiting: queue.Queue[Any] = queue.Queue(_MOST)
        self._unacknowledged: list[tuple[int, int, Any]] = []
        # Numbers of messages that came and are not acknowledged, which the broker does not reuse.
        # Of those, the ones it will send again, since the connection was lost meanwhile; and of
        # those, the ones that are kept: acknowledged when they come, they are not taken for new.
        self._open: set[int] = set()
        self._again: set[int] = set()
        self._kept: set[int] = set()
        self._session = 0
        # Messages whose acknowledgement waits until those on their way have arrived.
        self._due: deque[Any] = deque()
        self._barrier: int | None = None
        self._lock = threading.RLock()
        self._client: Any = None
        self._next = 0
        self._refused: str | None = None

    def _begin(self, position: Position | None) -> None:
        self._next = 0 if position is None else position.next
        self._client = self._paho.Client(
            self._paho.CallbackAPIVersion.VERSION2, self._id, clean_session=False, manual_ack=True
        )
        self._client.on_connect, self._client.on_message = self._connected, self._came
        self._client.on_disconnect, self._client.on_unsubscribe = self._disconnected, self._arrived
        self._client.max_inflight_messages_set(_MOST)
        if self._login[0]:
            self._client.username_pw_set(*self._login)
        if self._tls:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 10)
        try:
            self._client.connect(self._host, self._port or (8883 if self._tls else 1883))
        except OSError as error:
            raise AwryError(f"{self.name} does not answer: {error}") from error
        self._client.loop_start()

    def poll(self, most: int, timeout: float) -> list[Batch]:
        if self._refused is not None:
            raise AwryError(f"{self.name}: {self._refused}")
        messages: list[Any] = []
        try:
            messages.append(self._waiting.get(timeout=timeout))
            while len(messages) < most:
                messages.append(self._waiting.get_nowait())
        except queue.Empty:
            if not messages:
                return []
        offsets = list(range(self._next, self._next + len(messages)))
        self._next += len(messages)
        self._unacknowledged += [(o, *m) for o, m in zip(offsets, messages, strict=True)]
        contents = [message.payload for _, message in messages]
        return [Batch(self.topic, 0, offsets, contents, Position(self._next), time.time())]

    def done(self, topic: str, partition: int, position: Position) -> None:
        kept = [one for one in self._unacknowledged if one[0] < position.next]
        self._unacknowledged = self._unacknowledged[len(kept) :]
        for _, session, message in kept:
            if message.qos and session == self._session:
                self._acknowledge(message)

    def _acknowledge(self, message: Any) -> None:
        with self._lock:
            if message.mid in self._again:
                self._kept.add(message.mid)
                return
            self._due.append(message)
            self._send()

    def _send(self) -> None:
        """Acknowledge some that are due, unless others are on their way."""
        client = self._client
        if not self._due or self._barrier is not None or client is None:
            return
        if not client.is_connected():  # what is due is known again when it comes again
            return
        for message in [self._due.popleft() for _ in range(min(self._window, len(self._due)))]:
            self._open.discard(message.mid)
            client.ack(message.mid, message.qos)
        # The answer to what comes after them tells that they have arrived: brokers answer this
        # one also where there is nothing of the name (MQTT-3.10.4-5).
        _, self._barrier = client.unsubscribe(f"awry/none/{self._id}")

    def _arrived(self, client: Any, _: Any, number: int, *__: Any) -> None:
        with self._lock:
            if number == self._barrier:
                self._barrier = None
                self._send()

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment."""
        client = self._client
        return client is not None and bool(client.is_connected())

    def lag(self) -> int | None:
        return self._waiting.qsize()

    def close(self) -> None:
        end = time.monotonic() + _LAST
        while self.connected and self._due and time.monotonic() < end:
            time.sleep(0.001)
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connected(self, client: Any, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            return
        if not flags.session_present:
            # What the broker has forgotten it will not hear of, and its numbers begin anew.
            with self._lock:
                self._session += 1
                self._open, self._again, self._kept = set(), set(), set()
                self._due.clear()
        client.subscribe(self._filter, self._qos)

    def _disconnected(self, client: Any, _: Any, flags: Any, reason: Any, __: Any) -> None:
        with self._lock:
            self._again |= self._open
            self._kept |= {message.mid for message in self._due}
            self._due.clear()
            self._barrier = None
        if reason.is_failure:
            log.warning("%s: the connection is lost and made anew: %s", self.name, reason)

    def _came(self, client: Any, _: Any, message: Any) -> None:
        if message.qos and not self._is_new(message):
            return
        # Waits where the worker is behind, and with it the connection: the broker holds the rest.
        while self._client is not None:
            try:
                self._waiting.put((self._session, message), timeout=0.5)
                return
            except queue.Full:
                continue

    def _is_new(self, message: Any) -> bool:
        """Whether a message is not one of those that came before the connection was lost."""
        with self._lock:
            known, kept = message.dup and message.mid in self._open, message.mid in self._kept
            self._again.discard(message.mid)
            self._kept.discard(message.mid)
            self._open.add(message.mid)
        if known and kept:
            self._acknowledge(message)
        return not known
