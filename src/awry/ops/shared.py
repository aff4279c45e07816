"""What several processes of a service agree on: rates, live counts, values."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from awry.ops.shared_local import Local, Rate
from awry.ops.shared_redis import Remote
from awry.ops.sketch import Sketch

T = TypeVar("T")
_log = logging.getLogger(__name__)

#: Seconds between looks whether Redis is back: first, and at most.
_SOON, _LATE = 0.2, 5.0
#: Part of a bucket that a process takes at a time, and seconds after which it must use it.
_PART, _LEASE = 20, 1.0
#: Callers whose tokens are remembered.
_CALLERS = 10_000


class Shared:
    """What is known together, through Redis where there is one.

    Where Redis does not answer within a tenth of a second, each process goes on by itself, warns
    once, and asks Redis no more until a thread of its own has found it back. What was counted
    meanwhile is then added to what Redis holds.

    Parameters
    ----------
    url : str
        Of Redis; without it a process knows what it knows.
    space : str
        What names in Redis begin with: the same for processes that belong together.

    Examples
    --------
    >>> shared = Shared()
    >>> shared.add("seen", {"rows": 2}, 60.0); shared.add("seen", {"rows": 3}, 60.0)
    >>> shared.counts("seen")["rows"]
    5
    """

    def __init__(self, url: str = "", space: str = "awry") -> None:
        self._local = Local()
        self._remote = Remote(url, space) if url else None
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._lost_at: float | None = None
        self._degraded = 0.0

    # -- what is known ----------------------------------------------------------------------------

    def take(self, name: str, rate: float, burst: int, wanted: int) -> tuple[int, float] | None:
        """Tokens of a bucket, and seconds until the next; None without Redis."""
        return self._ask(lambda r: r.take(f"rate:{name}", rate, burst, wanted), lambda _: None)

    def add(self, name: str, counts: Mapping[str, int], seconds: float) -> None:
        """Add to counters that belong together, which are kept ``seconds`` from now on."""
        if counts:
            name = f"count:{name}"
            self._ask(
                lambda r: r.add(name, counts, seconds), lambda own: own.add(name, counts, seconds)
            )

    def counts(self, *names: str) -> Counter[str]:
        """The counters of all ``names``, added up."""
        every = [f"count:{name}" for name in names]
        found = self._ask(lambda r: r.counts(every), lambda own: own.counts(every))
        return sum(found, Counter())

    def observe(self, name: str, sketch: Sketch, seconds: float) -> None:
        """Add a distribution to what is known of ``name``; in Redis, too, it is but counters."""
        buckets = {f"{sign}/{bucket}": n for (sign, bucket), n in sketch.counts.items()}
        self.add(f"sketch:{name}", buckets, seconds)

    def distribution(self, *names: str) -> Sketch:
        """The distribution of all that was observed as one of ``names``."""
        found = self.counts(*(f"sketch:{name}" for name in names))
        return Sketch.load([*place.split("/"), n] for place, n in found.items())

    def recall(self, names: Sequence[str]) -> list[bytes | None]:
        """Values that were kept; what this process kept itself, it need not ask for."""
        every = [f"value:{name}" for name in names]
        found = self._local.recall(every)
        missing = [i for i, value in enumerate(found) if value is None]
        if missing and not self.alone:
            asked = [every[i] for i in missing]
            there = self._ask(lambda r: r.recall(asked), lambda own: own.recall(asked))
            for i, value in zip(missing, there, strict=True):
                found[i] = value
        return found

    def keep(self, values: Mapping[str, bytes], seconds: float) -> None:
        """Keep values that cost something to find, for :meth:`recall`.

        What a name stands for must not change while it is kept.
        """
        named = {f"value:{name}": value for name, value in values.items()}
        self._local.keep(named, seconds)
        self._ask(lambda r: r.keep(named, seconds), lambda _: None)

    # -- how it does ------------------------------------------------------------------------------

    @property
    def alone(self) -> bool:
        """Whether this process knows what it knows, there being no Redis that answers."""
        return self._remote is None or self._lost_at is not None

    @property
    def degraded(self) -> bool:
        """Whether there is a Redis, and it does not answer."""
        return self._lost_at is not None

    @property
    def degraded_seconds(self) -> float:
        """Seconds that Redis did not answer, since the process began."""
        lost_at = self._lost_at
        return self._degraded + (0.0 if lost_at is None else time.monotonic() - lost_at)

    def check(self) -> None:
        """Raise where Redis does not answer, or is not asked because it did not."""
        if self.degraded:
            raise ConnectionError("Redis does not answer")
        if self._remote is not None:
            self._remote.ping()

    def start(self) -> None:
        """Tell at once where there is no Redis, not when it is first needed."""
        self._ask(lambda r: r.ping(), lambda _: None)

    def close(self) -> None:
        self._stop.set()
        if self._remote is not None:
            self._remote.close()

    def _ask(self, there: Callable[[Remote], T], here: Callable[[Local], T]) -> T:
        remote = self._remote
        if remote is not None and self._lost_at is None:
            try:
                return there(remote)
            except remote.errors as error:
                self._lose(remote, error)
        return here(self._local)

    def _lose(self, remote: Remote, error: Exception) -> None:
        with self._lock:
            if self._lost_at is not None:
                return
            self._lost_at = time.monotonic()
        _log.warning("Redis does not answer, each process goes on by itself: %s", error)
        threading.Thread(
            target=self._find_again, args=(remote,), name="awry-redis", daemon=True
        ).start()

    def _find_again(self, remote: Remote) -> None:
        pause = _SOON
        while not self._stop.wait(pause):
            pause = min(2 * pause, _LATE)
            try:
                remote.ping()
                self._hand_over(remote)
            except remote.errors:
                continue
            with self._lock:
                assert self._lost_at is not None
                seconds = time.monotonic() - self._lost_at
                self._degraded, self._lost_at = self._degraded + seconds, None
            _log.warning("Redis answers again, after %.1f s", seconds)
            return

    def _hand_over(self, remote: Remote) -> None:
        counted = self._local.hand_over()
        try:
            remote.add_all(counted)
        except remote.errors:
            for name, counts, seconds in counted:
                self._local.add(name, counts, seconds)
            raise


class Rates:
    """A token bucket for each caller, the same for all processes.

    A process takes a twentieth of a bucket at a time, which it has to use within a second: so most
    requests ask nobody, and processes together let no more in than one would, but for what another
    holds just then. Who is refused is refused here until the next token comes.

    Parameters
    ----------
    shared : Shared
    rate : float
        Tokens a second.
    burst : int
        Tokens a bucket holds.
    """

    def __init__(self, shared: Shared, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._shared, self._alone = shared, Rate(rate, burst)
        self._part = max(1, burst // _PART)
        #: Of each caller: tokens, until when they are good, and until when there is none.
        self._held: OrderedDict[str, tuple[int, float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_at_once(self, caller: str) -> float | None:
        """As :meth:`wait`, but None where Redis would have to be asked."""
        if self._shared.alone:
            return self._alone.wait(caller)
        now = time.monotonic()
        with self._lock:
            tokens, good, none = self._held.get(caller, (0, 0.0, 0.0))
            if tokens and now < good:
                self._held[caller] = (tokens - 1, good, 0.0)
                return 0.0
        return none - now if now < none else None

    def wait(self, caller: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        known = self.wait_at_once(caller)
        if known is not None:
            return known
        found = self._shared.take(caller, self.rate, self.burst, self._part)
        if found is None:
            return self._alone.wait(caller)
        given, wait = found
        now = time.monotonic()
        with self._lock:
            tokens, good, _ = self._held.pop(caller, (0, 0.0, 0.0))
            left = (tokens if now < good else 0) + max(0, given - 1)
            self._held[caller] = (left, now + _LEASE, now + wait)
            if len(self._held) > _CALLERS:
                self._held.popitem(last=False)
        return 0.0 if given else wait


def space_of(database_url: str) -> str:
    """What names in Redis begin with for the processes of one database."""
    return f"awry:{hashlib.sha256(database_url.encode()).hexdigest()[:8]}"
