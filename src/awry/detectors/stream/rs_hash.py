"""RS-Hash: how full the cells of random grids have been of late."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing, random_state
from awry.core.threshold import Threshold
from awry.detectors.stream._range import usual_range
from awry.kernels import fading as kernels

#: Scaled values are cut off here, so that cells have whole numbers.
_FAR = 1e12


class _State(NamedTuple):
    low: FloatArray
    width: FloatArray
    first: IntArray
    features: IntArray
    shift: FloatArray
    side: FloatArray
    seeds: NDArray[np.uint64]
    counts: FloatArray
    clock: FloatArray


class RSHash(StreamDetector):
    """Rows whose cells in random grids have had few others of late.

    Each grid takes r features at random and cuts them, scaled to [0, 1], into cells of side f with
    a random shift; f is uniform in ``(1 / sqrt(s), 1 - 1 / sqrt(s))`` and r between ``1 + L / 2``
    and L for ``L = log s / log max(2, 1 / f)``, s being the rows remembered (section 3 of the
    paper). Cells are counted in a count-min sketch, fading with age (section 4). With c the count
    of the row's cell the score is ``log2(1 + n) - mean(log2(1 + c))`` over the grids, n being the
    faded number of all rows; the paper's score is the mean alone, low for anomalies.

    Parameters
    ----------
    n_estimators : int, default=100
        Grids m; the paper takes 300.
    n_hashes : int, default=4
        Rows w of each sketch.
    n_buckets : int, default=2500
        Buckets in each row of a sketch; the paper takes 10,000.
    memory : int, default=1000
        Rows s that are remembered: each fades by ``exp(-1 / s)`` with each that follows.
    random_state : int, Generator or None, default=None
        Seed of the grids.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``low`` and ``width`` (d,) of the features' usual range; of grid g the ``features`` and
        their ``shift`` from ``first[g]`` to ``first[g + 1]``, the ``side`` of its cells and its
        hash ``seeds``; the ``counts`` and their ``clock``.

    Notes
    -----
    Departures: the range is that of the 1 % to 99 % quantiles of the training rows, in place of
    all, and the sketches are smaller, as they hold s rows.

    References
    ----------
    Sathe & Aggarwal: "Subspace Outlier Detection in Linear Time with Randomized Hashing", ICDM
    2016.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = RSHash(random_state=0).fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="rs_hash",
        summary="Rows whose cells in random grids of a few features are nearly empty.",
        modality="stream",
        family="density",
        paper="Sathe & Aggarwal, Subspace Outlier Detection in Linear Time with Hashing, ICDM",
        year=2016,
        fit_cost="O(n m (log s + w))",
        score_cost="O(m (log s + w))",
        finds="rows that are odd in a few of many features",
        misses="anomalies of features that few grids look at together",
        online=True,
        stochastic=True,
    )

    constraints = {
        "n_estimators": integer(1),
        "n_hashes": integer(1),
        "n_buckets": integer(2, 2**31),
        "memory": integer(5),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_estimators: int = 100,
        n_hashes: int = 4,
        n_buckets: int = 2500,
        memory: int = 1000,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.n_hashes = n_hashes
        self.n_buckets = n_buckets
        self.memory = memory
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        rng, m, d = self._rng(), self.n_estimators, X.shape[1]
        low, width = usual_range(X)
        # What never changes tells nothing, and would take the place of what does.
        told = np.flatnonzero(np.ptp(X, axis=0) > 0)
        usable = told if len(told) else np.arange(d)
        edge = 1.0 / np.sqrt(self.memory)
        side = rng.uniform(edge, 1.0 - edge, size=m)
        most = np.log(self.memory) / np.log(np.maximum(2.0, 1.0 / side))
        sizes = rng.integers((1 + 0.5 * most).astype(int), most.astype(int), endpoint=True)
        sizes = np.clip(sizes, 1, len(usable))
        features = np.concatenate([rng.choice(usable, size=r, replace=False) for r in sizes])
        seeds = 2 * rng.integers(2**63, size=(m, self.n_hashes), dtype=np.uint64) + 1
        return _State(
            low,
            width,
            np.r_[0, np.cumsum(sizes)],
            features,
            rng.random(len(features)) * np.repeat(side, sizes),
            side,
            seeds,
            np.zeros((m, self.n_hashes, self.n_buckets)),
            np.array([1.0, 0.0]),
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out, growth = np.empty(len(X)), float(np.exp(1.0 / self.memory))
        scaled = np.ascontiguousarray(np.clip((X - state.low) / state.width, -_FAR, _FAR))
        kernels.grids(
            scaled, state.first, state.features, state.shift, state.side, state.seeds,
            state.counts, state.clock, growth, learn, out,
        )  # fmt: skip
        return out
