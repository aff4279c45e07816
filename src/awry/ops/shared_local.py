"""What one process knows by itself: counts, rates and values, each for so long."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

#: Names that are kept; of more, those not heard of for longest are forgotten.
_NAMES = 10_000
#: Values that are kept, such as scores of rows.
_VALUES = 100_000


class Fading(Generic[T]):
    """So many values by name, each for so many seconds.

    Examples
    --------
    >>> kept = Fading[str](2)
    >>> kept.put("a", "x", 10.0, now=0.0)
    >>> kept.get("a", now=9.0), kept.get("a", now=10.0)
    ('x', None)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[T, float]] = OrderedDict()

    def get(self, name: str, now: float | None = None) -> T | None:
        found = self._kept.get(name)
        if found is None:
            return None
        now = time.monotonic() if now is None else now
        if found[1] <= now:
            del self._kept[name]
            return None
        self._kept.move_to_end(name)
        return found[0]

    def put(self, name: str, value: T, seconds: float, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        self._kept[name] = (value, now + seconds)
        self._kept.move_to_end(name)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def items(self) -> Iterator[tuple[str, T, float]]:
        """Names and values, with the seconds they are kept for yet."""
        now = time.monotonic()
        for name, (value, until) in self._kept.items():
            if until > now:
                yield name, value, until - now


class Rate:
    """A token bucket for each caller.

    Parameters
    ----------
    rate : float
        Tokens a second.
    burst : int
        Tokens a bucket holds.

    Examples
    --------
    >>> bucket = Rate(1.0, 2)
    >>> [bucket.wait("me", now=0.0) for _ in range(3)], bucket.wait("me", now=1.0)
    ([0.0, 0.0, 1.0], 0.0)
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, caller: str, now: float | None = None) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = time.monotonic() if now is None else now
        with self._lock:
            tokens, then = self._buckets.pop(caller, (float(self.burst), now))
            tokens = min(self.burst, tokens + (now - then) * self.rate)
            self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
            if len(self._buckets) > _NAMES:
                self._buckets.popitem(last=False)
        return 0.0 if tokens >= 1 else (1 - tokens) / self.rate


class Local:
    """Counts and values of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Fading[Counter[str]] = Fading(_NAMES)
        self._values: Fading[bytes] = Fading(_VALUES)

    def add(self, name: str, counts: Mapping[str, int], seconds: float) -> None:
        with self._lock:
            known = self._counts.get(name) or Counter()
            known.update(counts)
            self._counts.put(name, known, seconds)

    def counts(self, names: Sequence[str]) -> list[Counter[str]]:
        with self._lock:
            return [Counter(self._counts.get(name) or {}) for name in names]

    def recall(self, names: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            return [self._values.get(name) for name in names]

    def keep(self, values: Mapping[str, bytes], seconds: float) -> None:
        with self._lock:
            for name, value in values.items():
                self._values.put(name, value, seconds)

    def hand_over(self) -> list[tuple[str, Counter[str], float]]:
        """What was counted, which is then forgotten here."""
        with self._lock:
            counted = list(self._counts.items())
            self._counts = Fading(_NAMES)
        return counted
