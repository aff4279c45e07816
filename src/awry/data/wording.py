"""Numbers and times in the words a person reads."""

from __future__ import annotations

import datetime
import math


def number(value: float, unit: tuple[str, str] = ("", "")) -> str:
    """``value`` to four digits, with thousands separated; ``unit`` stands before and behind.

    Examples
    --------
    >>> number(9200.0), number(0.012345), number(3.0), number(1.5e12), number(12.5, ("$", ""))
    ('9,200', '0.01235', '3', '1.5e+12', '$12.5')
    """
    if not math.isfinite(value):
        text = "missing" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    elif value == 0 or 1e-4 <= abs(value) < 1e9:
        digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.4g}"
    return f"{unit[0]}{text}{unit[1]}"


def share(value: float) -> str:
    """A share from 0 to 1 in per cent.

    Examples
    --------
    >>> share(0.5), share(0.0123), share(0.00002), share(1.0)
    ('50 %', '1.2 %', '<0.1 %', '100 %')
    """
    percent = 100 * value
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 9.95 and percent % 1 else f"{percent:.0f} %"


def moment(seconds: float, zone: str | None = None, *, dates_only: bool = False) -> str:
    """Seconds since 1970 as a date and, unless ``dates_only``, a time.

    Examples
    --------
    >>> moment(1700000000.0, "UTC")
    '2023-11-14 22:13:20 UTC'
    """
    try:
        when = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return f"{seconds:.4g} s after 1970"
    if dates_only:
        return f"{when:%Y-%m-%d}"
    return f"{when:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + (f" {zone}" if zone else "")


def cut(text: str, most: int = 40) -> str:
    """``text`` on one line, cut after ``most`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
