"""The encoding of a few rows at a time, as a service needs it: no tables, no copies, no surprises.

:class:`RowEncoder` is a fitted :class:`~awry.data.encode.TableEncoder` laid out flat. Numbers of
all columns are scaled at once, levels are looked up, and only what neither holds for (times, prose,
numbers that came as text) takes the way of tables, for those cells alone. What a row becomes does
not depend on the rows beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from awry.core.inputs import FloatArray, IntArray
from awry.data.columns import ColumnProfile
from awry.data.encode import Part, TableEncoder, encode_part
from awry.data.encoders import FAR, MAX_LEVELS, Levels, Scaled, number_of
from awry.data.novelty import find_novelties
from awry.data.parse import is_plain
from awry.data.tables import from_values, to_text
from awry.data.values import labels

_Values = Sequence[Any]
_NUMBERS = {int, float}
_OR_NONE = {int, float, type(None)}
#: Kinds whose values repeat, so that what one means is worth remembering.
_LOOKED_UP = ("category", "boolean", "constant", "empty")
#: Spellings of known values that a column remembers.
_REMEMBERED = 4 * MAX_LEVELS
#: Characters of a time that is remembered.
_SHORT = 64
#: How most numbers are written that come as text.
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch


class Encoded(NamedTuple):
    """Rows as numbers.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
        Finite, as :meth:`~awry.data.encode.TableEncoder.transform` gives them.
    novel : ndarray of shape (n, n_columns), bool
        As :meth:`~awry.data.encode.TableEncoder.novelty`.
    unfit : ndarray of shape (n, n_columns), bool
        Those of them that cannot be read as their column's kind.
    numbers : ndarray of shape (n, n_numbers)
        The values of the number columns, NaN where there is none.
    """

    X: FloatArray
    novel: np.ndarray
    unfit: np.ndarray
    numbers: FloatArray


class RowEncoder:
    """Encodes rows exactly as a fitted encoder does, in a fraction of the time for a few.

    Parameters
    ----------
    encoder : TableEncoder
        Fitted; it must not be fitted anew.

    Examples
    --------
    >>> table = {"amount": [12.0, 11.0, None, 13.0], "city": ["Rome", "Rome", "Oslo", "Rome"]}
    >>> encoder = TableEncoder().fit(table)
    >>> found = RowEncoder(encoder).encode({"amount": [12, "x"], "city": ["Oslo", "Rome"]})
    >>> bool((found.X[:1] == encoder.transform({"amount": [12.0], "city": ["Oslo"]})).all())
    True
    >>> found.unfit.tolist()
    [[False, False], [True, False]]
    """

    def __init__(self, encoder: TableEncoder) -> None:
        self.names = list(encoder.source_names_)
        self.known = frozenset(self.names)
        self.profiles = list(encoder.profiles_)
        self._at = {name: i for i, name in enumerate(self.names)}
        starts = np.cumsum([0, *(part.width for part in encoder.parts_)])
        self._base = np.zeros(int(starts[-1]))
        places = [
            (part, slice(int(a), int(b)))
            for part, a, b in zip(encoder.parts_, starts, starts[1:], strict=False)
        ]
        levels = {part.source: (part.encoding, at) for part, at in places if part.role == "level"}
        self._numbers = _Numbers([p for p in self.profiles if p.kind == "number"], places)
        #: The number columns, in the order in which ``encode`` takes them as a matrix.
        self.number_names = [p.name for p in self._numbers.profiles]
        self._number_places = [self._at[name] for name in self.number_names]
        #: The least and the largest value of each of them in training, shape (2, m).
        self.ranges = np.array(
            [[p.stats[end] for p in self._numbers.profiles] for end in ("min", "max")]
        )
        self._looked_up = [
            _LookUp(p, *levels.get(p.name, (None, None)))
            for p in self.profiles
            if p.kind in _LOOKED_UP
        ]
        self._watched = [p for p in self.profiles if p.kind in ("identifier", "duplicate_of")]
        self._tabled = [p for p in self.profiles if p.kind in ("time", "text")]
        self._times = {p.name: _Times(p) for p in self._tabled if p.kind == "time"}
        tabled = {p.name for p in self._tabled}
        self._tabled_parts = [place for place in places if place[0].source in tabled]

    def encode(self, columns: Mapping[str, _Values], numbers: FloatArray | None = None) -> Encoded:
        """The rows whose values ``columns`` holds.

        Parameters
        ----------
        columns : mapping of str to sequence of length n
            All of ``names``, but those of ``number_names`` where ``numbers`` is given.
        numbers : ndarray of shape (n, len(number_names)), optional
            NaN where missing.
        """
        n = len(next(iter(columns.values()))) if numbers is None else len(numbers)
        X = np.empty((n, len(self._base)))
        novel = np.zeros((n, len(self.names)), dtype=bool)
        unfit = np.zeros((n, len(self.names)), dtype=bool)
        if not self.number_names:
            numbers = np.empty((n, 0))
        else:
            places = self._number_places
            if numbers is None:
                numbers, misfits = self._numbers.read(columns)
                for j, rows in misfits:
                    unfit[rows, places[j]] = True
            self._numbers.encode(numbers, X)
            if not self._numbers.calm(numbers):
                novel[:, places] = self._numbers.novel(numbers, unfit[:, places])
        for column in self._looked_up:
            at = self._at[column.profile.name]
            column.encode(columns[column.profile.name], X, novel[:, at], unfit[:, at])
        for p in self._watched:
            self._watch(p, columns, novel, unfit)
        if self._tabled:
            self._table(columns, X, novel, unfit)
        return Encoded(X, novel, unfit, numbers)

    def news(self, name: str, values: Mapping[str, Any]) -> str:
        """What is new in the column ``name`` of the row ``values``, in words."""
        p = self.profiles[self._at[name]]
        if values[name] is None:
            return "is missing and never was"
        columns = {c: [values[c]] for c in (name, p.stats.get("of", name))}
        batch = pa.record_batch({c: _array(column) for c, column in columns.items()})
        profiles = [self.profiles[self._at[c]] for c in columns]
        found = [what for column, rows, what in find_novelties(batch, profiles, {})
                 if column == name and len(rows)]  # fmt: skip
        return found[0] if found else "is a level that was never seen"

    def _watch(
        self, p: ColumnProfile, columns: Mapping[str, _Values], novel: Any, unfit: Any
    ) -> None:
        """Columns that are not encoded, and only rarely hold news."""
        values = columns[p.name]
        known = _NUMBERS if p.reading is not None else {*_NUMBERS, str}
        plain = p.reading is None or p.reading["type"] == "number"
        if plain and known.issuperset(map(type, values)) and all(v == v for v in values):
            twin = None if p.kind == "identifier" else columns[p.stats["of"]]
            if twin is None or _same(values, twin):
                return
        self._find_news([p], columns, novel, unfit)

    def _table(self, columns: Mapping[str, _Values], X: FloatArray, novel: Any, unfit: Any) -> None:
        typed = {}
        for p in self._tabled:
            if p.kind == "time":
                seconds, wrong = self._times[p.name].read(columns[p.name])
                values, missing = pa.array(seconds), np.isnan(seconds) & ~wrong
            else:
                values, misfits = p.typed(_array(columns[p.name]))
                missing = values.is_null().to_numpy(zero_copy_only=False)
                wrong = np.isin(np.arange(len(X)), misfits)
            typed[p.name], at = values, self._at[p.name]
            unfit[:, at] = wrong
            known = p.stats["missing"] or p.stats["unfit"]
            novel[:, at] = wrong if known else wrong | missing
        for part, place in self._tabled_parts:
            for j, column in enumerate(encode_part(part, typed), place.start):
                X[:, j] = column

    def _find_news(
        self, profiles: list[ColumnProfile], columns: Mapping[str, _Values], novel: Any, unfit: Any
    ) -> None:
        twins = [self.profiles[self._at[p.stats["of"]]] for p in profiles if "of" in p.stats]
        looked_at = {p.name: p for p in (*profiles, *twins)}
        batch = pa.record_batch({name: _array(columns[name]) for name in looked_at})
        wanted = {p.name for p in profiles}
        for name, rows, _ in find_novelties(batch, list(looked_at.values()), {}):
            if name in wanted:
                novel[rows, self._at[name]] = True
        for p in profiles:
            if p.kind != "duplicate_of":
                unfit[p.typed(batch[p.name])[1], self._at[p.name]] = True


class _Numbers:
    """All number columns of a table, as the columns of one matrix."""

    def __init__(self, profiles: list[ColumnProfile], places: list[tuple[Part, slice]]) -> None:
        self.profiles = profiles
        at = {p.name: i for i, p in enumerate(profiles)}
        mine = [(part, place.start) for part, place in places if part.source in at]
        scaled = [(part, to) for part, to in mine if part.role == "number"]
        self._from = np.array([at[part.source] for part, _ in scaled], dtype=np.intp)
        self._to = np.array([to for _, to in scaled], dtype=np.intp)
        self._straight = np.array_equal(self._from, np.arange(len(profiles)))
        encodings: list[Scaled] = [part.encoding for part, _ in scaled]
        self._encodings = encodings
        self._center = np.array([e.center for e in encodings])
        self._scale = np.array([e.scale for e in encodings])
        self._heavy = np.flatnonzero([e.heavy for e in encodings])
        self._light = np.flatnonzero([not e.heavy for e in encodings])
        self._flags = [
            (at[part.source], to, part.encoding, np.isnan if part.role == "missing" else np.isinf)
            for part, to in mine
            if part.role in ("missing", "infinite")
        ]
        self._no_missing = np.array(
            [not p.stats["missing"] and not p.stats["unfit"] for p in profiles], dtype=bool
        )
        self._no_infinite = np.array([not p.stats["infinite"] for p in profiles], dtype=bool)

    def read(self, columns: Mapping[str, _Values]) -> tuple[FloatArray, list[tuple[int, IntArray]]]:
        """The values, NaN where there is none, shape (n, m); and of columns where some are no
        numbers, the column and their rows."""
        given = [columns[p.name] for p in self.profiles]
        if _OR_NONE.issuperset(map(type, chain.from_iterable(given))):
            with suppress(OverflowError):
                return np.array(given, dtype=np.float64).T, []
        found, misfits = [], []
        for j, p in enumerate(self.profiles):
            floats, unfit = _floats(columns[p.name], p)
            found.append(floats)
            if len(unfit):
                misfits.append((j, unfit))
        return np.stack(found, axis=1), misfits

    def calm(self, values: FloatArray) -> bool:
        """Whether all ``values`` are finite (or so large that it takes a closer look)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(values.sum()))

    def encode(self, values: FloatArray, X: FloatArray) -> None:
        """Fill the columns of ``X`` that encode ``values``; as :meth:`Scaled.apply` does."""
        with np.errstate(over="ignore", invalid="ignore"):
            out = values if self._straight else values[:, self._from]
            out = (out - self._center) / self._scale
            if not np.isfinite(out.sum()):
                for j, encoding in enumerate(self._encodings):
                    out[:, j] = encoding.apply(values[:, self._from[j]])
            else:
                self._draw_in(out)
        X[:, self._to] = out
        for j, to, flag, state in self._flags:
            X[:, to] = flag.apply(state(values[:, j]))

    def _draw_in(self, out: FloatArray) -> None:
        if len(self._heavy):
            out[:, self._heavy] = np.arcsinh(out[:, self._heavy])
        light = out[:, self._light]
        size = np.abs(light)
        if size.max(initial=0.0) > FAR:
            drawn = np.copysign(FAR * (1 + np.log(np.maximum(size, FAR) / FAR)), light)
            out[:, self._light] = np.where(size > FAR, drawn, light)

    def novel(self, values: FloatArray, unfit: np.ndarray) -> np.ndarray:
        """Where training rules out that a value is missing, infinite or no number."""
        missing = np.isnan(values) & self._no_missing & ~unfit
        return np.asarray(missing | (np.isinf(values) & self._no_infinite) | unfit)


class _LookUp:
    """A column whose values repeat: what each means is worked out once."""

    def __init__(self, profile: ColumnProfile, levels: Levels | None, at: slice | None) -> None:
        self.profile, self._levels, self._place = profile, levels, at
        names = [] if levels is None else levels.names
        self._codes = {name: code for code, name in enumerate(names)}
        self._missing, self._other = len(names), len(names) + 1
        if levels is not None:
            columns = levels.of_codes(np.arange(len(names) + 2))
            self._columns = np.array(columns).reshape(len(columns), len(names) + 2).T
        #: Code, novel and unfit of what has been seen: of text, and of the rest by type and value.
        self._text: dict[Any, tuple[int, bool, bool]] = {}
        self._rest: dict[Any, tuple[int, bool, bool]] = {}

    def encode(self, values: _Values, X: FloatArray, novel: Any, unfit: Any) -> None:
        """Fill the columns of ``X`` that encode ``values``, and mark the news among them."""
        if {str}.issuperset(map(type, values)):
            memory, keys = self._text, values
        else:
            values = [to_text(v) if isinstance(v, (list, dict)) else v for v in values]
            memory, keys = self._rest, list(zip(map(type, values), values, strict=True))
        found = list(map(memory.get, keys))
        if None in found:
            learnt = self._learn(keys, values, memory)
            found = [learnt[k] if f is None else f for k, f in zip(keys, found, strict=True)]
        codes, novel[:], unfit[:] = zip(*found, strict=True)
        if self._place is not None and self._columns.size:
            X[:, self._place] = self._columns[list(codes)]

    def _learn(
        self, keys: _Values, values: _Values, memory: dict[Any, Any]
    ) -> dict[Any, tuple[int, bool, bool]]:
        new = {k: v for k, v in zip(keys, values, strict=True) if k not in memory}
        learnt: dict[Any, tuple[int, bool, bool]] = {}
        for kind in dict.fromkeys(map(type, new.values())):
            mine = {k: v for k, v in new.items() if type(v) is kind}
            column = from_values(list(mine.values()))
            typed, unfit = self.profile.typed(column)
            batch = pa.record_batch({self.profile.name: column})
            novel = {i for _, rows, _ in find_novelties(batch, [self.profile], {}) for i in rows}
            misfits = set(unfit.tolist())
            names = labels(typed).to_pylist() if self._levels is not None else repeat(None)
            for i, (key, name) in enumerate(zip(mine, names, strict=False)):
                code = self._missing if name is None else self._codes.get(name, self._other)
                news = code == self._other and self._levels is not None and self._levels.closed
                learnt[key] = (code, news or i in novel, i in misfits)
                # Values from elsewhere must not fill the memory.
                if code != self._other and i not in novel and len(memory) < _REMEMBERED:
                    memory[key] = learnt[key]
        return learnt


class _Times:
    """A column of times; text that comes again, as dates do, is not read again."""

    def __init__(self, profile: ColumnProfile) -> None:
        self._profile = profile
        self._memory: dict[Any, tuple[float, bool]] = {}

    def read(self, values: _Values) -> tuple[FloatArray, np.ndarray]:
        """Seconds since 1970, NaN where there are none, and which are no times."""
        if not {str}.issuperset(map(type, values)):
            return self._read(_array(values))
        found = list(map(self._memory.get, values))
        if None in found:
            new = [v for v in dict.fromkeys(values) if v not in self._memory]
            seconds, wrong = self._read(from_values(new))
            learnt = dict(zip(new, zip(seconds.tolist(), wrong.tolist(), strict=True), strict=True))
            found = [learnt[v] if f is None else f for v, f in zip(values, found, strict=True)]
            if len(self._memory) + len(learnt) > _REMEMBERED:
                self._memory.clear()
            if len(learnt) <= _REMEMBERED:
                self._memory |= {v: f for v, f in learnt.items() if len(v) <= _SHORT}
        seconds, wrong = zip(*found, strict=True)
        return np.array(seconds), np.array(wrong)

    def _read(self, values: pa.Array) -> tuple[FloatArray, np.ndarray]:
        typed, unfit = self._profile.typed(values)
        return number_of(typed), np.isin(np.arange(len(values)), unfit)


def _floats(values: _Values, p: ColumnProfile) -> tuple[FloatArray, IntArray]:
    """Values of a number column as floats, NaN where missing, and positions of misfits."""
    kinds = set(map(type, values))
    if kinds <= _OR_NONE:
        with suppress(OverflowError):
            return np.array(values, dtype=np.float64), np.empty(0, dtype=np.int64)
    plain = kinds == {str} and (p.reading is None or is_plain(p.reading))
    if plain and all(map(_PLAIN, values)):
        return np.array(list(map(float, values))), np.empty(0, dtype=np.int64)
    out = np.full(len(values), np.nan)
    unfit = []
    # Each sort by itself: beside text, Arrow would take numbers for text.
    for kind in kinds - {type(None)}:
        rows = np.array([i for i, v in enumerate(values) if type(v) is kind])
        typed, misfits = p.typed(from_values([values[i] for i in rows]))
        out[rows] = number_of(typed)
        unfit += rows[misfits].tolist()
    return out, np.array(sorted(unfit), dtype=np.int64)


def _array(values: Any) -> pa.Array:
    """As :func:`from_values`, but what a value becomes depends on no other of another type."""
    kinds = set(map(type, values)) - {type(None)}
    mixed = len(kinds) > 1 and not kinds <= _NUMBERS
    return from_values([to_text(v) for v in values] if mixed else list(values))


def _same(a: _Values, b: _Values) -> bool:
    return list(a) == list(b) and list(map(type, a)) == list(map(type, b))
