"""Pages of what is newest first, which stay what they are while more comes in."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from awry.ops.errors import UnfitError


@dataclass
class Page:
    """Some rows, and where the next ones are.

    Attributes
    ----------
    rows : list of dict
    next : str or None
        The cursor of the next page; None on the last.
    """

    rows: list[dict[str, Any]]
    next: str | None


def cursor_of(at: float, number: int) -> str:
    """A cursor past the row with this time and id."""
    return base64.urlsafe_b64encode(json.dumps([at, number]).encode()).decode().rstrip("=")


def page(
    query: sa.Select[Any], at: Any, number: Any, cursor: str | None, limit: int
) -> sa.Select[Any]:
    """``query`` for the rows past ``cursor`` by time and id, and one more to know if there are.

    Parameters
    ----------
    at, number : column
        The newest and largest come first.
    """
    if cursor is not None:
        when, last = _read(cursor)
        query = query.where(sa.or_(at < when, sa.and_(at == when, number < last)), at <= when)
    return query.order_by(at.desc(), number.desc()).limit(limit + 1)


def _read(cursor: str) -> tuple[float, int]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        when, last = found
        if not (type(when) is float and math.isfinite(when)):
            raise ValueError("no time")
        if not (type(last) is int and 0 <= last < 2**63):
            raise ValueError("no id")
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UnfitError(
            "is no cursor of this service", field="cursor", remedy="give `next` of the page before"
        ) from None
    return when, last
