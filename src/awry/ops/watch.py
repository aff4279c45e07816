"""What is known of a champion in use: what asks for another version, or for the one before.

Each answer is a reason in words, or None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.drift.monitor import performance_drift
from awry.ops.comparison import wilson
from awry.ops.policy import Policy, hours_since
from awry.ops.store import Store
from awry.ops.tables import drift_reports, events, judgements, promotions

#: Fewer verdicts, rows or judgements tell nothing.
_VERDICTS, _ROWS, _SECONDS = 5, 100, 10
#: Judgements looked at, the newest.
_LOOKED_AT = 10_000


def wanted(store: Store, policy: Policy, model: str, tried: float) -> str | None:
    """Why ``model`` is to be trained anew; ``tried`` is when it was last."""
    hours = hours_since(tried)
    if policy.every_hours is not None and hours >= policy.every_hours:
        return f"{hours:,.0f} hours have passed, {policy.every_hours:g} are the rule"
    if policy.on_drift and (words := _drifted(store, model, tried)):
        return words
    verdicts = _verdicts(store, model)
    if policy.max_false_alarms is not None:
        recent = [false for at, false in verdicts if at >= tried]
        if words := _too_many_false(recent, policy.max_false_alarms):
            return words
    return _worse(verdicts, tried) if policy.on_performance else None


def broken(store: Store, policy: Policy, model: str, version: int, now: float) -> str | None:
    """Which bound of ``policy`` the champion ``version`` has left since it was promoted."""
    with store.read() as connection:
        done = connection.execute(
            sa.select(promotions.c.version, promotions.c.at)
            .where(promotions.c.model == model, promotions.c.undone.is_(False))
            .order_by(promotions.c.id.desc())
            .limit(2)
        ).all()
    # Without another one before it, there is nothing to go back to.
    if len(done) < 2 or done[0].version != version or done[1].version == version:
        return None
    since = done[0].at
    if now - since > policy.watch_hours * 3600:
        return None
    false = [odd for _, odd in _verdicts(store, model, version=version, since=since)]
    return (
        _too_many_false(false, policy.live_false_alarms)
        or _too_loud(store, policy, model, version, since)
        or _too_slow(store, policy, model, version, since)
    )


def _too_many_false(false: list[bool], most: float) -> str | None:
    share = wilson(sum(false), len(false))
    if len(false) < _VERDICTS or share["low"] <= most:
        return None
    return (
        f"{sum(false)} of {len(false)} events that people looked at were false alarms, "
        f"{most:.0%} is the bound"
    )


def _too_loud(store: Store, policy: Policy, model: str, version: int, since: float) -> str | None:
    j = judgements.c
    query = sa.select(sa.func.sum(j.rows), sa.func.sum(j.flagged)).where(
        *_live(model, version, since)
    )
    with store.read() as connection:
        rows, flagged = (int(n or 0) for n in connection.execute(query).one())
    share = wilson(flagged, rows)
    if rows < _ROWS or share["low"] <= policy.live_alert_rate:
        return None
    return (
        f"{flagged:,} of {rows:,} rows were flagged since it was promoted "
        f"({share['value']:.1%}), {policy.live_alert_rate:.1%} is the bound"
    )


def _too_slow(store: Store, policy: Policy, model: str, version: int, since: float) -> str | None:
    j = judgements.c
    query = (
        sa.select(j.seconds)
        .where(*_live(model, version, since), j.seconds.is_not(None), j.origin == "request")
        .order_by(j.at.desc())
        .limit(_LOOKED_AT)
    )
    with store.read() as connection:
        seconds = list(connection.scalars(query))
    if len(seconds) < _SECONDS:
        return None
    found = 1e3 * float(np.median(seconds))
    if found <= policy.live_latency_ms:
        return None
    return (
        f"requests take {found:,.1f} ms since it was promoted, {policy.live_latency_ms:g} ms is "
        "the bound"
    )


def _live(model: str, version: int, since: float) -> tuple[sa.ColumnElement[bool], ...]:
    j = judgements.c
    return (j.model == model, j.version == version, j.at >= since, j.role == "champion")


def _drifted(store: Store, model: str, tried: float) -> str | None:
    d = drift_reports.c
    query = (
        sa.select(d.report)
        .where(d.source == model, d.model == model, d.at > tried)
        .order_by(d.at.desc())
        .limit(1)
    )
    with store.read() as connection:
        report = connection.scalar(query)
    if report is None or not report["drifted"]:
        return None
    moved = [f["feature"] for f in report["features"] if f["drifted"]]
    named = ", ".join(moved[:5]) if moved else "the scores"
    return f"what requests ask has drifted from what it learnt: {named}"


def _verdicts(
    store: Store, model: str, *, version: int | None = None, since: float = 0.0
) -> list[tuple[float, bool]]:
    """When events were, and whether they were false alarms, of those people looked at."""
    e = events.c
    query = sa.select(e.start, e.verdict).where(
        e.model == model, e.verdict.is_not(None), e.start >= since
    )
    if version is not None:
        query = query.where(e.version == version)
    with store.read() as connection:
        rows = connection.execute(query.order_by(e.start.desc()).limit(_LOOKED_AT)).all()
    return [(row.start, row.verdict == "false_alarm") for row in rows]


def _worse(verdicts: list[tuple[float, bool]], tried: float) -> str | None:
    """Whether fewer of the events since ``tried`` were confirmed than before."""
    before = [not false for at, false in verdicts if at < tried]
    now = [not false for at, false in verdicts if at >= tried]
    if min(len(before), len(now)) < _VERDICTS:
        return None
    # All were flagged, so that precision is what can fall.
    found = performance_drift(before, [True] * len(before), now, [True] * len(now), min_effect=0.1)
    change = next(one for one in found if one.name == "precision")
    if not change.drifted:
        return None
    return (
        f"people confirm {change.now:.0%} of the events since the last training, before they "
        f"confirmed {change.before:.0%}"
    )


def judged(policy: Policy, comparison: dict[str, Any]) -> tuple[bool | None, str]:
    """Whether a challenger has kept what ``policy`` asks of the shadow, and why.

    None: too early to say.
    """
    agreement = comparison["agreement"]
    rate = comparison["alert_rate"]["challenger"]
    times = comparison["latency_ms"]
    rows = comparison["rows"]
    if rows:
        if agreement["high"] < policy.min_agreement:
            return False, (
                f"it agrees with the champion on {agreement['value']:.1%} of {rows:,} rows, "
                f"{policy.min_agreement:.1%} is the bound"
            )
        if rate["low"] > policy.max_alert_rate:
            return False, (
                f"it flags {rate['value']:.1%} of {rows:,} rows, {policy.max_alert_rate:.1%} is "
                "the bound"
            )
    if times["requests"] >= _SECONDS:
        own, other = (times[who]["p50"] for who in ("challenger", "champion"))
        if own["low"] > policy.max_latency_ratio * other["high"]:
            return False, (
                f"a request takes it {own['value']:.2f} ms, the champion {other['value']:.2f} ms; "
                f"{policy.max_latency_ratio:g} times that is the bound"
            )
    hours = hours_since(comparison["since"])
    if hours < policy.shadow_hours or rows < policy.shadow_rows:
        return None, (
            f"it was tried for {hours:,.1f} of {policy.shadow_hours:g} hours on {rows:,} of "
            f"{policy.shadow_rows:,} rows"
        )
    return True, (
        f"on {rows:,} rows in {hours:,.1f} hours it agrees with the champion on "
        f"{agreement['value']:.1%} and flags {rate['value']:.2%}"
    )
