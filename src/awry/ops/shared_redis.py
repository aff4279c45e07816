"""What several processes know together, kept in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from awry.core.optional import optional

#: Seconds to reach Redis, and for an answer: nobody is to wait longer before going on without.
_TIMEOUT = 0.1

#: Takes up to ARGV[3] tokens of a bucket that holds ARGV[2] and gets ARGV[1] a second; tells how
#: many there were, and the seconds until the next. The clock is Redis's own, one for all.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
local given = math.min(wanted, math.floor(tokens))
tokens = tokens - given
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens),
           'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.min(1e12, math.ceil(1000 * (burst - tokens) / rate) + 1000))
return {given, string.format('%.6f', given > 0 and 0 or (1 - tokens) / rate)}
"""


class Remote:
    """Tokens, counts and values in Redis.

    Parameters
    ----------
    url : str
        ``redis://…``, ``rediss://…`` or ``unix://…``.
    space : str
        What all keys begin with, so that services do not meet.

    Attributes
    ----------
    errors : tuple of exception types
        Raised where Redis does not do what it is asked.
    """

    def __init__(self, url: str, space: str) -> None:
        redis: Any = optional("redis", extra="server", needed_by="AWRY_REDIS_URL")
        self.errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._space = space
        self._redis: Any = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            # Whoever asks goes on without at once, and somebody else tries again.
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        self._take: Any = self._redis.register_script(_TAKE)

    def ping(self) -> None:
        self._redis.ping()

    def take(self, name: str, rate: float, burst: int, wanted: int) -> tuple[int, float]:
        given, wait = self._take([self._key(name)], [rate, burst, wanted])
        return int(given), float(wait)

    def add(self, name: str, counts: Mapping[str, int], seconds: float) -> None:
        self.add_all([(name, counts, seconds)])

    def add_all(self, added: Sequence[tuple[str, Mapping[str, int], float]]) -> None:
        """All of it, or nothing."""
        with self._redis.pipeline(transaction=True) as pipe:
            for name, counts, seconds in added:
                key = self._key(name)
                for part, n in counts.items():
                    pipe.hincrby(key, part, n)
                pipe.pexpire(key, _ms(seconds))
            pipe.execute()

    def counts(self, names: Sequence[str]) -> list[Counter[str]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(self._key(name))
            return [Counter({k.decode(): int(v) for k, v in one.items()}) for one in pipe.execute()]

    def recall(self, names: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = self._redis.mget([self._key(name) for name in names])
        return found

    def keep(self, values: Mapping[str, bytes], seconds: float) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for name, value in values.items():
                pipe.set(self._key(name), value, px=_ms(seconds))
            pipe.execute()

    def close(self) -> None:
        self._redis.close()

    def _key(self, name: str) -> str:
        return f"{self._space}:{name}"


def _ms(seconds: float) -> int:
    return max(1, round(1e3 * seconds))
