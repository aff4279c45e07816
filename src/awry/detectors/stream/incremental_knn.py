"""Incremental kNN: the distance to the nearest of the latest rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.online import StreamDetector
from awry.core.params import ParameterError, any_of, integer, nothing, option
from awry.core.series import robust_moments
from awry.core.threshold import Threshold
from awry.detectors.stream._range import standardised
from awry.kernels import recent_neighbors as kernels


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    ring: FloatArray
    clock: NDArray[np.int64]


class IncrementalKNN(StreamDetector):
    """Rows far from their nearest neighbours among the latest rows.

    The score is the distance to the kth nearest of the ``window`` rows before (Ramaswamy et al.),
    or the mean distance to the k nearest (Angiulli & Pizzuti), exactly; then the row takes the
    place of the oldest. A threshold r makes of it the outliers of Angiulli and Fassetti's exact
    algorithm: rows with fewer than k neighbours within r in the window.

    Parameters
    ----------
    n_neighbors : int, default=10
        Neighbours k.
    window : int, default=1000
        Rows that are remembered.
    method : {"largest", "mean"}, default="largest"
        Which of the k distances counts.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) that standardise the rows, the latest of them as the columns
        of ``ring`` (d, window), and the ``clock``: how many have been learnt.

    Notes
    -----
    The first k rows are not judged; they score 0.

    Departure: features are standardised by median and median absolute deviation of the training
    rows. A row is judged by those before it alone, where the paper's exact algorithm judges again
    with those after it.

    References
    ----------
    Angiulli & Fassetti: "Detecting distance-based outliers in streams of data", CIKM 2007.
    Ramaswamy, Rastogi & Shim: "Efficient Algorithms for Mining Outliers", SIGMOD 2000. Angiulli &
    Pizzuti: "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = IncrementalKNN().fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="incremental_knn",
        summary="Rows far from their nearest neighbours among the latest rows.",
        modality="stream",
        family="neighbours",
        paper="Angiulli & Fassetti, Detecting distance-based outliers in streams of data, CIKM",
        year=2007,
        fit_cost="O(n w d), w rows remembered",
        score_cost="O(w d)",
        finds="rows in regions that were empty of late, of whatever shape",
        misses="rows on the rim of a dense group beside a sparse one; the many features of noise",
        online=True,
    )

    constraints = {
        "n_neighbors": integer(1),
        "window": integer(2),
        "method": option("largest", "mean"),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_neighbors: int = 10,
        window: int = 1000,
        method: str = "largest",
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.window = window
        self.method = method
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        needs_more(self)
        ring = np.zeros((X.shape[1], self.window))
        return _State(*robust_moments(X), ring, np.zeros(1, dtype=np.int64))

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out = np.empty(len(X))
        rows = standardised(X, state.center, state.scale)
        kernels.distances(
            rows, state.ring, state.clock, self.n_neighbors, self.method == "mean", learn, out
        )
        return out


def needs_more(detector: StreamDetector) -> None:
    """Raise where the window cannot hold a row and its neighbours."""
    params = detector.get_params()
    if params["n_neighbors"] >= params["window"]:
        raise ParameterError(
            f"{type(detector).__name__}: n_neighbors must be less than window, "
            f"got {params['n_neighbors']} and {params['window']}"
        )
