"""What a column is, judged from its name and its values. Every rule says why it decided so.

Names only ever tip the balance where values leave it open: whole numbers that repeat are counts or
codes, and nothing but the name tells which.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

#: Kinds a column can be given by hand; the profile also finds ``constant``, ``empty`` and
#: ``duplicate_of``.
KINDS = ("number", "category", "boolean", "time", "text", "identifier")

#: Share of distinct values from which text counts as naming the rows.
_NAMING = 0.95
#: Fewer rows tell nothing about whether values repeat.
_FEW = 20

_ID = {"id", "ids", "uuid", "guid", "pk", "rowid", "oid", "hash", "sha", "md5"}
_COUNTER = {
    "no", "nr", "num", "number", "index", "idx", "key", "row", "seq", "sequence", "serial",
    "record", "ref", "reference", "unnamed",
}  # fmt: skip
_CODE = _ID | {
    "code", "cd", "zip", "zipcode", "postal", "postcode", "plz", "type", "class", "category",
    "cat", "status", "state", "group", "cluster", "region", "district", "country", "segment",
    "branch", "store", "shop", "merchant", "mcc", "sic", "naics", "port", "protocol", "proto",
    "channel", "gender", "sex", "device", "user", "customer", "account", "terminal",
}  # fmt: skip
_TIME = {
    "time", "date", "datetime", "timestamp", "ts", "epoch", "created", "updated", "modified",
    "at", "when", "day", "start", "end", "since", "until", "dob", "birth", "birthday",
}  # fmt: skip
_PROSE = {
    "comment", "comments", "description", "desc", "message", "msg", "text", "note", "notes",
    "title", "review", "body", "subject", "log", "url", "uri", "query", "agent", "path", "name",
    "address", "headline", "summary", "sms", "content", "request",
}  # fmt: skip

#: Units of time since 1970, by how many make a second.
EPOCHS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_FROM, _UNTIL = 315_532_800.0, 4_102_444_800.0  # 1980 to 2100


def words_of(name: str) -> list[str]:
    """The words a column's name is made of.

    Examples
    --------
    >>> words_of("merchantZipCode"), words_of("user_id2"), words_of("Created At")
    (['merchant', 'zip', 'code'], ['user', 'id'], ['created', 'at'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z]+", " ", name)
    return spaced.lower().split()


def epoch_unit(name: str, low: float, high: float) -> str | None:
    """The unit of time since 1970 that numbers from ``low`` to ``high`` are, if their name says
    that they are times."""
    if _TIME.isdisjoint(words_of(name)):
        return None
    for unit, per_second in EPOCHS.items():
        if low / per_second >= _FROM and high / per_second <= _UNTIL:
            return unit
    return None


def of_number(name: str, stats: dict[str, Any], values: np.ndarray) -> tuple[str, str]:
    """Kind of a column of numbers and why.

    Parameters
    ----------
    stats : dict
        ``present``, ``missing``, ``distinct`` values of ``sampled`` ones, ``unique``, ``whole``,
        ``min``, ``max``.
    values : ndarray of shape (n,)
        The values in order, NaN where missing.
    """
    words = words_of(name)
    last = words[-1] if words else ""
    if stats["distinct"] == 1:
        if stats["missing"]:
            return "category", "there is one value, or none"
        return "constant", "there is one value"
    if stats["distinct"] == 2 and stats["whole"] and (stats["min"], stats["max"]) == (0, 1):
        return "boolean", "0 and 1 are the only values"
    if not stats["whole"]:
        return "number", "values with decimals measure something"
    if stats["unique"]:
        known = values[np.isfinite(values)]
        before, after = known[:-1], known[1:]
        rising = bool((before < after).all() or (before > after).all())
        by_one = rising and stats["max"] - stats["min"] == len(known) - 1
        if last in _ID and stats["present"] >= 5:
            return "identifier", f"no value comes twice, and the name ends in {last!r}"
        if last in _COUNTER and rising and stats["present"] >= 5:
            return "identifier", f"values go up row by row, and the name says {last!r}"
        if by_one and stats["present"] >= _FEW and last != "year":
            return "identifier", "values count the rows"
        return "number", "whole numbers that do not count the rows measure something"
    # Numbered columns (channel1, channel2) hold measurements of many, not the names of one.
    named = last in _CODE and not name.strip()[-1:].isdigit()
    if named and (last in _ID or stats["distinct"] <= max(_FEW, 0.5 * stats["sampled"])):
        return "category", f"whole numbers that repeat, under a name ending in {last!r}, are codes"
    return "number", "whole numbers that repeat are counts, as no name says they are codes"


def of_text(name: str, stats: dict[str, Any]) -> tuple[str, str]:
    """Kind of a column of text and why.

    Parameters
    ----------
    stats : dict
        ``present``, ``missing``, ``distinct``, ``words`` and ``length`` (means),
        ``length_spread`` (standard deviation).
    """
    present, distinct = stats["present"], stats["distinct"]
    words = words_of(name)
    last = words[-1] if words else ""
    if distinct == 1:
        if stats["missing"]:
            return "category", "there is one value, or none"
        return "constant", "there is one value"
    differ = distinct / present
    prose = not _PROSE.isdisjoint(words)
    wordy = stats["words"] >= (3 if prose else 4) or stats["length"] >= (25 if prose else 50)
    # Keys of one length (UUIDs, hashes) have many parts too, but are no prose.
    if wordy and stats["length_spread"] > 0 and differ > 0.2 and distinct > _FEW:
        return "text", "values are long and seldom repeat"
    if differ >= _NAMING and present >= _FEW:
        return "identifier", "hardly a value comes twice"
    if differ >= _NAMING and present >= 5 and last in _ID:
        return "identifier", f"hardly a value comes twice, and the name ends in {last!r}"
    return "category", "values repeat" if distinct < present else "values are short"
