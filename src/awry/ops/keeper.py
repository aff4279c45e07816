"""Some of the rows that models judged, for drift monitors and retraining.

They come from requests, from streams and from jobs alike, and are of the hour in which they
happened, where that is known. Of each model and hour a uniform sample is kept, however many rows
there were: every row gets a random priority, and the rows of the highest priorities stay
(Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006, with equal weights).
Samples of several processes add up to a sample of all. The rows that events are told by are kept
besides, for golden sets.
"""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.core.inputs import FloatArray
from awry.core.plain import plain
from awry.ops.judgement import Judgement
from awry.ops.settings import Settings
from awry.ops.store import Store, insert_rows
from awry.ops.tables import kept_rows as table

HOUR = 3600
#: Hours whose priorities a process remembers.
_REMEMBERED = 200
#: Characters of a row as JSON; longer ones are not kept.
_LONGEST = 20_000
#: Priorities of the sample are below this, those of events' rows above.
SAMPLED = 1.0
_PEAK = 2.0
#: Hours older than this were trimmed in full before, but for those that rows still came to.
_SETTLED = 2
_COLUMNS = (
    "model", "version", "hour", "at", "priority", "item", "score", "severity", "row",
)  # fmt: skip


class Keeper:
    """Keeps rows as they are heard of, and lets the older ones go."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._most = store, settings.kept_rows_per_hour
        self._seconds = settings.kept_rows_days * 24 * HOUR
        self._rng = np.random.default_rng()
        self._best: OrderedDict[tuple[str, int], FloatArray] = OrderedDict()
        self._late: set[int] = set()

    def hear(self, made: Judgement, heard: Sequence[Any]) -> None:
        """Take requests and the judgement of their rows; see :mod:`awry.ops.recorder`."""
        ends = np.cumsum([one.answer.rows for one in heard])

        def row(i: int) -> dict[str, Any]:
            request = int(np.searchsorted(ends, i, "right"))
            place = i - int(ends[request] - heard[request].answer.rows)
            return {name: some[place] for name, some in heard[request].ask.columns.items()}

        self.keep(made, lambda places: map(row, places))

    def keep(
        self,
        made: Judgement,
        rows_at: Callable[[list[int]], Iterable[Mapping[str, Any]]],
        connection: sa.Connection | None = None,
    ) -> None:
        """Take what was judged, and keep some of it.

        Parameters
        ----------
        made : Judgement
            Of its events the rows of the peaks are kept besides.
        rows_at : callable
            Gives the rows at some places of the judgement.
        connection : optional
            The transaction that keeps the judgement, too; one of its own by default.
        """
        if made.model is None or not self._most:
            return
        assert made.at is not None
        # What would be let go at once, and times to come, which would never be, are not kept.
        now = time.time()
        known = (made.at > now - self._seconds) & (made.at < now + HOUR)
        priority = self._rng.random(len(made.scores))
        peaks = {event.peak for event in made.events if known[event.peak]}
        chosen = np.zeros(len(priority), dtype=bool)
        hours = np.where(known, made.at // HOUR, 0).astype(np.int64)
        for hour in np.unique(hours[known]).tolist():
            here = known & (hours == hour)
            chosen[here] = self._join(made.model, hour, priority[here])
            if hour < now // HOUR - _SETTLED:
                self._late.add(hour)
        rows = []
        places = sorted({*np.flatnonzero(chosen).tolist(), *peaks})
        for i, row in zip(places, rows_at(places) if places else (), strict=True):
            text = row_text(row)
            if text is None:
                continue
            score, at = float(made.scores[i]), float(made.at[i])
            told = score if math.isfinite(score) else None
            facts = (int(hours[i]), at), (made.items[i], told, int(made.severity[i]), text)
            if chosen[i]:
                rows.append((made.model, made.version, *facts[0], float(priority[i]), *facts[1]))
            if i in peaks:
                height = _PEAK + (0.0 if told is None else 0.5 + math.atan(score) / math.pi)
                rows.append((made.model, made.version, *facts[0], height, *facts[1]))
        if rows:
            with self._store.write() if connection is None else nullcontext(connection) as one:
                insert_rows(one, table, _COLUMNS, rows)

    def forget(self) -> None:
        """What was taken since may not have been kept: rows are chosen as if nothing had been."""
        self._best.clear()

    def _join(self, model: str, hour: int, priority: FloatArray) -> np.ndarray:
        """Which of an hour's new rows are among its best so far, as this process knows them."""
        before = self._best.pop((model, hour), np.empty(0))
        every = np.concatenate([before, priority])
        if len(every) > self._most:
            every = np.partition(every, len(every) - self._most)[len(every) - self._most :]
        self._best[model, hour] = every
        while len(self._best) > _REMEMBERED:
            self._best.popitem(last=False)
        joined: np.ndarray = priority >= every.min()
        return joined

    def rows(
        self, model: str, *, since: float, until: float, version: int | None = None
    ) -> list[Any]:
        """The sample of ``model``'s rows of a time, the oldest first."""
        query = sa.select(table).where(
            table.c.model == model, table.c.hour >= since // HOUR, table.c.at >= since,
            table.c.at < until, table.c.priority < SAMPLED,
        )  # fmt: skip
        if version is not None:
            query = query.where(table.c.version == version)
        with self._store.read() as connection:
            return list(connection.execute(query.order_by(table.c.at, table.c.id)))

    def models(self, *, since: float) -> list[str]:
        """The models of which rows were kept since then."""
        query = sa.select(table.c.model).where(table.c.hour >= since // HOUR).distinct()
        with self._store.read() as connection:
            return sorted(connection.scalars(query))

    def trim(self, now: float) -> int:
        """Let go of rows that are too old, and of those past an hour's number; how many."""
        oldest = (now - self._seconds) // HOUR
        gone = 0
        with self._store.write() as connection:
            gone += connection.execute(table.delete().where(table.c.hour < oldest)).rowcount
            recent = sa.or_(
                table.c.hour >= now // HOUR - _SETTLED, table.c.hour.in_(sorted(self._late))
            )
            for low, high in ((0.0, SAMPLED), (_PEAK, _PEAK + 1)):
                ranked = (
                    sa.select(
                        table.c.id,
                        sa.func.row_number()
                        .over(
                            partition_by=(table.c.model, table.c.hour),
                            order_by=table.c.priority.desc(),
                        )
                        .label("place"),
                    )
                    .where(recent, table.c.priority >= low, table.c.priority < high)
                    .subquery()
                )
                most = self._most if low < SAMPLED else max(1, self._most // 5)
                past = sa.select(ranked.c.id).where(ranked.c.place > most)
                gone += connection.execute(table.delete().where(table.c.id.in_(past))).rowcount
        self._late.clear()
        return gone


def row_text(row: Mapping[str, Any]) -> str | None:
    """A row as JSON; None where it is too long to be kept."""
    text = json.dumps(plain(dict(row))).replace("\\u0000", "\\ufffd")
    return text if len(text) <= _LONGEST else None
