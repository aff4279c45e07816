"""LODA online: fading histograms of random projections."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing, random_state
from awry.core.series import robust_moments
from awry.core.threshold import Threshold
from awry.detectors.stream._range import usual_range
from awry.kernels import fading as kernels

#: Standardised values are cut off here.
_FAR = 1e100


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    features: IntArray
    weights: FloatArray
    low: FloatArray
    width: FloatArray
    counts: FloatArray
    clock: FloatArray


class LODAOnline(StreamDetector):
    """Rows that fall where histograms of random projections have been low of late.

    The score is the mean over sparse random projections of ``-log2 p``, p being the share of the
    recent rows in the bin that the projection falls into (equation 3 of the paper). Each
    projection weighs sqrt(d) features, taken at random, with normal numbers. A row then counts in
    its bins, and fades by ``exp(-1 / memory)`` with each that follows.

    Parameters
    ----------
    n_bins : int, default=20
        Bins of each histogram over twice the usual range of the training rows; what lies outside
        has a bin on each side.
    n_random_cuts : int, default=100
        Projections.
    memory : int, default=1000
        About how many rows are remembered.
    random_state : int, Generator or None, default=None
        Seed of the projections.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) that standardise the rows, ``features`` and ``weights``
        (n_random_cuts, int(sqrt(d))), where the histograms begin and how wide their bins are, the
        ``counts`` and their ``clock``.

    Notes
    -----
    Departures: the paper's online form keeps Ben-Haim and Tom-Tov's histograms, or two windows in
    turn; these have bins of equal width, fade steadily, and count half a row in every bin in
    advance. Features are standardised.

    References
    ----------
    Pevný: "Loda: Lightweight on-line detector of anomalies", Machine Learning 2016.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = LODAOnline(random_state=0).fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="loda_online",
        summary="Rows that fall where recent histograms of random projections are low.",
        modality="stream",
        family="density",
        paper="Pevný, Loda: Lightweight on-line detector of anomalies, Machine Learning",
        year=2016,
        fit_cost="O(n k sqrt(d))",
        score_cost="O(k sqrt(d))",
        finds="rows far out in some direction of late",
        misses="odd rows between dense regions",
        online=True,
        stochastic=True,
    )

    constraints = {
        "n_bins": integer(2),
        "n_random_cuts": integer(1),
        "memory": integer(2),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        n_bins: int = 20,
        n_random_cuts: int = 100,
        memory: int = 1000,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.n_random_cuts = n_random_cuts
        self.memory = memory
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        rng, k, d = self._rng(), self.n_random_cuts, X.shape[1]
        size = int(np.sqrt(d))
        features = np.array([rng.choice(d, size=size, replace=False) for _ in range(k)])
        weights = rng.normal(size=(k, size))
        moments = robust_moments(X)
        rows = _standard(X, *moments)
        low, width = usual_range(np.einsum("ikm,km->ik", rows[:, features], weights))
        return _State(
            *moments,
            features,
            weights,
            low - 0.5 * width,
            2.0 * width / self.n_bins,
            np.zeros((k, self.n_bins + 2)),
            np.array([1.0, 0.0]),
        )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out, growth = np.empty(len(X)), float(np.exp(1.0 / self.memory))
        rows = _standard(X, state.center, state.scale)
        kernels.histograms(
            rows, state.features, state.weights, state.low, state.width, state.counts, state.clock,
            growth, learn, out,
        )  # fmt: skip
        return out


def _standard(X: FloatArray, center: FloatArray, scale: FloatArray) -> FloatArray:
    return np.ascontiguousarray(np.clip((X - center) / scale, -_FAR, _FAR))
