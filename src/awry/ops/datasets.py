"""Data sets: what was uploaded, as Parquet files under names of their own."""

from __future__ import annotations

import hashlib
import time
import uuid
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import parquet

from awry.core.errors import DataError
from awry.core.plain import plain
from awry.data.columns import profile
from awry.data.readers import Source, TooWideError, open_source
from awry.data.values import bin_edges, is_whole
from awry.ops.audit import note as write_down
from awry.ops.blame import unfit
from awry.ops.errors import ConflictError, DamagedError, NotFoundError, TooLargeError
from awry.ops.names import check_name
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import datasets

_BINS = 20
_PROBLEMS_KEPT = 100
#: What of a column's profile is told.
_STATS = ("missing", "distinct", "min", "max", "quantiles", "infinite", "levels")


class Datasets:
    """The data sets of a service.

    A file is named after a random id, never after what a client calls it, so that no name leads
    out of the folder and a name that is used again is another file.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._folder = settings.home / "datasets"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def add(self, name: str, file: IO[bytes], *, format: str | None = None) -> dict[str, Any]:
        """Read ``file``, CSV, Parquet, Arrow, JSON or JSONL, and keep its rows.

        Raises
        ------
        ConflictError
            Where there is a data set of this name.
        TooLargeError, UnfitError
            Where it has more rows, columns or bytes than are allowed, or is no table.
        """
        check_name(name)
        self._refuse_taken(name)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        file.seek(0)
        key = uuid.uuid4().hex
        draft = self._folder / f".{key}"
        try:
            with unfit("file"):
                source = self._open(file, format)
                size = self._write(source, draft)
                if not source.rows_read:
                    raise DataError("holds no rows", source=name, remedy="give at least a few")
            draft.replace(self._path(key))
            with self._store.write() as connection:
                connection.execute(
                    datasets.insert().values(
                        name=name,
                        id=key,
                        created=time.time(),
                        rows=source.rows_read,
                        bytes=size,
                        sha256=digest,
                        columns=[{"name": f.name, "type": str(f.type)} for f in source.schema],
                        problems={
                            "total": source.problems.total,
                            "first": [str(p) for p in source.problems[:_PROBLEMS_KEPT]],
                        },
                    )
                )
        except BaseException as error:
            draft.unlink(missing_ok=True)
            self._path(key).unlink(missing_ok=True)
            if isinstance(error, sa.exc.IntegrityError):
                self._refuse_taken(name)
            raise
        return self.get(name)

    def _open(self, file: IO[bytes], format: str | None) -> Source:
        most = self._settings.max_columns
        try:
            return open_source(file, format=format, max_columns=most)
        except TooWideError as error:
            raise _too_many("columns", error.columns, most) from error

    def _write(self, source: Source, draft: Path) -> int:
        """Write the rows of ``source``, as many as are allowed; the bytes they take."""
        limits, size = self._settings, 0
        with parquet.ParquetWriter(draft, source.schema, compression="zstd") as writer:
            for batch in source.batches():
                size += batch.nbytes
                if source.rows_read > limits.max_dataset_rows:
                    raise _too_many("rows", source.rows_read, limits.max_dataset_rows)
                if size > limits.max_dataset_bytes:
                    raise _too_many("bytes in memory", size, limits.max_dataset_bytes)
                writer.write_batch(batch)
        return draft.stat().st_size

    def list(self) -> list[dict[str, Any]]:
        """The data sets, by name."""
        with self._store.read() as connection:
            rows = connection.execute(sa.select(datasets).order_by(datasets.c.name))
            return [_shown(row) for row in rows]

    def get(self, name: str) -> dict[str, Any]:
        return _shown(self._row(name))

    def path(self, name: str, key: str | None = None) -> Path:
        """The Parquet file of a data set; of the very one with the id ``key``, where given."""
        row = self._row(name)
        if key is not None and row.id != key:
            raise NotFoundError(
                f"the data set {name!r} is not the one that was meant: it was deleted and made "
                "anew since"
            )
        path = self._path(row.id)
        if not path.exists():
            raise DamagedError(f"the file of the data set {name!r} is gone", remedy="upload it")
        return path

    def stats(self, name: str) -> dict[str, Any]:
        """For each column: type, missing values, quantiles, histogram or levels."""
        row = self._row(name)
        found = row.stats
        if found is None:
            file = parquet.ParquetFile(self.path(name, row.id))
            with unfit("name"):
                # One column at a time: memory stays at the largest.
                found = [
                    _column_stats(file.read(columns=[column])) for column in file.schema_arrow.names
                ]
            with self._store.write() as connection:
                connection.execute(
                    datasets.update().where(datasets.c.id == row.id).values(stats=found)
                )
        return {"name": name, "rows": row.rows, "columns": found}

    def delete(self, name: str, *, by: str = "local") -> None:
        """Forget a data set and its file; what was found in it is kept."""
        row = self._row(name)
        with self._store.write() as connection:
            connection.execute(datasets.delete().where(datasets.c.id == row.id))
            write_down(connection, by, "delete", f"data set {name}", sha256=row.sha256)
        self._path(row.id).unlink(missing_ok=True)

    def files(self) -> set[str]:
        """Names of the files that data sets are kept in."""
        with self._store.read() as connection:
            return {self._path(key).name for key in connection.scalars(sa.select(datasets.c.id))}

    def _row(self, name: str) -> Any:
        check_name(name)
        with self._store.read() as connection:
            row = connection.execute(
                sa.select(datasets).where(datasets.c.name == name)
            ).one_or_none()
        if row is None:
            raise NotFoundError(
                f"there is no data set {name!r}", field="name", remedy="see GET /datasets"
            )
        return row

    def _refuse_taken(self, name: str) -> None:
        with self._store.read() as connection:
            if connection.scalar(sa.select(datasets.c.id).where(datasets.c.name == name)):
                raise ConflictError(
                    f"there is a data set {name!r} already",
                    field="name",
                    remedy="choose another name, or delete it first",
                )

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.parquet"


def _shown(row: Any) -> dict[str, Any]:
    return {k: v for k, v in row._mapping.items() if k != "stats"}


def _column_stats(table: pa.Table) -> dict[str, Any]:
    found = profile(table)[0]
    told = {k: found.stats[k] for k in _STATS if k in found.stats}
    column = table.column(0)
    stats = {
        "name": found.name,
        "type": str(column.type),
        "kind": found.kind,
        "description": found.describe(),
        "missing": column.null_count,
        **told,
    }
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = pc.drop_null(column).to_numpy().astype(np.float64)
        values = values[np.isfinite(values)]
        # The width of a range past the largest float is no number.
        if len(values) and np.isfinite(values.max() - values.min()):
            ends = float(values.min()), float(values.max())
            edges = bin_edges(*ends, _BINS, whole=is_whole(values))
            counts, edges = np.histogram(values, edges)
            stats["histogram"] = {"counts": counts, "edges": edges}
    return dict(plain(stats))


def _too_many(what: str, count: int, limit: int) -> TooLargeError:
    return TooLargeError(
        f"the data set has {count:,} {what} or more, {limit:,} are allowed",
        field="file",
        remedy="give a part of it",
    )
