"""Parquet, Arrow and Feather files: typed columns, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa

from awry.core.errors import DataError
from awry.data.readers.blocks import Block, check_width
from awry.data.readers.streams import seekable
from awry.data.tables import plain_batch

_AGAIN = "copy or export it again"


def parquet(
    stream: IO[bytes], name: str, batch_rows: int, max_columns: int | None = None
) -> Iterator[Block]:
    """Yield the rows of a Parquet file; memory stays at a batch and a page of each column."""
    from pyarrow import parquet as pq

    with _damage(name, "Parquet"), seekable(stream) as file:
        # Without a buffer Arrow fetches a whole column chunk, which may be the whole column.
        reader = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        check_width(len(reader.schema_arrow), max_columns)
        yield Block(plain_batch(_empty(reader.schema_arrow)))
        for batch in reader.iter_batches(batch_size=batch_rows, use_threads=True):
            yield Block(plain_batch(batch))


def arrow(
    stream: IO[bytes], name: str, *, streaming: bool, max_columns: int | None = None
) -> Iterator[Block]:
    """Yield the record batches of an Arrow file (Feather 2) or an Arrow stream."""
    with _damage(name, "Arrow"):
        if streaming:
            with pa.ipc.open_stream(stream) as reader:
                check_width(len(reader.schema), max_columns)
                yield Block(plain_batch(_empty(reader.schema)))
                for batch in reader:
                    yield Block(plain_batch(batch))
            return
        with seekable(stream) as file, pa.ipc.open_file(file) as reader:
            check_width(len(reader.schema), max_columns)
            yield Block(plain_batch(_empty(reader.schema)))
            for i in range(reader.num_record_batches):
                yield Block(plain_batch(reader.get_batch(i)))


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


@contextmanager
def _damage(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, NotImplementedError) as error:
        said = str(error).partition("\n")[0].rstrip(".")[:160]
        raise DataError(
            f"this is no whole {kind} file ({said})", source=name, remedy=_AGAIN
        ) from None
