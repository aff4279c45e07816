"""Counts, quantiles and levels of a column's values, from which its kind is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from awry.core.inputs import FloatArray
from awry.data.values import as_seconds, count_levels

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
    stats["unit"] = [(reading or {}).get(side, "") for side in ("prefix", "suffix")]
    if not len(sample):  # infinities alone, or none in the sample
        sample = np.sort(finite) if len(finite) else np.zeros(1)
    stats["min"], stats["max"] = (
        (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    )
    unit = max(abs(stats["min"]), abs(stats["max"])) or 1.0  # differences must not overflow
    quantiles = np.quantile(sample / unit, (0.05, 0.25, 0.5, 0.75, 0.95)) * unit
    stats["quantiles"] = [float(q) for q in quantiles]
    stats["distinct"] = 1 + int(np.count_nonzero(sample[1:] != sample[:-1]))
    if stats["distinct"] == 1 and stats["min"] < stats["max"]:
        stats["distinct"] = 2
    stats["sampled"] = len(sample)
    stats["unique"] = stats["distinct"] == len(sample) and not stats["infinite"]
    stats["distinct"] += bool(stats["infinite"])
    stats["whole"] = not stats["infinite"] and bool((finite == np.trunc(finite)).all())


def add_level_stats(stats: dict[str, Any], values: pa.Array) -> None:
    """The number of levels, and the most frequent ones with their counts."""
    found = count_levels(values, _LEVELS)
    stats["distinct"] = found.distinct
    stats["levels"] = [list(p) for p in zip(found.names, found.sizes.tolist(), strict=True)]


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
