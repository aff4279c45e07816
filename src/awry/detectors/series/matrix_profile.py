"""Matrix profile: windows whose shape occurs nowhere else."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, integer, nothing, option, real
from awry.core.series import BoolArray, Series, SeriesDetector
from awry.core.threshold import Threshold
from awry.core.windows import blind, spread
from awry.detectors.series import _profile
from awry.detectors.series._windows import window_length


def _is_range(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(v, (int, np.integer)) for v in value)
        and 3 <= value[0] <= value[1]
    )


class MatrixProfile(SeriesDetector):
    """Odd shapes: windows far from their nearest neighbour after z-normalisation.

    The training series is compared with itself, leaving out neighbours within a quarter of a
    window; new series are compared with the training series. A window's score is its distance over
    ``sqrt(2 m)``, ``sqrt(1 - c)`` of the highest correlation c, so that lengths can be compared:
    0 a repeated shape, 1 one that nothing resembles. Constant windows are at distance 0 of one
    another and at ``sqrt(m)`` of others. Windows with holes are no one's neighbour.

    Parameters
    ----------
    window : int, (int, int) or None, default=None
        Points in a window. A range looks at ``n_lengths`` lengths from the first to the second in
        equal ratios, each point getting its highest score. None takes the dominant period, or 32.
    n_lengths : int, default=5
        Lengths of a range.
    n_dimensions : int or None, default=None
        None: each channel is compared by itself. Else a window is one of all channels, and what
        counts are the ``n_dimensions`` channels in which it departs furthest, as in mSTAMP.
    noise_level : float or "auto", default=0.0
        Standard deviation of the noise in the units of the series, whose share of the distances is
        taken out, so that flat noisy stretches do not seem odd. ``"auto"`` estimates it from the
        second differences of the training series.
    spread : {"mean", "max", "centre"}, default="mean"
        How windows' scores become points', see :func:`~awry.core.windows.spread`.
    causal : bool, default=False
        Whether the score of a point is that of the window that ends at it, in the training series
        compared with earlier windows only.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    windows_ : tuple of int
        The lengths.
    profiles_ : list of ndarray
        For each length the scores of the training windows, (n, d), or (n,) with ``n_dimensions``.
    noise_ : ndarray of shape (d,)

    Notes
    -----
    Departures: mSTAMP averages the smallest distances, which finds motifs; as discords are sought,
    the largest are averaged. MERLIN finds the discords of all lengths; a range here looks at a few.

    References
    ----------
    Yeh et al.: "Matrix Profile I", ICDM 2016. Zimmerman et al.: "Matrix Profile XIV", SoCC 2019,
    for the sums. Yeh, Kavantzas & Keogh: "Matrix Profile VI", ICDM 2017, for several channels.
    Nakamura et al.: "MERLIN", ICDM 2020, for lengths. De Paepe et al.: "Eliminating Noise in the
    Matrix Profile", ICPRAM 2019, equation 8, for the noise.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5)
    >>> x[200:210] *= -1
    >>> model = MatrixProfile(window=30).fit(x)
    >>> bool(170 < model.discords(1)[0][0] <= 210)
    True
    """

    card = Card(
        name="matrix_profile",
        summary="Windows whose shape occurs nowhere else.",
        modality="series",
        family="shape",
        paper="Yeh et al., Matrix Profile I: All Pairs Similarity Joins for Time Series, ICDM",
        year=2016,
        fit_cost="O(T^2 d)",
        score_cost="O(T n d) for T new and n training points",
        finds="odd shapes, at any level and scale",
        misses="odd levels and scales; shapes that are odd twice",
        min_rows=8,
    )

    constraints = {
        "window": any_of(nothing(), integer(3), ("a pair of integers 3 <= a <= b", _is_range)),
        "n_lengths": integer(1),
        "n_dimensions": any_of(nothing(), integer(1)),
        "noise_level": any_of(real(0.0), option("auto")),
        "spread": option("mean", "max", "centre"),
        "causal": boolean(),
    }
    compares_with_training = True

    def __init__(
        self,
        window: int | tuple[int, int] | None = None,
        n_lengths: int = 5,
        n_dimensions: int | None = None,
        noise_level: float | str = 0.0,
        spread: str = "mean",
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.n_lengths = n_lengths
        self.n_dimensions = n_dimensions
        self.noise_level = noise_level
        self.spread = spread
        self.causal = causal
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        self.windows_ = self._lengths(X)
        values, self._holes = X.filled(causal=self.causal)
        self._values = values.copy()  # The caller may change what is theirs.
        self.noise_ = self._noise(self._values)
        self.profiles_ = [self._profile(m) for m in self.windows_]
        return self._points(self.profiles_, len(X))

    def _score(self, X: Series) -> FloatArray:
        values, holes = X.filled(causal=self.causal)
        fitting = [m for m in self.windows_ if m <= len(X)]
        if not fitting:
            return np.full(len(X), np.nan)
        return self._points([self._profile(m, (values, holes)) for m in fitting], len(X))

    def discords(self, k: int = 3) -> list[IntArray]:
        """Starts of the ``k`` oddest training windows of each length, which do not overlap.

        With several channels compared each by itself, a window counts by its oddest channel.
        """
        return [
            _profile.discords(_oddest(profile.reshape(len(profile), -1)), m, k)
            for m, profile in zip(self.windows_, self.profiles_, strict=True)
        ]

    def _lengths(self, X: Series) -> tuple[int, ...]:
        if not isinstance(self.window, tuple):
            # Of windows of two points every one is a rise or a fall.
            return (max(window_length(X, self.window), min(3, len(X))),)
        lengths = np.geomspace(*self.window, self.n_lengths).round().astype(int)
        return tuple(sorted({min(int(m), len(X)) for m in lengths}))

    def _noise(self, values: FloatArray) -> FloatArray:
        if self.noise_level != "auto":
            return np.full(values.shape[1], float(self.noise_level))
        bends = np.abs(np.diff(values, n=2, axis=0))
        # Second differences of independent noise have six times its variance.
        return 1.4826 * np.median(bends, axis=0) / np.sqrt(6.0)

    def _profile(self, m: int, new: tuple[FloatArray, BoolArray] | None = None) -> FloatArray:
        """Scores of windows of ``m`` points of the training series, or of ``new``."""
        values, holes = new or (self._values, self._holes)
        if self.n_dimensions is not None:
            most = min(self.n_dimensions, values.shape[1])
            other = (self._values, blind(self._holes, m)) if new else None
            found = _profile.joint_profile(
                values, m, most, blind(holes, m), self.noise_, other, left=self.causal
            )
            return found / np.sqrt(2.0 * m)
        found = np.empty((len(values) - m + 1, values.shape[1]))
        for j, noise in enumerate(self.noise_):
            x, apart = values[:, j], blind(holes[:, j : j + 1], m)
            if new is None:
                profile = _profile.self_join(x, m, apart, noise, left=self.causal)
            else:
                known = blind(self._holes[:, j : j + 1], m)
                profile = _profile.ab_join(x, self._values[:, j], m, apart, known, noise)
            found[:, j] = profile.distance
        return found / np.sqrt(2.0 * m)

    def _points(self, profiles: list[FloatArray], n: int) -> FloatArray:
        how = "last" if self.causal else self.spread
        scores = [
            np.stack([spread(column, n, n - len(p) + 1, how=how) for column in p.T], axis=1)
            if p.ndim == 2
            else spread(p, n, n - len(p) + 1, how=how)
            for p in profiles
        ]
        return _oddest(np.stack(scores, axis=-1))


def _oddest(scores: FloatArray) -> FloatArray:
    """The highest along the last axis without NaN; NaN where there is no other."""
    found = np.where(np.isnan(scores), -np.inf, scores).max(axis=-1)
    return np.where(np.isinf(found), np.nan, found)
