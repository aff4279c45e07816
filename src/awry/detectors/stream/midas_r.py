"""MIDAS-R: bursts of edges and of nodes, with a memory of the last ticks."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.params import real
from awry.core.threshold import Threshold
from awry.detectors.stream._edges import CONSTRAINTS, EdgeDetector


class MIDASR(EdgeDetector):
    """Bursts of an edge, a source or a target, over the last few ticks.

    MIDAS's score of the edge, of its source and of its target, the largest of the three; current
    counts fade by ``factor`` from tick to tick in place of starting over (section 4.3 of the
    paper).

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
    Bhatia, Hooi, Yoon, Shin & Faloutsos: "MIDAS: Microcluster-Based Detector of Anomalies in Edge
    Streams", AAAI 2020.
    The authors' code: https://github.com/Stream-AD/MIDAS.

    Examples
    --------
    >>> import numpy as np
    >>> calm = np.array([[t % 7, t % 5, t // 4] for t in range(400)])
    >>> burst = np.array([[3, 2, 100]] * 20)
    >>> scores = MIDASR(random_state=0).fit(np.vstack([calm, burst])).decision_scores_
    >>> int(scores.argmax())
    419
    """

    card = Card(
        name="midas_r",
        summary="Edges that, or whose ends, come far more often of late than on average.",
        modality="stream",
        family="edges",
        paper="Bhatia et al., Microcluster-Based Detector of Anomalies in Edge Streams, AAAI",
        year=2020,
        fit_cost="O(n)",
        score_cost="O(1)",
        finds="bursts of edges, of sources and of targets, over a few ticks",
        misses="slow growth; odd edges that come once",
        online=True,
        stochastic=True,
    )

    constraints = CONSTRAINTS | {
        "factor": real(0.0, 1.0, "[)"),
    }

    def __init__(
        self,
        n_hashes: int = 2,
        n_buckets: int = 1024,
        factor: float = 0.5,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_hashes = n_hashes
        self.n_buckets = n_buckets
        self.factor = factor
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _fading(self) -> tuple[float, float]:
        return self.factor, -1.0
