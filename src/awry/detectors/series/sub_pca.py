"""Windows along the components of a series."""

from __future__ import annotations

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.params import any_of, integer, nothing, real
from awry.core.threshold import Threshold
from awry.detectors.series._windows import CONSTRAINTS, WindowDetector


class SubPCA(WindowDetector):
    """Windows far out along the principal components of all windows, the small ones counting most.

    Parameters
    ----------
    n_components : int, float or None, default=None
        As for :class:`~awry.detectors.tabular.pca.PCA`, which see for the score too.
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

    Notes
    -----
    Columns of the table of windows are standardised. TSB-AD gives a window's score to the point at
    its centre, as ``spread="centre"`` does.

    References
    ----------
    Shyu et al.: "A Novel Anomaly Detection Scheme Based on Principal Component Classifier", ICDM
    2003. Aggarwal: "Outlier Analysis", 2nd edition 2017, sections 3.3 and 9.2, the score.
    Liu & Paparrizos: "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
    Benchmark", NeurIPS 2024 (TSB-AD), for windows.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5) + np.random.default_rng(0).normal(scale=0.05, size=400)
    >>> x[200:205] += 2
    >>> model = SubPCA(window=16).fit(x)
    >>> bool(185 < model.decision_scores_.argmax() < 220)
    True
    """

    card = Card(
        name="sub_pca",
        summary="Windows far out along the principal components of all windows.",
        modality="series",
        family="shape",
        paper="Aggarwal, Outlier Analysis, 2nd edition",
        year=2017,
        fit_cost="O(T (w d)^2 + (w d)^3) for windows of w points",
        score_cost="O(T (w d)^2)",
        finds="windows that break what repeats; odd levels and scales",
        misses="anomalies that repeat as often as what is normal",
        min_rows=8,
    )

    constraints = {
        "n_components": any_of(nothing(), integer(1), real(0, 1, "()")),
        **CONSTRAINTS,
    }

    def __init__(
        self,
        n_components: int | float | None = None,
        window: int | None = None,
        stride: int = 1,
        normalize: bool = False,
        spread: str = "mean",
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        super().__init__(window, stride, normalize, spread, causal, contamination)
        self.n_components = n_components

    def _table_detector(self, n_rows: int) -> Detector:
        return registry.create("pca", n_components=self.n_components)
