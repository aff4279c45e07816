"""JSON rows that hold the same columns in the same order, and numbers in all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from awry.core.inputs import FloatArray, IntArray
from awry.kernels.decimals import double_of

_OPEN, _CLOSE, _BEGIN, _END, _COMMA, _COLON, _POINT, _MINUS, _PLUS, _E, _BIG_E, _NOUGHT, _NINE = (
    b"[]{},:.-+eE09"
)
_NULL = np.frombuffer(b"null", np.uint8)
#: Places are unsigned, which spares a look at each whether it counts from the end. What cannot be
#: read ends at the last place, the bracket around all, at which nothing goes on.
_ONE = np.uint64(1)
#: Digits that always fit into 64 bits, and those of an exponent.
_DIGITS, _FEW = np.uint64(19), np.uint64(3)
_TEN, _BASE = np.uint64(10), np.uint64(48)


class Keys(NamedTuple):
    """The columns' names as JSON, one after the other, and where each ends."""

    text: np.ndarray
    ends: IntArray

    @classmethod
    def of(cls, names: Sequence[str]) -> Keys:
        """Of ``names``, written as most programs write them."""
        quoted = [json.dumps(name, ensure_ascii=False).encode() for name in names]
        ends = np.cumsum([0, *map(len, quoted)])
        return cls(np.frombuffer(b"".join(quoted), np.uint8), ends)


def read_rows(body: bytes, keys: Keys) -> tuple[FloatArray, int, int] | None:
    """The first array in ``body``, where all in it are rows as the module says.

    Returns
    -------
    tuple or None
        The values, shape (n, m), NaN for null; where the array begins in ``body``, and where it
        has ended. None where anything is out of the ordinary: it says nothing about the body.

    Examples
    --------
    >>> read_rows(b'{"data": [{"a": 1, "b": null}, {"a": -2.5e1, "b": 4}]}', Keys.of("ab"))
    (array([[  1.,  nan],
           [-25.,   4.]]), 9, 53)
    >>> read_rows(b'{"data": [{"a": 1, "b": "x"}]}', Keys.of("ab")) is None
    True
    """
    begin = body.find(b"[")
    if not 0 <= begin < body.rfind(b"}") or len(keys.ends) < 2:
        return None
    columns = len(keys.ends) - 1
    # As many as fit: of memory that is not written to there is none.
    out = np.empty((len(body) // int(keys.ends[-1] + 3 * columns + 2) + 1, columns))
    text = np.frombuffer(body, np.uint8)[: body.rfind(b"}") + 1]
    rows, end = _read(text, np.uint64(begin + 1), *keys, out)
    return (out[:rows], begin, int(end)) if rows else None


@njit(cache=True, nogil=True)
def _read(text, at, keys, ends, out):  # type: ignore[no-untyped-def]
    """Fill ``out``; how many rows there are, and where they have ended."""
    columns = len(ends) - 1
    for i in range(len(out)):
        at = _after(text, at, _BEGIN)
        for j in range(columns):
            at = _after_word(text, _blank(text, at), keys, ends[j], ends[j + 1])
            out[i, j], at = _number(text, _blank(text, _after(text, at, _COLON)))
            at = _after(text, at, _COMMA if j < columns - 1 else _END)
        at = _blank(text, at)
        if text[at] == _CLOSE:
            return i + 1, at + _ONE
        at = _after(text, at, _COMMA)
        if at == _nowhere(text):
            break
    return 0, at


@njit(cache=True, nogil=True)
def _nowhere(text):  # type: ignore[no-untyped-def]
    return np.uint64(len(text) - 1)


@njit(cache=True, nogil=True)
def _blank(text, at):  # type: ignore[no-untyped-def]
    """The first place from ``at`` on that is not blank."""
    while text[at] == 32 or 9 <= text[at] <= 10 or text[at] == 13:
        at += _ONE
    return at


@njit(cache=True, nogil=True)
def _after(text, at, character):  # type: ignore[no-untyped-def]
    """The place after ``character``, before which there may be blanks."""
    at = _blank(text, at)
    return at + _ONE if text[at] == character and at < _nowhere(text) else _nowhere(text)


@njit(cache=True, nogil=True)
def _after_word(text, at, words, first, last):  # type: ignore[no-untyped-def]
    """The place after the word ``words[first:last]``."""
    begin, size = np.uint64(first), np.uint64(last - first)
    if at + size > _nowhere(text):
        return _nowhere(text)
    other = np.uint8(0)
    for k in range(size):  # all of it, side by side: most words are as they should be
        other |= text[at + k] ^ words[begin + k]
    return _nowhere(text) if other else at + size


@njit(cache=True, nogil=True)
def _digits(text, at, found):  # type: ignore[no-untyped-def]
    """``found`` with the digits from ``at`` on behind it, and where these end."""
    while _NOUGHT <= text[at] <= _NINE:
        found = found * _TEN + (np.uint64(text[at]) - _BASE)
        at += _ONE
    return found, at


@njit(cache=True, nogil=True)
def _number(text, at):  # type: ignore[no-untyped-def]
    """The number, or null, at ``at``, and the place after it."""
    failed = (0.0, _nowhere(text))
    if text[at] == _NULL[0]:
        return np.nan, _after_word(text, at, _NULL, 0, len(_NULL))
    negative = text[at] == _MINUS
    start = at + _ONE if negative else at
    found, at = _digits(text, start, np.uint64(0))
    if at == start or (text[start] == _NOUGHT and at > start + _ONE):
        return failed
    exponent = 0
    if text[at] == _POINT:
        point = at + _ONE
        found, at = _digits(text, point, found)
        if at == point:
            return failed
        exponent = -np.int64(at - point)
    if at - start > _DIGITS:
        while start < at and (text[start] == _NOUGHT or text[start] == _POINT):
            start += _ONE  # of no weight
        if at - start > _DIGITS:
            return failed
    if text[at] == _E or text[at] == _BIG_E:
        at += _ONE
        down = text[at] == _MINUS
        if down or text[at] == _PLUS:
            at += _ONE
        more, end = _digits(text, at, np.uint64(0))
        if end == at or end - at > _FEW:
            return failed
        exponent += -np.int64(more) if down else np.int64(more)
        at = end
    value = double_of(found, exponent)
    if np.isnan(value):
        return failed
    return (-value if negative else value), at
