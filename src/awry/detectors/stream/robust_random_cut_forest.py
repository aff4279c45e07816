"""Robust Random Cut Forest: how much of the trees a row pushes aside."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, boolean, integer, nothing, random_state
from awry.core.series import robust_moments
from awry.core.threshold import Threshold
from awry.kernels import random_cut as kernels

#: Scaled values are cut off here, so that single precision can hold the sides of their boxes.
_FAR = 1e12


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    box: NDArray[np.float32]
    at: NDArray[np.float32]
    links: NDArray[np.int32]
    free: NDArray[np.int32]
    top: NDArray[np.int32]
    leaf_of: NDArray[np.int32]
    seeds: NDArray[np.uint64]
    seen: NDArray[np.int64]


class RobustRandomCutForest(StreamDetector):
    """Rows that change much in a tree of random cuts by being in it.

    Each tree cuts the last ``window`` rows apart, a feature taken in proportion to its range, the
    place at random. A row's collusive displacement in a tree is the largest ratio, over the
    subtrees C that would hold it, of the size of C's sibling to that of C (definition 4 of the
    paper in the form its authors' implementations use); the score is its mean over the trees. The
    row then enters every tree and the oldest leaves it, by the paper's algorithms 2 and 1, in the
    depth of the tree.

    Parameters
    ----------
    n_estimators : int, default=50
        Trees.
    window : int, default=256
        Rows in each tree: the last ones.
    shared_displacement : bool, default=True
        False: the displacement of definition 3, the size of the sibling of the row's leaf alone,
        which copies of an anomaly hide.
    standardize : bool, default=True
        Divide each feature by its robust scale in the training rows; the paper does not, and then
        features with a wide range take most of the cuts.
    random_state : int, Generator or None, default=None
        Seed of the cuts.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,), the trees as :mod:`awry.kernels.random_cut` describes them,
        their ``seeds`` and the rows ``seen``.

    Notes
    -----
    Departures: the sample is the window of the last rows, as in the package rrcf, where the paper
    samples the stream. A row is scored by the place it would take, so scoring changes no tree.
    Boxes are kept in single precision.

    A feature's share of the score is the displacement that cuts in it cause; where the row itself
    is cut off, features share by how far it sticks out of the box in each.

    References
    ----------
    Guha, Mishra, Roy & Schrijvers: "Robust Random Cut Forest Based Anomaly Detection on Streams",
    ICML 2016.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(400, 3))
    >>> detector = RobustRandomCutForest(random_state=0).fit(X)
    >>> bool(detector.score_one([0.0, 9.0, 0.0]) > 5 * detector.score_one([0.0, 0.0, 0.0]))
    True
    >>> int(detector.explain([[0.0, 9.0, 0.0]]).values.argmax())
    1
    """

    card = Card(
        name="robust_random_cut_forest",
        summary="Rows that push much of a random tree aside when they enter it.",
        modality="stream",
        family="trees",
        paper="Guha, Mishra, Roy & Schrijvers, Robust Random Cut Forest, ICML",
        year=2016,
        fit_cost="O(n t d log w)",
        score_cost="O(t d log w)",
        finds="rows far from the last ones, small groups of them, in any number of features",
        misses="anomalies that last as long as the window; odd rows between dense regions",
        aliases=("rrcf",),
        online=True,
        stochastic=True,
    )

    constraints = {
        "n_estimators": integer(1),
        "window": integer(2, 2**20),
        "shared_displacement": boolean(),
        "standardize": boolean(),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_estimators: int = 50,
        window: int = 256,
        shared_displacement: bool = True,
        standardize: bool = True,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.window = window
        self.shared_displacement = shared_displacement
        self.standardize = standardize
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        t, leaves, d = self.n_estimators, self.window + 1, X.shape[1]
        nodes = 2 * leaves - 1
        center, scale = robust_moments(X)
        free = np.arange(nodes, dtype=np.int32)
        return _State(
            center,
            scale if self.standardize else np.ones(d),
            np.zeros((t, nodes, 2 * d), dtype=np.float32),
            np.zeros((t, nodes), dtype=np.float32),
            np.zeros((t, nodes, 5), dtype=np.int32),
            np.tile(free, (t, 1)),
            np.tile(np.array([leaves, leaves - 1, -1], dtype=np.int32), (t, 1)),
            np.zeros((t, leaves), dtype=np.int32),
            self._rng().integers(2**63, size=t, dtype=np.uint64),
            np.zeros(1, dtype=np.int64),
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out, forest = np.zeros(len(X)), state[2:9]
        rows, seen = self._signed(state, X), int(state.seen[0])
        kernels.run(rows, *forest, seen, self.shared_displacement, learn, out)
        if learn:
            state.seen[0] += len(X)
        return out / self.n_estimators

    def _signed(self, state: _State, X: FloatArray) -> Any:
        scaled = np.clip((X - state.center) / state.scale, -_FAR, _FAR).astype(np.float32)
        return np.hstack([-scaled, scaled])

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        s, out = self.state_, np.zeros(X.shape)
        kernels.attribute(
            self._signed(s, X), s.box, s.at, s.links, s.top, s.seeds, int(s.seen[0]),
            self.shared_displacement, out,
        )  # fmt: skip
        return out / self.n_estimators, 0.0
