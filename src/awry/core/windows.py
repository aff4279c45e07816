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


class Overlap:
    """Scores of points from those of the steps of windows, which come a few windows at a time.

    Where the network or the model behind the windows says of each of their steps how odd it is,
    this is sharper than :func:`spread`, and nothing of the size of all windows is ever held.

    Parameters
    ----------
    n : int
        Points of the series.
    length : int
        Steps of a window.
    stride : int, default=1
        Points from one window's start to the next.
    how : {"mean", "max", "centre", "last"}
        The mean or the largest over the windows that cover a point; what the window around it says
        of it; or the window that ends at it, which does not look ahead (for a stride of 1). Points
        before the first window's centre take what that one says, those after the last's likewise.

    Examples
    --------
    >>> overlap = Overlap(3, 2)
    >>> overlap.add(np.array([0, 1]), np.array([[[1.0], [2.0]], [[4.0], [5.0]]]))
    >>> overlap.result()[:, 0]
    array([1., 3., 5.])
    """

    def __init__(self, n: int, length: int, stride: int = 1, how: str = "mean") -> None:
        self.n, self.length, self.how = n, length, how
        steps = np.arange(length)
        self.kept = {
            "last": steps == length - 1,
            "centre": (steps >= length // 2) & (steps < length // 2 + stride),
        }.get(how, steps >= 0)
        self.weights = np.zeros(n)
        self.points: FloatArray | None = None
        self.most = np.full(n, -np.inf)

    def add(self, first: np.ndarray, scores: FloatArray) -> None:
        """Enter the scores (m, length, d) >= 0 of the windows that start at ``first`` (m,)."""
        if self.points is None:
            self.points = np.zeros((self.n, scores.shape[2]))
        window, step = np.nonzero(self._mask(first))
        at, parts = first[window] + step, scores[window, step]
        if self.how != "max":
            np.add.at(self.points, at, parts)
            np.add.at(self.weights, at, 1.0)
            return
        total = parts.sum(axis=1)
        # In ascending order, so that of several the largest is written last.
        order = np.argsort(total, kind="stable")
        at, parts, total = at[order], parts[order], total[order]
        better = total > self.most[at]
        self.points[at[better]], self.most[at[better]] = parts[better], total[better]
        self.weights[at] = 1.0

    def _mask(self, first: np.ndarray) -> BoolArray:
        """Which steps of the windows count, (m, length)."""
        mask = np.tile(self.kept, (len(first), 1))
        if self.how == "centre":
            mask[first == 0, : self.length // 2] = True
            mask[first == self.n - self.length, self.length // 2 :] = True
        return mask

    def result(self) -> FloatArray:
        """Scores of the points (n, d); NaN where no window came that covers them."""
        if self.points is None:
            return np.full((self.n, 1), np.nan)
        known = (self.weights > 0)[:, None]
        means = self.points / np.maximum(self.weights, 1.0)[:, None]
        return np.where(known, means, np.nan)
