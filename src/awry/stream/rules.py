"""Anomalies that are in no single event: many of a kind at once, or a rate that is not usual."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from awry.core.errors import DataError
from awry.core.params import Configurable, any_of, instance, integer, nothing, real
from awry.data.wording import number
from awry.stream.plan import lookup
from awry.stream.records import Judged

#: What is found, as :meth:`awry.stream.episodes.Episodes.add` takes it.
Found = dict[str, Any]


class Rule(Configurable):
    """Base of rules: looks at the events of a partition in order, in memory that does not grow."""

    def start(self) -> Rule:
        """A new one that has seen nothing."""
        made = type(self)(**self.get_params(deep=False))
        made.check_params()
        made._begin()
        return made

    def update(self, judged: Judged) -> list[Found]:
        """What there is in the events that come next."""
        raise NotImplementedError

    def _begin(self) -> None:
        raise NotImplementedError


class Burst(Rule):
    """Many events of a kind within a short time, such as failed logins from many places.

    Found where the last ``count`` events with ``field`` = ``value`` of one ``by`` came within
    ``window`` seconds and held at least ``least`` different values of ``distinct``.

    Parameters
    ----------
    field, value : str
    window : float, default=60
        Seconds of the events' own time.
    count : int, default=20
    by : str, optional
        Field by which events are counted apart; all together by default.
    distinct : str, optional
        Field of which many values are looked for.
    least : int, default=2
    most : int, default=10_000
        Values of ``by`` that are remembered, the latest.
    """

    constraints = {
        "field": instance(str),
        "value": instance(str),
        "window": real(0.0, closed="(]"),
        "count": integer(2, 10_000),
        "by": any_of(nothing(), instance(str)),
        "distinct": any_of(nothing(), instance(str)),
        "least": integer(1),
        "most": integer(1),
    }

    def __init__(
        self,
        field: str,
        value: str,
        window: float = 60.0,
        count: int = 20,
        by: str | None = None,
        distinct: str | None = None,
        least: int = 2,
        most: int = 10_000,
    ) -> None:
        self.field = field
        self.value = value
        self.window = window
        self.count = count
        self.by = by
        self.distinct = distinct
        self.least = least
        self.most = most

    def _begin(self) -> None:
        self.last_: dict[str, list[tuple[float, str]]] = {}

    def update(self, judged: Judged) -> list[Found]:
        found = []
        for i, record in enumerate(judged.records):
            value = lookup(record, self.field)
            if value is None or _text(value) != self.value or not np.isfinite(judged.times[i]):
                continue
            at = float(judged.times[i])
            key = "" if self.by is None else _text(lookup(record, self.by))
            last = self.last_.pop(key, [])
            text = "" if self.distinct is None else _text(lookup(record, self.distinct))
            last = [*last, (at, text)][-self.count :]
            self.last_[key] = last
            if len(self.last_) > self.most:
                self.last_.pop(next(iter(self.last_)))
            within = [text for when, text in last if abs(at - when) <= self.window]
            different = len(set(within))
            if len(within) < self.count or (self.distinct is not None and different < self.least):
                continue
            words = f"{len(within)} times {self.field} = {self.value} within {self.window:g} s"
            words += "" if self.distinct is None else f", {different} different {self.distinct}"
            found.append(
                {
                    "key": key, "place": at, "at": at, "item": int(judged.offsets[i]),
                    "score": len(within) / max(at - last[0][0], 1e-3), "severity": 2,
                    "kind": "collective", "words": words,
                    "reasons": [
                        {"column": self.distinct or self.field, "value": number(different),
                         "typical": f"fewer than {self.count} within {self.window:g} s",
                         "share": 1.0}
                    ],
                }
            )  # fmt: skip
        return found


class Rate(Rule):
    """As many, or as few, events in a window of time as is not usual.

    The count c of each window is held beside the mean m of those before, both after
    ``2 sqrt(· + 3/8)`` (Anscombe 1948), which gives counts that are Poisson's a spread of 1; where
    the counts so far spread wider, in units of that. Then the count is learnt, as if it were no
    farther away than the limit. A late event counts in the window that is open.

    Parameters
    ----------
    window : float, default=60
        Seconds of the events' own time.
    limit : float, default=5
        Units from the mean beyond which a count is an anomaly.
    weight : float, default=0.05
        Share of a new count in mean and spread.
    first : int, default=10
        Windows from which mean and spread begin.
    """

    constraints = {
        "window": real(0.0, closed="(]"),
        "limit": real(0.0, closed="(]"),
        "weight": real(0.0, 1.0, "()"),
        "first": integer(2),
    }

    def __init__(
        self, window: float = 60.0, limit: float = 5.0, weight: float = 0.05, first: int = 10
    ) -> None:
        self.window = window
        self.limit = limit
        self.weight = weight
        self.first = first

    def _begin(self) -> None:
        self.open_: int | None = None
        self.count_ = self.windows_ = 0
        self.mean_, self.var_ = 0.0, 1.0

    def update(self, judged: Judged) -> list[Found]:
        found: list[Found] = []
        for at, offset in zip(judged.times.tolist(), judged.offsets.tolist(), strict=True):
            if not math.isfinite(at):
                continue
            window = math.floor(at / self.window)
            if self.open_ is None:
                self.open_ = window
            # After a pause so long that nothing is known any more, it begins anew.
            if window - self.open_ > 1_000:
                self._begin()
                self.open_ = window
            while self.open_ < window:
                self._end(found, offset)
                self.open_, self.count_ = self.open_ + 1, 0
            self.count_ += 1
        return found

    def _end(self, found: list[Found], offset: int) -> None:
        assert self.open_ is not None
        self.windows_ += 1
        # The first window is not whole.
        if self.windows_ == 1:
            return
        level = 2.0 * math.sqrt(self.count_ + 0.375)
        seen = self.windows_ - 1
        gap = level - self.mean_ if seen > 1 else 0.0
        units = gap / math.sqrt(max(self.var_, 1.0))
        if seen > self.first and abs(units) > self.limit:
            at, usual = (self.open_ + 1) * self.window, (self.mean_ / 2) ** 2
            found.append(
                {
                    "key": "", "place": at, "at": at, "item": offset, "score": abs(units),
                    "severity": 1 if abs(units) < 2 * self.limit else 2, "kind": "rate",
                    "words": f"{self.count_:,} events in {self.window:g} s, usual are {usual:,.0f}",
                    "reasons": [
                        {"column": "events", "value": number(self.count_),
                         "typical": f"{usual:,.0f} in {self.window:g} s", "share": 1.0}
                    ],
                }
            )  # fmt: skip
        if seen > self.first:
            bound = self.limit * math.sqrt(max(self.var_, 1.0))
            gap = min(max(gap, -bound), bound)
        share = max(self.weight, 1.0 / seen)
        self.mean_ = level if seen == 1 else self.mean_ + share * gap
        self.var_ = 1.0 if seen == 1 else (1 - share) * (self.var_ + share * gap * gap)


def make_rule(text: str) -> Rule:
    """A rule from what a person writes.

    Examples
    --------
    >>> make_rule("burst:status=failed,distinct=place,window=60,count=20,least=5").count
    20
    >>> make_rule("rate:window=10")
    Rate(window=10.0)
    """
    kind, _, rest = text.partition(":")
    settings: dict[str, Any] = {}
    kinds: dict[str, type[Rule]] = {"burst": Burst, "rate": Rate}
    if kind not in kinds:
        raise DataError(f"there is no rule {kind!r}", remedy=f"one of {', '.join(kinds)}")
    known = kinds[kind]._get_param_names()
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name in known:
            settings[name] = _setting(name, value)
        elif kind == "burst" and "field" not in settings:
            settings["field"], settings["value"] = name, value
        else:
            raise DataError(f"the rule {kind} has no {name!r}", remedy=f"it has {', '.join(known)}")
    if kind == "burst" and "field" not in settings:
        raise DataError("the rule burst needs FIELD=VALUE")
    return kinds[kind](**settings).start()


def _setting(name: str, value: str) -> Any:
    if name in ("by", "distinct", "field", "value"):
        return value
    try:
        return int(value) if name in ("count", "least", "most", "first") else float(value)
    except ValueError:
        raise DataError(f"{name} must be a number, got {value!r}") from None


def _text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)
