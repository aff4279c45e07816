"""The automatic choice: far from the core of the data, or unlike anything seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from awry.core import progress
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborSearch
from awry.detectors.tabular.fair_cut_forest import FairCutForest

#: The forest ranks like one of twice the trees here, beside a distance.
TREES, SAMPLE = 100, 256
#: Rows of a sample in which two rows of a clump seldom meet, and how many samples.
LONE_ROWS, LONE_SAMPLES = 16, 50
#: Rows of the core that distances are taken to, and of its neighbours.
CORE_ROWS, CORE_NEIGHBORS = 512, 5
#: Training rows that novelty remembers, and on which it is calibrated.
MEMORY, CALIBRATION = 8192, 2048
#: What its two ways of measuring count in novelty.
RANGE_WEIGHT, RANK_WEIGHT = 0.7, 0.3
#: Rows that suspicion is measured on and the core drawn from.
SUSPECTED_ROWS = 100_000


class Auto(Detector):
    """Rows far from the core of the data, or unlike anything seen.

    The score of a training row is its departure from the core: the mean of two z-scores, of a
    :class:`~awry.detectors.tabular.fair_cut_forest.FairCutForest` and of the mean distance to the 5
    nearest of 512 core rows. The core are the 60 % of rows least suspicious to the forest and to
    distances in samples of 16. Trimming undoes masking: anomalies that come in clumps are one
    another's neighbours, but not the core's.

    A row that was not seen in training also counts by its novelty: how much farther it lies from
    the nearest training row than these lie from one another. A training row is its own nearest row
    and has none. Scores of new rows are then carried, by a rising map, from their distribution for
    left-out training rows to that of training scores. So the threshold set on the training rows
    flags the same share of new ones.

    Parameters
    ----------
    core : float in [0.5, 1), default=0.6
        Share of the rows taken for the core: a majority, so that up to 1 - ``core`` may be odd.
    novelty : float >= 0, default=4.0
        What novelty counts beside the departure from the core, for rows not seen in training.
    random_state : int, Generator or None, default=None
    n_jobs : int or None, default=None
        Threads that score; the scores do not depend on it.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    choice_ : str
        What was chosen for this data, and why.
    forest_ : FairCutForest
    core_ : NeighborSearch
        The core rows, columns scaled by their inter-quartile ranges.
    memory_ : list of NeighborSearch
        Remembered rows, columns in units of their ranges and as normal scores of their ranks.

    Notes
    -----
    The rule and its constants are the same for all data; what adapts is the scale of each column
    (its inter-quartile range, or its standard deviation where half the values are equal), the core,
    the memory (all rows up to 8,192, a sample beyond) and, above 100,000 rows, the sample on which
    suspicion is measured. No labels are looked at.

    Novelty supposes that what was seen is mostly normal. Where half of a contaminated table is
    fitted and the other half scored, it costs: over 22 ADBench tables the mean AUROC and AUPRC of
    new rows were 0.810 and 0.471 without it, 0.776 and 0.355 with 4, while after training on normal
    rows they were 0.829 and 0.523 without it, 0.873 and 0.699 with it. ``novelty=0`` turns it off.
    Scores of fitted rows never depend on it.

    Contributions: forest and distances credit columns exactly; the map of new rows' scores scales
    these.

    References
    ----------
    Parts: Cortes, arXiv:2110.13402, 2021 (forest); Sugiyama & Borgwardt, "Rapid Distance-Based
    Outlier Detection via Sampling", NIPS 2013 (distances in small samples); Ramaswamy, Rastogi,
    Shim, SIGMOD 2000 (nearest neighbours). Their combination is awry's own.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(size=(300, 3)), rng.normal(7, 0.1, size=(20, 3))])
    >>> detector = Auto(random_state=0).fit(X)
    >>> bool(detector.decision_scores_[300:].min() > detector.decision_scores_[:300].max())
    True
    """

    card = Card(
        name="auto",
        summary="Rows far from the core of the data, or unlike anything seen.",
        family="combination",
        paper="awry; parts by Cortes (2021), Sugiyama & Borgwardt (2013), Ramaswamy et al. (2000)",
        year=2026,
        fit_cost="O(n (trees log 256 + 1312 d))",
        score_cost="O(n (trees log 256 + 512 d)), new rows O(8192 d) more at worst",
        finds="far rows, clumps of odd rows, rows between groups, anything new in later data",
        misses="rows odd only beside their near neighbours (lof, loop)",
        stochastic=True,
    )
    constraints = {
        "core": real(0.5, 1.0, "[)"),
        "novelty": real(0.0),
        "random_state": random_state(),
        "n_jobs": any_of(nothing(), integer()),
    }

    def __init__(
        self,
        *,
        core: float = 0.6,
        novelty: float = 4.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.core = core
        self.novelty = novelty
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        rng = self._rng()
        self._fit_scales(X)
        R = self._robust(X)
        progress.report("auto: forest", 0, 3)
        self.forest_ = FairCutForest(
            n_estimators=TREES, max_samples=SAMPLE, ndim=2,
            random_state=int(rng.integers(2**31)), n_jobs=self.n_jobs,
        ).fit(R)  # fmt: skip
        progress.report("auto: core", 1, 3)
        forest = self.forest_.decision_scores_
        some = rng.permutation(len(X))[:SUSPECTED_ROWS]
        suspicion = _z(forest[some]) + _z(_lone_distance(R[some], rng))
        calm = some[np.argsort(suspicion, kind="stable")]
        calm = calm[: max(min(len(calm), 20), int(self.core * len(calm)))]
        neighbors = NeighborSearch(CORE_NEIGHBORS, n_jobs=self.n_jobs or 1)
        self.core_ = neighbors.fit(R[rng.permutation(calm)[:CORE_ROWS]])
        distance = self.core_.query(R)[0].mean(axis=1)
        self.moments_ = np.array([_moments(forest), _moments(distance)])
        scores = self._departure(forest, distance)
        progress.report("auto: novelty", 2, 3)
        self._fit_novelty(X, scores, rng)
        progress.report("auto: novelty", 3, 3)
        self.choice_ = self._describe(X)
        return scores

    def _score(self, X: FloatArray) -> FloatArray:
        R = self._robust(X)
        scores = self._departure(self.forest_._score(R), self.core_.query(R)[0].mean(axis=1))
        new = self._unseen(X)
        if new.any():
            novelty = sum(self._novelties(X[new]))
            scores[new] = self._carried(scores[new] + self.novelty * novelty)
        return scores

    # -- departure from the core ------------------------------------------------------------------

    def _fit_scales(self, X: FloatArray) -> None:
        self.low_, self.range_ = X.min(axis=0), np.ptp(X, axis=0)
        low, self.center_, high = np.percentile(X, [25, 50, 75], axis=0)
        spread, quartiles = X.std(axis=0), (high - low) / 1.349
        # Where half of a column is one value its quartiles say nothing of the rest.
        scale = np.where(quartiles > 0.1 * spread, quartiles, spread)
        self.scale_ = np.where(scale > 0, scale, 1.0)

    def _robust(self, X: FloatArray) -> FloatArray:
        R: FloatArray = (X - self.center_) / self.scale_
        # A column that never varied says nothing of the core; leaving its value is novelty.
        R[:, self.range_ == 0] = 0.0
        return R

    def _departure(self, forest: FloatArray, distance: FloatArray) -> FloatArray:
        (forest_mean, forest_std), (mean, std) = self.moments_
        return 0.5 * (forest - forest_mean) / forest_std + 0.5 * (distance - mean) / std

    # -- novelty ----------------------------------------------------------------------------------

    def _fit_novelty(self, X: FloatArray, scores: FloatArray, rng: np.random.Generator) -> None:
        self.seen_ = np.unique(_fingerprints(X))
        kept = rng.permutation(len(X))[:MEMORY]
        self.ranks_ = np.sort(X[kept].T, axis=1)
        self.memory_ = [
            NeighborSearch(1, n_jobs=self.n_jobs or 1).fit(view(X[kept]))
            for view in (self._ranged, self._ranked)
        ]
        probe = kept[:CALIBRATION]
        left_out = [
            m.query(v)[0][:, 0] for m, v in zip(self.memory_, self._views(X[probe]), strict=True)
        ]
        self.spacing_ = np.array([(np.median(d), _moments(d)[1]) for d in left_out])
        # From the scores left-out rows would get to those that training rows do get.
        novelty = sum(self._weighted(left_out))
        raw = np.sort(scores[probe] + self.novelty * novelty)
        self.raw_, first = np.unique(raw, return_index=True)
        share = (first + 0.5) / len(raw)
        self.carried_ = np.maximum.accumulate(np.quantile(scores, share))

    def _novelties(self, X: FloatArray) -> list[FloatArray]:
        distances = [
            memory.query(view)[0][:, 0]
            for memory, view in zip(self.memory_, self._views(X), strict=True)
        ]
        return self._weighted(distances)

    def _weighted(self, distances: list[FloatArray]) -> list[FloatArray]:
        """Distances beyond the usual spacing, in units of its spread, each of shape (n,)."""
        weights = (RANGE_WEIGHT, RANK_WEIGHT)
        return [
            weight * np.maximum(d - middle, 0.0) / spread
            for d, weight, (middle, spread) in zip(distances, weights, self.spacing_, strict=True)
        ]

    def _carried(self, raw: FloatArray) -> FloatArray:
        """Raw scores of new rows on the scale of training scores; rises with slope 1 outside."""
        inside = np.interp(raw, self.raw_, self.carried_)
        return inside + np.maximum(raw - self.raw_[-1], 0.0) + np.minimum(raw - self.raw_[0], 0.0)

    def _unseen(self, X: FloatArray) -> np.ndarray:
        marks = _fingerprints(X)
        at = np.minimum(np.searchsorted(self.seen_, marks), len(self.seen_) - 1)
        return np.asarray(self.seen_[at] != marks)

    def _views(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._ranged(X), self._ranked(X)

    def _ranged(self, X: FloatArray) -> FloatArray:
        """Columns in units of their range; to leave a constant column's value is one range."""
        varies = self.range_ > 0
        return np.where(
            varies, (X - self.low_) / np.where(varies, self.range_, 1.0), self.low_ != X
        )

    def _ranked(self, X: FloatArray) -> FloatArray:
        """Normal scores of the ranks among remembered rows; 0 in a constant column."""
        Z = np.empty(X.shape)
        for j, known in enumerate(self.ranks_):
            below = np.searchsorted(known, X[:, j], "left")
            upto = np.searchsorted(known, X[:, j], "right")
            Z[:, j] = ndtri((0.5 * (below + upto) + 0.5) / (len(known) + 1))
        Z[:, self.range_ == 0] = 0.0
        return Z

    # -- explaining -------------------------------------------------------------------------------

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        R = self._robust(X)
        (forest_mean, forest_std), (mean, std) = self.moments_
        values, start = self.forest_._contributions(R)
        base = 0.5 * (start - forest_mean) / forest_std - 0.5 * mean / std
        values = 0.5 * values / forest_std + 0.5 * _distance_shares(self.core_, R) / std
        new = np.flatnonzero(self._unseen(X))
        if len(new):
            for memory, view, novelty in zip(
                self.memory_, self._views(X[new]), self._novelties(X[new]), strict=True
            ):
                share = _distance_shares(memory, view)
                whole = share.sum(axis=1, keepdims=True)
                share = np.divide(share, whole, out=np.zeros_like(share), where=whole > 0)
                values[new] += self.novelty * novelty[:, None] * share
            # The map moves the whole; columns keep their parts of what was moved.
            raw = base + values[new].sum(axis=1)
            moved = self._carried(raw) - raw
            weight = np.abs(values[new])
            total = weight.sum(axis=1, keepdims=True)
            even = np.full_like(weight, 1.0 / X.shape[1])
            values[new] += moved[:, None] * np.divide(weight, total, out=even, where=total > 0)
        return values, np.full(len(X), base)

    def _describe(self, X: FloatArray) -> str:
        n, d = X.shape
        still = int((self.range_ == 0).sum())
        words = [
            f"a fair-cut forest of {TREES} trees and distances to {len(self.core_.points_)} of "
            f"the {self.core:.0%} least suspicious of {n:,} rows, {d} columns"
        ]
        if still:
            words.append(f"{still} constant columns are only watched for change")
        words.append(
            "new rows also by how far they lie from "
            + (f"{MEMORY:,} of the rows seen" if n > MEMORY else "every row seen")
        )
        return "; ".join(words)


def _lone_distance(R: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Sum over small samples of the distance to the nearest sampled row, shape (n,).

    Samples of 16 rows seldom hold two rows of one clump, so a clump's rows look alone in them.
    """
    narrow = np.clip(R, -1e15, 1e15).astype(np.float32)
    size = max(1, min(LONE_ROWS, len(R) // 2))
    squares = np.einsum("ij,ij->i", narrow, narrow)
    total = np.zeros(len(R))
    for _ in range(LONE_SAMPLES):
        picks = rng.choice(len(R), size, replace=False)
        gaps = squares[:, None] + squares[picks] - 2.0 * (narrow @ narrow[picks].T)
        gaps[picks, np.arange(size)] = np.inf  # a row is not its own neighbour
        nearest = gaps.min(axis=1)
        total += np.sqrt(np.clip(np.where(np.isfinite(nearest), nearest, 0.0), 0.0, None))
    return total


def _distance_shares(search: NeighborSearch, Q: FloatArray) -> FloatArray:
    """What each column adds to the mean distance to the neighbours, shape (n, d)."""
    distances, places = search.query(Q)
    squares = (search.points_[places] - search.scaled(Q)[:, None, :]) ** 2
    lengths = distances[:, :, None]
    return np.divide(squares, lengths, out=np.zeros_like(squares), where=lengths > 0).mean(axis=1)


def _fingerprints(X: FloatArray) -> np.ndarray:
    """A 64-bit word per row; equal rows have equal ones, others differ but for chance."""
    bits = (np.ascontiguousarray(X) + 0.0).view(np.uint64)  # + 0.0 makes one zero of two
    words = np.full(len(X), 0x9E3779B97F4A7C15, np.uint64)
    for column in bits.T:
        words = (words ^ column) * np.uint64(0xFF51AFD7ED558CCD)
        words ^= words >> np.uint64(32)
    return words


def _z(values: FloatArray) -> FloatArray:
    mean, std = _moments(values)
    return (values - mean) / std


def _moments(values: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation, the latter never 0."""
    mean, std = float(values.mean()), float(values.std())
    return mean, std if std > 1e-12 * (1.0 + abs(mean)) else 1.0
