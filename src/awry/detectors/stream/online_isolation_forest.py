"""Online Isolation Forest: trees that split where rows gather and merge where they leave."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing, random_state
from awry.core.threshold import Threshold
from awry.kernels import isolation_stream as kernels


class _State(NamedTuple):
    counts: IntArray
    box: FloatArray
    feature: IntArray
    value: FloatArray
    ring: FloatArray
    seeds: NDArray[np.uint64]
    clock: IntArray


class OnlineIsolationForest(StreamDetector):
    """Rows that end at a small depth in trees which follow the last rows.

    A node of a tree knows how many of the last ``window`` rows ω are in it and their bounding box.
    A leaf at depth k that comes to hold ``max_leaf_samples`` η times 2^k splits at a random value
    of a random feature, by rows drawn evenly from its box, as its own are not kept; a node that
    comes to hold fewer is a leaf again (algorithms 2 and 3 of the paper). A row's depth is that of
    its leaf and ``log2(h / η)`` for the h rows there; the score is ``2^(-E[depth] / log2(ω / η))``.

    Parameters
    ----------
    n_estimators : int, default=32
        Trees.
    window : int, default=2048
        Rows ω that the trees hold: the last ones.
    max_leaf_samples : int, default=32
        Rows η at which the root splits.
    random_state : int, Generator or None, default=None
        Seed of the splits.
    warmup : int or None, default=None
        Rows at the start that are learnt but not judged.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``counts``, ``box``, ``feature`` and ``value`` of the nodes, the ``ring`` of the last rows,
        the trees' ``seeds`` and the ``clock`` of rows learnt.

    Notes
    -----
    The first η rows are not judged; they score 0. Splits are parallel to the axes, in two, the
    paper's default; no feature needs scaling. A node from which all rows have left forgets its box.

    References
    ----------
    Leveni, Weigert Cassales, Pfahringer, Bifet & Boracchi: "Online Isolation Forest", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(600, 3))
    >>> detector = OnlineIsolationForest(random_state=0).fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="online_isolation_forest",
        summary="Rows that end at a small depth in trees which follow the last rows.",
        modality="stream",
        family="trees",
        paper="Leveni et al., Online Isolation Forest, ICML",
        year=2024,
        fit_cost="O(n t (d + log w))",
        score_cost="O(t log w)",
        finds="rows far from the last ones, in any number of features",
        misses="odd rows close to dense regions",
        online=True,
        stochastic=True,
    )

    constraints = {
        "n_estimators": integer(1),
        "window": integer(2),
        "max_leaf_samples": integer(1),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_estimators: int = 32,
        window: int = 2048,
        max_leaf_samples: int = 32,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.window = window
        self.max_leaf_samples = max_leaf_samples
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        t, d = self.n_estimators, X.shape[1]
        depth = int(np.ceil(np.log2(max(self.window / self.max_leaf_samples, 1.0))))
        nodes = 2 ** (depth + 1) - 1
        return _State(
            np.zeros((t, nodes), dtype=np.int64),
            np.zeros((t, nodes, 2, d)),
            np.full((t, nodes), -1, dtype=np.int64),
            np.zeros((t, nodes)),
            np.zeros((self.window, d)),
            self._rng().integers(2**63, size=t, dtype=np.uint64),
            np.zeros(1, dtype=np.int64),
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out = np.empty(len(X))
        kernels.run(np.ascontiguousarray(X), *state, self.max_leaf_samples, learn, out)
        return out
