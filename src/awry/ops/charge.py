"""Which versions of models are in charge, and which are tried beside them, as of a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from awry.core import registry
from awry.ops.store import Store
from awry.ops.tables import models, rollouts, versions

#: Seconds for which a process may not know of what another one promoted.
_FRESH = 0.5
#: Sets of columns whose model is remembered meanwhile.
_REMEMBERED = 1_000
#: What loading a version takes.
_TO_LOAD = ("model", "version", "method", "columns", "file", "sha256")


class _Champion(NamedTuple):
    row: Any
    columns: frozenset[str]


class Challenger(NamedTuple):
    """A version that is tried beside the champion; see :mod:`awry.ops.rollout`."""

    row: Any
    stage: str
    share: float
    key: str | None
    since: float


class _Known(NamedTuple):
    """Champions, newest first, and their challengers, as they were at ``read``."""

    champions: dict[str, _Champion]
    challengers: dict[str, Challenger]
    read: float
    found: dict[Any, str | None]  # answers of ``find``


class Charge:
    """Who is in charge, without a look into the database for each request.

    Another process's promotion is seen a moment later, this one's at once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: _Known | None = None
        self._changes = 0
        #: Are told when another version may be in charge, and must be quick.
        self.listeners: list[Callable[[], object]] = []

    def changed(self) -> None:
        """Look anew who is in charge, and who is tried."""
        self._changes += 1
        self._last = None
        for listener in self.listeners:
            listener()

    def champions(self) -> Sequence[Any]:
        """What loading each champion takes, newest first."""
        return [one.row for one in self._known().champions.values()]

    def challenger(self, name: str) -> Challenger | None:
        """The version that is tried beside the champion of ``name``, if there is one."""
        return self._known().challengers.get(name)

    def row(self, name: str, version: int | None) -> Any:
        """What loading a version takes, by default the champion; None of one that is neither."""
        known = self._known()
        if version is None:
            champion = known.champions.get(name)
            return None if champion is None else champion.row
        tried = known.challengers.get(name)
        return tried.row if tried is not None and tried.row.version == version else None

    def find(self, method: str, columns: Iterable[str]) -> str | None:
        """The model whose champion is of ``method`` and judges the most of ``columns``.

        All columns it needs must be there; ``"auto"`` takes any method. The newest of equals.
        """
        wanted = None if method == "auto" else registry.get(method).card.name
        known, given = self._known(), frozenset(columns)
        if (wanted, given) in known.found:
            return known.found[wanted, given]
        fitting = {
            name: len(one.columns)
            for name, one in known.champions.items()
            if wanted in (None, one.row.method) and one.columns <= given
        }
        best = max(fitting, key=fitting.__getitem__, default=None)
        if len(known.found) < _REMEMBERED:
            known.found[wanted, given] = best
        return best

    def _known(self) -> _Known:
        """What is known of half a second ago, or is looked up now."""
        last = self._last
        if last is not None and time.monotonic() - last.read < _FRESH:
            return last
        changes, now = self._changes, time.monotonic()
        query = (
            sa.select(*(versions.c[name] for name in _TO_LOAD))
            .join(models, models.c.name == versions.c.model)
            .where(models.c.champion == versions.c.version)
            .order_by(versions.c.created.desc())
        )
        r = rollouts.c
        tried = sa.select(
            *(versions.c[name] for name in _TO_LOAD), r.stage, r.share, r.key, r.since
        )
        here = sa.and_(r.model == versions.c.model, r.version == versions.c.version)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
            beside = connection.execute(tried.join(rollouts, here)).all()
        known = _Known(
            {row.model: _Champion(row, frozenset(row.columns)) for row in rows},
            {c.model: Challenger(c, c.stage, c.share, c.key, c.since) for c in beside},
            now,
            {},
        )
        # What was read while somebody was put in charge may be of before.
        if changes == self._changes:
            self._last = known
        return known
