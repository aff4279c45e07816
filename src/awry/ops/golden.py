"""Golden sets: rows whose labels are known, which every new version of a model is tried on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.core.inputs import IntArray
from awry.core.plain import plain
from awry.data.tables import as_table, flatten
from awry.judge import Judge
from awry.model import Model
from awry.ops.answers import Judged, Verdicts, columns_of
from awry.ops.audit import note as write_down
from awry.ops.blame import unfit
from awry.ops.errors import TooLargeError, UnfitError
from awry.ops.keeper import SAMPLED
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.store import Store, insert_once
from awry.ops.tables import events, golden_rows, kept_rows

#: Rows named in a result that were judged wrongly.
_NAMED = 20
_LABELS = {"confirmed": 1, "false_alarm": 0}


class Golden:
    """The golden sets of models: uploaded, or from what people said of events."""

    def __init__(self, store: Store, models: Models, settings: Settings) -> None:
        self._store, self._models, self._settings = store, models, settings

    def add(
        self, name: str, rows: Sequence[Mapping[str, Any]], labels: Sequence[int], *, by: str
    ) -> dict[str, Any]:
        """Add rows with labels, 1 for an anomaly; a row that is there gets the new label."""
        judge = self._models.load(name)[1]
        if not isinstance(judge, Model):
            raise UnfitError(
                f"{name!r} judges series, of which a row by itself tells nothing", field="name"
            )
        if len(rows) != len(labels) or not set(labels) <= {0, 1}:
            raise UnfitError("needs a label, 1 or 0, for each row", field="labels")
        with unfit("data"):
            flat = [plain(flatten(row)) for row in rows]
            if flat:
                _refuse_unread(judge, flat)
                judge.judge(as_table(flat))
        with self._store.write() as connection:
            self._put(
                connection, name,
                [(row, int(label), "upload") for row, label in zip(flat, labels, strict=True)],
            )  # fmt: skip
            if (past := self._past(connection, name)) > 0:
                raise TooLargeError(
                    f"the golden set would have {past:,} rows more than the "
                    f"{self._settings.golden_rows:,} that are allowed",
                    field="data", remedy="empty it first, or give fewer",
                )  # fmt: skip
            write_down(connection, by, "golden", f"model {name}", rows=len(rows))
        return self.summary(name)

    def learn(self, name: str) -> int:
        """Take up what people said of events whose row was kept; how many rows that were."""
        here = sa.and_(
            kept_rows.c.model == events.c.model, kept_rows.c.item == events.c.peak,
            kept_rows.c.at.between(events.c.start, events.c.end),
            kept_rows.c.priority >= SAMPLED,
        )  # fmt: skip
        query = (
            sa.select(events.c.id, events.c.verdict, kept_rows.c.row)
            .join(kept_rows, here)
            .where(events.c.model == name, events.c.verdict.in_(_LABELS))
            .order_by(events.c.updated.desc())
            .limit(self._settings.golden_rows)
        )
        with self._store.write() as connection:
            rows = connection.execute(query).all()
            told = [(row.row, _LABELS[row.verdict], f"event {row.id}") for row in reversed(rows)]
            uploaded = set(
                connection.scalars(
                    sa.select(golden_rows.c.digest).where(
                        golden_rows.c.model == name, golden_rows.c.origin == "upload"
                    )
                )
            )
            # What was uploaded was said with more care than a click.
            self._put(connection, name, [one for one in told if _digest(one[0]) not in uploaded])
            if (past := self._past(connection, name)) > 0:
                oldest = (
                    sa.select(golden_rows.c.id)
                    .where(golden_rows.c.model == name, golden_rows.c.origin != "upload")
                    .order_by(golden_rows.c.added, golden_rows.c.id)
                    .limit(past)
                )
                connection.execute(golden_rows.delete().where(golden_rows.c.id.in_(oldest)))
        return len(rows)

    def _put(
        self, connection: sa.Connection, name: str, rows: Sequence[tuple[Any, int, str]]
    ) -> None:
        if not rows:
            return
        by_digest = {_digest(row): (row, label, origin) for row, label, origin in rows}
        for part in _parts(list(by_digest), 500):
            connection.execute(
                golden_rows.delete().where(
                    golden_rows.c.model == name, golden_rows.c.digest.in_(part)
                )
            )
        now = time.time()
        insert_once(
            connection,
            golden_rows,
            [
                {"model": name, "digest": digest, "label": label, "origin": origin,
                 "row": row, "added": now}
                for digest, (row, label, origin) in by_digest.items()
            ],
        )  # fmt: skip

    def _past(self, connection: sa.Connection, name: str) -> int:
        """How many rows there are beyond those allowed."""
        here = sa.select(sa.func.count()).select_from(golden_rows).where(
            golden_rows.c.model == name
        )  # fmt: skip
        return (connection.scalar(here) or 0) - self._settings.golden_rows

    def clear(self, name: str, *, by: str) -> None:
        """Empty the golden set of a model."""
        self._models.version(name)
        with self._store.write() as connection:
            gone = connection.execute(golden_rows.delete().where(golden_rows.c.model == name))
            write_down(connection, by, "golden", f"model {name}", removed=gone.rowcount)

    def table(self, name: str) -> tuple[pa.Table | None, IntArray]:
        """The rows of a golden set, and their labels."""
        query = sa.select(golden_rows.c.row, golden_rows.c.label).where(golden_rows.c.model == name)
        with self._store.read() as connection:
            rows = connection.execute(query.order_by(golden_rows.c.id)).all()
        labels = np.array([row.label for row in rows], dtype=np.int64)
        return (as_table([row.row for row in rows]) if rows else None), labels

    def summary(self, name: str) -> dict[str, Any]:
        """How many rows there are, and how the champion does on them."""
        version, judge = self._models.load(name)
        return {"model": name, "version": version, **self.test(name, judge)}

    def test(
        self,
        name: str,
        judge: Judge,
        *,
        min_recall: float | None = None,
        max_false_alarms: float | None = None,
    ) -> dict[str, Any]:
        """Try a version: known anomalies must be found, known normal rows must pass.

        Returns
        -------
        dict
            ``passed`` (None without rows), ``reason`` in words, ``recall`` and ``false_alarms``,
            the limits, and the places of some of the rows that were judged wrongly.
        """
        limits = {
            "min_recall": _or(min_recall, self._settings.golden_min_recall),
            "max_false_alarms": _or(max_false_alarms, self._settings.golden_max_false_alarms),
        }
        table, labels = self.table(name)
        told: dict[str, Any] = {
            "at": time.time(), "rows": len(labels), "anomalies": int(labels.sum()), **limits,
        }  # fmt: skip
        if table is None:
            return told | {"passed": None, "reason": "there is no golden set"}
        try:
            flagged = judge.judge(table).severity > 0  # type: ignore[attr-defined]
        except (AwryError, ValueError, TypeError) as error:
            return told | {"passed": False, "reason": f"its rows cannot be judged: {error}"}
        odd = labels == 1
        recall = float(flagged[odd].mean()) if odd.any() else None
        alarms = float(flagged[~odd].mean()) if not odd.all() else None
        missed = recall is not None and recall < limits["min_recall"]
        loud = alarms is not None and alarms > limits["max_false_alarms"]
        words = []
        if recall is not None:
            words.append(
                f"finds {int(flagged[odd].sum())} of {int(odd.sum())} known anomalies "
                f"({'fewer than' if missed else 'at least'} {limits['min_recall']:.0%} are wanted)"
            )
        if alarms is not None:
            words.append(
                f"flags {int(flagged[~odd].sum())} of {int((~odd).sum())} known normal rows "
                f"({'more than' if loud else 'at most'} {limits['max_false_alarms']:.0%} may be)"
            )
        wrong = np.flatnonzero(flagged != odd)[:_NAMED].tolist()
        return told | {
            "passed": not (missed or loud), "reason": "; ".join(words), "recall": recall,
            "false_alarms": alarms, "wrong": wrong,
        }  # fmt: skip


def _refuse_unread(judge: Model, rows: Sequence[dict[str, Any]]) -> None:
    """Refuse rows with a value that cannot be read: they tell nothing of how a version does."""
    columns, encoder = columns_of(rows, flat=True), judge.row_encoder
    nothing: list[Any] = [None] * len(rows)
    whole = {name: columns.get(name, nothing) for name in encoder.names}
    verdicts = Verdicts(encoder, whole, encoder.encode(whole))
    for i in np.flatnonzero(verdicts.rejected)[:1].tolist():
        said = [Judged(row, None, None, None) for row in range(i, len(rows))]
        verdicts.add_to(said, i)
        assert said[0].problems
        first = said[0].problems[0]
        raise UnfitError(
            f"row {i} cannot be judged: {first.reason}",
            field=f"data.{i}.{first.field}",
            remedy=first.remedy,
        )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def _digest(row: Any) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def _parts(items: list[str], size: int) -> list[list[str]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
