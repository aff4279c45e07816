"""What every reader hands over: blocks of rows, each knowing where its rows stood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from awry.core.errors import DataError


class TooWideError(DataError):
    """A table with more columns than whoever reads it allows.

    Attributes
    ----------
    columns : int
        How many there are, or more.
    """

    def __init__(self, columns: int, most: int) -> None:
        self.columns = columns
        super().__init__(f"it has {columns:,} columns or more, {most:,} are allowed")


def check_width(columns: int, most: int | None) -> None:
    """Raise where there are more ``columns`` than ``most``, before anything is done with them."""
    if most is not None and columns > most:
        raise TooWideError(columns, most)


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows as they were found.

    Attributes
    ----------
    batch : pa.RecordBatch
        Columns of text, or of plain types.
    line : callable or None
        Line number, counted from 1, of the row at a position of ``batch``; None where the source
        has no lines.
    """

    batch: pa.RecordBatch
    line: Callable[[int], int] | None = None
