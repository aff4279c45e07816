"""The one abstraction: a detector turns items into one score per item, higher = more anomalous."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from awry.core import progress, registry
from awry.core.card import Card
from awry.core.explain import Explanation, shapley
from awry.core.inputs import FloatArray, IntArray, check_labels, check_table
from awry.core.params import Configurable
from awry.core.threshold import Threshold, make_threshold

if TYPE_CHECKING:
    from typing import Self

    from awry.core.sklearn_view import SklearnView


def _inductive(detector: Detector) -> bool:
    if not detector.card.inductive:
        raise AttributeError(
            f"{type(detector).__name__} judges only the data it is fitted on; "
            "use fit_predict, decision_scores_ and labels_"
        )
    return True


class Detector(Configurable):
    """Base of all detectors.

    A subclass has a ``card``, stores its parameters in ``__init__`` and writes ``_fit`` and
    ``_score``. The base owns the checks, thresholds, labels, names, explanation and persistence.

    Parameters
    ----------
    contamination : float, str, Threshold or None, default=None
        How scores become decisions. A number in (0, 0.5] flags that share of the training data, as
        in PyOD; a :class:`~awry.core.threshold.Threshold` or its short form such as ``"mad:3.5"``
        sets any other rule; None takes the default rule, which flags little where nothing is odd.

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n,)
        Scores of the training data.
    threshold_ : float
        An item is flagged when its score is above it.
    threshold_rule_ : Threshold
        The fitted rule: ``reason_`` says how the threshold was set, ``stated_rate_`` the share of
        clean data it claims to flag.
    labels_ : ndarray of shape (n,)
        1 for training items flagged, else 0.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,), only when fitted on a DataFrame
    """

    card: ClassVar[Card]
    #: Rows scored at a time; bounds the memory of scoring and the wait after Ctrl-C.
    chunk_rows: ClassVar[int] = 1 << 16
    #: Rows of training data kept to explain against, for detectors without contributions.
    background_rows: ClassVar[int] = 64
    #: Fitted attributes that are not saved but made again by ``_restore``.
    transient: ClassVar[tuple[str, ...]] = ()
    #: Whether rows are taken a batch at a time, so that many of them stay where they lie.
    in_place: ClassVar[bool] = False

    contamination: float | str | Threshold | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "card" in cls.__dict__:
            registry.register(cls)

    # -- what a subclass writes -------------------------------------------------------------------

    def _fit(self, X: Any, y: IntArray | None) -> FloatArray | None:
        """Learn from ``X`` (n, d); return the training scores (n,) if they come for free."""
        raise NotImplementedError

    def _score(self, X: Any) -> FloatArray:
        """Score ``X`` (n, d), row by row independently; return (n,)."""
        raise NotImplementedError

    def _contributions(self, X: Any) -> tuple[FloatArray, FloatArray | float] | None:
        """Contributions (n, d) and the base they start from, adding up to the score.

        Return None, as here, to be explained by sampled Shapley values.
        """
        return None

    # -- fitting ----------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is normal from ``X`` and set the threshold.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,), optional
            1 anomaly, 0 normal, -1 not judged. Used by supervised detectors (see the card) and by
            thresholds set on labels; ignored otherwise.

        Raises
        ------
        ValueError
            Where a parameter or the input does not fit; the message names it.
        """
        self.check_params()
        rule = self._rule(self.contamination)
        X = self._check_input(X, reset=True)
        labels = None
        if self.card.supervision != "none" or rule.needs_labels:
            labels = self._check_y(y, len(X), rule)
        scores = self._training_scores(X, self._fit(X, labels))
        self.decision_scores_ = np.asarray(scores, dtype=np.float64)
        self._keep_background(X)
        return self._set_threshold(rule, labels)

    def fit_predict(self, X: Any, y: Any = None) -> IntArray:
        """Fit and return ``labels_``: 1 for anomalies, 0 for normal items."""
        return self.fit(X, y).labels_

    def rethreshold(
        self, rule: float | str | Threshold | None, scores: Any = None, y: Any = None
    ) -> Self:
        """Set the threshold anew without learning anew.

        Parameters
        ----------
        rule : float, str, Threshold or None
            As ``contamination``.
        scores : array-like of shape (m,), optional
            Scores to set it on, such as those of held-out data; the training scores by default.
        y : array-like of shape (m,), optional
            Labels of those scores, for rules that need them.
        """
        check_is_fitted(self)
        fitted = self._rule(rule)
        on = self.decision_scores_ if scores is None else np.asarray(scores, dtype=np.float64)
        labels = None if y is None else check_labels(y, len(on), type(self).__name__)
        return self._set_threshold(fitted, labels, on)

    # -- scoring ----------------------------------------------------------------------------------

    @available_if(_inductive)
    def decision_function(self, X: Any) -> FloatArray:
        """Anomaly scores of ``X`` (n, d), shape (n,); higher = more anomalous."""
        check_is_fitted(self)
        return self._score_chunks(self._check_input(X, reset=False))

    def prepare(self) -> None:
        """Work out now what would else be worked out when rows are first scored."""

    @available_if(_inductive)
    def score_checked(self, X: FloatArray) -> FloatArray:
        """As :meth:`decision_function` for a finite float64 array of the right width, unchecked."""
        return self._score_chunks(X)

    @available_if(_inductive)
    def predict(self, X: Any) -> IntArray:
        """1 where the score of a row of ``X`` (n, d) is above ``threshold_``, else 0."""
        scores = self.decision_function(X)
        return self.threshold_rule_.predict(scores)

    @available_if(_inductive)
    def predict_proba(self, X: Any, method: str = "calibrated") -> FloatArray:
        """Probabilities of normal and anomalous, shape (n, 2).

        Parameters
        ----------
        X : array-like of shape (n, d)
        method : {"calibrated", "linear", "unify"}, default="calibrated"
            ``"calibrated"``: the posterior that a row is an anomaly, see
            :class:`~awry.core.calibration.AnomalyProbability`; the other two are PyOD's.
        """
        from awry.core.calibration import probability

        scores = self.decision_function(X)
        anomalous = probability(self.decision_scores_, scores, method=method)
        return np.column_stack([1.0 - anomalous, anomalous])

    @available_if(_inductive)
    def score_one(self, x: Any) -> float:
        """Score of a single row of d finite numbers; the quick way, with the least checking."""
        row = np.asarray(x, dtype=np.float64).reshape(1, -1)
        if row.shape[1] != self.n_features_in_:
            raise ValueError(
                f"{type(self).__name__}: a row must have {self.n_features_in_} values, "
                f"got {row.shape[1]}"
            )
        if not np.isfinite(row).all():
            raise ValueError(f"{type(self).__name__}: a row must hold finite numbers, got {x!r}")
        return float(self._score(row)[0])

    @available_if(_inductive)
    def explain(self, X: Any) -> Explanation:
        """Contributions of the features to the score of each row of ``X`` (n, d)."""
        check_is_fitted(self)
        X = self._check_input(X, reset=False)
        total = self._score_chunks(X)
        native = self._contributions(X)
        values, base = native or shapley(self._score_chunks, X, self._background)
        names = getattr(self, "feature_names_in_", None)
        return Explanation(
            values=values,
            base=np.broadcast_to(np.asarray(base, dtype=np.float64), total.shape),
            total=total,
            names=[str(n) for n in names] if names is not None else self._default_names(),
        )

    def as_sklearn(self) -> SklearnView:
        """The same detector in scikit-learn's terms: -1 for anomalies, 1 for normal items."""
        from awry.core.sklearn_view import SklearnView

        return SklearnView(self)

    # -- persistence ------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the fitted detector to ``path`` without pickle; see :func:`awry.io.save`."""
        from awry import io

        io.save(self, path)

    # -- inner workings ---------------------------------------------------------------------------

    def _default_threshold(self) -> Threshold:
        """The rule that ``contamination=None`` stands for."""
        return make_threshold(None)

    def _rule(self, spec: float | str | Threshold | None) -> Threshold:
        return self._default_threshold() if spec is None else make_threshold(spec)

    def _training_scores(self, X: Any, scores: FloatArray | None) -> FloatArray:
        """Scores of the training data, given what ``_fit`` returned."""
        return self._score_chunks(X) if scores is None else scores

    def _check_input(self, X: Any, *, reset: bool) -> Any:
        fewest = self.card.min_rows if reset else 1
        return check_table(self, X, reset=reset, min_rows=fewest, in_place=self.in_place)

    def _check_y(self, y: Any, n: int, rule: Threshold) -> IntArray | None:
        owner = type(self).__name__
        if y is not None:
            return check_labels(y, n, owner)
        if self.card.supervision == "required":
            raise ValueError(f"{owner}: requires y to be passed, but the target y is None")
        if rule.needs_labels:
            raise ValueError(f"{owner}: the threshold {type(rule).__name__} needs labels y")
        return None

    def _score_chunks(self, X: Any) -> FloatArray:
        step = self.chunk_rows
        if len(X) <= step:
            return self._score(X)
        scores = np.empty(len(X))
        starts = range(0, len(X), step)
        for start in progress.track(f"{self.card.name}: score", starts):
            scores[start : start + step] = self._score(X[start : start + step])
        return scores

    def _set_threshold(
        self, rule: Threshold, y: IntArray | None, scores: FloatArray | None = None
    ) -> Self:
        on = self.decision_scores_ if scores is None else scores
        self.threshold_rule_ = rule.fit(on, y)
        self.threshold_ = float(rule.threshold_)
        self.labels_ = rule.predict(self.decision_scores_)
        return self

    def _keep_background(self, X: Any) -> None:
        """Keep rows that look normal, for explanations by comparison with them."""
        native = type(self)._contributions is not Detector._contributions
        if native or not self.card.inductive or X.ndim != 2:
            return
        calm = np.flatnonzero(self.decision_scores_ <= np.median(self.decision_scores_))
        size = min(self.background_rows, len(calm))
        picks = np.random.default_rng(0).choice(calm, size=size, replace=False)
        self._background = X[np.sort(picks)].copy()

    def _default_names(self) -> list[str]:
        return [f"x{j}" for j in range(self.n_features_in_)]

    def _seed(self) -> int:
        """An integer seed from ``random_state``, fresh where that is None or a generator."""
        state = getattr(self, "random_state", None)
        if isinstance(state, np.random.RandomState):
            return int(state.randint(2**31))
        if isinstance(state, np.random.Generator):
            return int(state.integers(2**31))
        if state is None:
            return int(np.random.default_rng().integers(2**31))
        return int(state)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        tags.target_tags.required = self.card.supervision == "required"
        return tags


#: How a rule for decisions may be given to a detector.
ThresholdLike = float | str | Threshold | None
ScoreFunction = Callable[[FloatArray], FloatArray]
