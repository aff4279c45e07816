"""Features put on a common scale that follows the stream: score first, then learn."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def run(x, mean, var, seen, weight, clip, far, out, usual):  # type: ignore[no-untyped-def]
    """Write ``(x - mean) / sqrt(var)`` to ``out`` (n, d), each row before it is learnt.

    The means that each row was held against are written to ``usual`` (n, d).

    Parameters
    ----------
    x : (n, d); what is not finite is not learnt and written as 0, the typical value
    mean, var, seen : (d,), changed in place; ``seen`` counts the values each feature has had
    weight : share of a new value in mean and variance; while ``seen`` is small, ``1 / seen``
    clip : a deviation counts at most this many standard deviations when it is learnt
    far : bound of what is written
    """
    # Compiled code looks at no bounds: a wider row would be learnt over what lies behind.
    if not (mean.size == var.size == seen.size == x.shape[1]) or not (
        x.shape == out.shape == usual.shape
    ):
        raise ValueError("x, mean, var, seen, out and usual must be of the same features")
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[i, j]
            usual[i, j] = mean[j]
            if not np.isfinite(value):
                out[i, j] = 0.0
                continue
            scale = np.sqrt(var[j])
            gap = value - mean[j]
            out[i, j] = min(max(gap / scale, -far), far)
            gap = min(max(gap, -clip * scale), clip * scale)
            seen[j] += 1.0
            share = max(weight, 1.0 / seen[j])
            step = share * gap
            mean[j] += step
            # A feature that stands still for long must not end with a scale of nothing.
            least = 1e-18 * max(1.0, mean[j] * mean[j])
            var[j] = max((1.0 - share) * (var[j] + step * gap), least)
