"""Any table as a matrix of finite numbers, and what is typical of each of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable, any_of, boolean, instance, nothing
from awry.data import wording
from awry.data.columns import ColumnProfile, profile
from awry.data.encoders import Clock, Codes, Flag, Levels, Prose, Scaled, number_of
from awry.data.novelty import Novelty, find_novelties
from awry.data.problems import Problems
from awry.data.tables import as_table
from awry.data.values import as_seconds, labels

#: Rows encoded at a time: the columns of a block stay in the processor's cache.
_BLOCK = 1 << 13
#: Kinds of columns that are encoded; the others are only watched.
_ENCODED = ("number", "category", "boolean", "time", "text")


class Part(NamedTuple):
    """One encoding of one column: ``role`` says of what, ``other`` the time it is counted from."""

    source: str
    role: str
    encoding: Any
    other: str | None = None

    @property
    def width(self) -> int:
        """How many columns it makes."""
        return len(_titles(self))


class TableEncoder(Configurable):
    """Turns tables of any columns into finite numbers, with hardly a setting.

    Numbers are scaled robustly and left as they are otherwise, unless their tails are very heavy;
    see :mod:`awry.data.encoders` for that and the other kinds. A column with some values missing
    gets a flag for it. Columns that are constant, empty, the same as another, or only name the
    rows are left out; :meth:`novelty` watches them.

    Parameters
    ----------
    kinds : dict, optional
        What columns are, where the profile's guess is wrong: ``{"zip": "category"}``; a kind is
        number, category, boolean, time, text or identifier.
    codes : bool, default=False
        Give categories as the positions of their levels, in one column each, for detectors that
        learn what each level means.

    Attributes
    ----------
    profiles_ : list of ColumnProfile
        What each column was taken for.
    source_names_ : list of str
        Columns a table must have to be encoded.
    feature_names_ : list of str
        What each encoded column is.
    feature_sources_ : list of str
        The source column of each encoded column.
    code_columns_ : list of int
        Places of the encoded columns that are positions of levels.
    id_columns_ : list of str
        Columns that name the rows.
    time_column_ : str or None
        When rows happened.

    Examples
    --------
    >>> table = {"amount": [12.0, 11.0, None, 13.0], "city": ["Rome", "Rome", "Oslo", "Rome"]}
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.transform(table).shape, encoder.feature_sources_
    ((4, 3), ['amount', 'amount', 'city'])
    >>> encoder.show("amount", 9200.0), encoder.typical_text("amount")
    ('9,200', '11.1 … 12.9')
    """

    constraints = {"kinds": any_of(nothing(), instance(dict)), "codes": boolean()}

    def __init__(self, kinds: dict[str, str] | None = None, *, codes: bool = False) -> None:
        self.kinds = kinds
        self.codes = codes

    def fit(self, data: Any, y: Any = None) -> Self:
        """Learn how to encode tables like ``data``: a pyarrow Table or RecordBatch, a DataFrame, a
        dict of columns or a list of dicts."""
        self.check_params()
        table = as_table(data)
        if table.num_rows == 0:
            raise DataError("the table has no rows", remedy="give at least a few")
        self.profiles_ = profile(table, self.kinds)
        self.source_names_ = table.column_names
        self.id_columns_ = [p.name for p in self.profiles_ if p.kind == "identifier"]
        values = self._typed(table)
        self.time_column_ = self._choose_time()
        numbers = [number_of(values[p.name]) for p in self.profiles_ if p.kind == "number"]
        parts = [part for p in self.profiles_ for part in self._fit_column(p, values, numbers)]
        self.parts_ = [part for part in _once(parts, values) if part.encoding is not None]
        self.feature_names_ = [title for part in self.parts_ for title in _titles(part)]
        self.feature_sources_ = [part.source for part in self.parts_ for _ in _titles(part)]
        coded = [isinstance(part.encoding, Codes) for part in self.parts_ for _ in _titles(part)]
        self.code_columns_ = [i for i, code in enumerate(coded) if code]
        return self

    def transform(self, data: Any) -> FloatArray:
        """``data`` (n rows) as finite numbers, shape (n, ``len(feature_names_)``).

        Columns the encoder does not know are ignored; one that lacks is a :class:`DataError`.
        """
        table = self._known(data)
        out = np.empty((table.num_rows, len(self.feature_names_)))
        for start, batch in _blocks(table):
            columns = self._encode(self._typed(batch))
            if columns:
                np.stack(columns, axis=1, out=out[start : start + batch.num_rows])
        return out

    def fit_transform(self, data: Any, y: Any = None) -> FloatArray:
        """:meth:`fit` and :meth:`transform` in one."""
        table = as_table(data)
        return self.fit(table).transform(table)

    def novelty(self, data: Any) -> np.ndarray:
        """Where ``data`` holds what training ruled out.

        Booleans of shape (n, ``len(source_names_)``): true where a constant column changed, a
        duplicate differs from its twin, a value is missing or infinite that never was, cannot be
        read as its column's kind, or is of a level that was never seen in a column whose levels
        all were. A detector cannot have learned to weigh any of these, as training shows no
        example.
        """
        table = self._known(data)
        out = np.zeros((table.num_rows, len(self.source_names_)), dtype=bool)
        at = {name: i for i, name in enumerate(self.source_names_)}
        for start, batch in _blocks(table):
            for name, rows, _ in self._novelties(batch):
                out[start + rows, at[name]] = True
        return out

    def check(self, data: Any) -> Problems:
        """What :meth:`novelty` finds, in words, and columns that are not known."""
        table = as_table(data)
        problems = Problems()
        for name in table.column_names:
            if name not in self.source_names_:
                problems.add("is not a column known from training and is ignored", column=name)
        for start, batch in _blocks(self._known(table)):
            for name, rows, what in self._novelties(batch):
                for row in rows.tolist():
                    value = batch.column(batch.schema.get_field_index(name))[row].as_py()
                    text = None if value is None else str(value)
                    problems.add(what, row=start + row + 1, column=name, text=text)
        return problems

    def seconds(self, data: Any) -> FloatArray | None:
        """Seconds since 1970 of each row by ``time_column_``, NaN where missing, shape (n,)."""
        if self.time_column_ is None:
            return None
        p = self._profile(self.time_column_)
        column = as_table(data)[p.name].combine_chunks()
        return number_of(p.typed(column)[0])

    def show(self, column: str, value: Any) -> str:
        """One value of ``column`` as a person reads it."""
        p = self._profile(column)
        if value is None or value != value:
            return "missing"
        found, unfit = p.typed(as_table({column: [value]})[column].combine_chunks())
        if p.kind == "time" and not len(unfit) and pa.types.is_timestamp(found.type):
            text = wording.moment(float(as_seconds(found)[0]), p.stats["zone"])
            return text.removeprefix("1970-01-01 ") if p.stats["clock_only"] else text
        if p.kind == "number" and not len(unfit):
            return wording.number(float(number_of(found)[0]), p.stats["unit"])
        return wording.cut(labels(found)[0].as_py() or str(value))

    def typical(self, column: str) -> dict[str, Any]:
        """What is typical of ``column``, as plain data: the ``kind``, and for numbers ``median``,
        ``low`` and ``high`` (5 and 95 %), for levels their shares, for times usual hours."""
        p = self._profile(column)
        known: dict[str, Any] = {"kind": p.kind, "text": p.typical()}
        if p.kind == "number":
            low, _, median, _, high = p.stats["quantiles"]
            known |= {"low": low, "median": median, "high": high}
        elif p.kind in ("category", "boolean"):
            known["levels"] = {label: n / p.stats["n"] for label, n in p.stats["levels"][:5]}
        elif p.kind == "time":
            known |= {k: p.stats[k] for k in ("min", "max", "hours")}
        elif p.kind == "text":
            known |= {k: p.stats[k] for k in ("length", "words")}
        elif p.kind == "constant":
            known["value"] = p.stats["value"]
        return known

    def typical_text(self, column: str) -> str:
        """What is typical of ``column``, in words."""
        return self._profile(column).typical() or "nothing"

    # -- inside -----------------------------------------------------------------------------------

    def _profile(self, name: str) -> ColumnProfile:
        found: ColumnProfile = self.profiles_[self.source_names_.index(name)]
        return found

    def _choose_time(self) -> str | None:
        """The column that says when rows happened: the first one the rows are in order of."""
        times = [p for p in self.profiles_ if p.kind == "time" and not p.stats["clock_only"]]
        times.sort(key=lambda p: not p.stats["ordered"])
        return times[0].name if times else None

    def _known(self, data: Any) -> pa.Table:
        table = as_table(data)
        for name in self.source_names_:
            if name not in table.column_names:
                raise DataError(
                    "the table lacks this column",
                    column=name,
                    remedy="give the columns the model was fitted on",
                )
        return table.select(self.source_names_)

    def _typed(self, rows: pa.Table | pa.RecordBatch) -> dict[str, pa.Array]:
        """The values of each column that is encoded, as its profile reads them."""
        found = {}
        for p in self.profiles_:
            if p.kind in _ENCODED:
                column = rows.column(p.name)
                one = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
                found[p.name] = p.typed(one)[0]
        return found

    def _encode(self, values: dict[str, pa.Array]) -> list[FloatArray]:
        """The encoded columns of a block."""
        return [column for part in self.parts_ for column in encode_part(part, values)]

    def _novelties(self, batch: pa.RecordBatch) -> Iterator[Novelty]:
        levels = {part.source: part.encoding for part in self.parts_ if part.role == "level"}
        return find_novelties(batch, self.profiles_, levels)

    def _fit_column(
        self, p: ColumnProfile, values: dict[str, pa.Array], numbers: list[FloatArray]
    ) -> Iterator[Part]:
        """The encodings of one column."""
        if p.kind not in _ENCODED:
            return
        column = values[p.name]
        if p.kind in ("category", "boolean"):
            yield Part(p.name, "level", (Codes if self.codes else Levels).fit(column))
            return
        if p.kind == "text":
            yield Part(p.name, "text", Prose.fit(labels(column)))
        elif p.kind == "number":
            floats = number_of(column)
            yield Part(p.name, "number", Scaled.fit(floats))
            yield Part(p.name, "infinite", Flag.fit(np.isinf(floats)))
        else:
            yield from self._fit_time(p, number_of(column), values, numbers)
        yield Part(p.name, "missing", Flag.fit(_missing(column)))

    def _fit_time(
        self,
        p: ColumnProfile,
        seconds: FloatArray,
        values: dict[str, pa.Array],
        numbers: list[FloatArray],
    ) -> Iterator[Part]:
        """The encodings of one time: the clock, and what it says beside the time of the row.

        The time of the row itself would make every later row odd, so only its clock counts. Any
        other time says how long something took, or how old it is; and so does a date that rows are
        in no order of, such as a birthday.
        """
        yield Part(p.name, "clock", Clock.fit(seconds, numbers, clock_only=p.stats["clock_only"]))
        main = self.time_column_
        if main is None or p.stats["clock_only"]:
            return
        if p.name != main:
            since = seconds - number_of(values[main])
            yield Part(p.name, "since", Scaled.fit(since), main)
        elif p.stats["dates_only"] and not p.stats["ordered"]:
            yield Part(p.name, "date", Scaled.fit(seconds))


def encode_part(part: Part, values: dict[str, pa.Array]) -> list[FloatArray]:
    """The columns of one encoding, from the typed ``values`` of each source column."""
    source, role, encoding, other = part
    if role == "missing":
        return [encoding.apply(_missing(values[source]))]
    if role == "level":
        return list(encoding.apply(values[source]))
    if role == "text":
        return list(encoding.apply(labels(values[source])))
    numbers = number_of(values[source])
    if other is not None:
        numbers = numbers - number_of(values[other])
    found = encoding.apply(np.isinf(numbers) if role == "infinite" else numbers)
    return list(found) if role == "clock" else [found]


def _missing(values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        return np.asarray(labels(values).is_null().to_numpy(zero_copy_only=False))
    return np.isnan(number_of(values))


def _once(parts: list[Part], values: dict[str, pa.Array]) -> Iterator[Part]:
    """``parts`` less the flags of columns that are missing together with an earlier one."""
    seen: set[bytes] = set()
    for part in parts:
        if part.role == "missing" and part.encoding is not None:
            pattern = np.packbits(_missing(values[part.source])).tobytes()
            if pattern in seen:
                continue
            seen.add(pattern)
        yield part


def _titles(part: Part) -> list[str]:
    """What each column of an encoding is."""
    if part.role in ("level", "text", "clock"):
        return [f"{part.source}: {title}" for title in part.encoding.titles()]
    suffix = {"missing": " is missing", "infinite": " is infinite", "since": f" since {part.other}"}
    return [part.source + suffix.get(part.role, "")]


def _blocks(table: pa.Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Blocks of rows and where each begins."""
    start = 0
    for batch in table.to_batches(max_chunksize=_BLOCK):
        yield start, batch
        start += batch.num_rows
