"""xStream: how full the ever smaller cells around a row were, in a space that takes any field."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing, random_state
from awry.core.series import robust_moments
from awry.core.threshold import Threshold
from awry.detectors.stream._range import usual_range
from awry.kernels import half_space_chains as kernels

if TYPE_CHECKING:
    from typing import Self

#: Projected values are cut off here, in widths of a cell, so that cells have whole numbers.
_FAR = 1e9


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    weights: FloatArray
    width: FloatArray
    feature: IntArray
    first: NDArray[np.bool_]
    shift: FloatArray
    seeds: NDArray[np.uint64]
    counts: NDArray[np.int32]
    clock: NDArray[np.int64]


class XStream(StreamDetector):
    """Rows whose cells, halved again and again, held few in the last window; fields may be new.

    A row becomes k numbers ``y_i = sum_f h_i(f) x_f``, h_i being hash functions of the *names* of
    the features that are ``±sqrt(3 / k)``, each with probability 1/6, else 0 (StreamhashProjection,
    section 3.1). So a field that was never there before has its place. Each of m chains halves one
    of the k numbers, taken at random, at every level (section 3.2); a row's cells are counted in
    count-min sketches. With c_l the count of its cell at level l in the last window, a chain says
    ``min_l log2(1 + c_l) + l`` (equation 4), low for anomalies. The score is by how much the mean
    over the chains falls short of ``log2(1 + ψ) + 1``, a cell that holds the whole window. After
    every ψ rows the window being filled takes the place of the last one (section 3.3).

    ``score_one`` and ``learn_one`` take, beside d values, a dict of fields: numbers by their names;
    a text is the feature ``name=text`` with value 1. What is missing is typical.

    Parameters
    ----------
    n_components : int, default=100
        Numbers k.
    n_estimators : int, default=100
        Chains m.
    max_depth : int, default=15
        Levels of each chain.
    window : int, default=256
        Rows ψ in a window.
    n_hashes : int, default=2
        Rows of each sketch.
    n_buckets : int, default=512
        Buckets in each row of a sketch.
    random_state : int, Generator or None, default=None
        Seed of hash functions and chains.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) of the known features, their ``weights`` (d, k); the ``width``
        (k,) of the widest cells; of each chain the ``feature`` of each level, whether it is the
        ``first`` with it, the ``shift`` of its cells and its ``seeds``; the ``counts`` of two
        windows; and the ``clock``: rows learnt, and which window is being filled.

    Notes
    -----
    The first ψ rows follow no window and are not judged; they score 0.

    Departures: features known from the training rows are standardised by median and median absolute
    deviation, as hashing mixes their units; of others, ``asinh`` of the value is taken. The widest
    cells are half the 1 % to 99 % range of the projected training rows, the paper's half of all.

    References
    ----------
    Manzoor, Lamba & Akoglu: "xStream: Outlier Detection in Feature-Evolving Data Streams", KDD
    2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(600, 3))
    >>> detector = XStream(n_estimators=30, random_state=0).fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    >>> usual = {"x0": 0.0, "x1": 0.0}
    >>> detector.score_one(usual) < detector.score_one({**usual, "shell": "opened"})
    True
    """

    card = Card(
        name="xstream",
        summary="Rows whose ever smaller cells were empty in the last window; fields may be new.",
        modality="stream",
        family="density",
        paper="Manzoor, Lamba & Akoglu, xStream: Feature-Evolving Data Streams, KDD",
        year=2018,
        fit_cost="O(n (d k + m h))",
        score_cost="O(d k + m h)",
        finds="rows in regions that were empty of late, and fields that were never there",
        misses="anomalies in one of very many features; such that last longer than a window",
        online=True,
        stochastic=True,
    )

    constraints = {
        "n_components": integer(1),
        "n_estimators": integer(1),
        "max_depth": integer(1, 30),
        "window": integer(1, 2**30),
        "n_hashes": integer(1),
        "n_buckets": integer(2, 2**31),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_components: int = 100,
        n_estimators: int = 100,
        max_depth: int = 15,
        window: int = 256,
        n_hashes: int = 2,
        n_buckets: int = 512,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.window = window
        self.n_hashes = n_hashes
        self.n_buckets = n_buckets
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        rng, k, m, depth = self._rng(), self.n_components, self.n_estimators, self.max_depth
        self.seed_ = int(rng.integers(2**63))
        weights = np.array([hashed(self.seed_, name, k) for name in self._names()])
        center, scale = robust_moments(X)
        width = 0.5 * usual_range(_projected((X - center) / scale, weights))[1]
        feature = rng.integers(k, size=(m, depth))
        earlier = np.tril(np.ones((depth, depth), dtype=bool), -1)
        again = ((feature[:, :, None] == feature[:, None, :]) & earlier).any(axis=2)
        return _State(
            center,
            scale,
            weights,
            width,
            feature,
            ~again,
            rng.random((m, k)),
            rng.integers(2**64, size=m, dtype=np.uint64),
            np.zeros((m, depth, self.n_hashes, self.n_buckets, 2), dtype=np.int32),
            np.zeros(2, dtype=np.int64),
        )

    def _names(self) -> list[str]:
        return [str(name) for name in getattr(self, "feature_names_in_", self._default_names())]

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        return self._chains(
            state, _projected((X - state.center) / state.scale, state.weights), learn
        )

    def _chains(self, state: _State, Z: FloatArray, learn: bool) -> FloatArray:
        out, seen = np.empty(len(Z)), int(state.clock[0])
        kernels.run(
            np.clip(Z / state.width, -_FAR, _FAR), state.feature, state.first, state.shift,
            state.seeds, state.counts, state.clock, self.window, learn, out,
        )  # fmt: skip
        scores = np.log2(1.0 + self.window) + 1.0 - out
        waiting = self.window - seen
        if waiting > 0:
            scores[: waiting if learn else len(Z)] = np.nan
        return scores

    # -- fields by their names --------------------------------------------------------------------

    def learn_one(self, x: Any) -> Self:
        if not isinstance(x, Mapping):
            return super().learn_one(x)
        self._chains(self.state_, self._fields(x), True)
        return self

    def score_one(self, x: Any) -> float:
        if not isinstance(x, Mapping):
            return super().score_one(x)
        return float(self._judged(self._chains(self.state_, self._fields(x), False))[0])

    def _fields(self, record: Mapping[str, Any]) -> FloatArray:
        """The projection (1, k) of a record."""
        state, k = self.state_, self.n_components
        known = {name: j for j, name in enumerate(self._names())}
        z = np.zeros((1, k))
        for name, value in record.items():
            if isinstance(value, str):
                z[0] += hashed(self.seed_, f"{name}={value}", k)
            elif value is not None and math.isfinite(value):
                j = known.get(name)
                if j is None:
                    z[0] += np.arcsinh(value) * hashed(self.seed_, name, k)
                else:
                    z[0] += (value - state.center[j]) / state.scale[j] * state.weights[j]
        return z


@lru_cache(maxsize=1 << 16)
def hashed(seed: int, name: str, k: int) -> FloatArray:
    """The k hash functions of a name: ``±sqrt(3 / k)``, each for a sixth of all names, else 0."""
    digest = hashlib.shake_128(f"{seed}:{name}".encode("utf-8", "backslashreplace")).digest(4 * k)
    draw = np.frombuffer(digest, dtype="<u4").astype(np.float64) / 2**32
    signs = (draw < 1 / 6).astype(np.float64) - (draw >= 5 / 6)
    return signs * np.sqrt(3.0 / k)


def _projected(rows: FloatArray, weights: FloatArray) -> FloatArray:
    out = np.empty((len(rows), weights.shape[1]))
    kernels.project(np.ascontiguousarray(rows), weights, out)
    return out
