"""The last values of each feature, kept in order: exact tail shares in a sliding window."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def tails(x, ring, ordered, seen, learn, out):  # type: ignore[no-untyped-def]
    """Write to ``out`` (n, d) -log of the smaller tail share, the value itself counted.

    Parameters
    ----------
    x : (n, d)
    ring : (d, window), the last values as they came
    ordered : (d, window), the same in ascending order
    seen : (1,) rows learnt
    learn : whether each row enters the window before the next is scored
    """
    window = ring.shape[1]
    for i in range(x.shape[0]):
        size = min(seen[0], window)
        for j in range(ring.shape[0]):
            value = x[i, j]
            below = np.searchsorted(ordered[j, :size], value, side="left")
            upto = np.searchsorted(ordered[j, :size], value, side="right")
            tail = min(upto, size - below) + 1.0
            out[i, j] = np.log((size + 1.0) / tail)
            if not learn:
                continue
            slot, at = seen[0] % window, upto
            if size == window:
                _replace(ordered[j], ring[j, slot], value, at)
            else:
                for k in range(size, at, -1):
                    ordered[j, k] = ordered[j, k - 1]
                ordered[j, at] = value
            ring[j, slot] = value
        if learn:
            seen[0] += 1


@njit(cache=True, nogil=True)
def _replace(ordered, old, new, at):  # type: ignore[no-untyped-def]
    """Take ``old`` out of ``ordered`` and put ``new`` in, which would belong at ``at``."""
    gap = np.searchsorted(ordered, old)
    if at > gap:
        for k in range(gap, at - 1):
            ordered[k] = ordered[k + 1]
        ordered[at - 1] = new
    else:
        for k in range(gap, at, -1):
            ordered[k] = ordered[k - 1]
        ordered[at] = new
