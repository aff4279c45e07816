"""SAND: usual shapes that follow a series batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, random_state, real
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold
from awry.detectors.series import _shapes
from awry.detectors.series._windows import window_length
from awry.kernels.shapes import extract_shape, k_shape, scatter, shape_distances

if TYPE_CHECKING:
    from typing import Self


class _Clusters(NamedTuple):
    """Of one channel, k clusters of sequences of m points."""

    centers: FloatArray  # (k, m)
    scatters: FloatArray  # (k, m, m)
    sizes: FloatArray  # (k,) subsequences taken in
    radii: FloatArray  # (k,) mean distance of members to the centre
    ages: FloatArray  # (k,) batches since the last member
    weights: FloatArray  # (k,)


class SAND(SeriesDetector):
    """Windows unlike the shapes that are usual by now.

    Each batch is clustered by k-Shape; a new cluster whose centre is nearer to a known one than
    that one's members are on average is merged with it, else it is added. Weights, of large,
    central and recent clusters the highest, move on by ``alpha``. A batch is scored by the model it
    has been learnt into, as for :class:`~awry.detectors.series.k_shape.KShape`.

    Parameters
    ----------
    window : int or None, default=None
        Points in a window; None takes the dominant period, or 32 where there is none.
    n_clusters : int, default=6
        Shapes a batch is parted into.
    stride : int, default=10
        Points from one subsequence's start to the next.
    batch_size : int, default=5000
        Points of a batch in ``fit``.
    alpha : float, default=0.5
        Share of the newest in the weights.
    max_clusters : int, default=24
        Clusters a channel may have; the lightest are forgotten.
    random_state : int or None, default=None
        Seed of the labels k-Shape starts from.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    window_, length_ : int
        Points of a window and of a shape.
    clusters_ : list of named tuple of arrays
        For each channel ``centers``, ``scatters``, ``sizes``, ``radii``, ``ages`` in batches and
        ``weights``.

    Notes
    -----
    ``partial_fit`` takes a batch, of any length; one too short for a single shape teaches nothing.
    Departures: memory is bounded by ``max_clusters``; ages count batches; scores are not
    standardised by a running mean.

    References
    ----------
    Boniol, Paparrizos, Palpanas & Franklin: "SAND: Streaming Subsequence Anomaly Detection", VLDB
    2021.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(900) / 5) + np.random.default_rng(0).normal(scale=0.05, size=900)
    >>> x[700:715] *= -1
    >>> model = SAND(window=31, batch_size=450, random_state=0).fit(x)
    >>> bool(670 < model.decision_scores_.argmax() < 745)
    True
    """

    card = Card(
        name="sand",
        summary="Windows unlike the shapes that are usual by now.",
        modality="series",
        family="shape",
        paper="Boniol et al., SAND: Streaming Subsequence Anomaly Detection, VLDB",
        year=2021,
        fit_cost="O(k d (N w log w + w^3)) a batch and iteration, N subsequences of 4 windows w",
        score_cost="O(T k w d)",
        finds="odd shapes, also such as come back, while what is normal changes",
        misses="odd levels and scales; rare shapes that are normal",
        stochastic=True,
        min_rows=8,
    )

    constraints = {
        "window": any_of(nothing(), integer(3)),
        "n_clusters": integer(1),
        "stride": integer(1),
        "batch_size": integer(16),
        "alpha": real(0.0, 1.0),
        "max_clusters": integer(1),
        "random_state": random_state(),
    }
    # A training batch is judged by the model of its time.
    compares_with_training = True

    def __init__(
        self,
        window: int | None = None,
        n_clusters: int = 6,
        stride: int = 10,
        batch_size: int = 5000,
        alpha: float = 0.5,
        max_clusters: int = 24,
        random_state: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.n_clusters = n_clusters
        self.stride = stride
        self.batch_size = batch_size
        self.alpha = alpha
        self.max_clusters = max_clusters
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        self.window_ = min(max(window_length(X, self.window), 3), len(X))
        batch = min(max(self.batch_size, 2 * self.window_), len(X))
        self.length_ = max(min(4 * self.window_, batch // 2), self.window_)
        self.clusters_: list[_Clusters] = []
        self._batches = 0
        self._root = self._seed()
        scores = []
        # What is left over at the end belongs to the last batch.
        first = list(range(0, max(len(X) - batch + 1, 1), batch))
        for start, end in zip(first, [*first[1:], len(X)], strict=True):
            self._learn(X[start:end])
            before = min(self.window_ - 1, start)
            scores.append(self._score(X[start - before : end])[before:])
        return np.concatenate(scores)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn the next batch (T,) or (T, d); the first call is ``fit``."""
        if not hasattr(self, "clusters_"):
            return self.fit(X, y)
        self._learn(self._check_input(X, reset=False))
        return self

    def _learn(self, X: Series) -> None:
        if len(X) < self.length_:
            return
        values, holes = X.filled()
        rng = np.random.default_rng([self._root, self._batches])
        self._batches += 1
        known: list[_Clusters | None] = [*self.clusters_] or [None] * values.shape[1]
        self.clusters_ = [
            self._taught(
                old,
                _shapes.subsequences(values[:, j].copy(), holes[:, j], self.length_, self.stride),
                rng,
            )
            for j, old in enumerate(known)
        ]

    def _taught(
        self, old: _Clusters | None, rows: FloatArray, rng: np.random.Generator
    ) -> _Clusters:
        """The clusters of a channel after the subsequences ``rows`` of a batch."""
        centers, labels = k_shape(rows, min(self.n_clusters, len(rows)), rng)
        found = [_cluster(rows[labels == j], center) for j, center in enumerate(centers)]
        if old is None:
            merged = _Clusters(*map(np.stack, zip(*found, strict=True)))
            return merged._replace(weights=_shapes.weights(merged.centers, merged.sizes))
        known = [_Clusters(*parts) for parts in zip(*old, strict=True)]
        known = [cluster._replace(ages=cluster.ages + 1.0) for cluster in known]
        for j, new in enumerate(found):
            apart = shape_distances(old.centers, new.centers)[0]
            near = int(apart.argmin())
            if apart[near] < old.radii[near]:
                known[near] = _merged(known[near], new, rows[labels == j])
            else:
                known.append(new)
        grown = _Clusters(*map(np.stack, zip(*known, strict=True)))
        fresh = _shapes.weights(grown.centers, grown.sizes) / (1.0 + grown.ages)
        begun = np.arange(len(fresh)) >= len(old.sizes)
        weights = np.where(begun, fresh, (1 - self.alpha) * grown.weights + self.alpha * fresh)
        kept = np.sort(np.argsort(-weights, kind="stable")[: self.max_clusters])
        return _Clusters(*(part[kept] for part in grown._replace(weights=weights)))

    def _score(self, X: Series) -> FloatArray:
        values, holes = X.filled()
        scores = [
            _shapes.distances_to_shapes(
                values[:, j].copy(), holes[:, j], self.window_, model.centers, model.weights
            )
            for j, model in enumerate(self.clusters_)
        ]
        return np.stack(scores, axis=1)


def _cluster(rows: FloatArray, center: FloatArray) -> _Clusters:
    """One cluster, of the subsequences ``rows``."""
    radius = np.asarray(shape_distances(rows, center)[0].mean())
    size, age, weight = map(np.asarray, (float(len(rows)), 0.0, 1.0))
    return _Clusters(center, scatter(rows, center), size, radius, age, weight)


def _merged(old: _Clusters, new: _Clusters, rows: FloatArray) -> _Clusters:
    """One cluster of two, the new one's subsequences ``rows`` shifted onto the old centre."""
    total = old.scatters + scatter(rows, old.centers)
    sizes = old.sizes + new.sizes
    radius = shape_distances(rows, old.centers)[0].mean()
    radii = (old.sizes * old.radii + new.sizes * radius) / sizes
    center = extract_shape(total, old.centers)
    return _Clusters(center, total, sizes, radii, new.ages, old.weights)
