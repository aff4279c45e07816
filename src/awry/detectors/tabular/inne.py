"""INNE: isolation by nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, option, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._forest import resolve
from awry.kernels.spheres import isolate, surround


class INNE(Detector):
    """Rows outside, or on the lonely side of, balls around a few sampled rows.

    Small samples are drawn; each sampled row has a ball that reaches to its nearest neighbour in
    the sample. A row takes the smallest ball it lies in and scores one less the ratio of the radius
    of that neighbour's ball to its own: near 0 in even surroundings, near 1 beside a much denser
    place, and 1 in no ball at all (definitions 1 to 3 of the paper). The score is the mean over
    samples, from 0 to 1.

    Parameters
    ----------
    n_estimators : int, default=200
        Samples.
    max_samples : int, float or "auto", default="auto"
        Rows of each sample, drawn without replacement: an integer, a share, or 8. No more
        than there are.
    random_state : int, Generator or None, default=None
        Seed of the samples.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    centers_ : ndarray of shape (n_estimators, m, d)
        The sampled rows.
    radii_ : ndarray of shape (n_estimators, m)
        Squared radii of their balls.
    isolation_ : ndarray of shape (n_estimators, m)
        What a row in a ball scores.

    Notes
    -----
    Departure from the paper, as in PyOD: balls are closed, so that a row equal to a sampled row
    that occurs twice lies in its ball of radius 0, and scores 0 as it should.

    References
    ----------
    Bandaragoda, Ting, Albrecht, Liu, Zhu, Wells: "Isolation-based anomaly detection using
    nearest-neighbor ensembles", Computational Intelligence 2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[0.0, 9.0, 0.0]]])
    >>> detector = INNE(random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> detector.explain(X[200:]).top(1)[0][0][0]
    'x1'
    """

    card = Card(
        name="inne",
        summary="Rows outside, or on the lonely side of, balls around a few sampled rows.",
        family="neighbours",
        paper="Bandaragoda et al., INNE, Computational Intelligence",
        year=2018,
        fit_cost="O(n_estimators max_samples^2 d)",
        score_cost="O(n n_estimators max_samples d)",
        finds="local anomalies beside dense places, far rows; scales to millions of rows",
        misses="anomalies in a few of many columns; all far rows score 1 alike",
        pyod="inne.INNE",
        stochastic=True,
    )
    constraints = {
        "n_estimators": integer(1),
        "max_samples": any_of(integer(2), real(0, 1, "(]"), option("auto")),
        "random_state": random_state(),
    }

    def __init__(
        self,
        *,
        n_estimators: int = 200,
        max_samples: int | float | str = "auto",
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        rng, n = self._rng(), len(X)
        m = resolve(self.max_samples, n, auto=8, least=2)
        rows = [rng.choice(n, m, replace=False) for _ in range(self.n_estimators)]
        self.centers_ = np.ascontiguousarray(X[np.array(rows)])
        self.radii_, self.isolation_ = surround(self.centers_)

    def _score(self, X: FloatArray) -> FloatArray:
        X = np.require(X, np.float64, ["C", "W"])
        scores: FloatArray = isolate(X, self.centers_, self.radii_, self.isolation_)
        return scores
