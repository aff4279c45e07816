"""The line protocol of InfluxDB: a point a line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import compress
from typing import Any

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.ops.judgement import Judgement
from awry.result import SEVERITIES

#: Names of the measurements.
SCORES, EVENTS = "awry_scores", "awry_events"

_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ "})
_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_STRING = str.maketrans({'"': r"\"", "\\": r"\\"})
_ESCAPING = re.compile(r"\\+(?=[,= ])")
#: What ends a line has no form of its own outside of string fields.
_BREAKS = str.maketrans("\n\r\0", "   ")


def line(measurement: str, tags: Mapping[str, Any], fields: Mapping[str, Any], at: int) -> str:
    r"""A point; ``""`` where no field has a value, which is none.

    Tags without a value, and numbers that are not finite, are left out. What the protocol has no
    form for goes: a backslash at the end of a name or of a tag's value, which would reach for what
    comes after, and in the name of a measurement or a field any
    before a comma, an equal sign or a space.

    Parameters
    ----------
    measurement : str
    tags : mapping
        Of names to text.
    fields : mapping
        Of names to numbers, truths or text.
    at : int
        Nanoseconds since 1970.

    References
    ----------
    InfluxData. InfluxDB line protocol reference: special characters, and data types.

    Examples
    --------
    >>> line("m", {"host": "a b"}, {"x": 1.5, "n": 2, "y": float("nan"), "s": 'say "so"'}, 7)
    'm,host=a\\ b x=1.5,n=2i,s="say \\"so\\"" 7'
    """
    values = ((name, _value(value)) for name, value in fields.items())
    written = ",".join(f"{_field(name)}={value}" for name, value in values if value is not None)
    if not written:
        return ""
    known = ((_name(name), _name(str(value))) for name, value in tags.items() if value is not None)
    series = "".join(f",{name}={value}" for name, value in sorted(known) if value)
    head = _ESCAPING.sub("", _plain(measurement)).translate(_MEASUREMENT)
    return f"{head}{series} {written} {at}"


def lines_of(made: Judgement) -> Iterator[str]:
    """The scores and events of a judgement, as points."""
    yield from _scores(made)
    about = {"source": made.source, "model": made.model, "version": made.version}
    if made.role != "champion":
        return
    at = apart(np.array([event.start for event in made.events]))
    for event, when in zip(made.events, at.tolist(), strict=True):
        tags = {"key": event.key, "kind": event.kind, "severity": SEVERITIES[event.severity]}
        fields = {
            "score": event.score, "items": event.size, "end": event.end, "item": event.item,
            "words": event.words,
        }  # fmt: skip
        yield line(EVENTS, about | tags, fields, when)


def _scores(made: Judgement) -> Iterator[str]:
    assert made.at is not None
    about = {
        "source": made.source, "model": made.model, "version": made.version, "role": made.role,
    }  # fmt: skip
    # All that the points of one severity begin with.
    heads = [
        line(SCORES, about | {"severity": name or "none"}, {"anomaly": level > 0}, 0)[:-2]
        for level, name in enumerate(SEVERITIES)
    ]
    rows = zip(
        made.items, made.scores.tolist(), made.severity.tolist(), apart(made.at).tolist(),
        strict=True,
    )  # fmt: skip
    for item, score, severity, at in rows if made.kept is None else compress(rows, made.kept):
        if math.isfinite(score):
            yield f"{heads[severity]},item={_value(item)},score={score!r} {at}"


def apart(at: FloatArray) -> IntArray:
    """Seconds as nanoseconds; of equal ones, each the next, for an equal point replaces another.

    Examples
    --------
    >>> apart(np.array([1.5, 0.0, 1.5])).tolist()
    [1500000000, 0, 1500000001]
    """
    # Seconds since 1970 are known to a quarter of a microsecond.
    whole = np.round(np.asarray(at, dtype=float) * 1e6).astype(np.int64) * 1000
    order = np.argsort(whole, kind="stable")
    ranked = whole[order]
    place = np.arange(len(ranked))
    first = np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)]
    whole[order] += place - np.maximum.accumulate(np.where(first, place, 0))
    return whole


def _plain(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.translate(_BREAKS).rstrip("\\")


def _name(text: str) -> str:
    return _plain(text).translate(_TAG)


def _field(text: str) -> str:
    return _name(_ESCAPING.sub("", text))


def _value(value: Any) -> str | None:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return f"{value}i"
    if isinstance(value, (float, np.floating)):
        return repr(float(value)) if math.isfinite(value) else None
    if value is None:
        return None
    text = str(value)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return f'"{text.translate(_STRING)}"'
