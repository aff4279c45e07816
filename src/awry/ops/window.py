"""What a model learns from when it is trained anew, and what is kept from it.

What poisons a model is kept out in three ways, and their bounds add up. Rows that the champion
flagged are not learnt, unless people called them false alarms. An hour of which it flagged more
than ``max_flagged`` is not learnt from at all. And of anomalies it does not flag, no hour brings in
more than ``max_hour_share`` of what is learnt: 30 % of unseen anomalies for an hour are at most 3 %
of the rows, at the default of 0.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from awry.core.inputs import IntArray
from awry.data.tables import as_table
from awry.ops.comparison import wilson
from awry.ops.drift import Drift
from awry.ops.errors import NotFoundError, UnfitError
from awry.ops.keeper import HOUR, Keeper
from awry.ops.policy import Policy
from awry.ops.store import Store
from awry.ops.tables import events, score_rollups


class Learnable(NamedTuple):
    """Rows to learn from, and what was left out, in numbers and words."""

    table: pa.Table
    told: dict[str, Any]
    until: float


def window(
    policy: Policy,
    card: dict[str, Any],
    *,
    store: Store,
    keeper: Keeper,
    drift: Drift,
    now: float,
) -> Learnable:
    """The rows that ``policy`` lets the next version of a model learn from.

    Parameters
    ----------
    card : dict
        Of the champion.

    Raises
    ------
    UnfitError
        Where they are too few.
    """
    model = card["model"]
    since = max(0.0, now - policy.window_hours * HOUR) if policy.window == "sliding" else 0.0
    if policy.continuous:
        since = max(since, card.get("learnt_until") or card["created"])
    rows = keeper.rows(model, since=since, until=now)
    kept, told = _clean(rows, policy, _verdicts(store, model, since), _loud(store, model, policy))
    kept = _limited(kept, policy)
    hours = Counter(row.hour for row in kept)
    anchor = _anchor(drift, card)
    size = 0 if anchor is None else anchor.num_rows
    most, filled = balanced(
        list(hours.values()), policy.max_hour_share, size, everything=policy.window == "full"
    )
    capped = _capped(kept, most)
    told |= {
        "kept": len(capped), "hours": len(hours), "past_hour_share": len(kept) - len(capped),
        "from_before": filled, "window": policy.window,
    }  # fmt: skip
    if len(capped) < policy.min_rows:
        raise UnfitError(
            f"{len(capped):,} rows can be learnt from, {policy.min_rows:,} are wanted "
            f"({words(told)})",
            field="min_rows",
            remedy="wait for more, mark what is normal as false alarms, or change the policy",
        )
    table = as_table([row.row for row in capped])
    columns = [name for name in card["columns"] if name in table.column_names]
    table = table.select(columns)
    if filled and anchor is not None:
        picks = np.sort(np.random.default_rng(0).choice(size, filled, replace=False))
        table = joined(anchor.take(picks), table)
    return Learnable(table, told, max(row.at for row in capped))


def words(told: dict[str, Any]) -> str:
    """What was left out, in words."""
    parts = [
        (told["flagged"], "flagged"), (told["confirmed"], "confirmed as anomalies"),
        (told["quarantined"], "of quarantined times"),
        (told["loud"], f"of {told['loud_hours']} hours with too many alarms"),
        (told["past_hour_share"], "past the share of an hour"),
    ]  # fmt: skip
    left = ", ".join(f"{n:,} {why}" for n, why in parts if n)
    return f"{told['rows']:,} rows were kept" + (f"; left out: {left}" if left else "")


def balanced(
    counts: Sequence[int], share: float, anchor: int, *, everything: bool = False
) -> tuple[int, int]:
    """The most rows to take of each hour, and how many of the ``anchor`` rows besides.

    So many that no hour has more than ``share`` of all; anchor rows are taken where it needs them,
    or all with ``everything``.

    Examples
    --------
    >>> balanced([10] * 20, 0.1, 0)
    (10, 0)
    >>> balanced([100, 100], 0.1, 500)
    (62, 496)
    """
    low, high = 0, max(counts, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= share * (sum(min(n, middle) for n in counts) + anchor) + 1e-9:
            low = middle
        else:
            high = middle - 1
    taken = sum(min(n, low) for n in counts)
    needed = int(np.ceil(low / share - 1e-9)) - taken
    return low, anchor if everything else min(anchor, max(0, needed))


def joined(first: pa.Table, second: pa.Table) -> pa.Table:
    """Both tables' rows, of the columns both have; where types differ, as text."""
    names = [name for name in second.column_names if name in first.column_names]
    parts: list[list[Any]] = [[], []]
    for name in names:
        pair = [first[name], second[name]]
        if pair[0].type != pair[1].type:
            numeric = all(pa.types.is_integer(c.type) or pa.types.is_floating(c.type) for c in pair)
            to = pa.float64() if numeric else pa.string()
            pair = [column.cast(to, safe=False) for column in pair]
        for part, column in zip(parts, pair, strict=True):
            part.append(column)
    return pa.concat_tables([pa.table(part, names=names) for part in parts])


def _anchor(drift: Drift, card: dict[str, Any]) -> pa.Table | None:
    try:
        table = drift.learnt(card["model"], card["version"])
    except NotFoundError:
        return None
    return table.select([name for name in card["columns"] if name in table.column_names])


class _Said(NamedTuple):
    """Of an event that people gave a verdict on: when, and which rows it is of."""

    start: float
    end: float
    item: str | None
    key: str | None

    def covers(self, row: Any) -> bool:
        """Whether ``row`` is of the event: of one item that one, of several those of its key."""
        if not self.start <= row.at <= self.end:
            return False
        if self.item is not None:
            return bool(row.item == self.item)
        return self.key is None or self.key in map(str, row.row.values())


class _Verdicts(NamedTuple):
    confirmed: list[_Said]
    false: list[_Said]


def _verdicts(store: Store, model: str, since: float) -> _Verdicts:
    e = events.c
    query = sa.select(e.start, e.end, e.verdict, e["items"].label("n"), e.peak, e.key).where(
        e.model == model, e.end >= since, e.verdict.is_not(None)
    )
    said: dict[str, list[_Said]] = {"confirmed": [], "false_alarm": []}
    with store.read() as connection:
        for row in connection.execute(query):
            item = row.peak if row.n == 1 else None
            said[row.verdict].append(_Said(row.start, row.end, item, row.key))
    return _Verdicts(said["confirmed"], said["false_alarm"])


def _loud(store: Store, model: str, policy: Policy) -> set[int]:
    """The hours in which the champion flagged too many rows of any one source.

    Each by itself: of a stream under attack, the many calm rows of a job say nothing.
    """
    t = score_rollups.c
    query = (
        sa.select(t.hour, sa.func.sum(t.rows).label("rows"), sa.func.sum(t.flagged).label("odd"))
        .where(t.model == model, t.role == "champion")
        .group_by(t.hour, t.source)
    )
    with store.read() as connection:
        # PostgreSQL adds integers up to decimals.
        hours = [tuple(map(int, row)) for row in connection.execute(query)]
    # One alarm among three rows may be chance.
    return {hour for hour, n, odd in hours if wilson(odd, n)["low"] > policy.max_flagged}


def _clean(
    rows: list[Any], policy: Policy, said: _Verdicts, loud: set[int]
) -> tuple[list[Any], dict[str, Any]]:
    left: Counter[str] = Counter()
    kept, loud_hours = [], set()
    for row in rows:
        excused = any(one.covers(row) for one in said.false)
        if policy.is_quarantined(row.at):
            left["quarantined"] += 1
        elif row.severity > 0 and any(one.covers(row) for one in said.confirmed):
            left["confirmed"] += 1
        elif row.hour in loud and not excused:
            left["loud"] += 1
            loud_hours.add(row.hour)
        elif row.severity > 0 and not excused:
            left["flagged"] += 1
        else:
            kept.append(row)
    names = ("quarantined", "confirmed", "loud", "flagged")
    told = {"rows": len(rows), **{name: left[name] for name in names}}
    return kept, told | {"loud_hours": len(loud_hours)}


def _limited(rows: list[Any], policy: Policy) -> list[Any]:
    """No more rows than ``max_rows``: the newest, or a uniform sample by their priorities."""
    if len(rows) <= policy.max_rows:
        return rows
    if policy.window == "sliding":
        return rows[-policy.max_rows :]
    floor = sorted((row.priority for row in rows), reverse=True)[policy.max_rows - 1]
    return [row for row in rows if row.priority >= floor][: policy.max_rows]


def _capped(rows: list[Any], most: int) -> list[Any]:
    """Of each hour the rows of the highest priorities, in their order."""
    if not rows:
        return rows
    hour: IntArray = np.array([row.hour for row in rows])
    priority = np.array([row.priority for row in rows])
    order = np.lexsort((-priority, hour))
    ranked = hour[order]
    first = np.searchsorted(ranked, ranked)
    chosen = np.sort(order[np.arange(len(rows)) - first < most])
    return [rows[i] for i in chosen.tolist()]
