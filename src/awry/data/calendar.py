"""What day and time of day it is on the wall clock, and which days are holidays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from awry.core.inputs import IntArray
from awry.core.optional import optional

Times = NDArray[np.datetime64]
#: The kind of day a holiday is, after Monday 0 to Sunday 6.
HOLIDAY = 7


def holiday_dates(
    holidays: str | Sequence[Any] | None, first_year: int, last_year: int
) -> NDArray[np.datetime64]:
    """The days off work, shape (k,), ascending.

    Parameters
    ----------
    holidays : str, sequence of dates or None
        A country's ISO code such as ``"DE"``, or with a part of it ``"DE-BY"``, looked up by the
        package ``holidays``; or the days themselves, as dates or ``"2024-12-24"``.
    first_year, last_year : int
        Between which a country's days are listed.

    Raises
    ------
    ValueError
        Where the country is not known or a day is none.

    Examples
    --------
    >>> holiday_dates(["2024-12-25", "2024-01-01"], 2024, 2024)
    array(['2024-01-01', '2024-12-25'], dtype='datetime64[D]')
    """
    if holidays is None:
        days: list[Any] = []
    elif isinstance(holidays, str):
        package = optional("holidays", extra="holidays", needed_by=f"holidays={holidays!r}")
        country, _, part = holidays.upper().partition("-")
        try:
            listed = package.country_holidays(
                country, subdiv=part or None, years=range(first_year, last_year + 1)
            )
        except NotImplementedError as error:
            raise ValueError(
                f"holidays must be a country's ISO code or a list of days, got {holidays!r}"
            ) from error
        days = list(listed)
    else:
        days = list(holidays)
    try:
        return np.unique(np.array(days, dtype="datetime64[D]"))
    except ValueError as error:
        raise ValueError(
            f"holidays must be dates such as '2024-12-24', got {holidays!r}"
        ) from error


def years(times: Times) -> tuple[int, int]:
    """The first and the last year of ascending ``times``."""
    first, last = times[[0, -1]].astype("datetime64[Y]").astype(int) + 1970
    return int(first), int(last)


def day_kinds(times: Times, days_off: NDArray[np.datetime64]) -> IntArray:
    """0 for Mondays to 6 for Sundays and 7 for ``days_off``, shape (T,)."""
    days = times.astype("datetime64[D]")
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday.
    return np.where(np.isin(days, days_off), HOLIDAY, weekday)


def slots(times: Times, minutes: int) -> IntArray:
    """Which stretch of ``minutes`` of the wall-clock day each time lies in, shape (T,)."""
    since_midnight = times.astype("datetime64[s]") - times.astype("datetime64[D]")
    return np.asarray(since_midnight.astype(np.int64) // (60 * minutes))
