"""When a model is trained anew, on what, and what it must do before it is put in charge."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from awry.core.params import (
    Constraint,
    ParameterError,
    any_of,
    boolean,
    integer,
    listing,
    nothing,
    option,
    real,
)  # fmt: skip

WINDOWS = ("sliding", "full", "reservoir")
_YEAR = 366 * 24


def _is_period(value: Any) -> bool:
    number = real()[1]
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(map(number, value))
        and value[0] <= value[1]
    )


@dataclass(frozen=True)
class Policy:
    """The policy of one model.

    Parameters
    ----------
    every_hours : float, optional
        Train anew so often.
    on_drift : bool
        Train anew when the newest drift report since the last training says so.
    on_performance : bool
        Train anew when people confirm fewer of the recent events than of those before: Fisher's
        exact test at 5 %, a fall of at least 0.1.
    max_false_alarms : float, optional
        Train anew when of the events that people looked at the share of false alarms is larger,
        beyond chance.
    continuous : bool
        Let a copy of the champion learn the new rows (``partial_fit``) in place of training anew.
    min_interval_hours : float
        Between trainings, whatever asks for them.
    window : {"sliding", "full", "reservoir"}
        ``sliding``: the newest rows that were kept, of ``window_hours``; ``full``: all that were
        kept, and what the champion learnt from; ``reservoir``: a uniform sample of all that were
        kept.
    window_hours, max_rows, min_rows
        How much is learnt from; with fewer rows the training is put off.
    max_hour_share : float
        Of the rows learnt from, the most that may come from one hour; where there are too few
        hours, what the champion learnt from fills up.
    max_flagged : float
        An hour in which the champion flagged a larger share is not learnt from at all.
    quarantine : list of [from, until]
        Times, in seconds since 1970, that are not learnt from.
    min_recall, max_known_flagged : float, optional
        Limits on the golden set; those of the settings by default.
    shadow_hours, shadow_rows
        So long, and on so many rows, a new version is tried in the shadow.
    min_agreement, max_alert_rate : float
        What the challenger must keep there, and its limit of the share it flags: where it surely
        does not, it is given up.
    max_latency_ratio : float
        Of its median seconds to the champion's.
    promote : {"person", "policy"}
        Who puts a version in charge that has kept all this.
    watch_hours : float
        So long after a promotion the bounds below are watched, and what breaks one is rolled back.
    live_false_alarms : float
        Share of false alarms among the events of the new champion that people looked at.
    live_alert_rate : float
        Share of rows it flags.
    live_latency_ms : float
        Median over the seconds of the mean time of a request.

    Examples
    --------
    >>> Policy.of({"every_hours": 24, "promote": "policy"}).window
    'sliding'
    """

    every_hours: float | None = None
    on_drift: bool = True
    on_performance: bool = True
    max_false_alarms: float | None = 0.5
    continuous: bool = False
    min_interval_hours: float = 24.0
    window: str = "sliding"
    window_hours: float = 24.0 * 14
    max_rows: int = 50_000
    min_rows: int = 500
    max_hour_share: float = 0.1
    max_flagged: float = 0.1
    quarantine: tuple[tuple[float, float], ...] = ()
    min_recall: float | None = None
    max_known_flagged: float | None = None
    shadow_hours: float = 24.0
    shadow_rows: int = 1_000
    min_agreement: float = 0.9
    max_alert_rate: float = 0.1
    max_latency_ratio: float = 3.0
    promote: str = "person"
    watch_hours: float = 24.0 * 7
    live_false_alarms: float = 0.5
    live_alert_rate: float = 0.1
    live_latency_ms: float = 100.0

    constraints: ClassVar[Mapping[str, Constraint]] = {
        "every_hours": any_of(nothing(), real(0, _YEAR, "(]")),
        "on_drift": boolean(),
        "on_performance": boolean(),
        "max_false_alarms": any_of(nothing(), real(0, 1)),
        "continuous": boolean(),
        "min_interval_hours": real(0, _YEAR),
        "window": option(*WINDOWS),
        "window_hours": real(0, _YEAR, "(]"),
        "max_rows": integer(2, 10_000_000),
        "min_rows": integer(2),
        "max_hour_share": real(0, 1, "(]"),
        "max_flagged": real(0, 1),
        "quarantine": listing(("[from, until]", _is_period)),
        "min_recall": any_of(nothing(), real(0, 1)),
        "max_known_flagged": any_of(nothing(), real(0, 1)),
        "shadow_hours": real(0, _YEAR),
        "shadow_rows": integer(0),
        "min_agreement": real(0, 1),
        "max_alert_rate": real(0, 1),
        "max_latency_ratio": real(0, closed="(]"),
        "promote": option("person", "policy"),
        "watch_hours": real(0, _YEAR),
        "live_false_alarms": real(0, 1),
        "live_alert_rate": real(0, 1),
        "live_latency_ms": real(0, closed="(]"),
    }

    def __post_init__(self) -> None:
        for name, (words, test) in self.constraints.items():
            if not test(getattr(self, name)):
                raise ParameterError(f"Policy: {name} must be {words}, got {getattr(self, name)!r}")
        if self.min_rows > self.max_rows:
            raise ParameterError(
                f"Policy: min_rows must be at most max_rows, {self.max_rows}, got {self.min_rows}"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The policy that plain data says.

        Raises
        ------
        ParameterError
            Where a name is not known, or a value not allowed.
        """
        known = {one.name for one in dataclasses.fields(cls)}
        for name in given:
            if name not in known:
                raise ParameterError(
                    f"Policy: there is no {name!r}, only {', '.join(sorted(known))}"
                )
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return dataclasses.asdict(self)

    def is_quarantined(self, at: float) -> bool:
        """Whether what was judged then is not to be learnt from."""
        return any(start <= at <= end for start, end in self.quarantine)

    def due(self, tried: float) -> float:
        """Hours until the next training is allowed, from ``tried`` on; at most 0 when it is."""
        return self.min_interval_hours - hours_since(tried)


def hours_since(at: float, now: float | None = None) -> float:
    """Hours that have passed since ``at``.

    A time to come was written before the clock was put back: so far away it may lie, but it holds
    nothing up for longer than it would have without.

    Examples
    --------
    >>> hours_since(7200.0, 3600.0), hours_since(3600.0, 7200.0)
    (1.0, 1.0)
    """
    return abs((time.time() if now is None else now) - at) / 3600
