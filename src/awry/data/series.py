"""A table as series: which column is the time, which name the series, which are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from awry.core.errors import DataError
from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.series import BoolArray, Series, join_channels
from awry.data import wording
from awry.data.columns import ColumnProfile
from awry.data.encoders import number_of
from awry.data.grids import Grid, is_counter, lay, means, rates, stragglers
from awry.data.problems import Problems
from awry.data.roles import Roles, micros
from awry.data.values import key_codes
from awry.data.values import typed as typed_as

#: Beyond this no value is meant, and squares come near the end of floating point.
LARGEST = 1e100
#: Fewer points are no series.
MIN_POINTS = 3


@dataclass
class SeriesSet:
    """A table as series on regular grids.

    Attributes
    ----------
    keys : list of str
        The name of each series; ``""`` where there is one without a name.
    series : list of Series
        Values (T, d), NaN in gaps; times are datetime64[us], ``steps`` apart.
    channels : list of str
        Names of the d channels.
    rows : ndarray of shape (n,)
        The series each row of the table belongs to, -1 where a row was set aside.
    points : ndarray of shape (n,)
        Its point on that series' grid, -1 where set aside.
    steps : ndarray of shape (len(series),)
        Seconds between the points of each series.
    time : str
        The column of the times.
    values, by : list of str
        Columns of what is measured, and of what the series are named by.
    notes : list of str
        What was decided on the way, in words.
    problems : Problems
        Rows, cells and series set aside.
    """

    keys: list[str]
    series: list[Series]
    channels: list[str]
    rows: IntArray
    points: IntArray
    steps: FloatArray
    time: str
    values: list[str]
    by: list[str]
    notes: list[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)
    #: Channels that counted up and are given as rates per second, (len(series), d).
    counters: BoolArray = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))

    def __len__(self) -> int:
        return len(self.keys)

    def at_rows(self, per_series: list[FloatArray], missing: float) -> FloatArray:
        """Values at the points of each series, at the rows of the table; shape (n,)."""
        out = np.full(len(self.rows), missing)
        order = np.argsort(self.rows, kind="stable")
        first = np.searchsorted(self.rows[order], np.arange(len(self) + 1))
        for i, values in enumerate(per_series):
            rows = order[first[i] : first[i + 1]]
            out[rows] = values[self.points[rows]]
        return out

    def labels(self, i: int, y: IntArray) -> IntArray:
        """Labels of the rows as those of the points of series ``i``: the largest of a point."""
        found = np.full(len(self.series[i]), UNLABELLED)
        rows = np.flatnonzero(self.rows == i)
        np.maximum.at(found, self.points[rows], y[rows])
        return found

    def start(self, i: int) -> int:
        """The time of the first point of series ``i``, in microseconds."""
        times = self.series[i].times
        assert times is not None
        return int(times[0].astype(np.int64))

    def side_by_side(
        self, members: Sequence[int], leads: Sequence[int], places: Sequence[int], most: int
    ) -> Series:
        """Series as the channels of one, which has room for ``most``.

        Each stands at its place and ``leads`` points after the start.
        """
        if most == 1:
            return self.series[members[0]]
        d = len(self.channels)
        ends = [lead + len(self.series[i]) for i, lead in zip(members, leads, strict=True)]
        values = np.full((max(ends), d * most), np.nan)
        for i, lead, end, at in zip(members, leads, ends, places, strict=True):
            values[lead:end, at * d : (at + 1) * d] = self.series[i].values
        return Series(values)

    def apart(
        self, members: Sequence[int], leads: Sequence[int], places: Sequence[int], found: FloatArray
    ) -> list[FloatArray]:
        """Scores (T,) of each of the series that are side by side in ``found``."""
        out, d = [], len(self.channels)
        for i, lead, at in zip(members, leads, places, strict=True):
            own = found[lead : lead + len(self.series[i]), at * d : (at + 1) * d]
            out.append(np.nan_to_num(join_channels(own)))
        return out


@dataclass(frozen=True)
class Known:
    """What is kept of a series to go on with it: its last point, its step (both in microseconds)
    and which channels count up."""

    end: int
    step: int
    counters: list[bool]


def read_series(
    table: pa.Table, roles: Roles, known: Mapping[str, Known] | None = None
) -> SeriesSet:
    """The series in ``table``, each on a regular grid.

    Rows are put in order of time, those that share a point are averaged, points without a row are
    missing, and a counter becomes its rate per second. Rows without a time, cells that are no
    number, and series that hold too little are set aside and told in ``problems``.

    Parameters
    ----------
    table : pyarrow.Table
    roles : Roles
        As :func:`~awry.data.roles.find_roles` finds them.
    known : mapping of key to Known, optional
        Series to go on with, on the grids they have.

    Raises
    ------
    DataError
        Where nothing is left.

    Examples
    --------
    >>> from awry.data.roles import find_roles
    >>> table = pa.table({"ts": ["2024-01-01", "2024-01-02", "2024-01-04"], "x": [1.0, 2.0, 4.0]})
    >>> found = read_series(table, find_roles(table, sure=True))
    >>> found.series[0].values[:, 0], found.points
    (array([ 1.,  2., nan,  4.]), array([0, 1, 3]))
    """
    problems = Problems()
    stamps, timed = micros(roles.time, table[roles.time.name])
    _tell_untimed(table, roles.time.name, timed, problems)
    values = np.column_stack([_numbers(table, p, problems) for p in roles.values])
    codes, names = key_codes(table, roles.by)
    order = np.flatnonzero(timed)
    backwards = _backwards(stamps[order], codes[order])
    order = order[np.lexsort((stamps[order], codes[order]))]
    edges = np.searchsorted(codes[order], np.arange(len(names) + 1))
    found = SeriesSet(
        [], [], [p.name for p in roles.values], np.full(table.num_rows, -1),
        np.full(table.num_rows, -1), np.empty(0), roles.time.name,
        [p.name for p in roles.values], roles.by, list(roles.notes), problems,
    )  # fmt: skip
    steps, counters, tally = [], [], Tally()
    for code, name in enumerate(names):
        rows = order[edges[code] : edges[code + 1]]
        if not len(rows):
            continue
        before = None if known is None else known.get(name)
        rows = _without_stragglers(rows, stamps, name, problems)
        t = stamps[rows]
        grid = lay(t) if before is None else lay(t, before.step, before.end)
        x = means(grid, values[rows])
        why = _too_little(x, len(rows), before is not None)
        if why:
            problems.add(why, column=", ".join(roles.by) or None, text=name or None)
            continue
        counting = before.counters if before else _counting(x, found.channels)
        for j in np.flatnonzero(counting):
            x[:, j] = rates(x[:, j], grid.step / 1e6)
        tally.add(t, grid, x, counting, found.channels)
        found.rows[rows], found.points[rows] = len(found.keys), grid.points
        found.keys.append(name)
        times = (grid.start + grid.step * np.arange(grid.size)).astype("M8[us]")
        found.series.append(Series(x, times))
        steps.append(grid.step / 1e6)
        counters.append(counting)
    if not found.keys:
        what = problems.summary()[0] if problems else "holds no rows"
        raise DataError(f"no series is left to judge: {what}", remedy="or use --as table")
    found.steps = np.array(steps)
    found.counters = np.array(counters, dtype=bool).reshape(len(counters), -1)
    found.notes += tally.notes(len(found), backwards, roles.time.stats.get("zone"))
    return found


class Tally:
    """Counts what was done to the series on the way, and says it."""

    def __init__(self) -> None:
        self.shared = self.gaps = self.moved = self.repeated = self.skipped = 0
        self.channels: dict[str, int] = {}

    def add(
        self, t: IntArray, grid: Grid, x: FloatArray, counting: list[bool], names: list[str]
    ) -> None:
        """Count what became of one series at times ``t``."""
        same = np.diff(grid.points) == 0
        self.repeated += int(np.count_nonzero(same & (np.diff(t) == 0)))
        self.shared += int(np.count_nonzero(same & (np.diff(t) > 0)))
        self.gaps += grid.size - 1 - int(np.count_nonzero(~same))
        off = np.abs(t - grid.start - grid.step * grid.points)
        self.moved += int(np.count_nonzero(off > 0.01 * grid.step))
        self.skipped += _lost_hours(t, grid.step)
        for j in np.flatnonzero(counting):
            self.channels[names[j]] = self.channels.get(names[j], 0) + 1

    def notes(self, n: int, backwards: int, zone: str | None) -> list[str]:
        """What was counted in ``n`` series, in words."""
        told = [
            f"{count:,} {what}"
            for count, what in (
                (backwards, "out of order of time: sorted"),
                (self.repeated, "at the time of another: averaged"),
                (self.shared, "quicker than the regular step: averaged"),
                (self.moved, "between the points of a regular grid: moved onto it"),
            )
            if count
        ]
        told = [f"rows {'; '.join(told)}"] if told else []
        if self.gaps:
            told.append(f"points of the regular grid without a row, so missing: {self.gaps:,}")
        for name, count in self.channels.items():
            where = "" if n == 1 else f" in {count:,} series"
            told.append(f"{name} only counts up{where} and is judged by its rate per second")
        if zone is None and self.skipped:
            told.append(
                f"hours skipped on spring Sundays, as clocks put forward do: {self.skipped:,}; "
                "the times of the clock on the wall are kept"
            )
        return told


def _tell_untimed(table: pa.Table, name: str, timed: BoolArray, problems: Problems) -> None:
    rows = np.flatnonzero(~timed)
    for row in rows.tolist():
        value = table[name][row].as_py()
        if value is None or value != value or not str(value).strip():
            problems.add("has no time and is set aside", row=row + 1, column=name)
        else:
            problems.add("is not a time", row=row + 1, column=name, text=str(value))
    if len(rows) == len(timed):
        raise DataError("holds no time that can be read", column=name, remedy="use --as table")


def _numbers(table: pa.Table, p: ColumnProfile, problems: Problems) -> FloatArray:
    """A column as numbers, NaN where it holds none; what is no number or infinite is told."""
    column = table[p.name].combine_chunks()
    typed, unfit = p.typed(column) if p.kind != "constant" else typed_as(column, p.reading)
    for row in unfit.tolist():
        problems.add("is not a number", row=row + 1, column=p.name, text=str(column[row].as_py()))
    values = number_of(typed).astype(np.float64)
    endless = np.abs(values) > LARGEST  # NaN is not
    for row in np.flatnonzero(endless).tolist():
        what = "is infinite" if np.isinf(values[row]) else "is too large to be meant"
        problems.add(what, row=row + 1, column=p.name)
    return np.where(endless, np.nan, values)


def _without_stragglers(
    rows: IntArray, stamps: IntArray, name: str, problems: Problems
) -> IntArray:
    far = stragglers(stamps[rows])
    for row in rows[far].tolist():
        when = wording.moment(stamps[row] / 1e6)
        problems.add("is far from all other times and is set aside", row=row + 1, text=when)
    return rows[~far]


def _too_little(x: FloatArray, rows: int, goes_on: bool) -> str:
    """Why a series cannot be judged; empty where it can."""
    if np.isnan(x).all():
        return "is a series without any value and is set aside"
    if len(x) < MIN_POINTS and not goes_on:
        return f"is a series of {rows} row{'s' * (rows != 1)} and is set aside"
    return ""


def _counting(x: FloatArray, names: list[str]) -> list[bool]:
    return [is_counter(column, name) for column, name in zip(x.T, names, strict=True)]


def _backwards(stamps: IntArray, codes: IntArray) -> int:
    """Rows that come before the row above them of the same series."""
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    return int(np.count_nonzero(same & (np.diff(stamps[order]) < 0)))


def _lost_hours(t: IntArray, step: int) -> int:
    """Gaps of one hour that begin on a Sunday night in March or April."""
    hour = 3_600_000_000
    if step > hour:
        return 0
    first = t[:-1][np.abs(np.diff(t) - step - hour) < 0.5 * step].astype("M8[us]")
    month = first.astype("M8[M]").astype(np.int64) % 12 + 1
    # 1970-01-01 was a Thursday.
    sunday = (first.astype("M8[D]").astype(np.int64) + 3) % 7 == 6
    night = (first.astype(np.int64) // hour) % 24 <= 3
    return int(np.count_nonzero(sunday & night & ((month == 3) | (month == 4))))
