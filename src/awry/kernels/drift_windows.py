"""Followers of a stream that keep windows of it: in buckets (ADWIN), whole (KSWIN), in sketches.

As in :mod:`awry.kernels.drift_errors`, each changes its state in place and writes 0 or 2 (drift)
for every value into ``status``.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from awry.kernels.drift import KS, compare_sorted
from awry.kernels.drift_errors import DRIFT


@njit(cache=True)
def adwin(
    values: np.ndarray,
    status: np.ndarray,
    head: np.ndarray,
    used: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
    params: tuple[float, ...],
) -> None:
    """``head``: items seen, items, sum and squared deviations of the window. In level l,
    ``used[l]`` buckets of 2^l items, the oldest first, with their ``sums`` and ``squares``."""
    delta, clock, grace, shortest = params
    for t in range(len(values)):
        x = values[t]
        head[0] += 1
        if head[1] > 0:
            head[3] += head[1] * (x - head[2] / head[1]) ** 2 / (head[1] + 1)
        head[1] += 1
        head[2] += x
        sums[0, used[0]], squares[0, used[0]] = x, 0.0
        used[0] += 1
        _merge_full(used, sums, squares)
        if head[0] % clock == 0 and head[1] > grace:
            while _has_cut(head, used, sums, delta, shortest):
                status[t] = DRIFT
                _drop_oldest(head, used, sums, squares)


@njit(cache=True)
def _merge_full(used: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> None:
    """Where a level holds one bucket too many, make of its two oldest one of the next level."""
    most = sums.shape[1] - 1
    for level in range(len(used) - 1):
        if used[level] <= most:
            return
        size, place = 2.0**level, used[level + 1]
        apart = (sums[level, 0] - sums[level, 1]) / size
        sums[level + 1, place] = sums[level, 0] + sums[level, 1]
        squares[level + 1, place] = squares[level, 0] + squares[level, 1] + size / 2 * apart**2
        used[level + 1] += 1
        used[level] -= 2
        sums[level, : used[level]] = sums[level, 2 : 2 + used[level]].copy()
        squares[level, : used[level]] = squares[level, 2 : 2 + used[level]].copy()


@njit(cache=True)
def _has_cut(
    head: np.ndarray, used: np.ndarray, sums: np.ndarray, delta: float, shortest: float
) -> bool:
    """Whether some cut between buckets parts the window into unlike means (Bifet 2007, eq. 3.1)."""
    width, total = head[1], head[2]
    if width < 2 * shortest:
        return False
    variance, log = head[3] / width, math.log(2 * math.log(width) / delta)
    old, part = 0.0, 0.0
    for level in range(len(used) - 1, -1, -1):
        for bucket in range(used[level]):
            old += 2.0**level
            part += sums[level, bucket]
            new = width - old
            if new < shortest:
                return False
            if old < shortest:
                continue
            inverse = 1 / old + 1 / new
            bound = math.sqrt(2 * inverse * variance * log) + 2 / 3 * inverse * log
            if abs(part / old - (total - part) / new) > bound:
                return True
    return False


@njit(cache=True)
def _drop_oldest(head: np.ndarray, used: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> None:
    level = len(used) - 1
    while used[level] == 0:
        level -= 1
    size, part, inside = 2.0**level, sums[level, 0], squares[level, 0]
    used[level] -= 1
    sums[level, : used[level]] = sums[level, 1 : 1 + used[level]].copy()
    squares[level, : used[level]] = squares[level, 1 : 1 + used[level]].copy()
    head[1] -= size
    head[2] -= part
    apart = part / size - head[2] / head[1]
    head[3] = max(0.0, head[3] - inside - size * head[1] / (size + head[1]) * apart**2)


@njit(cache=True)
def _next_random(seed: np.ndarray) -> np.uint64:
    """The next number of SplitMix64, whose state is the one value of ``seed``."""
    seed[0] += np.uint64(0x9E3779B97F4A7C15)
    z = seed[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def _below(seed: np.ndarray, high: int) -> int:
    """A random integer from 0 to ``high`` - 1."""
    return int(_next_random(seed) % np.uint64(high))


@njit(cache=True)
def kswin(
    values: np.ndarray,
    status: np.ndarray,
    window: np.ndarray,
    held: np.ndarray,
    seed: np.ndarray,
    recent: int,
    critical: float,
) -> None:
    """``window``: its ``held[0]`` values, the oldest first."""
    size = len(window)
    older = size - recent
    for t in range(len(values)):
        if held[0] == size:
            window[:-1] = window[1:].copy()
            held[0] -= 1
        window[held[0]] = values[t]
        held[0] += 1
        if held[0] < size:
            continue
        past = window[:older].copy()
        for k in range(recent):  # the first of a shuffle are a sample without repeats
            other = k + _below(seed, older - k)
            past[k], past[other] = past[other], past[k]
        newest = np.sort(window[older:])
        if compare_sorted(np.sort(past[:recent]), newest)[KS] >= critical - 1e-12:
            status[t] = DRIFT
            window[:recent] = window[older:].copy()
            held[0] = recent


@njit(cache=True)
def mmdew(
    values: np.ndarray,
    status: np.ndarray,
    used: np.ndarray,
    sizes: np.ndarray,
    kept: np.ndarray,
    rows: np.ndarray,
    sums: np.ndarray,
    pairs: np.ndarray,
    seed: np.ndarray,
    gamma: float,
    alpha: float,
) -> None:
    """``used[0]`` buckets, the oldest first. Bucket b stands for ``sizes[b]`` rows, of which
    ``kept[b]`` are in ``rows[b]``; ``sums[b, a]`` is the kernel summed over ``pairs[b, a]`` pairs
    of its rows with those of bucket a, a not after b."""
    for t in range(len(values)):
        new = used[0]
        sizes[new], kept[new] = 1, 1
        rows[new, 0] = values[t]
        sums[new, new], pairs[new, new] = 1.0, 1.0
        for b in range(new):
            sums[new, b], pairs[new, b] = 0.0, kept[b]
            for r in range(kept[b]):
                apart = 0.0
                for j in range(values.shape[1]):
                    apart += (values[t, j] - rows[b, r, j]) ** 2
                sums[new, b] += math.exp(-gamma * apart)
        used[0] = new + 1
        split = _unlike(used[0], sums, pairs, alpha)
        while split:
            status[t] = DRIFT
            _forget(split, used, sizes, kept, rows, sums, pairs)
            split = _unlike(used[0], sums, pairs, alpha)
        while used[0] > 1 and sizes[used[0] - 1] == sizes[used[0] - 2]:
            _join(used, sizes, kept, rows, sums, pairs, seed)


@njit(cache=True)
def _unlike(n: int, sums: np.ndarray, pairs: np.ndarray, alpha: float) -> int:
    """The first split into older and newer buckets whose biased MMD passes Gretton's bound, or 0.

    The counts of pairs stand for squared sample sizes, since only samples are kept.
    """
    for split in range(1, n):
        xx = yy = xy = nxx = nyy = nxy = 0.0
        for b in range(n):
            for a in range(b + 1):
                times = 1.0 if a == b else 2.0
                if b < split:
                    xx += times * sums[b, a]
                    nxx += times * pairs[b, a]
                elif a >= split:
                    yy += times * sums[b, a]
                    nyy += times * pairs[b, a]
                else:
                    xy += sums[b, a]
                    nxy += pairs[b, a]
        m, k = max(math.floor(math.sqrt(nxx)), 1), max(math.floor(math.sqrt(nyy)), 1)
        inverse = 1 / m + 1 / k
        bound = math.sqrt(inverse) + math.sqrt(2 * inverse * math.log((n - 1) / alpha))
        if xx / nxx + yy / nyy - 2 * xy / nxy >= bound**2:
            return split
    return 0


@njit(cache=True)
def _forget(
    split: int,
    used: np.ndarray,
    sizes: np.ndarray,
    kept: np.ndarray,
    rows: np.ndarray,
    sums: np.ndarray,
    pairs: np.ndarray,
) -> None:
    """Drop the buckets before ``split``."""
    left = used[0] - split
    for b in range(left):
        sizes[b], kept[b] = sizes[b + split], kept[b + split]
        rows[b] = rows[b + split]
        for a in range(b + 1):
            sums[b, a], pairs[b, a] = sums[b + split, a + split], pairs[b + split, a + split]
    used[0] = left


@njit(cache=True)
def _join(
    used: np.ndarray,
    sizes: np.ndarray,
    kept: np.ndarray,
    rows: np.ndarray,
    sums: np.ndarray,
    pairs: np.ndarray,
    seed: np.ndarray,
) -> None:
    """Make of the last two buckets one, which keeps log2 of the rows that it stands for."""
    last = used[0] - 1
    b = last - 1
    sizes[b] += sizes[last]
    sums[b, b] += sums[last, last] + 2 * sums[last, b]
    pairs[b, b] += pairs[last, last] + 2 * pairs[last, b]
    for a in range(b):
        sums[b, a] += sums[last, a]
        pairs[b, a] += pairs[last, a]
    both = kept[b] + kept[last]
    pool = np.empty((both, rows.shape[2]))
    pool[: kept[b]] = rows[b, : kept[b]]
    pool[kept[b] :] = rows[last, : kept[last]]
    wanted = min(both, int(math.log2(sizes[b])))
    for k in range(wanted):
        other = k + _below(seed, both - k)
        chosen = pool[other].copy()
        pool[other] = pool[k]
        rows[b, k] = chosen
    kept[b] = wanted
    used[0] = last
