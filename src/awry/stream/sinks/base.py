"""What a worker asks of a sink."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from awry.core.errors import AwryError, DataError
from awry.ops.posting import RefusedError
from awry.stream.address import Address
from awry.stream.patience import PATIENCE, Backoff

log = logging.getLogger(__name__)

#: An event with its score, or a dead letter, which has a ``reason``; each has an ``id``.
Message = dict[str, Any]


class Mark(NamedTuple):
    """Up to where a partition has been told of, once a delivery is done."""

    stream: str
    topic: str
    partition: int
    next: int


class Sink:
    """Somebody to be told.

    A subclass writes ``_send``. Told are anomalies, with the option ``rows=all`` every event, and
    with ``rows=dead`` messages that could not be judged.

    What is told was kept before, together with the state, until the next is kept. So nothing is
    lost when the worker ends in between; what was told just before its end may be told once more,
    with the same ``id``.

    Parameters
    ----------
    address : Address

    Attributes
    ----------
    patience : float
        Seconds for which a delivery that fails is tried again.
    """

    patience = PATIENCE

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self.rows = address.take("rows", "anomalies")
        if self.rows not in ("anomalies", "all", "dead"):
            raise DataError(f"{self.name}: rows must be anomalies, all or dead, got {self.rows!r}")

    def wants(self, message: Message) -> bool:
        """Whether ``message`` is told here."""
        if "anomaly" not in message:
            return self.rows == "dead"
        return self.rows == "all" or (self.rows == "anomalies" and message["anomaly"])

    def deliver(self, messages: list[Message], mark: Mark) -> None:
        """Tell of ``messages``; tries again where that fails for now.

        Raises
        ------
        AwryError
            Where it failed for a minute, or for good: the worker ends, and nothing is lost.
        """
        retry(lambda: self._send(messages, mark), self.patience, self.name)

    def close(self) -> None:
        """Let go of what is open."""

    def _send(self, messages: list[Message], mark: Mark) -> None:
        raise NotImplementedError


def retry(call: Callable[[], None], patience: float, name: str) -> None:
    """Call until it works, for ``patience`` seconds at most, waiting longer each time."""
    until, waits = time.monotonic() + patience, Backoff(0.2)
    while True:
        try:
            return call()
        except RefusedError:
            raise
        except Exception as error:
            if time.monotonic() > until:
                raise AwryError(f"{name} does not take what it is told: {error}") from error
            log.warning("%s: %s; trying again", name, error)
            time.sleep(waits.next())
