"""Rolling quantile band: points outside what the last points mostly were."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, real
from awry.core.series import Series
from awry.core.threshold import Threshold
from awry.detectors.series._band import BandDetector, Window, full_window
from awry.kernels import sliding


class RollingQuantile(BandDetector):
    """Points outside a band between two quantiles of the points before them.

    A channel scores ``(x - median) / (high - median)`` above the median of the window before the
    point and ``(median - x) / (median - low)`` below it: 1 on the band's edge, whatever the shape
    of the distribution. ``contamination="fixed:1"`` flags what lies outside.

    Parameters
    ----------
    window : int, default=200
        Points in the window.
    low, high : float, default=0.02 and 0.98
        The quantiles, below and above 0.5.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        The last points of each channel, by age and by size.

    Notes
    -----
    The window is kept sorted, so that a point costs a search and a shift, at most ``window`` moves.
    Until it is full it is filled up with quantiles of the training points; either side of the band
    is at least a twentieth of their scale wide.

    References
    ----------
    Moving order statistics as in Juhola, Katajainen & Raita: "Comparison of Algorithms for Standard
    Median Filtering", IEEE Trans. Signal Processing 1991.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile([1.0, 2.0, 3.0, 8.0], 60)
    >>> x[201] = -3
    >>> RollingQuantile(window=80).fit(x).decision_scores_[[200, 201, 203]].round(1)
    array([1. , 3.7, 1. ])
    """

    card = Card(
        name="rolling_quantile",
        summary="Points outside a band between two quantiles of the points before them.",
        modality="series",
        family="control charts",
        paper="Juhola et al., Comparison of Algorithms for Standard Median Filtering, IEEE TSP",
        year=1991,
        fit_cost="O(T d window)",
        score_cost="O(T d window)",
        finds="spikes, dips and steps, also where values are skewed",
        misses="odd shapes within the band; what a season repeats",
        online=True,
        univariate=True,
    )

    usual_width = 1.0
    constraints = {
        "window": integer(2),
        "low": real(0.0, 0.5, "[)"),
        "high": real(0.5, 1.0, "(]"),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        window: int = 200,
        low: float = 0.02,
        high: float = 0.98,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.low = low
        self.high = high
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> Window:
        return full_window(X, self.window)

    def _expect(self, state: Window, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        bounds = np.empty((3, *X.values.shape))
        values = np.ascontiguousarray(X.values)
        sliding.quantile_band(
            values, state.ring, state.ordered, state.oldest, self.low, self.high, bounds
        )
        low, median, high = bounds
        return median, np.maximum(median - low, state.least), np.maximum(high - median, state.least)
