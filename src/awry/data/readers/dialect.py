"""How a CSV file is written: its delimiter, whether it has a header, and its columns' names."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from awry.data import parse
from awry.data.problems import Problems
from awry.data.readers.blocks import check_width
from awry.data.tables import unique_names

#: Of two that cut equally well the earlier is taken: a comma may be a decimal mark or punctuation.
_DELIMITERS = "\t;|,^ "
#: Stands for "no delimiter": a file of one column.
SINGLE = "\x1f"
#: A delimiter must cut at least this share of the lines into equally many cells.
_AGREE = 0.6
_ROWS = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """What :func:`sniff` found: ``skip`` lines stand before the first row of data."""

    delimiter: str
    names: list[str]
    header: bool
    skip: int


def sniff(
    text: str,
    problems: Problems,
    delimiter: str | None = None,
    header: bool | None = None,
    max_columns: int | None = None,
) -> Dialect:
    """Work out the dialect of the file that begins with ``text`` (whole records).

    Lines before the header, unnamed and repeated columns are told in ``problems``.
    """
    told = re.match(r"sep=([\t !#-~])\r?\n", text, re.IGNORECASE)  # Excel's way to tell
    start = 1 if told else 0
    delimiter = delimiter or (told[1] if told else None)
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=lambda d: _agreement(records(text, d, start), d))
        if not any(_agreement(records(text, delimiter, start), delimiter)):
            delimiter = SINGLE
    rows = records(text, delimiter, start)
    if not rows:
        return Dialect(SINGLE, ["column_1"], False, start)
    width = _width([row for _, row in rows])
    check_width(width, max_columns)
    while len(rows) > 1 and _is_title(rows[0][1], [row for _, row in rows[1:]], width):
        line, title = rows.pop(0)
        problems.add("stands before the header", line=line, text=delimiter.join(title))
    line, first = rows[0]
    rest = [row for _, row in rows[1:] if len(row) == width]
    if header is None:
        header = _has_header(first, rest)
    if not header:
        return Dialect(delimiter, [f"column_{i + 1}" for i in range(width)], False, line - 1)
    names = _named(first, rest, width, line, problems)
    # A header may run over several lines.
    return Dialect(delimiter, names, True, line + sum(cell.count("\n") for cell in first))


def records(text: str, delimiter: str, start: int = 0) -> list[tuple[int, list[str]]]:
    """The first records of ``text`` that are not blank: (line each begins on, cells)."""
    lines = io.StringIO(text, newline="")
    for _ in range(start):
        lines.readline()
    found, begin = [], start + 1
    reader = csv.reader(_squeezed(lines) if delimiter == " " else lines, delimiter=delimiter)
    try:
        for row in itertools.islice(reader, _ROWS):
            if any(cell.strip() for cell in row) or len(row) > 1:
                found.append((begin, row))
            begin = start + reader.line_num + 1
    except csv.Error:  # an over-long cell; what came before it will do
        pass
    return found


def _squeezed(lines: io.StringIO) -> Iterator[str]:
    return (re.sub(r"[ \t]+", " ", line.strip()) + "\n" for line in lines)


def _width(rows: list[list[str]]) -> int:
    """The commonest number of cells; of two equally common ones the earlier."""
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 1


def _agreement(rows: list[tuple[int, list[str]]], delimiter: str) -> tuple[bool, float, bool]:
    """How well a delimiter cuts: whether the first row is of the common width, what share of all
    rows is, and whether most cells hold something."""
    cells = [row for _, row in rows]
    width = _width(cells)
    share = sum(len(row) == width for row in cells) / max(1, len(cells))
    # Blanks cut sentences, and times from dates.
    least, rows_needed = (3, 2) if delimiter == " " else (2, 1)
    if width < least or len(cells) < rows_needed or share < _AGREE:
        return False, 0.0, False
    filled = sum(bool(cell.strip()) for row in cells for cell in row)
    return len(cells[0]) in (width, width - 1), share, filled > 0.5 * sum(map(len, cells))


def _is_title(first: list[str], rest: list[list[str]], width: int) -> bool:
    """Whether a line stands before the header: too few or too many cells to be one."""
    if len(first) == width:
        return False
    if len(first) == width - 1 and width > 2:
        # One cell short: the rows' names, or the end of each line, have no name in the header.
        below = [row for row in rest if len(row) == width]
        return len(rest[0]) == width and _votes(rest[0], below[1:]) > 0
    return len(first) < width or any(cell.strip() for cell in first[width:])


def _has_header(first: list[str], rest: list[list[str]]) -> bool:
    votes = _votes(first, rest)
    if votes:
        return votes > 0
    words = [cell.strip() for cell in first if cell.strip()]
    plain = (parse.settle(pa.array([w]))["type"] == "text" and not w[0].isdigit() for w in words)
    return bool(words) and len(set(words)) == len(words) and all(plain)


def _votes(first: list[str], rest: list[list[str]]) -> int:
    """Each column votes: a word over numbers is a name, a value like those below it is not."""
    votes = 0
    for cell, *column in zip(first, *rest, strict=False):
        below = pa.array(column, pa.string())
        reading = parse.settle(below)
        if reading["type"] != "text":
            typed, unfit = parse.apply(pa.array([cell]), reading)
            votes += len(unfit) - len(typed.drop_null())
        elif cell.strip() and cell in column:
            votes -= 1
    return votes


def _named(
    first: list[str], rest: list[list[str]], width: int, line: int, problems: Problems
) -> list[str]:
    """Names for ``width`` columns from the header, told where they had to be made up."""
    first = first[:width]
    if len(first) == width - 1:
        # R writes row names without a header; spreadsheets end every line with a delimiter.
        trailing = all(not row[-1].strip() for row in rest)
        first.insert(width - 1 if trailing else 0, "")
    names = unique_names(first)
    for i, (old, new) in enumerate(zip(first, names, strict=True)):
        if not old.strip():
            problems.add(f"column {i + 1} has no name, so it is called {new!r}", line=line)
        elif new != old.strip():
            problems.add(f"a second column {old.strip()!r} is called {new!r}", line=line)
    return names
