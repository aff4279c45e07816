"""Slow, obvious twins of what watches for drift."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np


def distances(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """sup|F - G|, Σ(F - G)² over pooled values, ∫|F - G| and 2E|X-Y| - E|X-X'| - E|Y-Y'|."""
    pooled = np.concatenate([a, b])
    gaps = np.array([(a <= x).mean() - (b <= x).mean() for x in pooled])
    points = np.unique(pooled)
    between = [abs((a <= x).mean() - (b <= x).mean()) for x in points[:-1]]
    apart = [np.abs(np.subtract.outer(u, v)).mean() for u, v in ((a, b), (a, a), (b, b))]
    return (
        float(np.abs(gaps).max()), float((gaps**2).sum()),
        float((between * np.diff(points)).sum()), float(2 * apart[0] - apart[1] - apart[2]),
    )  # fmt: skip


def mmd_squared(X: np.ndarray, Y: np.ndarray, bandwidth: float) -> float:
    """The unbiased estimate, pair by pair."""

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(-float(((x - y) ** 2).sum()) / (2 * bandwidth**2))

    n, m = len(X), len(Y)
    xx = sum(k(X[i], X[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(Y[i], Y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(x, y) for x in X for y in Y) / (n * m)


def page_hinkley(values: Iterable[float], threshold: float, delta: float = 0.005) -> list[int]:
    """Places where the sum of departures leaves its extremes, without fading."""
    out, seen, up, down, low, high = [], [], 0.0, 0.0, math.inf, -math.inf
    for t, x in enumerate(values):
        seen.append(x)
        away = x - np.mean(seen)
        up, down = up + away - delta, down + away + delta
        low, high = min(low, up), max(high, down)
        if len(seen) >= 30 and (up - low > threshold or high - down > threshold):
            out.append(t)
            seen, up, down, low, high = [], 0.0, 0.0, math.inf, -math.inf
    return out


def ddm(errors: Iterable[float]) -> list[int]:
    """0, 1 or 2 for each error by Gama's rule."""
    out, seen, best = [], [], None
    for x in errors:
        seen.append(x)
        p = float(np.mean(seen))
        s = math.sqrt(p * (1 - p) / len(seen))
        said = 0
        if len(seen) > 30:
            if best is None or p + s <= sum(best):
                best = (p, s)
            if p + s > best[0] + 3 * best[1]:
                said, seen, best = 2, [], None
            elif p + s > best[0] + 2 * best[1]:
                said = 1
        out.append(said)
    return out


def eddm(errors: Iterable[float]) -> list[int]:
    """0, 1 or 2 for each value by how far errors lie apart."""
    out, last, n, gaps, most, said = [], 0, 0, [], -math.inf, 0
    for x in errors:
        n += 1
        if x:
            gaps.append(n - last)
            last = n
            if n > 30:
                reach = np.mean(gaps) + 2 * (np.std(gaps, ddof=1) if len(gaps) > 1 else 0.0)
                if reach > most:
                    most = reach
                elif len(gaps) > 30:
                    said = 2 if reach / most < 0.9 else 1 if reach / most < 0.95 else 0
        out.append(said)
        if said == 2:
            last, n, gaps, most, said = 0, 0, [], -math.inf, 0
    return out


def hddm_a(values: Iterable[float], drift: float = 0.001) -> list[int]:
    """Places where the mean rose above that at the best cut, by Hoeffding's bound."""
    out, seen, cut = [], [], 0

    def bound(n: int) -> float:
        return math.sqrt(math.log(1 / drift) / (2 * n))

    for t, x in enumerate(values):
        seen.append(x)
        n = len(seen)
        if not cut or np.mean(seen[:cut]) + bound(cut) >= np.mean(seen) + bound(n):
            cut = n
        if cut < n:
            eps = math.sqrt((n - cut) / (2 * cut * n) * math.log(2 / drift))
            if np.mean(seen) - np.mean(seen[:cut]) >= eps:
                out.append(t)
                seen, cut = [], 0
    return out


def hddm_w(values: Iterable[float], drift: float = 0.001, weight: float = 0.05) -> list[int]:
    """Places where the weighted mean after the best cut is above that before it, by McDiarmid."""
    out: list[int] = []
    seen: list[float] = []
    cut, best = 0, math.inf

    def average(part: list[float]) -> tuple[float, float]:
        mean, squares = part[0], 1.0
        for i, x in enumerate(part):
            mean += weight * (x - mean) if i else 0.0
            squares = weight**2 + (1 - weight) ** 2 * squares
        return mean, squares

    for t, x in enumerate(values):
        seen.append(x)
        mean, squares = average(seen)
        edge = mean + math.sqrt(squares * math.log(1 / drift) / 2)
        if edge < best:
            best, cut = edge, len(seen)
        elif len(seen) > cut:
            (before, b), (after, a) = average(seen[:cut]), average(seen[cut:])
            if after - before > math.sqrt((a + b) * math.log(1 / drift) / 2):
                out.append(t)
                seen, cut, best = [], 0, math.inf
    return out


def adwin(
    values: Iterable[float], delta: float = 0.002, clock: int = 32, most: int = 5
) -> list[int]:
    """Places of cuts, the buckets being lists of the values themselves."""
    out, buckets = [], []  # the oldest first
    for t, x in enumerate(values):
        buckets.append([x])
        size = 1
        while sum(len(b) == size for b in buckets) > most:
            first = next(i for i, b in enumerate(buckets) if len(b) == size)
            buckets[first : first + 2] = [buckets[first] + buckets[first + 1]]
            size *= 2
        if (t + 1) % clock:
            continue
        while _cut(buckets, delta):
            if not out or out[-1] != t:
                out.append(t)
            buckets.pop(0)
    return out


def _cut(buckets: list[list[float]], delta: float) -> bool:
    window = [x for b in buckets for x in b]
    if len(window) <= 10:
        return False
    log, done = math.log(2 * math.log(len(window)) / delta), 0
    for b in buckets[:-1]:
        done += len(b)
        if done < 5 or len(window) - done < 5:
            continue
        inverse = 1 / done + 1 / (len(window) - done)
        eps = math.sqrt(2 * inverse * np.var(window) * log) + 2 / 3 * inverse * log
        if abs(np.mean(window[:done]) - np.mean(window[done:])) > eps:
            return True
    return False
