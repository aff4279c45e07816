"""Windows of a series, and window scores spread back over its points: written once, here."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter1d

from awry.core.inputs import FloatArray
from awry.core.series import BoolArray


def windows(values: FloatArray, length: int, stride: int = 1) -> FloatArray:
    """A view on the windows of ``values`` (T, d), shape (n, length, d).

    Window i starts at point ``i * stride``; one more ends at the last point where the stride does
    not meet it, so that no point is left out (the result is then a copy).

    Examples
    --------
    >>> windows(np.arange(6.0)[:, None], 3, stride=2)[:, :, 0]
    array([[0., 1., 2.],
           [2., 3., 4.],
           [3., 4., 5.]])
    """
    view = np.moveaxis(sliding_window_view(values, length, axis=0), -1, 1)
    picks = starts(len(values), length, stride)
    return view if stride == 1 else view[picks]


def starts(n: int, length: int, stride: int = 1) -> np.ndarray:
    """First points of the windows of a series of ``n`` points."""
    last = n - length
    regular = np.arange(0, last + 1, stride)
    return regular if regular[-1] == last else np.append(regular, last)


def blind(holes: BoolArray, length: int, stride: int = 1) -> BoolArray:
    """Windows that cannot be judged: more than half of the channels have a hole in them; (n,)."""
    holed = windows(holes.astype(np.float64), length, stride).any(axis=1)
    return np.asarray(holed.mean(axis=1) > 0.5)


def spread(
    scores: FloatArray, n: int, length: int, stride: int = 1, how: str = "mean"
) -> FloatArray:
    """Scores of points from those of windows; NaN where no judged window lies.

    Parameters
    ----------
    scores : ndarray of shape (m,)
        Of the windows :func:`windows` gives; NaN where a window could not be judged.
    n : int
        Points of the series.
    how : {"mean", "max", "centre", "last"}
        The mean or the largest over the windows that cover a point; the score of the window around
        a point; or that of the window that ends at it, which does not look ahead. Points before the
        first window's (and after the last's) centre or end take the nearest window's, but for
        ``"last"``, where they are NaN.

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> spread(np.array([1.0, 5.0, 1.0]), 4, 2)
    array([1., 3., 3., 1.])
    >>> spread(np.array([1.0, 5.0, 1.0]), 4, 2, how="last")
    array([nan,  1.,  5.,  1.])
    """
    first = starts(n, length, stride)
    if how in ("centre", "last"):
        anchor = first + (length - 1 if how == "last" else length // 2)
        at = np.searchsorted(anchor, np.arange(n), side="right") - 1
        points = scores[np.clip(at, 0, None)]
        return np.where(at < 0, np.nan, points) if how == "last" else points
    known = ~np.isnan(scores)
    if how == "max":
        return _spread_max(np.where(known, scores, -np.inf), first, n, length)
    edges, weights = np.zeros(n + 1), np.zeros(n + 1)
    # Differences of sums lose digits beside large scores; taking a typical one out saves them.
    level = float(np.median(scores[known])) if known.any() else 0.0
    values = np.where(known, scores - level, 0.0)
    for sums, parts in ((edges, values), (weights, known.astype(np.float64))):
        np.add.at(sums, first, parts)
        np.subtract.at(sums, first + length, parts)
    covered = np.cumsum(weights)[:n]
    total = np.cumsum(edges)[:n]
    means = level + total / np.maximum(covered, 1.0)
    if known.any():  # Rounding must not lead out of the scores' range, such as below 0.
        means = np.clip(means, scores[known].min(), scores[known].max())
    return np.where(covered > 0.5, means, np.nan)


def _spread_max(scores: FloatArray, first: np.ndarray, n: int, length: int) -> FloatArray:
    """The largest score over the windows that cover each point."""
    points = np.full(n, -np.inf)
    points[first] = scores
    # A point is covered by the windows that start at it or at most length - 1 points before.
    found = maximum_filter1d(
        points, length, mode="constant", cval=-np.inf, origin=(length - 1) // 2
    )
    return np.where(np.isinf(found), np.nan, found)
