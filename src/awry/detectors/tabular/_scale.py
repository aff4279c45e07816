"""Location and scale of a column, with fall-backs where a scale vanishes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from awry.core.inputs import FloatArray


def is_constant(mean: FloatArray, scale: FloatArray) -> NDArray[np.bool_]:
    """Whether a standard deviation is no more than the rounding of its mean."""
    return scale <= 10 * np.finfo(float).eps * np.abs(mean)


def mean_and_scale(x: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of ``x`` (n,); a constant column has the scale 1."""
    mean, scale = x.mean(), x.std()
    return float(mean), 1.0 if is_constant(mean, scale) else float(scale)


def median_and_scale(x: FloatArray) -> tuple[float, float]:
    """Median of ``x`` (n,), and the scale that makes (x - median) / scale the modified Z-score.

    The scale is MAD / 0.6745 or, where more than half of the values are equal and the MAD is 0,
    1.253314 times the mean absolute deviation from the median; both are the standard deviation for
    normal data. A constant column has the scale 1.
    """
    median = float(np.median(x))
    deviations = np.abs(x - median)
    return median, float(np.median(deviations)) / 0.6745 or mean_deviation_scale(deviations)


def mean_deviation_scale(deviations: FloatArray) -> float:
    """1.253314 times the mean of the absolute ``deviations`` (n,); 1 where all are 0."""
    return 1.253314 * float(deviations.mean()) or 1.0
