"""What was wrong with the data, kept beside the table instead of stopping the work."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

#: Problems past this many are counted, not kept: a broken file may hold millions.
KEPT = 1000
_TEXT = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One row or cell set aside, or one oddity of a whole source.

    Attributes
    ----------
    what : str
        What is wrong: ``"is not a number"``.
    row : int or None
        The data row, counted from 1.
    line : int or None
        The line of the text file, counted from 1.
    column : str or None
        The column's name.
    text : str or None
        What stood there, cut after 120 characters.

    Examples
    --------
    >>> print(Problem("is not a number", line=7, column="amount", text="12x"))
    line 7, column 'amount': '12x' is not a number
    """

    what: str
    row: int | None = None
    line: int | None = None
    column: str | None = None
    text: str | None = None

    def __str__(self) -> str:
        spot = f"line {self.line}" if self.line is not None else ""
        spot = spot or (f"row {self.row}" if self.row is not None else "")
        where = ", ".join(p for p in (spot, f"column {self.column!r}" if self.column else "") if p)
        told = f"{self.text!r} {self.what}" if self.text is not None else self.what
        return f"{where}: {told}" if where else told

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON, without what is not known."""
        return {k: v for k, v in asdict(self).items() if v is not None}


class Problems(list[Problem]):
    """The first problems in order, and how many of each sort there were in all.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add("is not a number", row=3, column="x", text="a")
    >>> problems.total, str(problems[0])
    (1, "row 3, column 'x': 'a' is not a number")
    """

    def __init__(self) -> None:
        super().__init__()
        #: (column or "", what) → how often.
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def total(self) -> int:
        """How many problems there were, kept or not."""
        return sum(self.counts.values())

    def add(
        self,
        what: str,
        *,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
        text: str | None = None,
    ) -> None:
        """Count a problem, and keep it while there is room."""
        self.counts[column or "", what] += 1
        if len(self) < KEPT:
            cut = text if text is None or len(text) <= _TEXT else text[: _TEXT - 1] + "…"
            self.append(Problem(what, row, line, column, cut))

    def merge(self, later: Problems) -> None:
        """Add those of another source, or of later rows."""
        self.counts.update(later.counts)
        self.extend(later[: KEPT - len(self)])

    def since(self, earlier: Problems) -> Problems:
        """Those that are not in ``earlier``, which holds the first of them."""
        found = Problems()
        found.counts = self.counts - earlier.counts
        found.extend(self[len(earlier) :])
        return found

    def forget(self) -> None:
        """Start again, as reading does."""
        self.clear()
        self.counts.clear()

    def summary(self) -> list[str]:
        """One sentence for each sort of problem, the most frequent first."""
        return [
            f"{f'column {column!r}: ' if column else ''}{what}{f' ({n} times)' if n > 1 else ''}"
            for (column, what), n in self.counts.most_common()
        ]
