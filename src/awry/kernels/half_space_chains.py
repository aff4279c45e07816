"""Half-space chains: counts of the cells that halve a row's surroundings again and again."""

from __future__ import annotations

import numpy as np
from numba import njit

from awry.kernels.random_cut import _GOLDEN, _mix


@njit(cache=True, nogil=True)
def project(x, weights, out):  # type: ignore[no-untyped-def]
    """Write ``x`` (n, d) @ ``weights`` (d, k) to ``out`` (n, k), each row by itself bit for bit."""
    out[:] = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            for k in range(weights.shape[1]):
                out[i, k] += x[i, j] * weights[j, k]


@njit(cache=True, nogil=True)
def run(z, feature, first, shift, seeds, counts, clock, window, learn, out):  # type: ignore[no-untyped-def]
    """Write the mean over chains of the least ``log2(1 + count) + depth`` to ``out`` (n,).

    Parameters
    ----------
    z : (n, k), in units of the width of the widest cells
    feature : (m, depth), what each level of a chain halves
    first : (m, depth) bool, whether it does so for the first time
    shift : (m, k), of the cells
    seeds : (m,) uint64
    counts : (m, depth, hashes, buckets, 2), count-min sketches of two windows, side by side
    clock : (2,), rows learnt, and which of the two is being filled
    window : rows after which they change places
    learn : whether each row is counted before the next is scored
    """
    chains, depth = feature.shape
    hashes, buckets, low = counts.shape[2], np.uint64(counts.shape[3]), np.uint64(0xFFFFFFFF)
    place, part = np.empty(z.shape[1]), np.zeros(z.shape[1], dtype=np.uint64)
    for i in range(z.shape[0]):
        new = clock[1]
        total = 0.0
        for c in range(chains):
            part[:] = np.uint64(0)
            key, lowest, volume = np.uint64(0), np.inf, 1.0
            for level in range(depth):
                f = feature[c, level]
                if first[c, level]:
                    place[f] = z[i, f] + shift[c, f]
                else:
                    place[f] = 2.0 * place[f] - shift[c, f]
                # One cell number changes at a level, so one part of the sum that names the cell.
                cell = np.uint64(np.int64(np.floor(place[f])))
                hashed = _mix(cell + np.uint64(f + 1) * _GOLDEN)
                key += hashed - part[f]
                part[f] = hashed
                # Hashes of two halves of one serve as independent (Kirsch & Mitzenmacher 2006).
                mixed = _mix(key ^ seeds[c])
                at, step = mixed >> np.uint64(32), mixed | np.uint64(1)
                least = np.int64(1) << 40
                for h in range(hashes):
                    bucket = np.int64((at & low) * buckets >> np.uint64(32))
                    least = min(least, counts[c, level, h, bucket, 1 - new])
                    if learn:
                        counts[c, level, h, bucket, new] += 1
                    at += step
                volume *= 2.0
                lowest = min(lowest, (1.0 + least) * volume)
            total += np.log2(lowest)
        out[i] = total / chains
        if learn:
            clock[0] += 1
            if clock[0] % window == 0:
                clock[1] = 1 - clock[1]
                counts[..., clock[1]] = 0
