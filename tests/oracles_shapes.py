"""Slow, obvious twins of the kernels that compare shapes."""

from __future__ import annotations

import numpy as np


def z_normalized(windows):
    """Rows with mean 0 and standard deviation 1; zeros where constant."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    constant = np.ptp(windows, axis=1, keepdims=True) == 0
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, windows.std(axis=1)[:, None]))


def distances(x, y, m, noise=0.0):
    """Of every window of ``x`` (n,) to every one of ``y`` (k,) after z-normalisation.

    A constant window is at 0 of another and at sqrt(m) of any other. The share of the noise is De
    Paepe et al. 2019, equation 8.
    """
    rows, columns = (np.lib.stride_tricks.sliding_window_view(z, m) for z in (x, y))
    a, b = z_normalized(rows), z_normalized(columns)
    squared = np.array([((row - b) ** 2).sum(axis=1) for row in a])
    flat_a, flat_b = ((np.ptp(w, axis=1) == 0) for w in (rows, columns))
    squared[flat_a[:, None] != flat_b] = m
    widest = np.maximum(rows.std(axis=1)[:, None], columns.std(axis=1))
    neither = ~flat_a[:, None] & ~flat_b
    squared[neither] -= ((2 * m + 2) * noise**2 / np.where(neither, widest, 1.0) ** 2)[neither]
    return np.sqrt(np.maximum(squared, 0.0))


def nearest(table, allowed):
    """Smallest entry and its place in each row of ``table`` among the ``allowed``, else NaN, -1."""
    found = np.where(allowed, table, np.inf)
    where = allowed.any(axis=1)
    best, near = found.min(axis=1), found.argmin(axis=1)
    return np.where(where, best, np.nan), np.where(where, near, -1)


def shape_distance(x, y):
    """1 less the highest normalised cross-correlation of ``x`` and ``y`` (m,), and its shift."""
    m = len(x)
    found = {}
    for shift in range(1 - m, m):
        pairs = [(x[i], y[i - shift]) for i in range(m) if 0 <= i - shift < m]
        found[shift] = sum(a * b for a, b in pairs)
    shift = max(found, key=found.get)
    return 1 - found[shift] / (np.linalg.norm(x) * np.linalg.norm(y)), shift
