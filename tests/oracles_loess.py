"""Slow, obvious twins of the loess kernels, the ESD test by medians, and the online kernels."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student


def loess(y, length, degree=1, weights=None):
    """Weighted polynomials, fitted by least squares at each point."""
    n, out = len(y), np.empty(len(y))
    at = np.arange(n, dtype=float)
    weights = np.ones(n) if weights is None else weights
    size = min(length, n)
    for i in range(n):
        first = min(max(i - (length - 1) // 2, 0), n - size)
        near = slice(first, first + size)
        h = max(i - first, first + size - 1 - i) + (max(length - n, 0)) // 2
        r = np.abs(at[near] - i)
        w = np.where(r <= 0.999 * h, np.where(r <= 0.001 * h, 1, (1 - (r / h) ** 3) ** 3), 0)
        w = w * weights[near]
        if w.sum() <= 0:
            out[i] = y[i]
            continue
        spread = np.average((at[near] - np.average(at[near], weights=w)) ** 2, weights=w)
        if np.sqrt(spread) <= 0.001 * (n - 1):  # no line through what is one point
            out[i] = np.average(y[near], weights=w)
            continue
        coef = np.polyfit(at[near] - i, y[near], degree, w=np.sqrt(w))
        out[i] = coef[-1]
    return out


def median_deviates(x, steps):
    """Largest deviates from the median, the value deleted each time; and those values."""
    rest, deviates, removed = list(x), [], []
    for _ in range(steps):
        deviation = np.abs(rest - np.median(rest))
        scale = 1.4826 * np.median(deviation)
        worst = len(rest) - 1 - int(np.argmax(deviation[::-1]))  # of two the high one
        deviates.append(deviation[worst] / scale if scale > 0 else 0.0)
        removed.append(rest.pop(worst))
    return np.array(deviates), removed


def run_lengths(x, hazard):
    """Predictive densities and run-length posteriors of Adams & MacKay, none dropped."""
    runs = {0: 1.0}
    densities, posteriors = [], []
    for t, value in enumerate(x):
        joint = {}
        for r, p in runs.items():
            seen = np.asarray(x[t - r : t])
            kappa, a = 1.0 + r, 1.0 + r / 2
            mean = seen.sum() / kappa
            b = 1.0 + 0.5 * (np.sum(seen**2) - kappa * mean**2)
            joint[r] = p * student.pdf(value, 2 * a, mean, np.sqrt(b * (kappa + 1) / (a * kappa)))
        total = sum(joint.values())
        runs = {r + 1: p / total * (1 - hazard) for r, p in joint.items()} | {0: hazard}
        densities.append(total)
        posteriors.append(dict(runs))
    return np.array(densities), posteriors
