"""From text to values: what a column of words is written as, settled once and then applied.

:func:`settle` looks at a sample of a column and returns a *reading*, a small JSON-able dictionary;
:func:`apply` turns text into a typed array by it. A value that does not fit becomes null and is
told to the caller, so a late odd value never stops the work.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.data import times

#: Words for "no value", compared after trimming and in lower case.
NA_WORDS = ("", "na", "n/a", "#n/a", "<na>", "null", "none", "nan", "nat", "-", "--", "?")
#: A column is a number or a time when at least this share of its values reads as one.
FIT = 0.9
#: Formats are chosen on so many values spread over the sample, then checked on all of it.
_PROBE = 500

Reading = dict[str, Any]
TEXT: Reading = {"type": "text"}
#: How numbers, truths and times are written that did not come as text.
PLAIN: Reading = {"type": "number", "style": "plain", "prefix": "", "suffix": "", "integer": False}
TRUTH: Reading = {"type": "boolean", "words": ["true", "false"]}
ISO: Reading = {"type": "time", "format": "ISO 8601", "order": "", "utc": False}

_BOOLEAN = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"), ("on", "off"))
_CURRENCY = r"[$€£¥₹₽₩₺₪฿]|(?:USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|SEK|NOK|DKK|PLN|CZK|BRL|kr|zł)"
_UNIT = r"[%‰]|[A-Za-zµ°Ωμ]{1,5}(?:/[A-Za-z]{1,3})?[²³]?"
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_SPACES = "[ \u00a0\u2009\u202f]"
#: Ways to write a number: name, its digits, what groups them, the decimal mark.
_STYLES = (
    ("plain", rf"(?:\d+\.?\d*|\.\d+){_EXPONENT}", "", "."),
    ("1,234.5", r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?", ",", "."),
    ("1.234,5", rf"(?:\d{{1,3}}(?:\.\d{{3}})+|\d+)(?:,\d*)?{_EXPONENT}", r"\.", ","),
    ("1 234,5", rf"(?:\d{{1,3}}(?:{_SPACES}\d{{3}})+|\d+)(?:,\d*)?", _SPACES, ","),
    ("1 234.5", rf"(?:\d{{1,3}}(?:{_SPACES}\d{{3}})+|\d+)(?:\.\d*)?", _SPACES, "."),
    ("1'234.5", r"(?:\d{1,3}(?:['’]\d{3})+|\d+)(?:\.\d*)?", "['’]", "."),
    ("1,23,456.5", r"(?:\d{1,2}(?:,\d{2})*,\d{3}|\d+)(?:\.\d*)?", ",", "."),
)
_INFINITE = r"(?i:inf(?:inity)?)|∞"


def settle(values: pa.Array | pa.ChunkedArray) -> Reading:
    """How ``values`` (text) are written.

    Returns
    -------
    dict
        ``{"type": "text"}``, or ``"boolean"`` with its two ``words``, or ``"number"`` with
        ``style``, ``prefix``, ``suffix`` and ``integer``, or ``"time"`` with ``format``, ``order``
        and ``utc``.

    Examples
    --------
    >>> settle(pa.array(["€ 1.200,50", "€ 3,10", ""]))["style"]
    '1.234,5'
    >>> settle(pa.array(["31/12/2024", "01/02/2025"]))["order"]
    'dmy'
    """
    found = clean(values).drop_null()
    if len(found) == 0:
        return TEXT
    step = max(1, len(found) // _PROBE)
    probe = found.take(pa.array(np.arange(0, len(found), step)[:_PROBE]))
    for look in (_boolean, _compact_time, _number, times.settle):
        guess = look(probe)
        # Settled on the probe, a reading must hold on the whole sample too.
        if guess is not None and not _codes(found, guess):
            typed, _ = apply(found, guess)
            if len(typed) - typed.null_count >= FIT * len(typed):
                if guess["type"] == "number":
                    guess["integer"] = pa.types.is_integer(typed.type)
                return guess
    return TEXT


def apply(values: pa.Array, reading: Reading) -> tuple[pa.Array, np.ndarray]:
    """``values`` (text) typed by ``reading``, and the positions of those that do not fit.

    The array is int64 where ``reading`` says so and every value is an integer, otherwise float64;
    or bool, timestamp in microseconds, or string with the words for "no value" made null.
    """
    if is_plain(reading):
        try:  # the quick way for most columns: no blanks, no words, no pattern
            return _cast(values, reading), np.empty(0, dtype=np.int64)
        except pa.ArrowInvalid:
            pass
    text = clean(values)
    if reading["type"] == "text":
        return text, np.empty(0, dtype=np.int64)
    if reading["type"] == "number":
        typed = _number_array(text, reading)
    elif reading["type"] == "time":
        typed = times.parse(text, reading)
    else:
        lower = pc.utf8_lower(text)
        yes, no = (pc.equal(lower, word) for word in reading["words"])
        typed = pc.if_else(pc.or_(yes, no), yes, pa.scalar(None, pa.bool_()))
    if typed.null_count == text.null_count:
        return typed, np.empty(0, dtype=np.int64)
    unfit = pc.and_(pc.is_null(typed), pc.is_valid(text))
    return typed, np.flatnonzero(unfit.to_numpy(zero_copy_only=False))


def clean(values: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """``values`` trimmed, the words for "no value" made null."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    text = pc.utf8_trim_whitespace(values)
    # Only short words can mean "no value", so long text is not put in lower case for nothing.
    short = pc.less_equal(pc.binary_length(text), 4)
    if not pc.any(short).as_py():
        return text
    lower = pc.utf8_lower(pc.if_else(short, text, "x"))
    missing = pc.is_in(lower, value_set=pa.array(NA_WORDS))
    return pc.if_else(missing, pa.scalar(None, pa.string()), text)


def expectation(reading: Reading) -> str:
    """What a value that does not fit is not: ``"is not a number"``."""
    if reading["type"] == "boolean":
        return f"is neither {reading['words'][0]!r} nor {reading['words'][1]!r}"
    return f"is not a {reading['type']}"


def _boolean(text: pa.StringArray) -> Reading | None:
    words = pc.utf8_lower(text).unique()
    if len(words) <= 2:
        found = set(words.to_pylist())
        for pair in _BOOLEAN:
            # One letter alone, or a lone "no", is as likely a code.
            if found == set(pair) or (pair[0] == "true" and found <= set(pair)):
                return {"type": "boolean", "words": list(pair)}
    return None


def _number(text: pa.StringArray) -> Reading | None:
    """The first style that most values share, with the one prefix and suffix they agree on."""
    best: tuple[int, Reading] | None = None
    for style, digits, _, _ in _STYLES:
        pattern = (
            rf"^(?P<s>[+\-−(]?) ?(?P<c>{_CURRENCY})? ?(?P<t>[+\-−]?) ?"
            rf"(?:{digits}|{_INFINITE})(?P<e>{_SPACES}?(?:{_CURRENCY}|{_UNIT}))?\)?$"
        )
        parts = pc.extract_regex(text, pattern=pattern).drop_null()
        if len(parts) == 0:
            continue
        prefix, suffix = (_commonest(pc.struct_field(parts, name)) for name in "ce")
        reading = {"type": "number", "style": style, "prefix": prefix, "suffix": suffix}
        typed = _number_array(text, reading)
        # Arrow is slow to find that text is no integer, so it is asked only where it may be.
        reading["integer"] = pa.types.is_integer(typed.type)
        fits = len(text) - typed.null_count
        if fits and (best is None or fits > best[0]):
            best = fits, reading
        if fits == len(text):
            break
    # A column of infinities alone is no column of numbers.
    if best is None or not pc.any(pc.match_substring_regex(text, r"\d")).as_py():
        return None
    return best[1]


def _commonest(words: pa.StringArray) -> str:
    counts = pc.value_counts(pc.fill_null(words, "")).to_pylist()
    return str(max(counts, key=lambda c: c["counts"])["values"])


def _number_array(text: pa.StringArray, reading: Reading) -> pa.Array:
    """Numbers by ``reading``; null where a value does not fit."""
    style, prefix, suffix = reading["style"], reading["prefix"], reading["suffix"]
    if is_plain(reading):
        try:
            return _cast(text, reading)
        except pa.ArrowInvalid:
            pass
    _, digits, group, decimal = next(s for s in _STYLES if s[0] == style)
    front, back = (re.escape(p.strip()) for p in (prefix, suffix))
    front = rf"(?:{front} ?)?" if front else ""
    back = rf"(?:{_SPACES}?{back})" if back else ""
    sign = r"[+\-−]? ?"
    body = rf"(?:{digits}|{_INFINITE})"
    shape = rf"^(?:{sign}{front}{sign}{body}{back}|\({front}{body}{back}\))$"
    fits = pc.match_substring_regex(text, pattern=shape)
    text = pc.if_else(fits, text, pa.scalar(None, pa.string()))
    negative = pc.match_substring_regex(text, pattern=r"^[^\d]*[\-−(]")
    for pattern, new in (
        (rf"^\(?{sign}{front}{sign}|{back}\)?$" if back else rf"^\(?{sign}{front}{sign}|\)$", ""),
        (group, ""),
        ("" if decimal == "." else decimal, "."),
        ("∞", "inf"),
    ):
        if pattern:
            text = pc.replace_substring_regex(text, pattern=pattern, replacement=new)
    size = pc.cast(text, pa.float64())
    return pc.if_else(negative, pc.negate(size), size)


def is_plain(reading: Reading) -> bool:
    """Whether numbers are written as programs write them, with nothing around them."""
    return reading["type"] == "number" and (
        reading["style"] == "plain" and not reading["prefix"] and not reading["suffix"]
    )


def _cast(text: pa.StringArray, reading: Reading) -> pa.Array:
    """Arrow's own parser, which raises on the first value that is no number."""
    if reading.get("integer", True):
        try:
            return pc.cast(text, pa.int64())
        except pa.ArrowInvalid:
            pass
    number = pc.cast(text, pa.float64())
    nan = pc.is_nan(number)  # Arrow reads the word; here it means that there is no value
    if pc.any(nan).as_py():
        return pc.if_else(nan, pa.scalar(None, pa.float64()), number)
    return number


def _compact_time(text: pa.StringArray) -> Reading | None:
    """Dates written as eight or fourteen digits: all must be dates of 1900 to 2100."""
    if not pc.all(pc.match_substring_regex(text, r"^(?:19|20)\d{6}(?:[T ]?\d{6}\D?)?$")).as_py():
        return None
    reading: Reading = {"type": "time", "format": "YYYYMMDD", "order": "", "utc": False}
    return reading if times.parse(text, reading).null_count == 0 else None


def _codes(text: pa.StringArray, reading: Reading) -> bool:
    """Whether digits are a code, not a number: leading zeros, or too many to be one."""
    if reading["type"] != "number":
        return False
    return bool(pc.any(pc.match_substring_regex(text, r"^(?:0\d+|\d{19,})[^\d.,]*$")).as_py())
