"""Half-Space Trees: how full the cells around a row were in the last window."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.stream._range import usual_range
from awry.kernels import half_space as kernels


class _State(NamedTuple):
    low: FloatArray
    width: FloatArray
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    mass: NDArray[np.int32]
    stamp: NDArray[np.int32]
    seen: NDArray[np.int64]


class HalfSpaceTrees(StreamDetector):
    """Rows that fall where the last window had few: mass in cells of random complete trees.

    Each tree halves, at every node, the range of a feature taken at random, down to
    ``max_depth`` h. Over each window of ψ rows the nodes count the rows that pass; a row is scored
    by the counts r of the window before: it goes down to the first node, at depth k, that is a leaf
    or has r at most ``size_limit``·ψ, and the trees' mean of r 2^k says how dense the place is
    (section 3 of the paper). The score is ``log2(ψ 2^h / (1 + mean))``, the fewer the higher, in
    bits.

    Parameters
    ----------
    n_estimators : int, default=25
        Trees t.
    max_depth : int, default=15
        Depth h of each; memory grows as t 2^h.
    window : int, default=250
        Rows ψ in a window.
    size_limit : float, default=0.1
        Share of ψ below which a node is not looked into further.
    random_state : int, Generator or None, default=None
        Seed of the trees.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``low`` and ``width`` (d,) of the features' usual range, ``feature`` and ``threshold`` of
        the inner nodes, ``mass`` and ``stamp`` of all nodes, ``seen`` rows.

    Notes
    -----
    The first ψ rows follow no window and are not judged; they score 0.

    Departures: the paper takes all values to lie in [0, 1]; here the 1 % and 99 % quantiles of the
    training rows are put at 0 and 1, and the paper's working range reaches beyond on both sides.
    The paper's score is the sum of r 2^k, low for anomalies; this one falls as it rises. Where a
    window ends the paper walks over all nodes; here each node is brought up to date when next met,
    which gives the same masses without a pause.

    A feature's share of the score is what its splits take from r 2^k on the way down.

    References
    ----------
    Tan, Ting & Liu: "Fast Anomaly Detection for Streaming Data", IJCAI 2011.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(600, 3))
    >>> detector = HalfSpaceTrees(random_state=0).fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="half_space_trees",
        summary="Rows that fall into cells which the last window left empty.",
        modality="stream",
        family="trees",
        paper="Tan, Ting & Liu, Fast Anomaly Detection for Streaming Data, IJCAI",
        year=2011,
        fit_cost="O(n t h)",
        score_cost="O(t h)",
        finds="rows in regions that were empty of late, in any number of features",
        misses="odd rows between dense regions; anomalies that last longer than a window",
        aliases=("hst",),
        online=True,
        stochastic=True,
    )

    constraints = {
        "n_estimators": integer(1),
        "max_depth": integer(1, 24),
        "window": integer(1),
        "size_limit": real(0.0, 1.0),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_estimators: int = 25,
        max_depth: int = 15,
        window: int = 250,
        size_limit: float = 0.1,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.window = window
        self.size_limit = size_limit
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        rng, t, d = self._rng(), self.n_estimators, X.shape[1]
        inner = 2**self.max_depth - 1
        feature = rng.integers(d, size=(t, inner), dtype=np.int16)
        threshold = np.empty((t, inner), dtype=np.float32)
        for tree in range(t):
            center = rng.random(d)
            reach = 2 * np.maximum(center, 1 - center)
            kernels.build(feature[tree], center - reach, center + reach, threshold[tree])
        return _State(
            *usual_range(X),
            feature,
            threshold,
            np.zeros((t, 2 * inner + 1, 2), dtype=np.int32),
            np.full((t, 2 * inner + 1), -2, dtype=np.int32),
            np.zeros(1, dtype=np.int64),
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out, seen = np.zeros(len(X)), int(state.seen[0])
        rows, *trees = self._inputs(state, X)
        kernels.run(rows, *trees, learn, out)  # type: ignore[call-arg]
        scores = self._bits(out / self.n_estimators)
        if learn:
            state.seen[0] += len(X)
            scores[: max(self.window - seen, 0)] = np.nan
        return scores if learn or seen >= self.window else np.full(len(X), np.nan)

    def _inputs(self, state: _State, X: FloatArray) -> Any:
        low, width, feature, threshold, mass, stamp, seen = state
        rows = ((X - low) / width).astype(np.float32)
        limit = self.size_limit * self.window
        return rows, feature, threshold, mass, stamp, int(seen[0]), self.window, limit

    def _bits(self, mean: FloatArray | float) -> FloatArray:
        return self.max_depth + np.log2(self.window) - np.log2(1.0 + np.asarray(mean))

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        lost = np.zeros(X.shape)
        if self.state_.seen[0] < self.window:
            return lost, 0.0
        rows, *trees = self._inputs(self.state_, X)
        kernels.losses(rows, *trees, lost)  # type: ignore[call-arg]
        lost /= self.n_estimators
        base, total = float(self._bits(self.window)), lost.sum(axis=1)
        # The score bends with the mean mass; each feature gets its part of the chord.
        rise = self._bits(self.window - total) - base
        slope = np.divide(rise, total, out=np.zeros_like(total), where=total != 0)
        return lost * slope[:, None], base
