"""Nearest neighbour of what a window measures: its level, spread and extremes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from awry.core import progress
from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import boolean, integer, listing
from awry.core.series import BoolArray, Series, SeriesDetector
from awry.core.threshold import Threshold

#: Statistics of each window: mean, standard deviation, largest, smallest and range.
N_STATISTICS = 5
#: Rows compared with the reference at a time.
CHUNK = 1024


class WindowStatistics(SeriesDetector):
    """Points around which level, spread or extremes are as they never were.

    A point is described by the mean, standard deviation, maximum, minimum and range of the windows
    of several lengths around it, each in units of its standard deviation over the training series.
    Its score is the distance to the nearest such description in the training series; training
    points leave out those of windows that overlap theirs.

    Parameters
    ----------
    windows : list of int, default=(8, 32, 128)
        Points in each window.
    n_neighbors : int, default=1
        Which neighbour's distance is the score; k finds what occurs fewer than k times.
    max_reference : int, default=16384
        Points of the training series kept to compare with, evenly spaced; the cost of a score grows
        with it.
    causal : bool, default=False
        Whether windows end at their point in place of lying around it, so that what comes later
        does not change its score, and training points are compared with earlier ones only.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    unit_ : ndarray of shape (d, 5 * len(windows))
        What each statistic of each channel is divided by.
    reference_ : ndarray of shape (m, d, 5 * len(windows))
        Descriptions of training points, NaN where a window has a hole.

    Notes
    -----
    Departure: the neighbours are sought in each channel by itself, which keeps channels that say
    nothing from hiding those that do.

    References
    ----------
    Ramaswamy, Rastogi & Shim: "Efficient Algorithms for Mining Outliers from Large Data Sets",
    SIGMOD 2000, for the distance to the k-th neighbour; the statistics are those of Numenta's and
    others' windowed detectors, joined at several lengths.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 5)
    >>> x[300:320] *= 0.2
    >>> model = WindowStatistics().fit(x)
    >>> bool(280 < model.decision_scores_.argmax() < 340)
    True
    """

    card = Card(
        name="window_statistics",
        summary="Points around which level, spread or extremes are as they never were.",
        modality="series",
        family="shape",
        paper="Ramaswamy, Rastogi & Shim, Efficient Algorithms for Mining Outliers, SIGMOD",
        year=2000,
        fit_cost="O(T m d) for m points of reference",
        score_cost="O(T m d)",
        finds="levels, spreads, spikes and flat stretches that did not occur before",
        misses="odd shapes of ordinary level and spread; what occurs n_neighbors times",
        min_rows=8,
    )

    constraints = {
        "windows": listing(integer(2)),
        "n_neighbors": integer(1),
        "max_reference": integer(2),
        "causal": boolean(),
    }
    compares_with_training = True

    def __init__(
        self,
        windows: tuple[int, ...] = (8, 32, 128),
        n_neighbors: int = 1,
        max_reference: int = 16_384,
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.windows = windows
        self.n_neighbors = n_neighbors
        self.max_reference = max_reference
        self.causal = causal
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        found, holes = self._describe(X)
        spread = found.std(axis=0)
        level = np.abs(found).max(axis=0)
        self.unit_ = np.where(spread > 1e-9 * level, spread, np.where(level > 0, level, 1.0))
        found = (found / self.unit_).astype(np.float32)
        found[holes] = np.nan
        step = -(-len(X) // self.max_reference)
        self._at = np.arange(0, len(X), step)
        self.reference_ = found[::step]
        return self._distances(found, np.arange(len(X)))

    def _score(self, X: Series) -> FloatArray:
        found, holes = self._describe(X)
        found = (found / self.unit_).astype(np.float32)
        found[holes] = np.nan
        return self._distances(found)

    def _describe(self, X: Series) -> tuple[FloatArray, BoolArray]:
        """Statistics of each point's windows (T, d, p), and where a window has a hole (T, d)."""
        values, holes = X.filled(causal=self.causal)
        wide = np.zeros_like(holes)
        columns = []
        for window in self.windows:
            size = min(window, len(X))
            # scipy centres its filters; moved by half a window they end at their point.
            how = {"size": size, "axis": 0, "origin": (size - 1) // 2 if self.causal else 0}
            mean = uniform_filter1d(values, mode="nearest", **how)
            # Around the window's own level squares keep their digits.
            centre = values.mean(axis=0) if not self.causal else values[0]
            square = uniform_filter1d((values - centre) ** 2, mode="nearest", **how)
            deviation = np.sqrt(np.maximum(square - (mean - centre) ** 2, 0.0))
            high = maximum_filter1d(values, mode="nearest", **how)
            low = minimum_filter1d(values, mode="nearest", **how)
            around = np.arange(len(X))
            if not self.causal:
                # At the ends the nearest whole window, which is as ordinary as any.
                around = np.clip(around, size // 2, len(X) - 1 - (size - 1) // 2)
            columns += [part[around] for part in (mean, deviation, high, low, high - low)]
            holed = maximum_filter1d(holes.astype(np.uint8), mode="nearest", **how)
            wide |= holed[around].astype(bool)
        return np.stack(columns, axis=-1), wide

    def _distances(self, found: np.ndarray, at: IntArray | None = None) -> FloatArray:
        """Distance of each description (T, d, p) to its neighbour; ``at`` (T,) training points."""
        scores = np.empty(found.shape[:2])
        starts = range(0, len(found), CHUNK)
        for j in progress.track("window_statistics", range(found.shape[1])):
            known = ~np.isnan(self.reference_[:, j, 0])
            reference, places = self.reference_[known, j], self._at[known]
            squares = np.einsum("ij,ij->i", reference, reference)
            for start in starts:
                part = slice(start, start + CHUNK)
                rows = found[part, j]
                square = squares - 2.0 * rows @ reference.T
                if at is not None:
                    square[self._too_near(at[part, None], places)] = np.inf
                scores[part, j] = self._kth(square, np.einsum("ij,ij->i", rows, rows))
        return scores

    def _too_near(self, at: IntArray, places: IntArray) -> BoolArray:
        """Training points whose windows overlap, or that come later where that must not count."""
        apart = at - places if self.causal else np.abs(at - places)
        return np.asarray(apart < max(self.windows))

    def _kth(self, square: np.ndarray, own: np.ndarray) -> FloatArray:
        k = self.n_neighbors
        if square.shape[1] < k:
            return np.full(len(square), np.nan)
        nearest = square.min(axis=1) if k == 1 else np.partition(square, k - 1, axis=1)[:, k - 1]
        found = np.sqrt(np.maximum(nearest.astype(np.float64) + own, 0.0))
        return np.where(np.isfinite(found), found, np.nan)
