"""What MIDAS, MIDAS-R and MIDAS-F share: edges (source, target, time) and their sketches."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector, own_copy
from awry.core.params import any_of, integer, nothing, random_state
from awry.kernels import midas as kernels


class _State(NamedTuple):
    current: FloatArray
    total: FloatArray
    score: FloatArray
    seeds: NDArray[np.uint64]
    first: IntArray
    clock: IntArray


#: Constraints of the parameters that all have.
CONSTRAINTS = {
    "n_hashes": integer(1),
    "n_buckets": integer(2, 2**31),
    "random_state": random_state(),
    "warmup": any_of(nothing(), integer(2)),
}


class EdgeDetector(StreamDetector):
    """Base of the MIDAS detectors. A subclass says what fades and what is filtered out.

    Rows are edges (source, target, time): whole numbers, the time in ticks. An edge that comes late
    counts in the present tick.
    """

    #: Sketches: of edges alone, or of edges, sources and targets.
    kinds: ClassVar[int] = 3

    n_hashes: int
    n_buckets: int

    def _fading(self) -> tuple[float, float]:
        """What is left of current counts after a tick, and the filter's threshold or -1."""
        raise NotImplementedError

    def _start(self, X: FloatArray) -> _State:
        if X.shape[1] != 3:
            raise DataError(
                f"{type(self).__name__}: edges have 3 columns, source, target and time, "
                f"got {X.shape[1]}"
            )
        shape = (self.kinds, self.n_hashes, self.n_buckets)
        seeds = self._rng().integers(2**63, size=(*shape[:2], 2), dtype=np.uint64)
        first = self._whole(X[:1], 1)[0, 2:]
        clock = np.ones(1, dtype=np.int64)
        return _State(
            np.zeros(shape), np.zeros(shape), np.zeros(shape), 2 * seeds + 1, first, clock
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        return self._scores(state, X, learn)[0]

    def _scores(self, state: _State, X: FloatArray, learn: bool) -> tuple[FloatArray, IntArray]:
        """Scores of edges and the kind of sketch each is from."""
        edges = self._whole(X, int(state.first[0]))
        scores, kinds = self._follow(state, edges, learn)
        later = np.empty(0) if learn else np.flatnonzero(edges[:, 2] > state.clock[0])
        if len(later):
            turned = own_copy(state)
            sketches = turned.current, turned.total, turned.score
            kernels.turn(*sketches, turned.clock[0], *self._fading())
            scores[later], kinds[later] = self._follow(turned, edges[later], False)
        return scores, kinds

    def _follow(self, state: _State, edges: IntArray, learn: bool) -> tuple[FloatArray, IntArray]:
        scores, kinds = np.empty(len(edges)), np.empty(len(edges), dtype=np.int64)
        sketches = state.current, state.total, state.score, state.seeds
        kernels.run(edges, *sketches, state.clock, *self._fading(), learn, scores, kinds)
        return scores, kinds

    def _whole(self, X: FloatArray, first: int) -> IntArray:
        """Edges as whole numbers, their time in ticks from 1 on."""
        edges = np.empty(X.shape, dtype=np.int64)
        bad = kernels.whole(np.ascontiguousarray(X), first - 1, edges)
        if bad >= 0:
            row, column = divmod(bad, X.shape[1])
            raise DataError(
                f"{type(self).__name__}: edges are whole numbers (source, target, time), "
                f"got {X[row, column]} at row {row}, column {column}"
            )
        return edges

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        """All to the source or to the target, or half to each where their edge is what is odd."""
        scores, why = self._scores(self.state_, X, False)
        shares = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        return shares[why] * scores[:, None], 0.0
