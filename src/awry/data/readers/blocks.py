"""What every reader hands over: blocks of rows, each knowing where its rows stood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa


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
