"""Rows that are asked again within seconds, as retries and hot keys are: not judged anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from awry.ops.answers import Answer, Ask, Judged
from awry.ops.shared import Shared

#: Requests of more rows are judged: it is quicker than to look up that many.
_ROWS = 100

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Judged).decode


class ScoreCache:
    """What was answered for a row, by the version that judged it and the row's own values.

    A version never changes and judges each row by itself, so that what it answered once stays
    right; it fades for the sake of memory alone. A request is answered from here where all its rows
    are known.

    Parameters
    ----------
    shared : Shared
        Of several processes, with Redis; otherwise each has its own.
    seconds : float
        That answers are kept.
    """

    def __init__(self, shared: Shared, seconds: float) -> None:
        self._shared, self._seconds = shared, seconds

    def recall(self, version: dict[str, Any], asks: Sequence[Ask]) -> list[list[Judged] | None]:
        """The rows' verdicts for each request; None where not all are known."""
        places = [list(_places(version, ask)) for ask in asks]
        names = [name for some in places for name in some]
        if not names:
            return [None] * len(asks)
        values = iter(self._shared.recall(names))
        return [_verdicts([next(values) for _ in some]) for some in places]

    def keep(self, version: dict[str, Any], asks: Sequence[Ask], answers: Sequence[Any]) -> None:
        """Keep what was answered, but for errors, and what was judged in haste."""
        found = {
            name: _pack(one)
            for ask, answer in zip(asks, answers, strict=True)
            if isinstance(answer, Answer) and not answer.degraded
            for name, one in zip(_places(version, ask), answer.results, strict=False)
        }
        if found:
            self._shared.keep(found, self._seconds)


def _places(version: dict[str, Any], ask: Ask) -> Iterator[str]:
    """What the rows of a request are kept under; none where they are not kept."""
    if ask.explain or ask.rows > _ROWS:
        return
    about = _pack([version["name"], version["version"], ask.threshold, list(ask.columns)])
    head = hashlib.blake2b(about, digest_size=16)
    if ask.numbers is not None:
        rows: Iterable[bytes] = (row.tobytes() for row in ask.numbers)
    else:
        rows = map(_pack, zip(*ask.columns.values(), strict=True))
    for row in rows:
        place = head.copy()
        place.update(row)
        yield place.hexdigest()


def _verdicts(values: list[bytes | None]) -> list[Judged] | None:
    if not values or None in values:
        return None
    found = [_unpack(value) for value in values if value is not None]
    for row, one in enumerate(found):
        one.row = row
    return found
