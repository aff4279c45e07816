"""The values of a column as numbers, seconds or the names of levels, whatever they came as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.inputs import FloatArray, IntArray
from awry.data import parse
from awry.data.kinds import EPOCHS

_PLAIN = {"type": "number", "style": "plain", "prefix": "", "suffix": "", "integer": False}
_NONE = np.empty(0, dtype=np.int64)


def typed(values: pa.Array, reading: Mapping[str, Any] | None) -> tuple[pa.Array, IntArray]:
    """``values`` (plain) as ``reading`` has it, and the positions of those that do not fit."""
    if reading is None:
        return values, _NONE
    if reading["type"] == "epoch":
        if pa.types.is_timestamp(values.type):
            return values, _NONE
        seconds, unfit = as_float(values)
        micros = seconds / EPOCHS[reading["unit"]] * 1e6
        ok = np.abs(micros) < 2.0**62
        stamps = np.where(ok, micros, 0).astype(np.int64)
        return pa.array(stamps, pa.timestamp("us", "UTC"), mask=~ok), unfit
    kind = values.type
    fits = {
        "number": pa.types.is_floating(kind) or pa.types.is_integer(kind),
        "boolean": pa.types.is_boolean(kind),
        "time": pa.types.is_timestamp(kind),
    }
    if fits.get(reading["type"], False):
        return values, _NONE
    return parse.apply(values.cast(pa.string()), dict(reading))


def as_float(values: pa.Array) -> tuple[FloatArray, IntArray]:
    """Plain ``values`` as float64, NaN where missing; positions of those that are no numbers."""
    unfit = _NONE
    if pa.types.is_string(values.type) or pa.types.is_timestamp(values.type):
        values, unfit = parse.apply(values.cast(pa.string()), dict(_PLAIN))
    floats = values if pa.types.is_float64(values.type) else values.cast(pa.float64(), safe=False)
    return np.asarray(floats.to_numpy(zero_copy_only=False)), unfit


def as_seconds(values: pa.Array) -> FloatArray:
    """Timestamps as float64 seconds since 1970, NaN where missing."""
    micros = values.cast(pa.int64()).cast(pa.float64(), safe=False)
    return np.asarray(pc.divide(micros, 1e6).to_numpy(zero_copy_only=False))


def labels(values: pa.Array) -> pa.StringArray:
    """Plain ``values`` as the names of levels; 5 and 5.0 are one level."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    text = values if pa.types.is_string(values.type) else values.cast(pa.string())
    return parse.clean(text)
