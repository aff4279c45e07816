"""Times written as text, in the formats people use, to UTC or local microseconds.

A column has one format. Where day and month could be swapped, the whole column decides: a value
over 12 settles it, and where none does, the order that goes through time by the shorter way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_CLOCK = (
    r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = r"(?: ?(?P<z>Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})(?: ?\([A-Z]+\))?)?"
_TIME = rf"(?:(?:[T ]+|, ?){_CLOCK}{_ZONE})?"
_DAY_NAME = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
_MONTH_NAME = r"(?P<b>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*)\.?"
_MONTHS = pa.array(
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
)

#: Name of each format and its pattern; y year, m month, d day, b month's name, A and B either.
FORMATS = {
    "ISO 8601": r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})(?:[-/.](?P<d>\d{1,2}))?" + _TIME,
    "YYYYMMDD": r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"
    r"(?:[T ]?(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2}))?" + _ZONE,
    "day and month": r"(?P<A>\d{1,2})[-/.](?P<B>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + _TIME,
    "day month name": _DAY_NAME + r"(?P<d>\d{1,2})[-/ .]+" + _MONTH_NAME
    + rf"[-/ ,]+(?P<y>\d{{4}}|\d{{2}})(?:[T :]+{_CLOCK}{_ZONE})?",
    "month name day": _DAY_NAME + _MONTH_NAME + r" +(?P<d>\d{1,2})(?:st|nd|rd|th)?,? +(?P<y>\d{4})"
    + _TIME,
    "month name day, year last": _DAY_NAME + _MONTH_NAME
    + rf" +(?P<d>\d{{1,2}}) +{_CLOCK} +(?:(?P<z>UTC|GMT) +)?(?P<y>\d{{4}})",
    "time of day": _CLOCK,
}  # fmt: skip


def settle(text: pa.StringArray) -> dict[str, Any] | None:
    """The format most of ``text`` is written in; None where none fits any of it.

    Parameters
    ----------
    text : pa.StringArray
        Values without nulls, trimmed.
    """
    best: dict[str, Any] | None = None
    most = 0
    for name in FORMATS:
        orders = ("dmy", "mdy") if name == "day and month" else ("",)
        readings = [{"type": "time", "format": name, "order": o, "utc": False} for o in orders]
        parsed = [_extract(text, reading) for reading in readings]
        fits = [len(p[0]) - p[0].null_count for p in parsed]
        if max(fits) == 0:
            continue
        pick = int(np.argmax(fits))
        if len(orders) == 2 and fits[0] == fits[1]:
            pick = _steadier([p[0] for p in parsed], text)
            readings[pick]["ambiguous"] = True
        readings[pick]["utc"] = parsed[pick][1]
        if fits[pick] > most:
            best, most = readings[pick], fits[pick]
        if most == len(text):
            break
    return best


def parse(text: pa.StringArray, reading: dict[str, Any]) -> pa.Array:
    """``text`` (trimmed, nulls allowed) as timestamps in microseconds; null where it does not fit.

    With ``reading["utc"]`` the result is in UTC and a value without a zone is taken for UTC.
    """
    zone = "UTC" if reading["utc"] else None
    if reading["format"] == "ISO 8601":
        try:  # Arrow's own parser is twenty times quicker where it accepts all values.
            return pc.cast(text, pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            pass
    return _extract(text, reading)[0].cast(pa.timestamp("us", zone))


def _steadier(parsed: list[pa.Array], text: pa.StringArray) -> int:
    """Which of two readings (day first, month first) goes through time by the shorter way."""
    ways = [
        int(np.abs(np.diff(array.drop_null().cast(pa.int64()).to_numpy() // 1_000_000)).sum())
        for array in parsed
    ]
    if ways[0] != ways[1]:
        return int(np.argmin(ways))
    # Dots and dashes are written where the day comes first; slashes mostly in the US.
    return 1 if "/" in text[0].as_py() else 0


def _extract(text: pa.StringArray, reading: dict[str, Any]) -> tuple[pa.Array, bool]:
    """Timestamps without a zone (shifted to UTC) and whether any value named a zone."""
    fields = pc.extract_regex(text, pattern=f"^{FORMATS[reading['format']]}$")
    names = {fields.type.field(i).name for i in range(fields.type.num_fields)}
    null = pc.is_null(fields).to_numpy(zero_copy_only=False)

    def number(name: str, default: int = 0) -> np.ndarray:
        if name not in names:
            return np.full(len(text), default, dtype=np.int64)
        value = pc.struct_field(fields, name)
        filled = pc.if_else(pc.equal(value, ""), str(default), value)
        return np.asarray(pc.fill_null(filled, str(default)).cast(pa.int64()))

    def word(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(fields, name), "")

    year = number("y", 1970)
    if "y" in names:
        short = pc.equal(pc.utf8_length(word("y")), 2).to_numpy(zero_copy_only=False)
        year = np.where(short, year + np.where(year < 69, 2000, 1900), year)
    first, second = ("A", "B") if reading.get("order") == "dmy" else ("B", "A")
    month, day = (
        number(second if "A" in names else "m", 1),
        number(first if "A" in names else "d", 1),
    )
    if "b" in names:
        start = pc.utf8_lower(pc.utf8_slice_codeunits(word("b"), 0, 3))
        found = pc.fill_null(pc.index_in(start, value_set=_MONTHS), 0)
        month = found.to_numpy(zero_copy_only=False).astype(np.int64) + 1
    hour, minute, second_ = number("H"), number("M"), number("S")
    if "p" in names:
        half = pc.utf8_lower(word("p"))
        pm = pc.equal(half, "p").to_numpy(zero_copy_only=False)
        twelve = pc.not_equal(half, "").to_numpy(zero_copy_only=False)
        null = null | (twelve & ((hour < 1) | (hour > 12)))
        hour = np.where(twelve, hour % 12 + 12 * pm, hour)

    dates = ((year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1)).astype("M8[D]")
    length = ((dates.astype("M8[M]") + 1).astype("M8[D]") - dates).astype(np.int64)
    ok = ~null & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    ok &= (hour <= 23) & (minute <= 59) & (second_ <= 60)
    micros = (dates.astype(np.int64) + day - 1) * 86_400_000_000
    micros += ((hour * 60 + minute) * 60 + second_) * 1_000_000
    if "f" in names:
        micros += pc.utf8_slice_codeunits(
            pc.utf8_rpad(word("f"), 6, "0"), 0, 6
        ).cast(pa.int64()).to_numpy(zero_copy_only=False)  # fmt: skip
    zoned = False
    if "z" in names:
        shift, zoned = _offsets(word("z"))
        micros -= shift * 60_000_000
    return pa.array(micros, pa.timestamp("us"), mask=~ok), zoned


def _offsets(zone: pa.StringArray) -> tuple[np.ndarray, bool]:
    """Minutes east of Greenwich of each value, and whether any value names a zone."""
    coded = zone.dictionary_encode()  # a column has a handful of zones
    words = [w.replace(":", "") for w in coded.dictionary.to_pylist()]
    minutes = [
        (-1 if w[0] == "-" else 1) * (int(w[1:3]) * 60 + int(w[3:5] or 0)) if w[:1] in "+-" and w
        else 0
        for w in words
    ]  # fmt: skip
    return np.array(minutes, dtype=np.int64)[coded.indices.to_numpy()], any(words)
