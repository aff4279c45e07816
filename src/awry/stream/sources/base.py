"""What a worker asks of a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from awry.stream.address import Address
from awry.stream.records import Batch, Position

#: Told of a partition that is this worker's from now on; answers where to begin, None for the
#: beginning.
Assigned = Callable[[str, int], Position | None]
#: Told of partitions that are no longer this worker's. With True they are already another's.
Revoked = Callable[[Sequence[tuple[str, int]], bool], None]
#: A message longer than this is cut, and then is a dead letter.
MAX_MESSAGE = 8 << 20


class Source(Protocol):
    """Events in partitions, each with offsets that rise.

    Attributes
    ----------
    name : str
        Its address without secrets.
    replays : bool
        Whether ``seek`` can go back to what was read before.
    holds_back : bool
        Whether no more may come until what came is kept.
    ended : bool
        Whether nothing will come any more.
    """

    name: str
    replays: bool
    holds_back: bool
    ended: bool

    def open(self, assigned: Assigned, revoked: Revoked) -> None:
        """Connect. The functions are called from here or from ``poll``."""

    def poll(self, most: int, timeout: float) -> list[Batch]:
        """About ``most`` messages that come next; none where none came for ``timeout`` seconds."""

    def seek(self, topic: str, partition: int, position: Position | None) -> None:
        """Go on from there."""

    def done(self, topic: str, partition: int, position: Position) -> None:
        """What lies before ``position`` is kept, and will not be asked for again."""

    def lag(self) -> int | None:
        """Messages (bytes of a file) that wait, where that can be told."""

    def close(self) -> None:
        """Disconnect."""


class SinglePartition:
    """A source with one partition, number 0 of ``topic``.

    A subclass writes ``_begin(position)`` and the rest of :class:`Source`.
    """

    replays = True
    holds_back = False
    topic: str

    def __init__(self, address: Address) -> None:
        self.name, self.topic, self.ended = address.name, address.name, False

    def open(self, assigned: Assigned, revoked: Revoked) -> None:
        self._begin(assigned(self.topic, 0))

    def seek(self, topic: str, partition: int, position: Position | None) -> None:
        self._begin(position)

    def _begin(self, position: Position | None) -> None:
        raise NotImplementedError

    def done(self, topic: str, partition: int, position: Position) -> None:
        """Nobody needs to be told."""

    def lag(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is open."""
