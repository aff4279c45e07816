"""Any table detector on the windows of a series."""

from __future__ import annotations

from sklearn.base import clone

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.params import any_of, instance, random_state
from awry.core.threshold import Threshold
from awry.detectors.series._windows import CONSTRAINTS, WindowDetector


class Windowed(WindowDetector):
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

    Notes
    -----
    The detector learns from at most 2^25 numbers: of longer series, from windows further apart.

    References
    ----------
    Keogh, Lin & Truppel: "Clustering of Time Series Subsequences is Meaningless", ICDM 2003, says
    what windows one point apart may not be used for; for scores they may.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5)
    >>> x[200:205] += 2
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
        **CONSTRAINTS,
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
        super().__init__(window, stride, normalize, spread, causal, contamination)
        self.detector = detector
        self.random_state = random_state

    def _table_detector(self, n_rows: int) -> Detector:
        named = isinstance(self.detector, str)
        made = registry.create(self.detector) if named else clone(self.detector)
        if not made.card.inductive:
            raise ValueError(f"Windowed: detector must be inductive, got {made.card.name}")
        known = made.get_params(deep=False)
        if "random_state" in known and known["random_state"] is None:
            made.set_params(random_state=self._seed())
        return made
