"""Drift of data sets, and of what requests ask, against what a model learnt from."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from pyarrow import parquet

from awry.core.errors import AwryError
from awry.core.plain import plain
from awry.data.tables import as_table
from awry.drift.monitor import score_drift
from awry.drift.table import TableDrift
from awry.model import Model
from awry.ops.blame import unfit
from awry.ops.datasets import Datasets
from awry.ops.errors import NotFoundError, OpsError, UnfitError
from awry.ops.jobs import Job
from awry.ops.keeper import Keeper
from awry.ops.models import Models
from awry.ops.paging import Page, cursor_of, page
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import drift_reports as table

_log = logging.getLogger(__name__)
#: Rows of a reference, and of what is compared with it; of more, a sample that is the same always.
_MOST = 10_000
#: Fewer rows tell nothing.
_FEWEST = 100
#: References kept ready, and features of a report.
_READY, _TOLD = 16, 200
#: Reports among which the newest of a data set is looked for.
_LOOKED_AT = 100
#: What is told of a column beside its statistics.
_OF_COLUMN = ("feature", "drifted", "test", "measure", "p_value", "effect", "change")


class _Reference(NamedTuple):
    """What new rows are compared with: fitted once for each version."""

    test: TableDrift
    about: dict[str, Any]


class Drift:
    """Compares, and keeps reports."""

    def __init__(
        self, store: Store, datasets: Datasets, models: Models, keeper: Keeper, settings: Settings
    ) -> None:
        self._store, self._datasets, self._models = store, datasets, models
        self._keeper, self._settings = keeper, settings
        self._snapshots = settings.home / "snapshots"
        self._ready: OrderedDict[Any, _Reference] = OrderedDict()

    # -- what there was ---------------------------------------------------------------------------

    def learnt(self, model: str, version: int | None = None) -> pa.Table:
        """Of the rows that a version of a model learnt from, at most 10,000.

        Raises
        ------
        NotFoundError
            Where they are gone.
        """
        card = self._models.version(model, version)
        snapshot, dataset = card.get("snapshot"), card.get("dataset") or {}
        if snapshot:
            path = self._snapshots / Path(snapshot["file"]).name
            if path.exists():
                return _sample(parquet.ParquetFile(path))
        elif dataset.get("name"):
            try:
                return _sample(
                    parquet.ParquetFile(self._datasets.path(dataset["name"], dataset["id"]))
                )
            except OpsError:
                pass
        raise NotFoundError(
            f"what version {card['version']} of {model!r} learnt from is gone", field="model",
            remedy="train another version",
        )  # fmt: skip

    def _of_model(self, model: str, version: int | None = None) -> _Reference:
        card = self._models.version(model, version)
        key = (model, card["version"])
        if key not in self._ready:
            rows = self.learnt(*key)
            judge = self._models.load(*key)[1]
            known = judge.column_words()
            named = [one["column"] for one in known if one["column"] in rows.column_names]
            kinds = {one["column"]: one["kind"] for one in known}
            test = TableDrift(
                kinds={c: k for c, k in kinds.items() if k in ("number", "category", "boolean")}
            )
            about = {"model": model, "version": card["version"], "rows": rows.num_rows}
            self._remember(key, _Reference(test.fit(rows.select(named)), about))
        return self._ready[key]

    def _of_dataset(self, name: str) -> _Reference:
        key = self._datasets.get(name)["id"]
        if key not in self._ready:
            rows = _sample(parquet.ParquetFile(self._datasets.path(name, key)))
            about = {"dataset": name, "rows": rows.num_rows}
            self._remember(key, _Reference(TableDrift().fit(rows), about))
        return self._ready[key]

    def _remember(self, key: Any, found: _Reference) -> None:
        self._ready[key] = found
        while len(self._ready) > _READY:
            self._ready.popitem(last=False)

    # -- comparing --------------------------------------------------------------------------------

    def prepare(self, dataset: str, asked: dict[str, Any]) -> dict[str, Any]:
        """A request for :meth:`work`, if it can be done."""
        found = self._datasets.get(dataset)
        if (asked.get("model") is None) == (asked.get("reference") is None):
            raise UnfitError(
                "needs what to compare with", field="reference",
                remedy="give `reference`, a data set, or `model`, and not both",
            )  # fmt: skip
        if asked.get("model") is not None:
            self._models.version(asked["model"], asked.get("version"))
        else:
            self._datasets.get(asked["reference"])
        return {**asked, "dataset": dataset, "dataset_id": found["id"]}

    def work(self, job: Job) -> None:
        """Compare a data set with another, or with what a model learnt from: a job."""
        asked = job.request
        path = self._datasets.path(asked["dataset"], asked["dataset_id"])
        job.called[str(path)] = asked["dataset"]
        with unfit("dataset"):
            reference = (
                self._of_dataset(asked["reference"])
                if asked.get("model") is None
                else self._of_model(asked["model"], asked.get("version"))
            )
            rows = _sample(parquet.ParquetFile(path))
            report = self._compare(reference, rows, "dataset")
        with self._store.write() as connection:
            number = self._keep(connection, asked["dataset"], report)
            job.settle(connection, {"report": number, "drifted": report["drifted"]})

    def watch(self, now: float) -> list[int]:
        """Report of each model whose last report is old enough, where requests asked enough."""
        made = []
        since = now - self._settings.drift_hours * 3600
        for model in self._keeper.models(since=since):
            if (last := self.newest(model)) is not None and last["at"] > since:
                continue
            try:
                if (report := self.live(model, since=since, until=now)) is not None:
                    with self._store.write() as connection:
                        made.append(self._keep(connection, model, report))
            except (AwryError, ValueError, pa.ArrowException) as error:
                _log.warning("drift of what %s is asked is not told: %s", model, error)
        return made

    def live(self, model: str, *, since: float, until: float) -> dict[str, Any] | None:
        """What requests asked of a model's champion, beside what it learnt from.

        None where that were too few rows, or a series.
        """
        version, judge = self._models.load(model)
        rows = self._keeper.rows(model, since=since, until=until, version=version)
        if len(rows) < _FEWEST or not isinstance(judge, Model):
            return None
        reference = self._of_model(model, version)
        report = self._compare(reference, as_table([row.row for row in rows]), "requests")
        scores = np.array([math.nan if r.score is None else r.score for r in rows])
        if np.isfinite(scores).any():
            moved = score_drift(judge.train_scores_, scores, threshold=judge.threshold_)
            told = moved._asdict() | {"flagged": moved.flagged and moved.flagged._asdict()}
            report["scores"] = plain(told)
            report["drifted"] = report["drifted"] or moved.drifted
        return report

    def _compare(self, reference: _Reference, rows: pa.Table, of: str) -> dict[str, Any]:
        found = reference.test.test(rows, sparse=of == "requests").to_dict()
        found["features"] = found["features"][:_TOLD]
        return dict(plain({"of": of, "reference": reference.about, **found}))

    # -- reports ----------------------------------------------------------------------------------

    def _keep(self, connection: sa.Connection, source: str, report: dict[str, Any]) -> int:
        number: int = connection.execute(
            table.insert().values(
                source=source, model=report["reference"].get("model"),
                version=report["reference"].get("version"), at=time.time(),
                drifted=report["drifted"], report=report,
            )
        ).inserted_primary_key[0]  # type: ignore[index]  # fmt: skip
        return number

    def newest(self, source: str) -> dict[str, Any] | None:
        """The newest report of what requests asked of a model."""
        query = (
            sa.select(table)
            .where(table.c.source == source, table.c.model == source)
            .order_by(table.c.at.desc())
            .limit(1)
        )
        with self._store.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else dict(row._mapping)

    def of_columns(self, dataset: str, columns: Collection[str]) -> dict[str, dict[str, Any]]:
        """What the newest report of a data set says of ``columns``, those that it names."""
        told: dict[str, dict[str, Any]] = {}
        begun = self._datasets.get(dataset)["created"]
        # A model of the same name has reports of its own, and so had a data set that is gone.
        own = [
            row
            for row in self.reports(dataset, cursor=None, limit=_LOOKED_AT).rows
            if row["report"]["of"] == "dataset" and row["at"] >= begun
        ]
        for row in own[:1]:
            about = {"report": row["id"], "at": row["at"], "reference": row["report"]["reference"]}
            for one in row["report"]["features"]:
                feature = one["feature"]
                # "amount (missing)" is of amount, too; what drifted, and moved farthest, is first.
                column = feature if feature in columns else feature.rpartition(" (")[0]
                told.setdefault(column, {**about, **{k: one[k] for k in _OF_COLUMN}})
        return told

    def reports(
        self, source: str, *, drifted: bool | None = None, cursor: str | None, limit: int
    ) -> Page:
        """Reports of a data set, or of what a model is asked, the newest first.

        Raises
        ------
        NotFoundError
            Where there are none, and neither a data set nor a model of this name.
        """
        query: sa.Select[Any] = sa.select(table).where(table.c.source == source)
        if drifted is not None:
            query = query.where(table.c.drifted.is_(drifted))
        with self._store.read() as connection:
            rows = connection.execute(page(query, table.c.at, table.c.id, cursor, limit)).all()
        if not rows:
            self._require(source)
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            [dict(row._mapping) for row in rows[:limit]],
            cursor_of(last.at, last.id) if last is not None else None,
        )

    def _require(self, source: str) -> None:
        try:
            self._datasets.get(source)
        except NotFoundError:
            try:
                self._models.version(source)
            except NotFoundError:
                raise NotFoundError(
                    f"there is neither a data set nor a model {source!r}", field="dataset",
                    remedy="see GET /datasets",
                ) from None  # fmt: skip


def _sample(file: parquet.ParquetFile) -> pa.Table:
    """At most 10,000 rows of a file, in its order: the same ones each time."""
    total = file.metadata.num_rows
    if total <= _MOST:
        return file.read()
    chosen = np.sort(np.random.default_rng(0).choice(total, _MOST, replace=False))
    parts, begins = [], 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        first, last = np.searchsorted(chosen, (begins, begins + size))
        if last > first:
            parts.append(file.read_row_group(group).take(chosen[first:last] - begins))
        begins += size
    return pa.concat_tables(parts)
