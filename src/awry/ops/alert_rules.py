"""Rules of alerts: what is looked for, how often it is told, and when it is not."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from awry.core.params import Constraint, integer, option, real
from awry.ops.errors import UnfitError
from awry.ops.names import check_name
from awry.result import SEVERITIES

KINDS = ("event", "rate", "no_data", "drift", "stale")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 86_400.0
_YEAR = 366 * _DAY
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
#: Rules a service has at most.
MOST = 1_000

_LIMITS: dict[str, Constraint] = {
    "kind": option(*KINDS),
    "severity": option(*SEVERITIES[1:]),
    "at_least": option(*SEVERITIES[1:]),
    "always": option(*SEVERITIES[1:]),
    "window": real(1, _YEAR),
    "baseline": real(1, 31 * _DAY),
    "least": integer(1, 10**9),
    "cooldown": real(0, _YEAR),
    "repeat": real(0, _YEAR),
    "escalate_after": real(0, _YEAR),
}


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """Hours in which nothing is told, but for what is grave.

    Parameters
    ----------
    start, end : str
        ``"22:00"`` and ``"07:00"``; one that ends before it starts ends the day after, and one
        that ends when it starts takes the whole day.
    zone : str
        Such as ``"Europe/Berlin"``; its clock changes count.
    days : sequence of str
        Days on which it starts.

    Examples
    --------
    >>> night = Quiet(start="22:00", end="07:00", zone="Europe/Berlin", days=("fri",))
    >>> night.covers(datetime.fromisoformat("2024-03-02T05:30:00+00:00").timestamp())
    True
    """

    start: str
    end: str
    zone: str = "UTC"
    days: tuple[str, ...] = DAYS

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            _minutes(getattr(self, name), name)
        if not set(self.days) <= set(DAYS):
            raise UnfitError("is no list of days", field="days", remedy="such as mon, tue")
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, LookupError):
            raise UnfitError(
                "is no time zone this machine knows", field="zone", remedy="such as Europe/Berlin"
            ) from None

    def covers(self, now: float) -> bool:
        """Whether it is quiet at ``now``, in seconds since 1970."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        at = local.hour * 60 + local.minute
        start, end = _minutes(self.start, "start"), _minutes(self.end, "end")
        today, yesterday = (
            DAYS[day.weekday()] in self.days for day in (local, local - timedelta(days=1))
        )
        if start < end:
            return today and start <= at < end
        return (today and at >= start) or (yesterday and at < end)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Parameters
    ----------
    name : str
    kind : str
        ``event``: at least ``least`` events as grave as ``at_least`` in the window.
        ``rate``: of at least ``least`` rows judged in the window, more than ``threshold`` were
        flagged, and where ``times`` is given, more than so many times the share of the ``baseline``
        seconds before.
        ``no_data``: nothing was judged in the window that was judged in the week before.
        ``drift``: the newest report of the window says that features have moved.
        ``stale``: the version in charge is older than the window.
    source, model : str, optional
        Only this data set or stream, only this model; by default each one by itself.
    window : float
        Seconds that are looked at.
    severity : str
        Of the alert; that of the gravest event for the kind ``event``.
    cooldown : float
        Seconds for which an alert that fired is not told again, however often it comes and goes.
    repeat : float
        Seconds after which an alert that still fires, and that nobody acknowledged, is told again;
        0 for never.
    escalate_after : float
        Seconds after which it is told to ``escalate_to``; 0 for never.
    sinks, escalate_to : sequence of str
        Names of sinks; by default all.
    quiet : sequence of Quiet
        Hours in which it is kept until they are over, unless it is as grave as ``always``.
    """

    name: str
    kind: str
    source: str | None = None
    model: str | None = None
    window: float = 900.0
    at_least: str = "warning"
    least: int | None = None
    threshold: float | None = None
    times: float | None = None
    baseline: float = 3_600.0
    severity: str = "warning"
    cooldown: float = 3_600.0
    repeat: float = 14_400.0
    escalate_after: float = 0.0
    escalate_to: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    always: str = "emergency"
    enabled: bool = True

    def __post_init__(self) -> None:
        check_name(self.name)
        for name, (words, test) in _LIMITS.items():
            value = getattr(self, name)
            if not (test(value) or (name == "least" and value is None)):
                raise UnfitError(f"must be {words}", field=name)
        for name, (words, test) in (
            ("threshold", real(0, 1)),
            ("times", real(1, 1e6)),
        ):
            value = getattr(self, name)
            if value is not None and not test(value):
                raise UnfitError(f"must be {words}", field=name)
        if self.kind == "rate" and self.threshold is None and self.times is None:
            raise UnfitError(
                "is missing", field="threshold", remedy="give threshold, times or both"
            )

    @classmethod
    def load(cls, plain: Mapping[str, Any]) -> Self:
        """The rule of plain data.

        Raises
        ------
        UnfitError
            Where it is none.
        """
        given = dict(plain)
        try:
            given["quiet"] = tuple(
                Quiet(**q | {"days": tuple(q.get("days") or DAYS)}) for q in given.get("quiet", ())
            )
            for name in ("sinks", "escalate_to"):
                given[name] = tuple(given.get(name, ()))
            return cls(**given)
        except (TypeError, AttributeError) as error:
            raise UnfitError(f"is no rule: {error}", field="rules") from None

    def save(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    @property
    def enough(self) -> int:
        """Events, or rows, below which the rule says nothing."""
        return self.least or (100 if self.kind == "rate" else 1)

    def hushed(self, now: float, severity: int) -> bool:
        """Whether an alert so grave is not to be told at ``now``."""
        grave = severity >= SEVERITIES.index(self.always)
        return not grave and any(quiet.covers(now) for quiet in self.quiet)


def _minutes(text: str, field: str) -> int:
    """Minutes since midnight of ``text``, such as ``07:30``."""
    if _TIME.match(text):
        return int(text[:2]) * 60 + int(text[3:])
    raise UnfitError("is no time of the day", field=field, remedy="such as 07:30")
