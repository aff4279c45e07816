"""ABOD: how much the angles to other rows vary."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import integer, option
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector
from awry.kernels import neighborhoods as kernels


class ABOD(NeighborDetector):
    """Rows that see their neighbours all in one direction.

    The angle-based outlier factor (ABOF, definition 1 of the paper) is the weighted variance of the
    angles, divided by distances, under which a row sees pairs of other rows: great inside a
    cluster, small outside. The score is its negative logarithm.

    Parameters
    ----------
    n_neighbors : int >= 2, default=5
        With ``method="fast"``.
    method : {"fast", "default"}, default="fast"
        ``"fast"`` looks at pairs of the nearest neighbours (FastABOD, section 3.3), ``"default"``
        at pairs of all training rows, which takes O(n²) a row.
    algorithm : {"auto", "exact", "approximate", ...}, default="auto"
        ``"auto"`` searches exactly up to 100,000 rows and approximately beyond; see
        :class:`~awry.detectors.tabular._neighbors.NeighborSearch`.
    n_jobs : int or None, default=1
        Threads of the search; -1 for all.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    search_ : NeighborSearch
        Among the different training rows.
    recall_ : float
        Share of the true neighbours that the search finds, measured in ``fit``.

    Notes
    -----
    Departures from the paper: the logarithm, which keeps the order and spreads the scores of
    outliers, all near 0 otherwise, so that thresholds can be set on them; and rows that coincide
    count once, as there is no angle between them. Unlike PyOD's, the variance is weighted as in the
    paper.

    A row that coincides with a training row is taken to be that row, which is no neighbour of
    itself: training rows and new rows are judged alike.

    References
    ----------
    Kriegel, Schubert, Zimek: "Angle-Based Outlier Detection in High-dimensional Data", KDD 2008.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[7.0, 7.0, 7.0]]])
    >>> int(ABOD(n_neighbors=10).fit(X).decision_scores_.argmax())
    200
    """

    card = Card(
        name="abod",
        summary="Rows that see their neighbours all in one direction.",
        family="neighbours",
        paper="Kriegel et al., Angle-Based Outlier Detection, KDD",
        year=2008,
        fit_cost="O(n² d + n k² d), O(n^1.5 d + n k² d) approximately",
        score_cost="O(n d + k² d) a row, O(n^0.5 d + k² d) approximately",
        finds="rows at the border of the data, in many dimensions too",
        misses="rows in holes and between clusters, which see others all around",
        pyod="abod.ABOD",
    )
    constraints: ClassVar = {
        **NeighborDetector.constraints,
        "n_neighbors": integer(2),
        "method": option("fast", "default"),
    }

    metric, p = "euclidean", 2

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        method: str = "fast",
        algorithm: str = "auto",
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.method = method
        self.algorithm = algorithm
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        unique = np.unique(X, axis=0)
        self.search_ = self._search(
            unique, self.n_neighbors if self.method == "fast" else len(unique)
        )

    def _score(self, X: FloatArray) -> FloatArray:
        places, scaled = self.search_.query(X)[1], self.search_.scaled(X)
        factor = kernels.angle_variance(scaled, self.search_.points_, places)
        # The factor is a length to the power of -4.
        units = 4.0 * np.log(self.search_.scale_)
        score: FloatArray = -np.log(np.maximum(factor, np.finfo(np.float64).tiny)) - units
        return score
