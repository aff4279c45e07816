"""What each column of a table is, what is typical of it, and why it was taken for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from awry.core.errors import DataError
from awry.core.inputs import IntArray
from awry.data import kinds as rules
from awry.data import parse, wording
from awry.data.column_stats import (
    add_level_stats,
    add_number_stats,
    add_time_stats,
    spread,
    usual_hours,
)
from awry.data.tables import as_table
from awry.data.values import as_float, labels, typed


class ColumnProfile(NamedTuple):
    """One column.

    Attributes
    ----------
    name : str
    kind : str
        number, category, boolean, time, text, identifier, constant, empty or duplicate_of.
    why : str
        What decided that.
    stats : dict
        ``n`` rows, ``missing`` of them, ``present`` ones, ``distinct`` values (of a sample where
        the table is large), and by kind: ``min``, ``max``, ``quantiles`` (5, 25, 50, 75, 95 %),
        ``infinite``, ``whole``, ``unit``; ``levels`` with their counts; ``zone``, ``dates_only``,
        ``ordered``; ``length`` and ``words``; ``value``; ``of``, the column it repeats.
    reading : dict or None
        How its values become numbers, truths or times, where they are not already.
    """

    name: str
    kind: str
    why: str
    stats: dict[str, Any]
    reading: dict[str, Any] | None = None

    def typed(self, values: pa.Array) -> tuple[pa.Array, IntArray]:
        """``values`` as the column holds them, whatever they come as; positions of misfits."""
        reading = self.reading
        if reading is None and self.kind == "time":
            reading = {**parse.ISO, "utc": self.stats["zone"] is not None}
        elif reading is None and self.kind == "number":
            reading = parse.PLAIN
        return typed(values, reading)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {**self._asdict(), "description": self.describe()}

    def typical(self) -> str:
        """What is typical of the column, in a few words; empty where nothing is."""
        stats = self.stats
        if self.kind == "number":
            low, _, _, _, high = stats["quantiles"]
            ends = [wording.number(v, stats["unit"]) for v in (low, high)]
            return ends[0] if ends[0] == ends[1] else " … ".join(ends)
        if self.kind in ("category", "boolean"):
            tops = [(label, count / stats["n"]) for label, count in stats["levels"][:3]]
            return ", ".join(f"{wording.cut(label)} ({wording.share(p)})" for label, p in tops)
        if self.kind == "time":
            if stats["dates_only"]:
                return self._span()
            return usual_hours(stats["hours"])
        if self.kind == "text":
            return f"about {stats['length']:.0f} characters, {stats['words']:.0f} words"
        return wording.cut(str(stats["value"])) if self.kind == "constant" else ""

    def describe(self) -> str:
        """One sentence for the terminal.

        Examples
        --------
        >>> table = pa.table({"amount": [1.5, 2.5, 40.0], "city": ["Rome", "Rome", None]})
        >>> for column in profile(table):
        ...     print(column.describe())
        amount: number from 1.5 to 40, mostly 1.6 … 36.25
        city: category of 1 level, mostly Rome (67 %); 33 % missing
        """
        stats, name, kind = self.stats, self.name, self.kind
        if kind == "number":
            ends = [wording.number(stats[k], stats["unit"]) for k in ("min", "max")]
            said = f"number from {ends[0]} to {ends[1]}, mostly {self.typical()}"
        elif kind == "category":
            many = f"{stats['distinct']:,} level{'s' * (stats['distinct'] != 1)}"
            said = f"category of {many}, mostly {self.typical()}"
        elif kind == "boolean":
            said = f"boolean, {self.typical()}"
        elif kind == "time":
            said = f"time from {self._span().replace(' … ', ' to ')}"
            if self.reading is not None:
                said += f", read as {_reading_text(self.reading)}"
        elif kind == "text":
            said = f"free text of {self.typical()}"
        elif kind == "identifier":
            said = f"identifier ({self.why}), kept to name the rows"
        elif kind == "constant":
            said = f"always {self.typical()}, left out but watched for change"
        elif kind == "duplicate_of":
            said = f"the same as {stats['of']!r}, left out"
        else:
            said = "empty, left out"
        if stats["missing"] and kind != "empty":
            said += f"; {wording.share(stats['missing'] / stats['n'])} missing"
        if stats.get("infinite"):
            said += f"; {stats['infinite']:,} infinite"
        if stats.get("unfit"):
            said += f"; {stats['unfit']:,} not readable"
        return f"{name}: {said}"

    def _span(self) -> str:
        stats = self.stats
        if stats["clock_only"]:
            ends = [wording.moment(stats[k]).removeprefix("1970-01-01 ") for k in ("min", "max")]
        else:
            zone, dates = stats["zone"], stats["dates_only"]
            ends = [wording.moment(stats[k], zone, dates_only=dates) for k in ("min", "max")]
        return " … ".join(ends)


def profile(data: Any, kinds: Mapping[str, str] | None = None) -> list[ColumnProfile]:
    """What each column of ``data`` is.

    Parameters
    ----------
    data : pyarrow.Table or anything :func:`~awry.data.tables.as_table` takes
    kinds : mapping, optional
        What columns are, where that is known: ``{"zip": "category"}``.

    Raises
    ------
    DataError
        Where ``kinds`` names no column, or no kind, or one the values cannot be.

    Examples
    --------
    >>> table = pa.table({"zip": [10115, 80331, 10115], "n": [3, 1, 3]})
    >>> [p.kind for p in profile(table)], [p.kind for p in profile(table, {"zip": "number"})]
    (['category', 'number'], ['number', 'number'])
    """
    table = as_table(data)
    given = dict(kinds or {})
    for name, kind in given.items():
        if name not in table.column_names:
            names = ", ".join(table.column_names[:20])
            raise DataError("there is no such column", column=name, remedy=f"choose one of {names}")
        if kind not in rules.KINDS:
            options = ", ".join(rules.KINDS)
            raise DataError(f"{kind!r} is no kind", column=name, remedy=f"choose one of {options}")
    profiles: list[ColumnProfile] = []
    seen: dict[Any, list[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        found, values = _profile(name, column.combine_chunks(), given.get(name))
        twin = None
        if name not in given and found.kind not in ("empty", "constant"):
            twin = _twin(found, values, seen)
        if twin is None:
            profiles.append(found)
        else:
            why = f"every value is that of {twin!r}"
            profiles.append(
                found._replace(kind="duplicate_of", why=why, stats={**found.stats, "of": twin})
            )
    return _keep_a_number(profiles, given)


def _profile(name: str, column: pa.Array, kind: str | None) -> tuple[ColumnProfile, Any]:
    """The profile of one column and its typed values, for comparison with others."""
    n = len(column)
    reading = None
    if pa.types.is_string(column.type) and kind not in ("category", "text", "identifier"):
        reading = parse.settle(spread(column))
        if kind in ("number", "time") and reading["type"] not in ("number", kind):
            raise _not_of(kind, name)
        reading = None if reading["type"] == "text" else reading
    values, unfit = typed(column, reading)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    stats: dict[str, Any] = {"n": n, "missing": values.null_count, "unfit": len(unfit)}
    stats["missing"] -= len(unfit)
    stats["present"] = n - values.null_count
    if stats["present"] == 0:
        return ColumnProfile(name, "empty", "there are no values", stats), values
    if kind == "number" and pa.types.is_timestamp(values.type):
        raise _not_of(kind, name)
    if kind == "boolean" and not pa.types.is_boolean(values.type):
        kind = "category"  # two levels of any sort are coded alike
    if pa.types.is_timestamp(values.type) and kind in (None, "time"):
        add_time_stats(stats, values, reading)
        why = "values are times" if reading is None else "values read as times"
        return ColumnProfile(name, "time", why, stats, reading), values
    if pa.types.is_boolean(values.type) and kind in (None, "boolean"):
        add_level_stats(stats, values)
        if stats["distinct"] == 1 and not stats["missing"]:
            stats["value"] = stats["levels"][0][0]
            return ColumnProfile(name, "constant", "there is one value", stats, reading), values
        return ColumnProfile(name, "boolean", "values are true or false", stats, reading), values
    if pa.types.is_string(values.type) or pa.types.is_timestamp(values.type):
        return _text(name, labels(values), stats, kind)
    return _number(name, values, stats, reading, kind)


def _number(
    name: str, values: pa.Array, stats: dict[str, Any], reading: Any, kind: str | None
) -> tuple[ColumnProfile, Any]:
    floats = as_float(values)
    add_number_stats(stats, floats, reading)
    why = "so it was said"
    if kind in (None, "time") and stats["whole"] and pa.types.is_integer(values.type):
        dates = _compact_dates(values, stats)
        if dates is not None:
            stamps, _ = typed(values, dates)
            add_time_stats(stats, stamps, dates)
            return ColumnProfile(name, "time", "numbers read as dates", stats, dates), stamps
    unit = None
    if kind in (None, "time"):
        unit = rules.epoch_unit("time" if kind else name, stats["min"], stats["max"])
        if kind == "time" and unit is None:
            raise _not_of(kind, name)
    if unit is not None and (kind or stats["distinct"] > 1):
        epoch = {"type": "epoch", "unit": unit}
        stamps, _ = typed(values, epoch)
        add_time_stats(stats, stamps, epoch)
        why = f"the name says time, and values are {unit} since 1970"
        return ColumnProfile(name, "time", why, stats, epoch), stamps
    if kind is None:
        kind, why = rules.of_number(name, stats, floats)
    if kind == "constant":
        stats["value"] = labels(values)[0].as_py()
    elif kind in ("category", "boolean", "identifier"):
        add_level_stats(stats, values)
    elif kind == "text":
        return _text(name, labels(values), stats, kind)
    return ColumnProfile(name, kind, why, stats, reading), values


def _text(
    name: str, text: pa.StringArray, stats: dict[str, Any], kind: str | None
) -> tuple[ColumnProfile, Any]:
    stats["missing"] = text.null_count
    stats["present"] = len(text) - text.null_count
    if stats["present"] == 0:
        return ColumnProfile(name, "empty", "there are no values", stats), text
    add_level_stats(stats, text)
    sample = spread(text).drop_null()
    lengths = pc.utf8_length(sample).to_numpy()
    parts = pc.count_substring_regex(sample, pattern=r"\w+").to_numpy()
    stats.update(length=float(lengths.mean()), length_spread=float(lengths.std()))
    stats["words"] = float(parts.mean())
    why = "so it was said"
    if kind is None:
        kind, why = rules.of_text(name, stats)
    if kind == "constant":
        stats["value"] = stats["levels"][0][0]
    return ColumnProfile(name, kind, why, stats), text


def _compact_dates(values: pa.Array, stats: dict[str, Any]) -> dict[str, Any] | None:
    """How whole numbers such as 20240131 are dates, if all of them are."""
    if not (stats["min"] >= 19_000_101 and stats["max"] <= 21_001_231 and stats["distinct"] > 2):
        return None
    reading = parse.settle(spread(values).cast(pa.string()))
    return reading if reading["type"] == "time" else None


def _not_of(kind: str, name: str) -> DataError:
    return DataError(f"the values are not {kind}s", column=name, remedy="choose another kind")


def _twin(found: ColumnProfile, values: pa.Array, seen: dict[Any, list[Any]]) -> str | None:
    """The name of an earlier column with the very same values."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        values = values.cast(pa.float64(), safe=False)
    stats = found.stats
    mark = (str(values.type), stats["missing"], stats.get("min"), stats.get("max"))
    for name, other in seen.setdefault(mark, []):
        if values.equals(other):
            return str(name)
    seen[mark].append((found.name, values))
    return None


def _keep_a_number(profiles: list[ColumnProfile], given: Mapping[str, str]) -> list[ColumnProfile]:
    """Where no column is left to judge, numbers that only seemed to count the rows are data."""
    if any(p.kind in ("number", "category", "boolean", "time", "text") for p in profiles):
        return profiles
    return [
        p._replace(kind="number", why="there is nothing else to judge the rows by")
        if p.kind == "identifier" and "quantiles" in p.stats and p.name not in given
        else p
        for p in profiles
    ]


def _reading_text(reading: Mapping[str, Any]) -> str:
    if reading["type"] == "epoch":
        return f"{reading['unit']} since 1970"
    order = {"dmy": "day first", "mdy": "month first"}.get(reading["order"], "")
    doubt = " (which could not be told for sure)" if reading.get("ambiguous") else ""
    return order + doubt if order else str(reading["format"])
