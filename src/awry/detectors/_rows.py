"""Rows of tables, in memory or on disk, taken a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from awry.core.inputs import FloatArray

#: Numbers in a part.
_CELLS = 1 << 18
#: A column whose spread is below this share of its size is constant but for rounding.
_ROUNDING = 1e-12


class Scaled:
    """Rows of a table, or windows of a series, standardised when they are taken."""

    def __init__(self, X: Any, center: FloatArray, scale: FloatArray) -> None:
        self.X, self.center, self.scale = X, center, scale

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> FloatArray:
        scaled: FloatArray = (self.X[rows] - self.center) / self.scale
        return scaled


def parts(X: FloatArray) -> Iterator[FloatArray]:
    """The rows of ``X`` (n, d) in double precision, as many at a time as are not much memory."""
    size = max(1, _CELLS // max(1, X.shape[1]))
    for start in range(0, len(X), size):
        yield np.asarray(X[start : start + size], dtype=np.float64)


def standards(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What to take off the columns of ``X`` (n, d) and divide them by, (d,) each.

    A constant column is divided by its size, or by 1 if that is more.
    """
    center, spread = moments(X)
    largest = np.maximum(X.max(axis=0), -X.min(axis=0))
    scale = np.where(spread > _ROUNDING * largest, spread, np.maximum(np.abs(center), 1.0))
    return center, scale


def moments(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations (d,) of the columns of ``X`` (n, d), in one pass.

    References
    ----------
    Chan, Golub & LeVeque: "Algorithms for Computing the Sample Variance", 1983, for how parts join.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> [column.round(3).tolist() for column in moments(X)]
    [[5.0, 6.0], [3.416, 3.416]]
    """
    n, mean, squares = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for part in parts(X):
        m, own = len(part), part.mean(axis=0)
        away = own - mean
        squares += ((part - own) ** 2).sum(axis=0) + away**2 * (n * m / (n + m))
        mean = mean + away * (m / (n + m))
        n += m
    return mean, np.sqrt(squares / n)
