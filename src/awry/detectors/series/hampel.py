"""Hampel identifier: a moving median and how far points usually lie from it."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import own_copy
from awry.core.params import any_of, boolean, integer, nothing
from awry.core.series import Series
from awry.core.threshold import Threshold
from awry.detectors.series._band import BandDetector, Window, full_window
from awry.kernels import sliding


class Hampel(BandDetector):
    """Spikes: points far from the median of those around them, in median absolute deviations.

    A channel scores ``|x_t - median| / (1.4826 MAD)`` with both taken over a moving window that
    holds the point itself; half the window may be anomalous. The usual limit is 3,
    ``contamination="fixed:3"``.

    Parameters
    ----------
    window : int, default=51
        Points in the window. It must hold more than twice as many as an anomaly.
    causal : bool, default=True
        Whether the window ends at the point. Otherwise it is centred on it in ``fit``,
        ``decision_function`` and ``band``, as in the paper; points given to ``update`` have no
        future yet and are always judged by the past.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`; of no use where the window is centred.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        The last points of each channel, by age and by size.

    Notes
    -----
    Departures: until the window is full it is filled up with quantiles of the training points, and
    the scale is at least a twentieth of theirs, where the paper's is 0 on constant stretches.

    References
    ----------
    Davies & Gather: "The Identification of Multiple Outliers", JASA 1993; moving as in Pearson:
    "Outliers in Process Modeling and Identification", IEEE Trans. Control Systems Technology 2002.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile([1.0, 2.0, 3.0, 2.0], 50)
    >>> x[120] = 9
    >>> Hampel(window=21).fit(x).decision_scores_[[119, 120, 121]].round(1)
    array([0. , 4.7, 0. ])
    """

    card = Card(
        name="hampel",
        summary="Points far from a moving median, in moving median absolute deviations.",
        modality="series",
        family="control charts",
        paper="Davies & Gather, The Identification of Multiple Outliers, JASA",
        year=1993,
        fit_cost="O(T d window)",
        score_cost="O(T d window)",
        finds="spikes and dips shorter than half the window",
        misses="odd shapes; slow changes; what a season repeats",
        online=True,
        univariate=True,
    )

    constraints = {
        "window": integer(3),
        "causal": boolean(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        window: int = 51,
        causal: bool = True,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.causal = causal
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> Window:
        return full_window(X, self.window)

    def _expect(self, state: Window, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        center, scale = np.empty_like(X.values), np.empty_like(X.values)
        values = np.ascontiguousarray(X.values)
        sliding.median_band(values, state.ring, state.ordered, state.oldest, center, scale)
        scale = np.maximum(scale, state.least)
        return center, scale, scale

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        scores = super()._fit(X, y)
        if self.causal:
            return scores
        return self._distance(X, *self._centred(self._start(X), X))

    def _continue(self, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        return super()._continue(X) if self.causal else self._centred(own_copy(self.state_), X)

    def _centred(self, state: Window, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        """As ``_expect`` with windows that end half a window later."""
        ahead = self.window // 2
        # Points missing at the end leave the last window where it is.
        later = np.full((ahead, X.values.shape[1]), np.nan)
        center, scale, _ = self._expect(state, Series(np.concatenate([X.values, later])))
        return center[ahead:], scale[ahead:], scale[ahead:]
