"""Deep Isolation Forest: rows soon set apart in spaces that random networks map them to."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.errors import ModelError
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import integer, listing
from awry.core.threshold import Threshold
from awry.detectors.tabular._forest import FOREST_CONSTRAINTS, ForestDetector, resolve
from awry.kernels.deviations import walk_deviations
from awry.kernels.trees import Forest, average_path_length, grow_forest


class DeepIsolationForest(ForestDetector):
    """Rows that few random splits set apart in spaces that random networks map them to.

    Networks with random weights, which are not trained, map the rows; on what each makes of them a
    few isolation trees are grown. A straight split there is a curved one among the rows. The score
    is ``2 ** (-E(h) / c) E(g)``: that of an isolation forest times the mean deviation g of the row
    from the thresholds on its paths, both means over all trees.

    Parameters
    ----------
    n_representations : int, default=50
        Random networks.
    n_estimators : int, default=6
        Trees for each.
    max_samples : int, float or "auto", default="auto"
        Rows each tree is grown on, drawn without replacement: an integer, a share, or 256.
    hidden : list of int, default=(500, 100)
        Widths of the networks' hidden layers.
    latent : int, default=20
        Width of what they map to.
    random_state : int, Generator or None, default=None
        Seed of the networks, the samples and the splits.
    n_jobs : int or None, default=None
        Threads that score; None is 1, -1 all cores.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    forest_ : Forest
        All trees, over the columns of all representations side by side.
    layers_ : list of ndarray of shape (n_representations, wide, narrow)
        The networks' weights, standard normal.
    low_, range_ : ndarray of shape (d,)
        What scales the columns to [0, 1].
    center_, scale_ : ndarray of shape (n_representations * latent,)
        What standardises the representations.
    path_unit_ : float
        c, the mean depth of a random search tree of as many rows.

    Notes
    -----
    Departures: representations are standardised by the training rows, where the authors' code
    takes those being scored, so that a row's score does not depend on others; they are kept in
    single precision, so that the order of a sum cannot move a row across a threshold.

    References
    ----------
    Xu, Pang, Wang, Wang: "Deep Isolation Forest for Anomaly Detection", IEEE TKDE 2023.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[6.0, -6.0, 6.0]]])
    >>> detector = DeepIsolationForest(n_representations=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    """

    card = Card(
        name="deep_isolation_forest",
        summary="Rows soon set apart in spaces that random networks map them to.",
        family="trees",
        paper="Xu et al., Deep Isolation Forest for Anomaly Detection, TKDE",
        year=2023,
        fit_cost="O(n w r), w weights, r representations",
        score_cost="O(n w r)",
        finds="rows on the outskirts, also behind curved and slanted borders",
        misses="anomalies in a few of many columns",
        aliases=("dif",),
        pyod="dif.DIF",
        stochastic=True,
    )
    constraints = {
        **FOREST_CONSTRAINTS,
        "n_representations": integer(1),
        "hidden": listing(integer(1)),
        "latent": integer(1),
    }

    def __init__(
        self,
        *,
        n_representations: int = 50,
        n_estimators: int = 6,
        max_samples: int | float | str = "auto",
        hidden: list[int] | tuple[int, ...] = (500, 100),
        latent: int = 20,
        random_state: Any = None,
        n_jobs: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_representations = n_representations
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.hidden = hidden
        self.latent = latent
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        rng = self._rng()
        n, d = X.shape
        self.low_ = X.min(axis=0)
        reach = X.max(axis=0) - self.low_
        self.range_ = np.where(reach > 0, reach, np.maximum(np.abs(self.low_), 1.0))
        self.layers_ = [
            rng.standard_normal((self.n_representations, *sizes), dtype=np.float32)
            for sizes in pairwise([d, *self.hidden, self.latent])
        ]
        raw = self._raw(X)
        self.center_, spread = raw.mean(axis=0), raw.std(axis=0)
        self.scale_ = np.where(spread > 1e-9, spread, 1.0)
        Z = self._finish(raw)
        n_rows = resolve(self.max_samples, n, auto=256, least=2)
        needed = average_path_length(n_rows)
        self.path_unit_ = float(needed[-1])
        forests = [
            grow_forest(
                part,
                lambda depth, count: depth + needed[count],
                rng,
                n_trees=self.n_estimators,
                n_rows=n_rows,
                n_columns=self.latent,
                max_depth=(n_rows - 1).bit_length(),
            )
            for part in np.split(Z, self.n_representations, axis=1)
        ]
        self._plant(_side_by_side(forests, self.latent))

    def _score(self, X: FloatArray) -> FloatArray:
        assert isinstance(self.forest_, Forest)
        forest = self.forest_
        Z = self._finish(self._raw(X))
        sums = self._in_threads(lambda part: walk_deviations(part, *forest), Z)
        paths, deviations = (sums / len(forest.height)).T
        scores: FloatArray = np.exp2(-paths / self.path_unit_) * deviations
        return scores

    def _raw(self, X: FloatArray) -> FloatArray:
        """What the networks make of ``X`` (n, d), side by side: (n, representations * latent)."""
        inputs = (X - self.low_) / self.range_
        out = []
        for weights in zip(*self.layers_, strict=True):
            h = inputs
            for layer in weights[:-1]:
                h = np.tanh(h @ layer.astype(np.float64))
            out.append(h @ weights[-1].astype(np.float64))
        return np.hstack(out)

    def _finish(self, raw: FloatArray) -> FloatArray:
        z = np.tanh((raw - self.center_) / self.scale_)
        return z.astype(np.float32).astype(np.float64)

    def _restore(self) -> None:
        assert isinstance(self.forest_, Forest)
        if not self.forest_.is_sound(len(self.center_)):
            raise ModelError("DeepIsolationForest: the trees in the model do not fit together")


def _side_by_side(forests: list[Forest], width: int) -> Forest:
    """One forest over columns side by side of forests over ``width`` columns each."""
    nodes = np.cumsum([0, *(len(f.left) for f in forests)])
    starts = [f.roots[:-1] + np.uint32(at) for f, at in zip(forests, nodes[:-1], strict=True)]
    return Forest(
        np.concatenate([f.feature + np.uint32(i * width) for i, f in enumerate(forests)]),
        np.concatenate([f.threshold for f in forests]),
        np.concatenate([f.left + np.uint32(a) for f, a in zip(forests, nodes[:-1], strict=True)]),
        np.concatenate([f.value for f in forests]),
        np.concatenate([*starts, nodes[-1:]]).astype(np.uint32),
        np.concatenate([f.height for f in forests]),
    )
