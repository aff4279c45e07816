"""What each key did before: its rate, its usual amount, its last time and place.

A key's record is a row of fixed size in arrays that are changed in place, so memory does not grow
with the events. Time is cut into buckets: ``hours`` (k, H) counts of the last hour and ``days``
(k, D, 3) count, sum and sum of squares of the amount in the last thirty days, each a ring whose
newest bucket has the number in ``newest`` (k, 2).
"""

from __future__ import annotations

import numpy as np
from numba import njit

HOUR, DAY = 3600.0, 86_400.0
_EARTH_KM = 6371.0088


@njit(cache=True, nogil=True)
def _forward(ring, newest, bucket):  # type: ignore[no-untyped-def]
    """Clear the buckets between ``newest`` and ``bucket``; whether ``bucket`` is in the ring."""
    size = ring.shape[0]
    if bucket > newest:
        first = max(newest + 1, bucket - size + 1)
        for b in range(first, bucket + 1):
            ring[b % size] = 0
    return bucket > newest - size


@njit(cache=True, nogil=True)
def kilometres(lat, lon, other_lat, other_lon):  # type: ignore[no-untyped-def]
    """Length of the great circle between two places in degrees, by the haversine formula."""
    a, b = np.radians(lat), np.radians(other_lat)
    half = np.sin(0.5 * (b - a)) ** 2
    half += np.cos(a) * np.cos(b) * np.sin(0.5 * np.radians(other_lon - lon)) ** 2
    return 2.0 * _EARTH_KM * np.arcsin(np.sqrt(min(half, 1.0)))


@njit(cache=True, nogil=True)
def run(slot, time, amount, place, last, newest, hours, days, out):  # type: ignore[no-untyped-def]
    """Write to ``out`` (n, 5) what each event is beside the key's past, then add it to the past.

    Parameters
    ----------
    slot : (n,) int64, the row of the event's key
    time : (n,) seconds, NaN where there is none
    amount : (n,), NaN where there is none
    place : (n, 2) degrees of latitude and longitude, NaN where there is none
    last : (k, 3) time, latitude and longitude of the key's newest event, NaN before the first
    newest, hours, days : see above; ``newest`` is -1 before the first event
    out : events of the key in the last hour, this one included; its amount in standard deviations
        from the key's mean of thirty days; log(1 + seconds since the last); kilometres from the
        last place; kilometres an hour from there. NaN where not known.
    """
    slices, count_days = hours.shape[1], days.shape[1]
    for i in range(len(slot)):
        k = slot[i]
        for j in range(5):
            out[i, j] = np.nan
        timed = np.isfinite(time[i])
        # Without a time it is as if no time had passed.
        at = time[i] if timed else (last[k, 0] if np.isfinite(last[k, 0]) else 0.0)
        if timed:
            hour = np.int64(np.floor(at / (HOUR / slices)))
            inside = _forward(hours[k], newest[k, 0], hour)
            newest[k, 0] = max(newest[k, 0], hour)
            if inside:
                hours[k, hour % slices] += 1
                out[i, 0] = hours[k].sum()
        day = np.int64(np.floor(at / DAY))
        inside = _forward(days[k], newest[k, 1], day)
        newest[k, 1] = max(newest[k, 1], day)
        if np.isfinite(amount[i]):
            n, total, squares = 0.0, 0.0, 0.0
            for d in range(count_days):
                n += days[k, d, 0]
                total += days[k, d, 1]
                squares += days[k, d, 2]
            if n >= 2.0:
                mean = total / n
                spread = np.sqrt(max(squares / n - mean * mean, 0.0))
                # Few or equal amounts say little of the spread: a tenth of the mean at least.
                spread = max(spread, 0.1 * abs(mean), 1e-9)
                out[i, 1] = (amount[i] - mean) / spread
            if inside:
                days[k, day % count_days, 0] += 1.0
                days[k, day % count_days, 1] += amount[i]
                days[k, day % count_days, 2] += amount[i] * amount[i]
        since = at - last[k, 0] if timed else np.nan
        if np.isfinite(since):
            out[i, 2] = np.log1p(max(since, 0.0))
        lat, lon = place[i, 0], place[i, 1]
        if np.isfinite(lat) and np.isfinite(lon):
            if np.isfinite(last[k, 1]):
                far = kilometres(last[k, 1], last[k, 2], lat, lon)
                out[i, 3] = far
                if np.isfinite(since):
                    out[i, 4] = far / max(abs(since) / HOUR, 1.0 / 60.0)
            if not since < 0:
                last[k, 1], last[k, 2] = lat, lon
        if timed and not since < 0:
            last[k, 0] = at
