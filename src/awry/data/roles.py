"""Whether a table is series, and which of its columns say when, which series, and how much."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from awry.core.errors import DataError, no_such
from awry.core.inputs import IntArray
from awry.data import wording
from awry.data.columns import ColumnProfile, profile
from awry.data.encoders import number_of
from awry.data.values import key_codes

#: Rows of one key that share a time with another; more of them, and it is not what names a series.
_SAME_TIME = 0.05
#: Fewer points in most series are rows to compare, not series, unless it is said.
_FEW_POINTS = 20
#: Steps within half of the median one; fewer of them are events, not samples, unless it is said.
_STEADY = 0.5
#: The same where rows are in no order of time, as with dates of birth.
_STEADY_UNORDERED = 0.9
#: Columns tried together as what names a series.
_MOST_KEYS = 3
#: Rows from which a first look tells whether any column is a time.
_FIRST_LOOK = 2_000


class Roles(NamedTuple):
    """What the columns of a table of series are.

    Attributes
    ----------
    time : ColumnProfile
    by : list of str
        Columns that together name a series; none where there is one.
    values : list of ColumnProfile
        What is measured.
    notes : list of str
        Columns left out, in words.
    """

    time: ColumnProfile
    by: list[str]
    values: list[ColumnProfile]
    notes: list[str]


class NotSeries(NamedTuple):
    """Why a table is not taken for series; empty where nothing hinted at it."""

    why: str


def find_roles(
    table: pa.Table,
    *,
    sure: bool = False,
    time: str | None = None,
    value: Sequence[str] | None = None,
    by: Sequence[str] | None = None,
    kinds: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
) -> Roles | NotSeries:
    """The roles of the columns of ``table``, or why it is not series.

    Without being told (``sure``) a table is taken for series where one column is a time; times are
    unique, alone or within the values of a few columns; they come at mostly regular steps; every
    series has 20 points; and whatever else varies within a series is a number or a truth.

    Parameters
    ----------
    table : pyarrow.Table
        Plain, see :func:`~awry.data.tables.as_table`.
    time, value, by : optional
        Columns, where they are known.
    kinds : mapping, optional
        What columns are, as for :func:`~awry.data.columns.profile`.
    ignore : collection of str
        Columns not to look at.

    Raises
    ------
    DataError
        Where a column named is not there or cannot serve, or ``sure`` and there is no time.

    Examples
    --------
    >>> table = pa.table({
    ...     "ts": np.repeat(np.arange(30), 2) * 60_000_000 + 1_700_000_000_000_000,
    ...     "host": ["a", "b"] * 30, "load": np.arange(60.0) % 7,
    ... })
    >>> roles = find_roles(table)
    >>> roles.time.name, roles.by, [p.name for p in roles.values]
    ('ts', ['host'], ['load'])
    """
    for name in [*([time] if time else []), *(value or ()), *(by or ()), *ignore]:
        if name not in table.column_names:
            what, remedy = no_such("column", name, table.column_names)
            raise DataError(what, column=name, remedy=remedy)
    seen = table.drop_columns(sorted(set(ignore)))
    given = {k: v for k, v in (kinds or {}).items() if k in seen.column_names}
    given |= dict.fromkeys(value or (), "number")
    if not sure and not time and not _times(profile(seen.slice(0, _FIRST_LOOK), given)):
        return NotSeries("")
    profiles = {p.name: p for p in _profiles(seen, given, time)}
    times = [profiles[time]] if time else _times(list(profiles.values()))
    if not times:
        return _refuse("no column holds times", sure, "name it with --time, or use --as table")
    if len(times) > 1 and not sure:
        several = ", ".join(p.name for p in times)
        return NotSeries(f"several columns hold times ({several})")
    when = times[0]
    if seen.num_rows == 0:
        return _refuse("holds no rows", sure, "give at least a few")
    stamps = micros(when, seen[when.name])[0]
    if by is None:
        by = _find_keys(seen, stamps, list(profiles.values()), {when.name, *(value or ())})
        if by is None and not sure:
            return NotSeries(f"times of {when.name} repeat, and no column says whose they are")
    by = list(by or ())
    codes, names = key_codes(seen, by)
    judged: list[ColumnProfile] = []
    others: list[ColumnProfile] = []
    for p in profiles.values():
        if p.name in by or p.kind in ("time", "empty", "duplicate_of") or p is when:
            continue
        named = value is not None and p.name in value
        numeric = _numeric(seen, p) and p.kind != "identifier"
        (judged if (named if value else numeric) else others).append(p)
    if not judged:  # numbers that only seemed to count the rows
        judged = [p for p in others if _numeric(seen, p)]
        others = [p for p in others if p not in judged]
    if not judged:
        return _refuse("no column holds numbers", sure, "name one with --value")
    if not sure:
        why = _why_not(seen, when, stamps, codes, len(names), others)
        if why:
            return NotSeries(why)
    left = [p.name for p in others] + [p.name for p in times[1:]]
    left += [p.name for p in profiles.values() if p.kind in ("empty", "duplicate_of")]
    notes = [f"left out: {', '.join(left)}"] if left else []
    return Roles(when, by, judged, notes)


def micros(p: ColumnProfile, column: pa.ChunkedArray) -> tuple[IntArray, np.ndarray]:
    """Microseconds since 1970 of each row, and where they are known."""
    values = p.typed(column.combine_chunks())[0]
    if pa.types.is_timestamp(values.type):
        known = values.is_valid().to_numpy(zero_copy_only=False)
        return values.cast(pa.int64()).fill_null(0).to_numpy(), known
    seconds = number_of(values)
    known = np.abs(seconds) < 1e11  # NaN is not
    return np.where(known, seconds * 1e6, 0).astype(np.int64), known


def _profiles(table: pa.Table, kinds: dict[str, str], time: str | None) -> list[ColumnProfile]:
    if time is None or time in kinds:
        return profile(table, kinds)
    try:
        return profile(table, {**kinds, time: "time"})
    except DataError as error:
        if error.column != time or not pa.types.is_integer(table[time].type):
            raise
    # Whole numbers that are no dates count something: seconds, for want of a better word.
    return profile(table, {**kinds, time: "number"})


def _times(profiles: list[ColumnProfile]) -> list[ColumnProfile]:
    """The columns of times, those the rows are in order of first."""
    found = [p for p in profiles if p.kind == "time" and not p.stats["clock_only"]]
    return sorted(found, key=lambda p: not p.stats["ordered"])


def _numeric(table: pa.Table, p: ColumnProfile) -> bool:
    """Whether a column holds numbers or truths, codes among them."""
    kind = table.schema.field(p.name).type
    read = p.reading is not None and p.reading["type"] in ("number", "boolean")
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return plain or read


def _find_keys(
    table: pa.Table, stamps: IntArray, profiles: list[ColumnProfile], taken: set[str]
) -> list[str] | None:
    """The fewest columns within whose values times are unique; None where none are."""

    def repeats(names: Sequence[str]) -> float:
        codes, _ = key_codes(table, names)
        order = np.lexsort((stamps, codes))
        same = (np.diff(stamps[order]) == 0) & (np.diff(codes[order]) == 0)
        return float(same.mean()) if len(same) else 0.0

    if repeats([]) <= _SAME_TIME:
        return []
    named, coded = [], []
    for p in profiles:
        if p.name in taken or not 1 < p.stats.get("distinct", 0) <= table.num_rows / 4:
            continue
        if p.kind in ("category", "boolean", "identifier", "text"):
            named.append(p.name)
        elif p.kind == "number" and p.stats["whole"] and p.stats["distinct"] < table.num_rows / 20:
            coded.append(p.name)
    # Names before numbers that may be names, one column before two.
    for candidates in (named, [*named, *coded]):
        for size in range(1, _MOST_KEYS + 1):
            tried = [(repeats(c), c) for c in combinations(candidates[:8], size)]
            fits = [list(c) for share, c in tried if share <= _SAME_TIME]
            if fits:
                return min(fits, key=lambda c: len(key_codes(table, c)[1]))
    return None


def _why_not(
    table: pa.Table,
    when: ColumnProfile,
    stamps: IntArray,
    codes: IntArray,
    n_series: int,
    others: list[ColumnProfile],
) -> str:
    """Why the rows are not samples of series; empty where they are."""
    sizes = np.bincount(codes, minlength=n_series)
    if np.median(sizes) < _FEW_POINTS:
        return f"there are {np.median(sizes):.0f} rows to a series"
    for p in others:
        if p.kind in ("category", "text") and _varies(table[p.name], codes):
            return f"{p.name} is neither a number nor the same throughout a series"
    order = np.lexsort((stamps, codes))
    steps = np.diff(stamps[order])[np.diff(codes[order]) == 0]
    steps = steps[steps > 0]
    least = _STEADY if when.stats.get("ordered", True) else _STEADY_UNORDERED
    steady = float((np.abs(steps / np.median(steps) - 1) <= 0.5).mean()) if len(steps) else 0.0
    if steady < least:
        odd = wording.share(1 - steady)
        return f"times of {when.name} come irregularly ({odd} of steps), as those of events do"
    return ""


def _varies(column: pa.ChunkedArray, codes: IntArray) -> bool:
    """Whether a column of text takes several values within a series."""
    levels = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    order = np.argsort(codes, kind="stable")
    changes = (np.diff(levels[order]) != 0) & (np.diff(codes[order]) == 0)
    return bool(changes.any())


def _refuse(what: str, sure: bool, remedy: str) -> NotSeries:
    if sure:
        raise DataError(what, remedy=remedy)
    return NotSeries(what)
