"""What jobs do: train models, and judge whole data sets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import parquet

from awry import run
from awry.core.inputs import IntArray
from awry.core.plain import plain
from awry.model import Model
from awry.ops.blame import unfit
from awry.ops.datasets import Datasets
from awry.ops.errors import ConflictError, NotFoundError
from awry.ops.findings import Findings, refresh
from awry.ops.golden import Golden
from awry.ops.jobs import Job, Work
from awry.ops.judgement import Gathering, Judgement
from awry.ops.keeper import Keeper
from awry.ops.models import Models
from awry.ops.parameters import check_settings
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import events, judgements
from awry.result import Result
from awry.series_model import SeriesModel

#: Of more rows than this the database keeps the scores of those flagged alone, for others would
#: wait too long to write; the result's Parquet file holds every one.
_KEPT = 1_000_000


class Workshop:
    """Does the work of jobs, with the data sets and models of a service."""

    #: Keeps some of the rows that jobs judged, for retraining.
    keeper: Keeper | None = None

    def __init__(
        self, store: Store, datasets: Datasets, models: Models, settings: Settings
    ) -> None:
        self._store, self._datasets, self._models = store, datasets, models
        self._settings = settings
        self.findings = Findings(store)
        self._golden = Golden(store, models, settings)
        self._folder = settings.home / "results"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def kinds(self) -> dict[str, Work]:
        """The work of each kind of job."""
        return {"train": self.train, "detect": self.detect}

    def prepare(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        """``request`` with the id of the data set as it is now; refuses what cannot be done."""
        dataset = self._datasets.get(request["dataset"])
        check_settings(request, self._settings)
        if kind == "detect" and request.get("model") is not None:
            method = request.get("method") or "auto"
            self._models.check_method(request["model"], request.get("version"), method)
        return {**request, "dataset_id": dataset["id"]}

    def train(self, job: Job) -> None:
        """Fit a model to a data set and register it."""
        asked = job.request
        dataset = self._datasets.get(asked["dataset"])
        with unfit("dataset"):
            model = run.fit(self._path(job), label=asked.get("label"), **_settings(asked))
        golden = self._golden.test(asked["name"], model)
        about = {
            "golden": golden,
            "dataset": {k: dataset[k] for k in ("name", "id", "rows", "sha256")},
            "settings": _settings(asked),
            "job": job.id,
        }
        self._models.add(
            asked["name"],
            model,
            about=about,
            by=job.by,
            # A version that fails on the golden set waits for a person who takes it all the same.
            promote=bool(asked.get("promote")) and golden["passed"] is not False,
            settle=job.settle,
        )

    def detect(self, job: Job) -> None:
        """Judge a data set, by a model or by itself, and write the result as Parquet."""
        target = self._folder / f"{job.id}.{job.attempt}.parquet"
        draft = self._folder / f".{target.name}"
        made = {"rows": 0, "flagged": 0, "file": target.name}
        gathering, begun = Gathering(), time.perf_counter()
        try:
            with unfit("dataset"):
                _write(self._results(job, made, gathering), draft, made)
                found = gathering.judgement(
                    source=job.request["dataset"],
                    origin="job",
                    model=made.get("model"),
                    version=made.get("version"),
                    job=job.id,
                    seconds=time.perf_counter() - begun,
                )
            made["events"] = len(found.events)
            if len(found.scores) > _KEPT:
                found.kept = found.severity > 0
            os.replace(draft, target)
            with self._store.write() as connection:
                _supersede(connection, found.source, found.model)
                self.findings.record(found, connection)
                self._keep_rows(job, found, gathering, connection)
                job.settle(connection, made)
        except BaseException:
            draft.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            raise

    def _keep_rows(
        self, job: Job, found: Judgement, gathering: Gathering, connection: sa.Connection
    ) -> None:
        """Keep some of the rows that a model judged as it does by itself, to learn from."""
        if self.keeper is None or found.model is None or job.request.get("threshold") is not None:
            return
        fetch = gathering.fetch
        judge = self._models.load(found.model, found.version)[1]
        if isinstance(judge, Model) and fetch is not None:
            self.keeper.keep(found, lambda some: fetch(np.array(some)).to_pylist(), connection)

    def _results(self, job: Job, made: dict[str, Any], gathering: Gathering) -> Iterator[Result]:
        asked, path = job.request, self._path(job)
        name, method = asked.get("model"), asked.get("method") or "auto"
        if name is None and method != "auto":
            columns = [c["name"] for c in self._datasets.get(asked["dataset"])["columns"]]
            name = self._models.charge.find(method, columns)
        if name is None:
            result = run.detect(
                path, label=asked.get("label"), **_settings({**asked, "method": method})
            )
            made["method"] = result.model.detector_.card.name
            yield gathering.add(result)
            return
        version, model = self._models.load(name, asked.get("version"))
        made |= {"model": name, "version": version, "method": model.detector_.card.name}
        if asked.get("threshold") is not None and not isinstance(model, SeriesModel):
            model = model.with_threshold(asked["threshold"])
        gathering.fetch = lambda places: _rows(path, places)
        for result in run.score(path, model):  # type: ignore[arg-type]
            yield gathering.add(result)

    def _path(self, job: Job) -> Path:
        name = job.request["dataset"]
        path = self._datasets.path(name, job.request["dataset_id"])
        job.called[str(path)] = name
        return path

    # -- results ----------------------------------------------------------------------------------

    def file(self, job: dict[str, Any]) -> Path:
        """The Parquet file of a batch job that is done."""
        if job["kind"] != "detect":
            raise NotFoundError("this job has no rows for a result", field="id")
        if job["state"] != "done":
            raise ConflictError(
                f"the job is {job['state']}", field="id", remedy="wait until it is done"
            )
        path = self._folder / job["result"]["file"]
        if not path.exists():
            raise NotFoundError("the result was deleted", field="id", remedy="run the job again")
        return path

    def page(
        self, job: dict[str, Any], *, offset: int, limit: int, flagged: bool
    ) -> list[dict[str, Any]]:
        """Rows of the result from ``offset``; those flagged alone, the highest score first."""
        path = self.file(job)
        if flagged:
            table = parquet.read_table(path, filters=[("label", "=", 1)])
            order = pc.sort_indices(
                table, sort_keys=[("score", "descending"), ("row", "ascending")]
            )
            rows = table.take(order.slice(offset, limit))
        else:
            file = parquet.ParquetFile(path)
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            first, last = np.searchsorted(ends, (offset, offset + limit - 1), "right")
            groups = range(int(first), min(int(last) + 1, len(sizes)))
            skipped = int(ends[first - 1]) if first else 0
            rows = file.read_row_groups(list(groups)).slice(offset - skipped, limit)
        return list(plain(rows.to_pylist()))


def _supersede(connection: sa.Connection, source: str, model: str | None) -> None:
    """Close the events that an earlier job found in these rows, and nobody has seen to.

    What is still odd is found again now, and is not to be there twice.
    """
    by = judgements.c.model.is_not_distinct_from(model)
    earlier = sa.select(judgements.c.id).where(
        judgements.c.source == source, by, judgements.c.origin == "job"
    )
    unseen = sa.and_(
        events.c.judgement.in_(earlier), events.c.status == "open", events.c.verdict.is_(None)
    )
    homes = set(connection.scalars(sa.select(events.c.incident).where(unseen)))
    values = {"status": "resolved", "updated": time.time()}
    connection.execute(events.update().where(unseen).values(values))
    for home in sorted(homes - {None}):
        refresh(connection, home)


def _write(results: Iterator[Result], path: Path, made: dict[str, Any]) -> None:
    writer: parquet.ParquetWriter | None = None
    try:
        for result in results:
            table = result.to_table("ids")
            if writer is None:
                writer = parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema), row_group_size=65_536)
            made["rows"] += len(result)
            made["flagged"] += int(result.labels.sum())
            made["threshold"] = result.threshold
    finally:
        if writer is not None:
            writer.close()


def _rows(path: Path, places: IntArray) -> pa.Table:
    """Rows of a Parquet file by their places, 0-based, in the order asked for."""
    file = parquet.ParquetFile(path)
    ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
    groups = np.searchsorted(ends, places, "right")
    parts, order = [], []
    for group in np.unique(groups).tolist():
        inside = np.flatnonzero(groups == group)
        begins = int(ends[group - 1]) if group else 0
        parts.append(file.read_row_group(group).take(places[inside] - begins))
        order.append(inside)
    return pa.concat_tables(parts).take(np.argsort(np.concatenate(order)))


#: Fields of a request and the settings of the path they are.
_SETTINGS = {
    "method": "detector", "params": "params", "threshold": "threshold", "as_": "as_",
    "context": "context", "by": "by", "kinds": "kinds", "ignore": "ignore", "time": "time",
    "value": "value", "random_state": "random_state",
}  # fmt: skip


def _settings(asked: dict[str, Any]) -> dict[str, Any]:
    """The settings of :func:`awry.run.fit` that a request says."""
    return {own: asked[name] for name, own in _SETTINGS.items() if asked.get(name) is not None}
