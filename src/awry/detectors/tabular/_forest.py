"""What detectors made of trees share: sums over trees, credit to features, scores of depths."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from awry.core.detector import Detector
from awry.core.errors import ModelError
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, option, random_state, real
from awry.kernels import forest_score
from awry.kernels.hyperplanes import PlaneForest, attribute_planes, walk_planes
from awry.kernels.trees import Forest, attribute, average_path_length, walk

#: Rows from which coding the columns is quicker than walking the trees, and threads pay.
_MANY_ROWS = 16_384
#: The same where what coding needs is there from before.
_SOME_ROWS = 512

#: Constraints of parameters that all forests have.
FOREST_CONSTRAINTS = {
    "n_estimators": integer(1),
    "max_samples": any_of(integer(2), real(0, 1, "(]"), option("auto")),
    "random_state": random_state(),
    "n_jobs": any_of(nothing(), integer()),
}


def resolve(value: int | float | str, whole: int, auto: int, least: int) -> int:
    """How many of ``whole`` an integer, a share or ``"auto"`` means, at least ``least``."""
    if isinstance(value, str):
        wanted = auto
    elif isinstance(value, Integral):
        wanted = int(value)
    else:
        wanted = int(value * whole)
    return min(max(wanted, least), whole)


class ForestDetector(Detector):
    """A detector whose score depends on ``forest_``'s sum over trees.

    A subclass's ``_fit`` calls ``_plant`` with the forest.
    """

    transient = ("_plan",)
    forest_: Forest | PlaneForest
    n_jobs: int | None

    def _plant(self, forest: Forest | PlaneForest) -> None:
        self.forest_ = forest
        self.__dict__.pop("_plan", None)  # of the forest before

    @cached_property
    def _plan(self) -> forest_score.Plan | None:
        assert isinstance(self.forest_, Forest)
        return forest_score.plan(self.forest_, self.n_features_in_)

    def prepare(self) -> None:
        """Lay the trees out for batches that are not small."""
        if isinstance(self.forest_, Forest):
            _ = self._plan

    def _sums(self, X: FloatArray) -> FloatArray:
        """Sum over trees of the values of the leaves each row of ``X`` (n, d) ends in, (n,)."""
        forest = self.forest_
        if isinstance(forest, PlaneForest):
            return self._in_threads(lambda part: walk_planes(part, *forest), X)
        enough = _SOME_ROWS if "_plan" in vars(self) else _MANY_ROWS
        if len(X) >= enough and self._plan is not None:
            plan = self._plan
            # Few enough rows at a time for their codes to stay in the cache, in whole vectors.
            rows = int(np.clip(2**16 // X.shape[1], 256, 4096)) // 64 * 64
            return self._in_threads(lambda part: forest_score.score(part, rows, *plan), X)
        return self._in_threads(lambda part: walk(part, *forest), X)

    def _credits(self, X: FloatArray) -> FloatArray:
        """What each feature adds to the sums of ``X``, shape (n, d); they start at the base."""
        forest = self.forest_
        if isinstance(forest, PlaneForest):
            return self._in_threads(lambda part: attribute_planes(part, *forest), X)
        return self._in_threads(lambda part: attribute(part, *forest), X)

    def _in_threads(self, work: Callable[[FloatArray], FloatArray], X: FloatArray) -> FloatArray:
        # One layout, so that the kernels are compiled once.
        X = np.require(X, np.float64, ["C", "W"])
        if self.n_jobs in (None, 1) or len(X) < _MANY_ROWS:
            return work(X)
        parts = np.array_split(X, effective_n_jobs(self.n_jobs))
        return np.concatenate(Parallel(len(parts), prefer="threads")(map(delayed(work), parts)))

    def _restore(self) -> None:
        """Refuse a forest from a file whose indices would lead a walk out of its arrays."""
        if not self.forest_.is_sound(self.n_features_in_):
            raise ModelError(f"{type(self).__name__}: the trees in the model do not fit together")


class IsolationDetector(ForestDetector):
    """A forest that scores by ``2 ** (-mean path length / c)``, c what random splits would need.

    Attributes
    ----------
    path_scale_ : float
        The sum of path lengths at which the score is 1/2: trees times c.
    """

    n_estimators: int
    path_scale_: float

    def _leaf_depths(self, n_rows: int) -> Callable[[IntArray, IntArray], FloatArray]:
        """Path length of a leaf: its depth and what its rows would still need to be isolated."""
        needed = average_path_length(n_rows)
        self.path_scale_ = float(self.n_estimators * needed[-1])
        return lambda depth, count: depth + needed[count]

    def _score(self, X: FloatArray) -> FloatArray:
        return np.exp2(-self._sums(X) / self.path_scale_)

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        """Credit for path length, carried over to the score.

        The logarithm of the score is linear in path length. Along the straight line from the base
        to the row, features share the score as they share its logarithm (Aumann and Shapley).
        """
        base = float(np.exp2(-self.forest_.base / self.path_scale_))
        shorter = -np.log(2) * self._credits(X) / self.path_scale_
        total = shorter.sum(axis=1, keepdims=True)
        slope = np.divide(np.expm1(total), total, out=np.ones_like(total), where=total != 0)
        return base * slope * shorter, base
