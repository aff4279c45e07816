"""The range in which a feature of a stream usually lies, and its unit, from its first rows."""

from __future__ import annotations

import numpy as np

from awry.core.inputs import FloatArray

_FAR = 1e100


def usual_range(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Low end and width (d,) of the columns of ``X`` (n, d): their 1 % to 99 % quantiles.

    Where these are the same, all of the range; where that is empty too, a width of 1, or what a
    large constant can still be told from.
    """
    low, high = np.quantile(X, [0.01, 0.99], axis=0)
    flat = high <= low
    low[flat], high[flat] = X[:, flat].min(axis=0), X[:, flat].max(axis=0)
    width = high - low
    least = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    return low, np.where(width > least, width, np.maximum(1.0, least))


def standardised(X: FloatArray, center: FloatArray, scale: FloatArray) -> FloatArray:
    """``X`` (n, d) in units of ``scale`` from ``center``, cut off where squares would overflow."""
    return np.ascontiguousarray(np.clip((X - center) / scale, -_FAR, _FAR))
