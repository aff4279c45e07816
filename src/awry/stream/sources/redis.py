"""Streams of Redis."""

from __future__ import annotations

import logging
import time
from typing import Any

from awry.core.errors import AwryError, DataError
from awry.core.optional import optional
from awry.stream.address import Address
from awry.stream.patience import Backoff
from awry.stream.records import Batch, Position
from awry.stream.sources.base import Assigned, Revoked

log = logging.getLogger(__name__)
#: Bits of an offset for the second part of an entry's id, the number within its millisecond.
_BITS = 20
#: Seconds to wait for an answer.
_TIMEOUT = 5.0


class RedisSource:
    """``redis://host:6379/stream,…``; options ``db``, ``field`` (data) and ``tls``.

    An entry's field ``data`` is a message in the stream's format; an entry without it is itself a
    record. Each stream is one partition, whose offsets are the ids of its entries as one number.
    ``AWRY_REDIS_USERNAME`` and ``AWRY_REDIS_PASSWORD`` log in. A connection that is lost is made
    anew, and what was not read yet is read then.
    """

    replays = True
    holds_back = False

    def __init__(self, address: Address) -> None:
        optional("redis", extra="server", needed_by="redis://")
        self.name, self.ended = address.name, False
        self._streams = [s for s in address.path.strip("/").split(",") if s]
        if not self._streams:
            raise DataError(f"{self.name} names no stream", remedy="write redis://host:6379/stream")
        self._field = address.take("field", "data").encode()
        self._settings = {
            "host": address.host or "127.0.0.1",
            "port": address.port or 6379,
            "db": address.take("db", 0, int),
            "ssl": address.take("tls", False, bool),
            "username": address.secret("AWRY_REDIS_USERNAME", address.user),
            "password": address.secret("AWRY_REDIS_PASSWORD", address.password),
        }
        self._ids: dict[str, str] = {}
        self._client: Any = None
        self._backoff, self._due = Backoff(), 0.0

    def open(self, assigned: Assigned, revoked: Revoked) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # A connection that was found dead is made anew at once; then ``poll`` waits, so that what
        # was read is kept meanwhile.
        self._client = redis.Redis(
            **self._settings, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 1),
        )  # fmt: skip
        try:
            self._client.ping()
        except redis.RedisError as error:
            raise AwryError(f"{self.name} does not answer: {error}") from error
        for stream in self._streams:
            self.seek(stream, 0, assigned(stream, 0))

    def poll(self, most: int, timeout: float) -> list[Batch]:
        now, batches = time.time(), []
        found = self._read(most, min(timeout, _TIMEOUT / 2))
        for stream, entries in found:
            name = stream.decode()
            self._ids[name] = entries[-1][0].decode()
            offsets = [_offset(key) for key, _ in entries]
            messages = [self._message(fields) for _, fields in entries]
            # The entry after the last: ids have no gaps in this order.
            batches.append(Batch(name, 0, offsets, messages, Position(offsets[-1] + 1), now))
        return batches

    def _read(self, most: int, timeout: float) -> list[Any]:
        import redis

        left = self._due - time.monotonic()
        if left > 0:
            time.sleep(min(left, timeout))
            if left > timeout:
                return []
        try:
            found: list[Any] = self._client.xread(self._ids, most, max(int(1000 * timeout), 1))
        except (redis.AuthenticationError, redis.ResponseError) as error:
            raise AwryError(f"{self.name} refuses to be read: {error}") from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            wait = self._backoff.next()
            self._due = time.monotonic() + wait
            log.warning("%s does not answer, trying again in %.1f s: %s", self.name, wait, error)
            return []
        self._backoff.reset()
        return found

    def seek(self, topic: str, partition: int, position: Position | None) -> None:
        last = 0 if position is None else position.next - 1
        self._ids[topic] = f"{last >> _BITS}-{last & ((1 << _BITS) - 1)}"

    def done(self, topic: str, partition: int, position: Position) -> None:
        """Entries stay until whoever writes trims the stream."""

    def lag(self) -> int | None:
        return None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _message(self, fields: dict[bytes, bytes]) -> Any:
        if self._field in fields:
            return fields[self._field]
        return {name.decode(): value.decode(errors="replace") for name, value in fields.items()}


def _offset(key: bytes) -> int:
    moment, _, number = key.partition(b"-")
    if int(number) >> _BITS:
        raise DataError(f"more than {1 << _BITS:,} entries within a millisecond")
    return int(moment) << _BITS | int(number)
