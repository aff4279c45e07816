"""Fourier residual: what a few frequencies do not explain."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import integer, option
from awry.core.series import Series, SeriesDetector, robust_moments
from awry.core.threshold import Threshold


class FourierResidual(SeriesDetector):
    """Points far from a curve of few frequencies.

    The Fourier transform of a series is cut to ``n_frequencies`` and transformed back; the score of
    a point and channel is its distance from that curve over the robust standard deviation such
    distances had in training.

    Parameters
    ----------
    n_frequencies : int, default=5
        Besides the mean; the first of the paper's parameters.
    keep : {"lowest", "strongest"}, default="lowest"
        Which frequencies make the curve: the lowest, as in the paper, whose curve is a smooth one,
        or those of largest amplitude, which catch seasons.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    scale_ : ndarray of shape (d,)
        Robust standard deviation of the distances.

    Notes
    -----
    Departure: the paper then marks as outliers the points whose distance exceeds the mean one and
    that differ from their neighbours, and joins marks to regions; here events do that.

    References
    ----------
    Rasheed, Peng, Alhajj & Rokne: "Fourier Transform Based Spatial Outlier Mining", IDEAL 2009.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5) + np.random.default_rng(0).normal(scale=0.05, size=400)
    >>> x[250] += 2
    >>> int(FourierResidual(keep="strongest").fit(x).decision_scores_.argmax())
    250
    """

    card = Card(
        name="fourier_residual",
        summary="Points far from a curve of few frequencies.",
        modality="series",
        family="shape",
        paper="Rasheed et al., Fourier Transform Based Spatial Outlier Mining, IDEAL",
        year=2009,
        fit_cost="O(T log T d)",
        score_cost="O(T log T d)",
        finds="spikes, dips and bursts beside a smooth or seasonal curve",
        misses="slow changes; odd shapes within the usual range; points at the ends",
        univariate=True,
        min_rows=8,
    )

    constraints = {"n_frequencies": integer(1), "keep": option("lowest", "strongest")}

    def __init__(
        self,
        n_frequencies: int = 5,
        keep: str = "lowest",
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_frequencies = n_frequencies
        self.keep = keep
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        self.scale_ = robust_moments(self._residuals(X)).scale

    def _score(self, X: Series) -> FloatArray:
        return np.abs(self._residuals(X)) / self.scale_

    def _residuals(self, X: Series) -> FloatArray:
        """Distances (T, d) from the curves; NaN in holes."""
        values, holes = X.filled()
        spectrum = np.fft.rfft(values, axis=0)
        kept = np.zeros(spectrum.shape, dtype=np.bool_)
        kept[: self.n_frequencies + 1] = True
        if self.keep == "strongest":
            order = np.argsort(-np.abs(spectrum[1:]), axis=0, kind="stable")[: self.n_frequencies]
            kept[1:] = False
            np.put_along_axis(kept, order + 1, True, axis=0)
        curve = np.fft.irfft(np.where(kept, spectrum, 0.0), n=len(X), axis=0)
        return np.where(holes, np.nan, values - curve)
