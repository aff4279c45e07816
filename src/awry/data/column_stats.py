"""Counts, quantiles and levels of a column's values, from which its kind is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awry.core.inputs import FloatArray
from awry.data.values import as_seconds

#: Quantiles, distinct values and formats are taken from so many rows spread over the table.
SAMPLE = 1 << 16
_LEVELS = 20


def spread(values: pa.Array) -> pa.Array:
    """At most :data:`SAMPLE` values spread over ``values``."""
    if len(values) <= SAMPLE:
        return values
    return values.take(pa.array(np.arange(0, len(values), len(values) // SAMPLE)[:SAMPLE]))


def add_number_stats(stats: dict[str, Any], floats: FloatArray, reading: Any) -> None:
    sample = floats[:: max(1, len(floats) // SAMPLE)]
    sample = np.sort(sample[np.isfinite(sample)])
    finite = floats if np.isfinite(floats).all() else floats[np.isfinite(floats)]
    stats["infinite"] = stats["present"] - len(finite)
    unit = ("", "") if reading is None else (reading.get("prefix", ""), reading.get("suffix", ""))
    stats["unit"] = list(unit)
    if not len(sample):  # infinities alone, or none in the sample
        sample = np.sort(finite) if len(finite) else np.zeros(1)
    stats["min"], stats["max"] = (
        (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    )
    stats["quantiles"] = [float(q) for q in np.quantile(sample, (0.05, 0.25, 0.5, 0.75, 0.95))]
    stats["distinct"] = 1 + int(np.count_nonzero(np.diff(sample)))
    if stats["distinct"] == 1 and stats["min"] < stats["max"]:
        stats["distinct"] = 2
    stats["unique"] = stats["distinct"] == len(sample) and not stats["infinite"]
    stats["distinct"] += bool(stats["infinite"])
    stats["whole"] = not stats["infinite"] and bool((finite == np.trunc(finite)).all())


def add_level_stats(stats: dict[str, Any], text: pa.StringArray) -> None:
    """The number of levels and the most frequent ones; of equally frequent ones by name."""
    counts = pc.value_counts(text.drop_null())
    sizes = counts.field(1).to_numpy()
    stats["distinct"] = len(sizes)
    top = np.sort(sizes)[::-1][: _LEVELS + 1]
    picks = np.flatnonzero(sizes >= top[min(_LEVELS, len(top)) - 1])[: 50 * _LEVELS]
    names = counts.field(0).take(pa.array(picks)).to_pylist()
    found = sorted(zip(names, sizes[picks].tolist(), strict=True), key=lambda lc: (-lc[1], lc[0]))
    stats["levels"] = [list(pair) for pair in found[:_LEVELS]]


def add_time_stats(stats: dict[str, Any], stamps: pa.Array, reading: Any) -> None:
    seconds = as_seconds(stamps)
    known = seconds[np.isfinite(seconds)]
    stats["zone"] = stamps.type.tz
    stats["min"], stats["max"] = float(known.min()), float(known.max())
    stats["clock_only"] = stats["min"] >= 0 and stats["max"] < 86_400
    stats["dates_only"] = not stats["clock_only"] and not (known % 86_400).any()
    steps = np.sign(np.diff(known))
    back = min(np.count_nonzero(steps < 0), np.count_nonzero(steps > 0))
    stats["ordered"] = bool(back <= 0.05 * len(steps))
    sample = known[:: max(1, len(known) // SAMPLE)]
    stats["distinct"] = len(np.unique(sample))
    stats["hours"] = np.bincount((sample % 86_400 // 3600).astype(int), minlength=24).tolist()


def usual_hours(hours: list[int]) -> str:
    """The shortest run of hours, over midnight if need be, that holds nine tenths of the times."""
    counts = np.array(hours)
    for length in range(1, 25):
        sums = [counts.take(range(s, s + length), mode="wrap").sum() for s in range(24)]
        if max(sums) >= 0.9 * counts.sum():
            start = int(np.argmax(sums))
            break
    if length >= 22:
        return "any hour"
    return f"{start:02d}:00 … {(start + length - 1) % 24:02d}:59"
