"""The automatic choice for series: what was never measured, and shapes never seen."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import boolean, integer, listing
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold
from awry.detectors.series.matrix_profile import MatrixProfile
from awry.detectors.series.window_statistics import WindowStatistics

#: Added to the typical score of a part, which may be 0 where a series repeats itself exactly.
FLOOR = 0.01
#: A window is at most this part of the training series.
SHARE = 16
#: Points of the training series up to which all pairs of windows are compared.
MAX_POINTS = 32_768


class SeriesAuto(SeriesDetector):
    """Points whose statistics or whose shape resemble nothing in the training series.

    Two detectors that find different things are joined: :class:`WindowStatistics` sees levels,
    spreads and extremes, and :class:`MatrixProfile` with its noise taken out sees shapes whatever
    their level. A channel's score is ``log(1 + u / U) + log(1 + v / V)`` of their scores u and v,
    U and V being their means over the training series; channels are joined by their 4-norm.
    Channels of two values, such as commands and switches, are left out where others have more.

    Parameters
    ----------
    windows : list of int, default=(8, 32, 128)
        Of the statistics.
    shape_window : int, default=64
        Of the shapes.
    causal : bool, default=False
        Whether what comes later must not change a score.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    judged_ : ndarray of int
        The channels that are judged.
    choice_ : str
        What was chosen and why, in words.

    Notes
    -----
    The lengths span what is short and long in samples, the same for all series; of a short one they
    are at most a sixteenth.

    References
    ----------
    Ramaswamy, Rastogi & Shim, SIGMOD 2000; Yeh et al., ICDM 2016; De Paepe et al., ICPRAM 2019; see
    the two detectors.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = np.sin(np.arange(900) / 5) + rng.normal(scale=0.05, size=900)
    >>> x[600:630] = x[600:630][::-1] * 0.5
    >>> model = SeriesAuto().fit(x)
    >>> bool(580 < model.decision_scores_.argmax() < 650)
    True
    """

    card = Card(
        name="series_auto",
        summary="Points whose statistics or whose shape resemble nothing seen in training.",
        modality="series",
        family="automatic",
        paper="Ramaswamy, Rastogi & Shim, SIGMOD 2000; Yeh et al., Matrix Profile I, ICDM",
        year=2016,
        fit_cost="O(T min(T, 32768) d)",
        score_cost="O(T min(T, 32768) d)",
        finds="odd levels, spreads, extremes, flat stretches and shapes, short or long",
        misses="what also happened in training; odd combinations of ordinary channels",
        min_rows=8,
    )

    constraints = {
        "windows": listing(integer(2)),
        "shape_window": integer(4),
        "causal": boolean(),
    }
    compares_with_training = True

    def __init__(
        self,
        windows: tuple[int, ...] = (8, 32, 128),
        shape_window: int = 64,
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.windows = windows
        self.shape_window = shape_window
        self.causal = causal
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        self.judged_ = _many_valued(X.values)
        X = self._part(X)
        # What is odd for a moment colours all windows around it; they must be few among all.
        most = max(len(X) // SHARE, min(8, len(X) // 2), 4)
        windows = tuple(sorted({min(w, most) for w in self.windows}))
        self.statistics_ = WindowStatistics(windows, causal=self.causal)
        self.shapes_ = MatrixProfile(
            min(self.shape_window, most), noise_level="auto", causal=self.causal
        )
        # The parts' own _fit and _score keep the channels apart.
        statistics = self.statistics_._fit(X, None)
        earlier, recent = X[: max(len(X) - MAX_POINTS, 0)], X[-MAX_POINTS:]
        shapes = self.shapes_._fit(recent, None)
        if len(earlier):
            shapes = np.concatenate([self.shapes_._score(earlier), shapes])
        self.statistics_level_, self.shapes_level_ = _levels(statistics), _levels(shapes)
        self.choice_ = self._choice(most)
        return self._joined(statistics, shapes)

    def _score(self, X: Series) -> FloatArray:
        X = self._part(X)
        return self._joined(self.statistics_._score(X), self.shapes_._score(X))

    def _part(self, X: Series) -> Series:
        return Series(X.values[:, self.judged_], X.times)

    def _joined(self, statistics: FloatArray, shapes: FloatArray) -> FloatArray:
        """One score for each channel, those not judged NaN; a part that cannot judge adds 0."""
        shapes = self._steadied(shapes)
        parts = (statistics / self.statistics_level_, shapes / self.shapes_level_)
        known = [np.log1p(np.where(np.isnan(part), 0.0, part)) for part in parts]
        unknown = np.isnan(parts[0]) & np.isnan(parts[1])
        scores = np.full((len(statistics), self.n_features_in_), np.nan)
        scores[:, self.judged_] = np.where(unknown, np.nan, known[0] + known[1])
        return scores

    def _steadied(self, shapes: FloatArray) -> FloatArray:
        """Shapes' scores (T, d), those at the ends, means over few windows, as further inside."""
        shapes = shapes.reshape(len(shapes), -1)
        if self.causal:
            return shapes
        edge = min(self.shapes_.windows_[0] // 2, (len(shapes) - 1) // 2)
        return shapes[np.clip(np.arange(len(shapes)), edge, len(shapes) - 1 - edge)]

    def _choice(self, most: int) -> str:
        words = "statistics of windows of " + ", ".join(map(str, self.statistics_.windows))
        words += f" points and shapes of {self.shapes_.window}"
        if most < max(self.windows):
            words += f", cut to a {SHARE}th of a short series"
        left = self.n_features_in_ - len(self.judged_)
        if left:
            words += f"; {left} channels of at most two values left out"
        return words


def _many_valued(values: FloatArray) -> IntArray:
    """Channels of more than two values, or all where there are none."""
    many = [len(np.unique(column[~np.isnan(column)])) > 2 for column in values.T]
    return np.flatnonzero(many) if any(many) else np.arange(values.shape[1])


def _levels(scores: FloatArray) -> FloatArray:
    """Mean score of each channel, those without any taken for 1."""
    known = ~np.isnan(scores)
    total = np.where(known, scores, 0.0).sum(axis=0)
    return FLOOR + np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), 1.0)
