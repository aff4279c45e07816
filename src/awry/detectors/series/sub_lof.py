"""Local outlier factor of the windows of a series."""

from __future__ import annotations

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.params import integer
from awry.core.threshold import Threshold
from awry.detectors.series._windows import CONSTRAINTS, WindowDetector


class SubLOF(WindowDetector):
    """Windows in sparser surroundings than their nearest neighbours are.

    Parameters
    ----------
    n_neighbors : int, default=30
        At most the windows there are but one. Windows a few points apart are near one another
        whatever they hold, so that it must exceed the length of an anomaly.
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
        Whether the score of a point is that of the window that ends at it.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    window_ : int
    detector_ : Detector
        Fitted on the windows.

    References
    ----------
    Breunig et al.: "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000.
    Liu & Paparrizos: "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
    Benchmark", NeurIPS 2024 (TSB-AD), for windows and the
    default.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5) + np.random.default_rng(0).normal(scale=0.05, size=400)
    >>> x[200:205] += 2
    >>> model = SubLOF(window=16).fit(x)
    >>> bool(185 < model.decision_scores_.argmax() < 220)
    True
    """

    card = Card(
        name="sub_lof",
        summary="Windows in sparser surroundings than their neighbours.",
        modality="series",
        family="shape",
        paper="Breunig et al., LOF: Identifying Density-Based Local Outliers, SIGMOD",
        year=2000,
        fit_cost="O(T^2 w d) for windows of w points, less in few dimensions",
        score_cost="O(T n w d) for n training windows",
        finds="windows odd beside those most like them",
        misses="anomalies that last longer than there are neighbours",
        max_rows=50_000,
        min_rows=8,
    )

    constraints = {
        "n_neighbors": integer(1),
        **CONSTRAINTS,
    }

    def __init__(
        self,
        n_neighbors: int = 30,
        window: int | None = None,
        stride: int = 1,
        normalize: bool = False,
        spread: str = "mean",
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        super().__init__(window, stride, normalize, spread, causal, contamination)
        self.n_neighbors = n_neighbors

    def _table_detector(self, n_rows: int) -> Detector:
        return registry.create("lof", n_neighbors=max(min(self.n_neighbors, n_rows - 1), 1))
