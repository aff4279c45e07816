"""Any table detector on the windows of a series."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, instance, integer, nothing, option, random_state
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold
from awry.core.windows import blind, spread, windows
from awry.data.periods import dominant_period

#: Length of the windows of a series without a period.
DEFAULT_WINDOW = 32


def window_length(X: Series, window: int | None) -> int:
    """``window``, or the period of the channel that has one, cut to a quarter of the series."""
    if window is None:
        periods = (dominant_period(channel) for channel in X.values.T)
        window = next((p for p in periods if p is not None), DEFAULT_WINDOW)
        window = max(min(window, len(X) // 4), 2)
    return min(window, len(X))


class Windowed(SeriesDetector):
    """Odd windows of a series, as any table detector sees them.

    Each window of all channels is a row; the score of a point is spread back from the windows that
    cover it.

    Parameters
    ----------
    detector : str or Detector, default="isolation_forest"
        An inductive table detector.
    window : int or None, default=None
        Points in a window; None takes the dominant period, or 32 where there is none.
    stride : int, default=1
        Points from one window's start to the next.
    normalize : bool, default=False
        Whether each window's channels are shifted and scaled to mean 0 and standard deviation 1,
        so that shape alone counts.
    spread : {"mean", "max", "centre"}, default="mean"
        How windows' scores become points', see :func:`~awry.core.windows.spread`.
    causal : bool, default=False
        Whether the score of a point is that of the window that ends at it, so that what comes later
        does not change it.
    random_state : int or None, default=None
        Passed on to the detector.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    window_ : int
    detector_ : Detector
        Fitted on the windows.

    References
    ----------
    Keogh, Lin & Truppel: "Clustering of Time Series Subsequences is Meaningless", ICDM 2003, says
    what windows one point apart may not be used for; for scores they may.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5)
    >>> x[200:205] = 0
    >>> model = Windowed("knn", window=16).fit(x)
    >>> bool(185 < model.decision_scores_.argmax() < 220)
    True
    """

    card = Card(
        name="windowed",
        summary="Windows of a series that a table detector finds odd.",
        modality="series",
        family="shape",
        paper="Keogh, Lin & Truppel, Clustering of Time Series Subsequences is Meaningless, ICDM",
        year=2003,
        fit_cost="that of the detector on T rows of window x d columns",
        score_cost="that of the detector on T rows",
        finds="odd shapes and levels as long as the window",
        misses="what is much shorter or longer than the window",
        stochastic=True,
        min_rows=8,
    )

    constraints = {
        "detector": any_of(instance(str), instance(Detector)),
        "window": any_of(nothing(), integer(2)),
        "stride": integer(1),
        "normalize": boolean(),
        "spread": option("mean", "max", "centre"),
        "causal": boolean(),
        "random_state": random_state(),
    }

    def __init__(
        self,
        detector: str | Detector = "isolation_forest",
        window: int | None = None,
        stride: int = 1,
        normalize: bool = False,
        spread: str = "mean",
        causal: bool = False,
        random_state: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detector = detector
        self.window = window
        self.stride = stride
        self.normalize = normalize
        self.spread = spread
        self.causal = causal
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        self.window_ = window_length(X, self.window)
        named = isinstance(self.detector, str)
        made = registry.create(self.detector) if named else clone(self.detector)
        if not made.card.inductive:
            raise ValueError(f"Windowed: detector must be inductive, got {made.card.name}")
        known = made.get_params(deep=False)
        if "random_state" in known and known["random_state"] is None:
            made.set_params(random_state=self._seed())
        rows, judged = self._rows(X)
        self.detector_ = made.fit(rows[judged] if judged.any() else rows)

    def _score(self, X: Series) -> FloatArray:
        if len(X) < self.window_:
            return np.full(len(X), np.nan)
        rows, judged = self._rows(X)
        scores = np.full(len(rows), np.nan)
        if judged.any():
            scores[judged] = self.detector_.decision_function(rows[judged])
        how = "last" if self.causal else self.spread
        return spread(scores, len(X), self.window_, self.stride, how)

    def _rows(self, X: Series) -> tuple[FloatArray, np.ndarray]:
        """Windows as rows, and which of them can be judged."""
        values, holes = X.filled(causal=self.causal)
        cut = windows(values, self.window_, self.stride)
        if self.normalize:
            scale = cut.std(axis=1, keepdims=True)
            floor = 1e-9 * np.abs(cut).max(axis=1, keepdims=True) + 1e-300
            cut = (cut - cut.mean(axis=1, keepdims=True)) / np.where(scale > floor, scale, 1.0)
        return cut.reshape(len(cut), -1), ~blind(holes, self.window_, self.stride)
