"""MIDAS-F: MIDAS-R that keeps anomalies out of what it learns."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.params import real
from awry.core.threshold import Threshold
from awry.detectors.stream._edges import CONSTRAINTS, EdgeDetector


class MIDASF(EdgeDetector):
    """Bursts of an edge, a source or a target, which are not learnt.

    As MIDAS-R, with ``a`` the faded count and ``s`` that of the ``t - 1`` ticks before: the score
    is ``(a + s - a t)² / (s (t - 1))``. When a tick ends, buckets whose score is below
    ``threshold`` add their current count to ``s``; the others add the mean of their past (section
    5 of the paper).

    Rows are edges (source, target, time), whole numbers, the time in ticks; an edge that comes late
    counts in the present tick.

    Parameters
    ----------
    n_hashes : int, default=2
        Rows of each count-min sketch.
    n_buckets : int, default=1024
        Buckets in each row; a new tick costs a walk over all of them.
    factor : float, default=0.5
        What is left of the current counts after a tick.
    threshold : float, default=1000
        Score from which counts are kept out of the past.
    random_state : int, Generator or None, default=None
        Seed of the hash functions.
    warmup : int or None, default=None
        Edges at the start that are counted but not judged.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        The sketches ``current``, ``total`` and ``score``, their hash ``seeds``, the ``first`` time
        and the tick ``clock``.

    Notes
    -----
    As in the authors' code, counts fade once where ticks are left out, and the edge scored is
    counted in its own score; ``decision_function`` counts each edge for its own score only.

    References
    ----------
    Bhatia, Liu, Hooi, Yoon, Shin & Faloutsos: "Real-Time Anomaly Detection in Edge Streams", ACM
    TKDD 2022.
    The authors' code: https://github.com/Stream-AD/MIDAS.

    Examples
    --------
    >>> import numpy as np
    >>> calm = np.array([[t % 7, t % 5, t // 4] for t in range(400)])
    >>> burst = np.array([[3, 2, 100]] * 20)
    >>> scores = MIDASF(random_state=0).fit(np.vstack([calm, burst])).decision_scores_
    >>> int(scores.argmax())
    419
    """

    card = Card(
        name="midas_f",
        summary="Edges that, or whose ends, come far more often of late than when all was calm.",
        modality="stream",
        family="edges",
        paper="Bhatia et al., Real-Time Anomaly Detection in Edge Streams, TKDD",
        year=2022,
        fit_cost="O(n)",
        score_cost="O(1)",
        finds="bursts of edges, sources and targets, also long ones",
        misses="slow growth; ends never seen before, which score 0",
        online=True,
        stochastic=True,
    )

    constraints = CONSTRAINTS | {
        "factor": real(0.0, 1.0, "[)"),
        "threshold": real(0.0),
    }

    def __init__(
        self,
        n_hashes: int = 2,
        n_buckets: int = 1024,
        factor: float = 0.5,
        threshold: float = 1000.0,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_hashes = n_hashes
        self.n_buckets = n_buckets
        self.factor = factor
        self.threshold = threshold
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _fading(self) -> tuple[float, float]:
        return self.factor, self.threshold
