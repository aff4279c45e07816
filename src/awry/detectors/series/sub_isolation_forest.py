"""Isolation Forest on the windows of a series."""

from __future__ import annotations

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.params import integer, random_state
from awry.core.threshold import Threshold
from awry.detectors.series._windows import CONSTRAINTS, WindowDetector


class SubIsolationForest(WindowDetector):
    """Windows that few random cuts set apart from all others.

    Parameters
    ----------
    n_estimators : int, default=150
        Trees.
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
    random_state : int or None, default=None
        Seed of the forest.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    window_ : int
    detector_ : Detector
        Fitted on the windows.

    Notes
    -----
    Cuts are along single points of a window, so that what several points do together shows least.

    References
    ----------
    Liu, Ting & Zhou: "Isolation Forest", ICDM 2008.
    Liu & Paparrizos: "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
    Benchmark", NeurIPS 2024 (TSB-AD), for windows and the
    default.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5) + np.random.default_rng(0).normal(scale=0.05, size=400)
    >>> x[200:205] += 2
    >>> model = SubIsolationForest(window=16, random_state=0).fit(x)
    >>> bool(185 < model.decision_scores_.argmax() < 220)
    True
    """

    card = Card(
        name="sub_isolation_forest",
        summary="Windows that few random cuts set apart.",
        modality="series",
        family="shape",
        paper="Liu, Ting & Zhou, Isolation Forest, ICDM",
        year=2008,
        fit_cost="O(T w d) for windows of w points",
        score_cost="O(T)",
        finds="odd levels and scales of whole windows",
        misses="odd shapes within the usual range",
        stochastic=True,
        min_rows=8,
    )

    constraints = {
        "n_estimators": integer(1),
        **CONSTRAINTS,
        "random_state": random_state(),
    }

    def __init__(
        self,
        n_estimators: int = 150,
        window: int | None = None,
        stride: int = 1,
        normalize: bool = False,
        spread: str = "mean",
        causal: bool = False,
        random_state: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        super().__init__(window, stride, normalize, spread, causal, contamination)
        self.n_estimators = n_estimators
        self.random_state = random_state

    def _table_detector(self, n_rows: int) -> Detector:
        return registry.create(
            "isolation_forest", n_estimators=self.n_estimators, random_state=self._seed()
        )
