"""Writing rows with their scores, batch by batch, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
import pyarrow as pa

if TYPE_CHECKING:
    from awry.result import Result

OUT_HELP = "Write every row's score, label, severity and reasons here: .parquet, .csv or .jsonl."


class Writer:
    """Writes results to a Parquet, CSV or JSONL file that appears when all is written."""

    def __init__(self, path: str, columns: str = "ids") -> None:
        self.target, self.columns = Path(path), columns
        self.kind = self.target.suffix.lower().lstrip(".")
        if self.kind not in ("parquet", "csv", "jsonl", "ndjson"):
            raise click.BadParameter(
                f"{path!r} must end in .parquet, .csv or .jsonl", param_hint="--out"
            )
        self._sink: Any = None

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name}.")
        os.close(handle)
        self.draft = Path(name)
        return self

    def write(self, result: Result) -> None:
        """Add the rows of one result."""
        self.write_table(result.to_table(self.columns))

    def write_table(self, rows: pa.Table) -> None:
        """Add rows as they are."""
        if self.kind in ("jsonl", "ndjson"):
            self._write_lines(rows)
            return
        if self._sink is None:
            self._sink = self._open(rows.schema)
        self._sink.write_table(rows.cast(self._sink.schema) if self.kind == "parquet" else rows)

    def _open(self, schema: pa.Schema) -> Any:
        if self.kind == "parquet":
            from pyarrow import parquet

            return parquet.ParquetWriter(self.draft, schema)
        from pyarrow import csv

        return csv.CSVWriter(self.draft, schema)

    def _write_lines(self, rows: pa.Table) -> None:
        import json

        with self.draft.open("a", encoding="utf-8") as file:
            for row in rows.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sink is not None:
            self._sink.close()
        if kind is None:
            self.draft.chmod(0o644)
            self.draft.replace(self.target)
        else:
            self.draft.unlink(missing_ok=True)
