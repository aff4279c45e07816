"""The errors awry raises for what a caller can mend: one line that says where and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

#: Names listed where none is near.
_NAMED = 12


class AwryError(Exception):
    """The root of awry's own errors."""


class DataError(AwryError, ValueError):
    """Input that cannot be used, told in one line.

    Parameters
    ----------
    what : str
        What is wrong.
    source, row, column : optional
        Where: the file or table, the row (1-based line or row number), the column's name.
    remedy : str, optional
        What would be right.

    Examples
    --------
    >>> str(DataError("is not a number", source="a.csv", row=3, column="amount", remedy="drop it"))
    "a.csv, row 3, column 'amount': is not a number; drop it"
    """

    def __init__(
        self,
        what: str,
        *,
        source: str | None = None,
        row: int | None = None,
        column: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what, self.source, self.row, self.column, self.remedy = (
            what, source, row, column, remedy,
        )  # fmt: skip
        where = [source] if source else []
        where += [f"row {row}"] if row is not None else []
        where += [f"column {column!r}"] if column is not None else []
        text = (", ".join(where) + ": " if where else "") + what
        super().__init__(" ".join((text + (f"; {remedy}" if remedy else "")).split()))


@contextmanager
def about(source: str) -> Iterator[None]:
    """Let a :class:`DataError` raised inside name ``source``, if it names none."""
    try:
        yield
    except DataError as error:
        if error.source is not None:
            raise
        raise DataError(
            error.what, source=source, row=error.row, column=error.column, remedy=error.remedy
        ) from error


def no_such(what: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """What is wrong with the ``name`` of a ``what``, and the remedy: the nearest, or all, known."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"there is no such {what}", f"did you mean {', '.join(near)}?"
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"there is no such {what}", f"choose one of {', '.join(names[:_NAMED])}{more}"


class ModelError(AwryError, ValueError):
    """A model file that is damaged, foreign, tampered with or of another version."""


class MissingDependencyError(AwryError, ImportError):
    """An optional dependency that is not installed, with the command that installs it."""
