"""Control charts of series, one pass over the points; the state is changed in place."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def ewma(x, center, scale, weight, level, age, out):  # type: ignore[no-untyped-def]
    """Distance of the weighted mean from the center, in its own standard deviations.

    ``x`` and ``out`` (T, d); ``center``, ``scale``, ``level`` (d,) and ``age`` (d,), the points
    taken so far. A missing value leaves the state alone and scores NaN.
    """
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[t, j]
            if np.isnan(value):
                out[t, j] = np.nan
                continue
            level[j] += weight * (value - level[j])
            age[j] += 1.0
            kept = (1.0 - weight) ** (2.0 * age[j])
            unit = scale[j] * np.sqrt(weight / (2.0 - weight) * (1.0 - kept))
            out[t, j] = abs(level[j] - center[j]) / unit
