"""Some of the rows that requests had judged, for drift monitors and retraining.

Of each model and hour a uniform sample is kept, however many rows there were: every row gets a
random priority, and the rows of the highest priorities stay (Efraimidis and Spirakis, Weighted
random sampling with a reservoir, 2006, with equal weights). Samples of several processes add up to
a sample of all. The rows that events are told by are kept besides, for golden sets.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
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

    def hear(self, made: Judgement, heard: Sequence[Any]) -> None:
        """Take requests and the judgement of their rows; see :mod:`awry.ops.recorder`."""
        if made.model is None or not self._most:
            return
        assert made.at is not None
        priority = self._rng.random(len(made.scores))
        peaks = {event.peak for event in made.events}
        chosen = np.zeros(len(priority), dtype=bool)
        hours = (made.at // HOUR).astype(np.int64)
        for hour in np.unique(hours).tolist():
            here = hours == hour
            chosen[here] = self._join(made.model, hour, priority[here])
        ends = np.cumsum([one.answer.rows for one in heard])
        rows = []
        for i in sorted({*np.flatnonzero(chosen).tolist(), *peaks}):
            request = int(np.searchsorted(ends, i, "right"))
            ask = heard[request].ask
            text = row_text(ask.columns, i - int(ends[request] - heard[request].answer.rows))
            if text is None:
                continue
            score, at = float(made.scores[i]), float(made.at[i])
            told = score if math.isfinite(score) else None
            facts = (int(hours[i]), at), (made.items[i], told, int(made.severity[i]), text)
            if chosen[i]:
                rows.append((made.model, made.version, *facts[0], float(priority[i]), *facts[1]))
            if i in peaks:
                height = _PEAK + 0.5 + math.atan(score) / math.pi
                rows.append((made.model, made.version, *facts[0], height, *facts[1]))
        if rows:
            with self._store.write() as connection:
                insert_rows(connection, table, _COLUMNS, rows)

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
            # Hours that ended two hours ago were trimmed in full before.
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
                    .where(
                        table.c.hour >= now // HOUR - 2,
                        table.c.priority >= low,
                        table.c.priority < high,
                    )
                    .subquery()
                )
                most = self._most if low < SAMPLED else max(1, self._most // 5)
                past = sa.select(ranked.c.id).where(ranked.c.place > most)
                gone += connection.execute(table.delete().where(table.c.id.in_(past))).rowcount
        return gone


def row_text(columns: Mapping[str, Sequence[Any]], i: int) -> str | None:
    """Row ``i`` as JSON; None where it is too long to be kept."""
    row = plain({name: values[i] for name, values in columns.items()})
    text = json.dumps(row).replace("\\u0000", "\\ufffd")
    return text if len(text) <= _LONGEST else None
