"""Detectors made of detectors: fusion of calibrated scores, and voting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import rankdata
from sklearn.base import clone

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import (
    any_of,
    instance,
    integer,
    listing,
    nothing,
    option,
    random_state,
    real,
)
from awry.core.progress import track
from awry.core.threshold import Fixed, Threshold
from awry.detectors.discovery import Teachable, reweigh
from awry.detectors.scale import Scale

#: Pull of an ensemble's weights without marks: a score of marks on one side is what overturns them.
PRIOR = 100.0
#: What a full rank counts beside a full vote.
TIE = 1e-3
#: Normal rows from which it is learnt what features add to scores without being odd.
_USUAL_ROWS = 256


class Committee(Detector):
    """What detectors made of detectors share: making, fitting and asking the members."""

    n_jobs: int | None
    random_state: Any

    def _members(self, detectors: Sequence[str | Detector]) -> list[Detector]:
        """Fresh, unfitted members with seeds of their own."""
        members = [clone(d) if isinstance(d, Detector) else registry.create(d) for d in detectors]
        seeds = np.random.default_rng(self._seed()).integers(2**31, size=len(members))
        for member, seed in zip(members, seeds, strict=True):
            if member.get_params(deep=False).get("random_state", 0) is None:
                member.set_params(random_state=int(seed))
            if not member.card.inductive:
                raise ValueError(
                    f"{type(self).__name__}: detectors must score new rows, "
                    f"{member.card.name} judges only what it is fitted on"
                )
        return members

    def _fit_members(self, X: FloatArray, detectors: Sequence[str | Detector]) -> FloatArray:
        """Fit the members and return their training scores, shape (n, m)."""
        members = track(f"{self.card.name}: fit", self._members(detectors))
        self.members_: list[Detector] = self._each(lambda m: m.fit(X), members)
        return np.column_stack([m.decision_scores_ for m in self.members_])

    def _ask(self, X: FloatArray) -> FloatArray:
        """Scores of the members, shape (n, m)."""
        return np.column_stack(self._each(lambda m: m._score_chunks(X), self.members_))

    def _each(self, work: Any, members: Any) -> list[Any]:
        if self.n_jobs in (None, 1):
            return [work(member) for member in members]
        return Parallel(n_jobs=self.n_jobs, prefer="threads")(delayed(work)(m) for m in members)

    def _learn_usual(self, X: FloatArray, scores: FloatArray) -> None:
        """Learn what features add to the members' scores (n, m) of rows that are odd to few.

        A sum of tails has a part of every column: only what goes beyond it sets a row apart.
        Members without contributions of their own are compared with normal rows as it is.
        """
        ranks = rankdata(scores, axis=0).mean(axis=1)
        calm = np.flatnonzero(ranks <= np.median(ranks))
        calm = calm[np.linspace(0, len(calm) - 1, min(_USUAL_ROWS, len(calm))).astype(np.int64)]
        parts = [member._contributions(X[calm]) for member in self.members_]
        self.usual_: FloatArray = np.stack(
            [np.zeros(X.shape[1]) if p is None else np.median(p[0], axis=0).clip(0) for p in parts]
        )

    def _shares(self, X: FloatArray) -> FloatArray:
        """Each member's view of which features push a row up, adding to 1, shape (m, n, d)."""
        # Models that were saved before it was learnt have none.
        usual = getattr(self, "usual_", np.zeros((len(self.members_), X.shape[1])))
        return np.stack([shares_of(*one, X) for one in zip(self.members_, usual, strict=True)])


class Ensemble(Teachable, Committee):
    """Fuses the calibrated scores of several detectors.

    Parameters
    ----------
    detectors : list of str or Detector
        The members, by name or unfitted.
    method : {"average", "maximum", "median", "aom", "moa"}, default="average"
        ``"aom"`` takes the average over buckets of their maxima, ``"moa"`` the maximum over buckets
        of their averages (Aggarwal & Sathe).
    calibration : {"tail", "rank", "standard"}, default="tail"
        How scores are made comparable, see :class:`Scale`.
    weights : list of float or None, default=None
        Of the members, for ``"average"``; equal if None.
    n_buckets : int, default=2
        For ``"aom"`` and ``"moa"``; members are dealt to buckets at random.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None

    Attributes
    ----------
    members_ : list of Detector
    scales_ : list of Scale
    usual_ : ndarray of shape (m, d)
        What each feature adds to each member's scores of normal rows.
    weights_ : ndarray of shape (m,)
        Of the members, adding to 1. Marks given to ``feedback`` change them, a few by little, where
        the method is ``"average"``.

    Notes
    -----
    Contributions: a fused score is a weighted sum of calibrated scores, and each member's part is
    split between the features in proportion to what pushed that member's own score up, beyond what
    they add to the scores of normal rows.

    References
    ----------
    Aggarwal & Sathe: "Theoretical Foundations and Algorithms for Outlier Ensembles", SIGKDD
    Explorations 2015. Kriegel et al.: "Interpreting and Unifying Outlier Scores", SDM 2011.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[7.0, 7.0, 7.0]]])
    >>> ensemble = Ensemble(["ecod", "hbos"]).fit(X)
    >>> int(ensemble.decision_scores_.argmax())
    200
    """

    card = Card(
        name="ensemble",
        summary="Rows that several detectors together call odd.",
        family="combination",
        paper="Aggarwal & Sathe, Theoretical Foundations for Outlier Ensembles, SIGKDD Explor.",
        year=2015,
        fit_cost="sum of its members",
        score_cost="sum of its members",
        finds="what any member finds; steadier than each",
        misses="what only one member of many sees, when averaged",
        aliases=("combination",),
        stochastic=True,
    )
    constraints = {
        "detectors": listing(any_of(instance(str), instance(Detector))),
        "method": option("average", "maximum", "median", "aom", "moa"),
        "calibration": option("tail", "rank", "standard"),
        "weights": any_of(nothing(), listing(real(0.0))),
        "n_buckets": integer(1),
        "n_jobs": any_of(nothing(), integer()),
        "random_state": random_state(),
    }

    def __init__(
        self,
        detectors: Sequence[str | Detector] = ("isolation_forest", "ecod", "knn"),
        *,
        method: str = "average",
        calibration: str = "tail",
        weights: Sequence[float] | None = None,
        n_buckets: int = 2,
        n_jobs: int | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detectors = detectors
        self.method = method
        self.calibration = calibration
        self.weights = weights
        self.n_buckets = n_buckets
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        scores = self._fit_members(X, self.detectors)
        self._learn_usual(X, scores)
        m = scores.shape[1]
        weights = np.ones(m) if self.weights is None else np.asarray(self.weights, dtype=float)
        if len(weights) != m or weights.sum() <= 0:
            raise ValueError(
                f"Ensemble: weights must be {m} numbers >= 0, one per detector and not all 0, "
                f"got {self.weights!r}"
            )
        self.weights_ = weights / weights.sum()
        self.scales_ = [Scale(self.calibration).fit(column) for column in scores.T]
        dealt = np.random.default_rng(self._seed()).permutation(m)
        self.bucket_ = np.empty(m, dtype=np.int64)
        self.bucket_[dealt] = np.arange(m) % min(self.n_buckets, m)
        self.prior_weights_ = self.weights_
        self.marked_views_, self.marks_ = np.zeros((0, m)), np.zeros(0, np.int64)
        return self._fuse(self._calibrated(scores))

    def _is_teachable(self) -> bool:
        if self.method != "average":
            raise AttributeError(
                f"Ensemble: method must be 'average' to learn from marks, got {self.method!r}"
            )
        return True

    def _learn(self, X: FloatArray, y: IntArray) -> None:
        self.marked_views_ = np.vstack([self.marked_views_, self._calibrated(self._ask(X))])
        self.marks_ = np.concatenate([self.marks_, y])
        fused = self._trained_views() @ self.prior_weights_
        spread = float(fused.std()) or 1.0
        weights = reweigh(
            self.marked_views_ / spread, self.marks_, self.prior_weights_,
            float(np.quantile(fused, 0.97)) / spread, margin=1.0, prior=PRIOR,
        ).clip(0.0)  # fmt: skip
        self.weights_ = weights / weights.sum() if weights.any() else self.prior_weights_

    def _trained(self) -> FloatArray:
        return self._fuse(self._trained_views())

    def _trained_views(self) -> FloatArray:
        return self._calibrated(np.column_stack([m.decision_scores_ for m in self.members_]))

    def _score(self, X: FloatArray) -> FloatArray:
        return self._fuse(self._calibrated(self._ask(X)))

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        scores = self._calibrated(self._ask(X))
        parts = self._voices(scores) * scores
        return np.einsum("nm,mnd->nd", parts, self._shares(X)), 0.0

    def _calibrated(self, scores: FloatArray) -> FloatArray:
        columns = zip(self.scales_, scores.T, strict=True)
        return np.column_stack([scale.transform(column) for scale, column in columns])

    def _fuse(self, scores: FloatArray) -> FloatArray:
        return (self._voices(scores) * scores).sum(axis=1)

    def _voices(self, scores: FloatArray) -> FloatArray:
        """The weight of each member in each row's fused score, adding to 1, shape (n, m)."""
        n, m = scores.shape
        if self.method == "average":
            return np.broadcast_to(self.weights_, (n, m))
        if self.method == "maximum":
            return _one_hot(scores.argmax(axis=1), m)
        if self.method == "median":
            order = np.argsort(scores, axis=1, kind="stable")
            low, high = order[:, (m - 1) // 2], order[:, m // 2]
            return (_one_hot(low, m) + _one_hot(high, m)) / 2
        buckets = [np.flatnonzero(self.bucket_ == b) for b in range(self.bucket_.max() + 1)]
        voices = np.zeros((n, m))
        if self.method == "aom":
            for members in buckets:
                best = members[scores[:, members].argmax(axis=1)]
                voices += _one_hot(best, m) / len(buckets)
            return voices
        best = np.column_stack([scores[:, b].mean(axis=1) for b in buckets]).argmax(axis=1)
        for i, members in enumerate(buckets):
            voices[np.ix_(best == i, members)] = 1 / len(members)
        return voices


class Voting(Committee):
    """Flags what enough of several detectors flag, each by its own threshold.

    The score of a row is the share of the weighted votes for it, and a thousandth of its mean rank
    among the members to break ties; by default it is flagged when the share of the votes reaches
    ``voting_threshold``.

    Parameters
    ----------
    detectors : list of str or Detector
        The members, by name or unfitted; their ``contamination`` sets when they vote.
    weights : list of float or None, default=None
        Of the votes; equal if None.
    voting_threshold : float in (0, 1], default=0.5
    n_jobs : int or None, default=None
        Threads.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None
        None flags at ``voting_threshold``.

    Attributes
    ----------
    members_ : list of Detector

    References
    ----------
    Aggarwal: "Outlier Analysis", 2nd edition, Springer 2017, section 6.6.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[9.0, 9.0, 0.0]]])
    >>> voting = Voting(["ecod", "hbos", "isolation_forest"], random_state=0).fit(X)
    >>> int(voting.labels_[200]), voting.threshold_ < 0.5
    (1, True)
    """

    card = Card(
        name="voting",
        summary="Rows that enough of several detectors flag.",
        family="combination",
        paper="Aggarwal, Outlier Analysis, Springer",
        year=2017,
        fit_cost="sum of its members",
        score_cost="sum of its members",
        finds="what most members agree on; few false alarms",
        misses="what a minority sees; ranks rows coarsely",
        stochastic=True,
    )
    constraints = {
        "detectors": listing(any_of(instance(str), instance(Detector))),
        "weights": any_of(nothing(), listing(real(0.0))),
        "voting_threshold": real(0.0, 1.0, "(]"),
        "n_jobs": any_of(nothing(), integer()),
        "random_state": random_state(),
    }

    def __init__(
        self,
        detectors: Sequence[str | Detector] = ("isolation_forest", "ecod", "knn"),
        *,
        weights: Sequence[float] | None = None,
        voting_threshold: float = 0.5,
        n_jobs: int | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detectors = detectors
        self.weights = weights
        self.voting_threshold = voting_threshold
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.contamination = contamination

    def _default_threshold(self) -> Threshold:
        return Fixed(float(np.nextafter(self.voting_threshold, 0.0)))

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        scores = self._fit_members(X, self.detectors)
        self._learn_usual(X, scores)
        weights = np.ones(scores.shape[1]) if self.weights is None else np.asarray(self.weights)
        if len(weights) != scores.shape[1] or weights.sum() <= 0:
            raise ValueError(
                f"Voting: weights must be {scores.shape[1]} numbers >= 0, one per detector and not "
                f"all 0, got {self.weights!r}"
            )
        self.weights_ = weights / weights.sum()
        self.scales_ = [Scale("rank").fit(column) for column in scores.T]
        return self._parts(scores).sum(axis=1)

    def _score(self, X: FloatArray) -> FloatArray:
        return self._parts(self._ask(X)).sum(axis=1)

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        return np.einsum("nm,mnd->nd", self._parts(self._ask(X)), self._shares(X)), 0.0

    def _parts(self, scores: FloatArray) -> FloatArray:
        """Each member's part of the score, shape (n, m): its vote and, to break ties, its rank."""
        columns = zip(self.scales_, scores.T, strict=True)
        ranks = np.column_stack([scale.transform(column) for scale, column in columns])
        votes = (scores > np.array([m.threshold_ for m in self.members_])) * self.weights_
        # Rounded, so that three thirds make one and a half is reached by halves.
        share = np.round(votes.sum(axis=1), 12)
        parts = votes + TIE * self.weights_ * ranks
        # A rank must not lift a row over the threshold its votes do not reach.
        low = share < self.voting_threshold
        limit = np.where(low, np.nextafter(self.voting_threshold, 0.0), np.inf)
        total = parts.sum(axis=1)
        over = total > limit
        parts[over] *= (limit[over] * (1 - 1e-12) / total[over])[:, None]
        short = ~low & (total < self.voting_threshold)
        parts[short] *= (self.voting_threshold * (1 + 1e-12) / total[short])[:, None]
        return parts


def shares_of(member: Detector, usual: FloatArray | float, X: FloatArray) -> FloatArray:
    """A detector's view of which features push a row up beyond ``usual`` (d,), adding to 1, (n, d).

    Where none goes beyond it, which features push the row up at all.
    """
    pushed = np.clip(member.explain(X).values, 0, None)
    shares = np.full_like(pushed, 1 / X.shape[1])
    for parts in (pushed, np.clip(pushed - usual, 0, None)):
        total = parts.sum(axis=1, keepdims=True)
        np.divide(parts, total, out=shares, where=total > 0)
    return shares


def _one_hot(picks: IntArray, m: int) -> FloatArray:
    return np.eye(m)[picks]
