"""XGBOD: boosting on the features and on the scores of unsupervised detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.optional import optional
from awry.core.params import any_of, instance, integer, listing, nothing, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.compose import Committee
from awry.detectors.scale import Scale


class XGBOD(Committee):
    """Learns from labels, few or many, with the scores of unsupervised detectors as features.

    Parameters
    ----------
    detectors : list of str or Detector
        Whose scores are added to the features (the paper's transformed outlier scores).
    n_estimators : int, default=100
        Boosted trees.
    learning_rate : float, default=0.1
    max_depth : int, default=3
    unlabelled_weight : float, default=0.5
        Rows not judged (y = -1) are taken for normal with weights that add up to this times the
        weight of the judged normal ones, or of the anomalies where no row is judged normal.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None

    Attributes
    ----------
    members_ : list of Detector
    booster_ : str
        The boosted trees in LightGBM's text form.

    Notes
    -----
    Scores are log-odds of being an anomaly. Departures from the paper: LightGBM in place of
    XGBoost, a tenth of its size; all scores are kept rather than selected, which a boosting of
    shallow trees does by itself; training scores are those of the fitted model, as in PyOD.

    References
    ----------
    Zhao & Hryniewicki: "XGBOD: Improving Supervised Outlier Detection with Unsupervised
    Representation Learning", IJCNN 2018. Elkan & Noto: "Learning Classifiers from Only Positive and
    Unlabeled Data", KDD 2008, for the unlabelled rows.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), np.full((5, 3), 5.0)])
    >>> y = np.repeat([0, 1], [200, 5])
    >>> y[50:150] = -1  # not judged
    >>> detector = XGBOD(["ecod"], random_state=0).fit(X, y)
    >>> bool(detector.decision_scores_[200:].min() > detector.decision_scores_[:200].max())
    True
    """

    card = Card(
        name="xgbod",
        summary="Rows like those labelled anomalous.",
        family="supervised",
        paper="Zhao & Hryniewicki, XGBOD, IJCNN",
        year=2018,
        fit_cost="sum of its members + O(n d trees)",
        score_cost="sum of its members + O(n trees)",
        finds="anomalies like those labelled, and those its members see",
        misses="new kinds of anomalies none of its members sees",
        aliases=("boosted",),
        pyod="xgbod.XGBOD",
        extra="boost",
        supervision="required",
        stochastic=True,
        min_rows=4,
    )
    constraints = {
        "detectors": listing(any_of(instance(str), instance(Detector))),
        "n_estimators": integer(1),
        "learning_rate": real(0.0, None, "(]"),
        "max_depth": integer(1),
        "unlabelled_weight": real(0.0),
        "n_jobs": any_of(nothing(), integer()),
        "random_state": random_state(),
    }
    transient = ("_trees",)

    def __init__(
        self,
        detectors: Sequence[str | Detector] = ("isolation_forest", "ecod", "knn", "lof"),
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        max_depth: int = 3,
        unlabelled_weight: float = 0.5,
        n_jobs: int | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detectors = detectors
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.unlabelled_weight = unlabelled_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        assert y is not None
        if not (y == 1).any() or (y == 1).all():
            raise ValueError(
                "XGBOD: y must hold at least one anomaly (1) and one other row (0 or -1), got only "
                + ", ".join(map(str, np.unique(y)))
            )
        lightgbm = optional("lightgbm", extra="boost", needed_by="XGBOD")
        scores = self._fit_members(X, self.detectors)
        self.scales_ = [Scale("standard").fit(column) for column in scores.T]
        data = lightgbm.Dataset(
            self._widened(X, scores), label=(y == 1).astype(float), weight=self._weights(y)
        )
        params = {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "num_leaves": 2**self.max_depth,
            "min_data_in_leaf": max(1, min(20, int((y == 1).sum()) // 2)),
            "min_sum_hessian_in_leaf": 1e-3,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.n_jobs or 1,
            "seed": self._seed(),
            "verbosity": -1,
        }
        trained = lightgbm.train(params, data, num_boost_round=self.n_estimators)
        self.booster_: str = trained.model_to_string()
        self._restore()

    def _restore(self) -> None:
        lightgbm = optional("lightgbm", extra="boost", needed_by="XGBOD")
        self._trees = lightgbm.Booster(model_str=self.booster_)

    def _score(self, X: FloatArray) -> FloatArray:
        odds = self._trees.predict(self._widened(X, self._ask(X)), raw_score=True, num_threads=1)
        return np.asarray(odds, dtype=np.float64)

    def _widened(self, X: FloatArray, scores: FloatArray) -> FloatArray:
        columns = zip(self.scales_, scores.T, strict=True)
        return np.column_stack([X, *(scale.transform(column) for scale, column in columns)])

    def _weights(self, y: IntArray) -> FloatArray:
        """1 for judged rows; the rest share ``unlabelled_weight`` times the judged normals'."""
        weights = np.ones(len(y))
        unjudged = y == UNLABELLED
        if unjudged.any():
            anchor = (y == 0).sum() or (y == 1).sum()
            weights[unjudged] = self.unlabelled_weight * anchor / unjudged.sum()
        return weights
