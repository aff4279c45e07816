"""Records with any fields as rows of numbers on one scale, learnt as they come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np

from awry.core.errors import DataError, ModelError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable, any_of, instance, integer, listing, nothing, real
from awry.data.tables import flatten
from awry.kernels import online_scale

Record = dict[str, Any]
#: Bound of a scaled value: what is farther out is equally far out.
_FAR = 1e6


class Fields(Configurable):
    """Which fields are judged, and each record as a row (d,) of numbers around 0.

    - Numbers and booleans are values; text that reads as a number is one.
    - Other text is how rare it is: ``log2`` of all records over those with this text so far.
    - Null, NaN, infinite, missing or of the wrong kind: the typical value, 0 once scaled. It
      changes nothing that is learnt.
    - Fields inside of objects have names with dots; lists are not looked at.
    - A field that was not there in the first records is not judged; ``unknown_`` counts these.
      Neither is one that only rose or is a time, or is another text in most records.

    Values are scaled by a mean and a standard deviation that follow the stream, each record being
    scaled before it is learnt, and a far one learnt as if it were less far.

    Parameters
    ----------
    names : list of str, optional
        Fields to judge, each of which then is, from the first record on.
    ignore : list of str, default=()
        Fields not to judge, such as the key.
    weight : float, default=0.001
        Share of a new record in the scale.
    clip : float, default=5.0
        Standard deviations at which a value is learnt when it is farther.
    max_texts : int, default=10_000
        Texts of one field that are counted; when there are more, the rarer half is forgotten.

    Attributes
    ----------
    numbers_, texts_ : list of str
        Fields of either kind; columns are in this order.
    last : pair of ndarrays of shape (n, d)
        The latest records' values, and the means they were held against.
    """

    transient = ("_known", "last")

    constraints = {
        "names": any_of(nothing(), listing(instance(str))),
        "ignore": listing(instance(str)),
        "weight": real(0.0, 1.0, "()"),
        "clip": real(0.0, None, "()"),
        "max_texts": integer(2),
    }

    def __init__(
        self,
        names: list[str] | None = None,
        ignore: Sequence[str] = (),
        weight: float = 1e-3,
        clip: float = 5.0,
        max_texts: int = 10_000,
    ) -> None:
        self.names = names
        self.ignore = ignore
        self.weight = weight
        self.clip = clip
        self.max_texts = max_texts

    def fit(self, records: Sequence[Record], extra: FloatArray | None = None) -> FloatArray:
        """Learn what the fields are and their scales; the records' rows (n, d + extra).

        Parameters
        ----------
        extra : ndarray of shape (n, e), optional
            Columns beside those of the records, scaled like them.
        """
        self.check_params()
        flat = [flatten(record) for record in records]
        seen = dict.fromkeys(name for record in flat for name in record)
        if self.names and seen.keys().isdisjoint(self.names):
            raise DataError(
                f"none of the first {len(records):,} events has a field {' or '.join(self.names)}",
                remedy=f"name some of {', '.join(list(seen)[:12])} with --fields",
            )
        wanted = self.names if self.names is not None else [n for n in seen if n not in self.ignore]
        self.numbers_: list[str] = []
        self.texts_: list[str] = []
        for name in wanted:
            kind = _kind([record.get(name) for record in flat], keep=self.names is not None)
            if kind:
                (self.numbers_ if kind == "number" else self.texts_).append(name)
        self.nested_ = any("." in n for n in (*self.numbers_, *self.texts_)) and any(
            isinstance(v, dict) for record in records for v in record.values()
        )
        self.known_ = sorted({*seen, *self.ignore, *self.numbers_, *self.texts_})
        self.unknown_: dict[str, int] = {}
        self.counts_: list[dict[str, float]] = [{} for _ in self.texts_]
        self.totals_ = [0.0 for _ in self.texts_]
        X = self._values(records, extra)
        if X.shape[1] == 0:
            raise DataError(
                "no field of the first records can be judged",
                remedy="name fields with --fields, or judge by --key",
            )
        self._start(X)
        return self._scaled(X)

    def transform(self, records: Sequence[Record], extra: FloatArray | None = None) -> FloatArray:
        """The rows of the records that come next, each scaled before it is learnt."""
        X = self._values(records, extra)
        if X.shape[1] != self.width:
            raise ModelError(
                f"the scales are of {self.width} columns, the records have {X.shape[1]}"
            )
        return self._scaled(X)

    @property
    def width(self) -> int:
        """Columns of a row, the extra ones included."""
        return self.mean_.size

    def columns(self) -> list[str]:
        """Names of the columns, without the extra ones."""
        return [*self.numbers_, *self.texts_]

    # -- inner workings ---------------------------------------------------------------------------

    def _start(self, X: FloatArray) -> None:
        known = np.where(np.isfinite(X), X, np.nan)
        empty = np.isnan(known).all(axis=0)
        known[:, empty] = 0.0
        self.mean_ = np.nanmedian(known, axis=0)
        spread = 1.4826 * np.nanmedian(np.abs(known - self.mean_), axis=0)
        # Where more than half are the same: the standard deviation, or what is left to go by.
        wide = np.nanstd(known, axis=0)
        spread = np.where(spread > 0, spread, wide)
        least = 1e-9 * np.maximum(1.0, np.abs(self.mean_))
        self.var_ = np.maximum(spread, np.where(wide > 0, least, 1.0)) ** 2
        # The start counts as half of what it was learnt from: it is not learnt twice in full.
        self.seen_ = np.full(X.shape[1], 0.5 * len(X))

    def _scaled(self, X: FloatArray) -> FloatArray:
        out, usual = np.empty_like(X), np.empty_like(X)
        online_scale.run(
            X, self.mean_, self.var_, self.seen_, self.weight, self.clip, _FAR, out, usual
        )
        self.last = X, usual
        return out

    def _values(self, records: Sequence[Record], extra: FloatArray | None) -> FloatArray:
        if self.nested_:
            records = [flatten(record) for record in records]
        self._count_unknown(records)
        parts = [self._numbers(records), self._rarity(records)]
        return np.hstack(parts if extra is None else [*parts, extra])

    def _numbers(self, records: Sequence[Record]) -> FloatArray:
        X = np.empty((len(records), len(self.numbers_)))
        for j, name in enumerate(self.numbers_):
            X[:, j] = _column(records, name)
        return X

    def _rarity(self, records: Sequence[Record]) -> FloatArray:
        out = np.full((len(records), len(self.texts_)), np.nan)
        for j, name in enumerate(self.texts_):
            counts, total = self.counts_[j], self.totals_[j]
            for i, record in enumerate(records):
                text = record.get(name)
                if text is None or isinstance(text, (list, dict)):
                    continue
                text = str(text)
                count = counts.get(text, 0.0)
                out[i, j] = math.log2((total + 1.0) / (count + 0.5))
                counts[text] = count + 1.0
                total += 1.0
                if len(counts) > self.max_texts:
                    kept = sorted(counts.items(), key=lambda pair: -pair[1])
                    self.counts_[j] = counts = dict(kept[: self.max_texts // 2])
            self.totals_[j] = total
        return out

    def _count_unknown(self, records: Sequence[Record]) -> None:
        known = self.known_set
        for record in records:
            if not record.keys() <= known:
                for name in record.keys() - known:
                    # So many names are told one by one; a stream can invent more.
                    if name in self.unknown_ or len(self.unknown_) < 100:
                        self.unknown_[name] = self.unknown_.get(name, 0) + 1

    @property
    def known_set(self) -> set[str]:
        if not hasattr(self, "_known"):
            self._known = {*self.known_, *(name.partition(".")[0] for name in self.known_)}
        return self._known


def _column(records: Sequence[Record], name: str) -> FloatArray:
    """A field's numbers, NaN for what is none."""
    # The first is quick, and enough where all records have the field.
    for values in (map(itemgetter(name), records), (record.get(name) for record in records)):
        try:
            return np.fromiter(values, dtype=np.float64, count=len(records))
        except (KeyError, ValueError, TypeError, OverflowError):
            continue
    return np.array([_number(record.get(name)) for record in records])


def _number(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return math.nan


def _kind(values: list[Any], *, keep: bool) -> str | None:
    """``number``, ``text`` or None for a field that is not judged."""
    there = [v for v in values if v is not None and not isinstance(v, (list, dict))]
    if not there:
        return "number" if keep else None
    numbers = np.array([_number(v) for v in there])
    if np.isfinite(numbers).mean() >= 0.5:
        numbers = numbers[np.isfinite(numbers)]
        # A number that only rises counts events or tells their time.
        counter = len(numbers) > 2 and bool((np.diff(numbers) > 0).all())
        return "number" if keep or not counter else None
    texts = {str(v) for v in there}
    # So do times; and names that are other ones each time say nothing.
    told = len(texts) * 2 <= len(there) and not all(map(_is_time, texts))
    return "text" if keep or told else None


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
