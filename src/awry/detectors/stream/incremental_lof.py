"""Incremental LOF: the local outlier factor among the latest rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing
from awry.core.series import robust_moments
from awry.core.threshold import Threshold
from awry.detectors.stream._range import standardised
from awry.detectors.stream.incremental_knn import needs_more
from awry.kernels import recent_neighbors as kernels


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    ring: FloatArray
    near: NDArray[np.int32]
    away: FloatArray
    held: NDArray[np.int32]
    clock: NDArray[np.int64]


class IncrementalLOF(StreamDetector):
    """Rows in sparser places than their neighbours among the latest rows.

    The score is the local outlier factor of the row among the ``window`` rows before: the mean
    local reachability density of its k nearest over its own (definitions 5 to 7 of Breunig et al.).
    Then the row takes the place of the oldest, and the neighbours of all whom either concerns are
    brought up to date (the insertion and deletion of Pokrajac et al., figures 4 and 7). The scores
    are those of a LOF fitted anew to the window for every row.

    Parameters
    ----------
    n_neighbors : int, default=20
        Neighbours k.
    window : int, default=1000
        Rows that are remembered.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) that standardise the rows, the latest of them as the columns
        of ``ring`` (d, window), of each the ``held`` nearest others, where they are (``near``) and
        how far (``away``), and the ``clock``: how many rows have been learnt.

    Notes
    -----
    The first k + 1 rows are not judged; they score 0.

    Departures: a row is scored before it is inserted, not after. Densities are worked out when they
    are asked for, from exact neighbours, in place of being kept. Up to 2k neighbours of each row
    are kept, so that one that loses a neighbour seldom has to look for another. Of more than k
    neighbours equally far, some k count. Features are standardised by median and median absolute
    deviation of the training rows.

    References
    ----------
    Pokrajac, Lazarevic & Latecki: "Incremental Local Outlier Detection for Data Streams", CIDM
    2007. Breunig, Kriegel, Ng & Sander: "LOF: Identifying Density-Based Local Outliers", SIGMOD
    2000.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = IncrementalLOF().fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="incremental_lof",
        summary="Rows in sparser places than their neighbours among the latest rows.",
        modality="stream",
        family="neighbours",
        paper="Pokrajac, Lazarevic & Latecki, Incremental Local Outlier Detection, CIDM",
        year=2007,
        fit_cost="O(n w (d + k)), w rows remembered",
        score_cost="O(w d + k²)",
        finds="rows on the rim of dense groups, beside sparse ones",
        misses="groups of more than k anomalies",
        aliases=("ilof",),
        online=True,
    )

    constraints = {
        "n_neighbors": integer(1),
        "window": integer(2),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_neighbors: int = 20,
        window: int = 1000,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.window = window
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        needs_more(self)
        places = (self.window, min(2 * self.n_neighbors, self.window - 1))
        return _State(
            *robust_moments(X),
            np.zeros((X.shape[1], self.window)),
            np.zeros(places, dtype=np.int32),
            np.zeros(places),
            np.zeros(self.window, dtype=np.int32),
            np.zeros(1, dtype=np.int64),
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out = np.empty(len(X))
        rows = standardised(X, state.center, state.scale)
        kernels.factors(rows, *state[2:], self.n_neighbors, learn, out)
        return out
