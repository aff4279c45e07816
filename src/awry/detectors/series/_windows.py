"""What detectors that look at the windows of a series as rows of a table have in common."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, integer, nothing, option
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold
from awry.core.windows import blind, spread, starts, windows
from awry.data.periods import dominant_period

#: Length of the windows of a series without a period.
DEFAULT_WINDOW = 32
#: Numbers in the tables of windows a detector is fitted on and that are scored at a time.
FIT_CELLS, SCORE_CELLS = 1 << 25, 1 << 22

#: Points, and numbers of all channels together, in a window that is chosen for want of another.
MOST_POINTS, MOST_CELLS = 256, 2048

#: Constraints of the parameters all of them have.
CONSTRAINTS = {
    "window": any_of(nothing(), integer(2)),
    "stride": integer(1),
    "normalize": boolean(),
    "spread": option("mean", "max", "centre"),
    "causal": boolean(),
}


def window_length(X: Series, window: int | None) -> int:
    """``window``, or the period of the channel that has one, cut to a quarter of the series.

    A window chosen here holds at most ``MOST_POINTS`` points and ``MOST_CELLS`` numbers of all
    channels: of a day of minutes a part shows what is odd, and at a fraction of the cost.
    """
    if window is None:
        periods = (dominant_period(channel) for channel in X.values.T)
        window = next((p for p in periods if p is not None), DEFAULT_WINDOW)
        most = min(len(X) // 4, MOST_POINTS, MOST_CELLS // X.values.shape[1])
        window = max(min(window, most), 2)
    return min(window, len(X))


class WindowDetector(SeriesDetector):
    """Base of detectors that give the windows of a series, as rows, to a table detector.

    A subclass has the parameters of ``CONSTRAINTS`` and makes its detector in ``_table_detector``.
    Of long or wide series the detector learns from windows further apart, so that its table holds
    at most ``FIT_CELLS`` numbers; all windows are scored, a few at a time.
    """

    def __init__(
        self,
        window: int | None = None,
        stride: int = 1,
        normalize: bool = False,
        spread: str = "mean",
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.stride = stride
        self.normalize = normalize
        self.spread = spread
        self.causal = causal
        self.contamination = contamination

    def _table_detector(self, n_rows: int) -> Detector:
        """The detector to fit on ``n_rows`` windows."""
        raise NotImplementedError

    def _fit(self, X: Series, y: IntArray | None) -> None:
        self.window_ = window_length(X, self.window)
        values, holes = X.filled(causal=self.causal)
        first = starts(len(X), self.window_, self.stride)
        judged = first[~blind(holes, self.window_, self.stride)]
        learnt = judged if len(judged) else first
        most = max(FIT_CELLS // (self.window_ * values.shape[1]), 1)
        learnt = learnt[:: -(-len(learnt) // most)]
        self.detector_ = self._table_detector(len(learnt)).fit(self._rows(values, learnt))

    def _score(self, X: Series) -> FloatArray:
        if len(X) < self.window_:
            return np.full(len(X), np.nan)
        values, holes = X.filled(causal=self.causal)
        first = starts(len(X), self.window_, self.stride)
        scores = np.full(len(first), np.nan)
        judged = np.flatnonzero(~blind(holes, self.window_, self.stride))
        for part in _parts(judged, max(SCORE_CELLS // (self.window_ * values.shape[1]), 1)):
            scores[part] = self.detector_.decision_function(self._rows(values, first[part]))
        how = "last" if self.causal else self.spread
        return spread(scores, len(X), self.window_, self.stride, how)

    def _rows(self, values: FloatArray, first: IntArray) -> FloatArray:
        """The windows that start at ``first`` as rows."""
        cut = windows(values, self.window_)[first]
        if self.normalize:
            scale = cut.std(axis=1, keepdims=True)
            floor = 1e-9 * np.abs(cut).max(axis=1, keepdims=True) + 1e-300
            cut = (cut - cut.mean(axis=1, keepdims=True)) / np.where(scale > floor, scale, 1.0)
        return cut.reshape(len(cut), -1)


def _parts(items: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
