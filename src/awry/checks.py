"""What every detector must do, as a function anyone can call on their own.

>>> from awry.checks import check_detector
>>> from awry.detectors import ECOD
>>> check_detector(ECOD())
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from awry import io
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import ParameterError

Check = Callable[[Detector], None]
_CHECKS: list[Check] = []


def _check(function: Check) -> Check:
    _CHECKS.append(function)
    return function


def detector_checks(detector: Detector) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks that apply to ``detector``, each a name and a function without arguments.

    Parameters
    ----------
    detector : Detector
        Unfitted, with the parameters to check it under.
    """
    for check in _CHECKS:
        yield check.__name__, lambda check=check: check(clone(detector))  # type: ignore[misc]


def check_detector(detector: Detector) -> None:
    """Raise AssertionError where ``detector`` breaks a promise that all detectors keep.

    Parameters
    ----------
    detector : Detector
        Unfitted, with the parameters to check it under.
    """
    for name, check in detector_checks(detector):
        try:
            check()
        except Exception as error:
            raise AssertionError(f"{type(detector).__name__} fails {name}: {error}") from error


def planted(n: int = 300, n_odd: int = 8, d: int = 4, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Correlated normal rows and far anomalies, the anomalies last: X (n + n_odd, d) and y."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) + 2 * np.eye(d)
    normal = rng.normal(size=(n, d)) @ mix
    directions = rng.normal(size=(n_odd, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Each anomaly has its own direction and distance, so that they do not mask one another.
    odd = directions * rng.uniform(40, 60, size=(n_odd, 1))
    return np.vstack([normal, odd]), np.repeat([0, 1], [n, n_odd])


def _fit(detector: Detector, X: Any, y: Any) -> Detector:
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    return detector.fit(X, y if detector.card.supervision != "none" else None)


def _assert_raises(
    kind: type[Exception], words: str, call: Callable[..., object], *args: Any
) -> None:
    try:
        call(*args)
    except kind as error:
        assert re.search(words, str(error)), f"the error does not say {words!r}: {error}"
        return
    raise AssertionError(f"no {kind.__name__} about {words!r} was raised")


@_check
def check_card(detector: Detector) -> None:
    """The card is filled in and the class documented with its paper and an example."""
    card = detector.card
    assert re.fullmatch(r"[a-z][a-z0-9_]*", card.name), f"card name {card.name!r}"
    assert card.summary.endswith("."), "the card's summary is not a sentence"
    assert card.stochastic == ("random_state" in detector.get_params()), "card.stochastic"
    doc = inspect.getdoc(type(detector)) or ""
    for section in ("Parameters", "Attributes", "References", "Examples"):
        assert f"\n{section}\n---" in doc, f"the docstring has no section {section}"
    for name in detector.get_params():
        assert re.search(rf"^{name}\b|, {name}\b.* : ", doc, re.M), f"{name} is not documented"


@_check
def check_parameters(detector: Detector) -> None:
    """The constructor only stores; every parameter but contamination has a constraint."""
    params = detector.get_params(deep=False)
    assert set(vars(detector)) == set(params), "the constructor sets more than its parameters"
    for name, value in params.items():
        if name == "contamination":
            continue
        assert name in detector.constraints, f"{name} has no constraint"
        assert detector.constraints[name][1](value), f"the default {name}={value!r} is not allowed"
        wrong = clone(detector).set_params(**{name: object()})
        _assert_raises(ParameterError, name, wrong.fit, *planted())


@_check
def check_fit_keeps_its_hands_off(detector: Detector) -> None:
    """Fit changes neither the parameters nor the input, and returns the detector."""
    X, y = planted()
    before = X.copy()
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    params = {k: repr(v) for k, v in detector.get_params().items()}
    assert _fit(detector, X, y) is detector
    assert np.array_equal(X, before), "fit changed its input"
    assert {k: repr(v) for k, v in detector.get_params().items()} == params, (
        "fit changed parameters"
    )
    X.setflags(write=False)
    _fit(clone(detector), X, y)


@_check
def check_fitted_attributes(detector: Detector) -> None:
    """Scores, labels and the threshold have their shapes and agree with one another."""
    X, y = planted()
    _fit(detector, X, y)
    assert detector.decision_scores_.shape == (len(X),)
    assert np.isfinite(detector.decision_scores_).all(), "a score is not finite"
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    assert detector.labels_.dtype.kind == "i"
    assert detector.threshold_rule_.reason_


@_check
def check_same_seed_same_scores(detector: Detector) -> None:
    """Two fits with one seed give the same scores, bit for bit."""
    X, y = planted()
    first, second = (_fit(clone(detector), X, y).decision_scores_ for _ in range(2))
    assert np.array_equal(first, second)


@_check
def check_training_scores(detector: Detector) -> None:
    """The scores kept from fit are those the training data gets."""
    if detector.card.inductive:
        X, y = planted()
        _fit(detector, X, y)
        np.testing.assert_allclose(
            detector.decision_function(X), detector.decision_scores_, rtol=1e-7, atol=1e-9
        )


@_check
def check_transductive_has_no_decision_function(detector: Detector) -> None:
    """A detector that cannot score new data does not offer to."""
    for method in ("decision_function", "predict", "predict_proba", "score_one", "explain"):
        assert hasattr(detector, method) == detector.card.inductive, method


@_check
def check_batch_cut_invariance(detector: Detector) -> None:
    """Scores do not depend on how the data was cut into batches, nor on its order."""
    if not detector.card.inductive:
        return
    X, y = planted()
    _fit(detector, X, y)
    new = planted(n=70, seed=1)[0]
    whole = detector.decision_function(new)
    cuts = np.concatenate([detector.decision_function(part) for part in np.split(new, [1, 8, 50])])
    np.testing.assert_allclose(cuts, whole, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        detector.decision_function(new[::-1])[::-1], whole, rtol=1e-9, atol=1e-12
    )
    one = [detector.score_one(row) for row in new[:3]]
    np.testing.assert_allclose(one, whole[:3], rtol=1e-9, atol=1e-12)
    layouts = (np.asfortranarray(new), new.tolist())
    for layout in layouts:
        np.testing.assert_allclose(detector.decision_function(layout), whole, rtol=1e-9, atol=1e-12)


@_check
def check_save_and_load(detector: Detector) -> None:
    """A saved and loaded detector scores bit-equal."""
    X, y = planted()
    _fit(detector, X, y)
    again = io.loads(io.dumps(detector))
    assert np.array_equal(again.decision_scores_, detector.decision_scores_)
    assert again.threshold_ == detector.threshold_
    if detector.card.inductive:
        new = planted(n=50, seed=1)[0]
        assert np.array_equal(again.decision_function(new), detector.decision_function(new))
        assert np.array_equal(again.predict_proba(new), detector.predict_proba(new))
        assert np.array_equal(again.explain(new[-3:]).values, detector.explain(new[-3:]).values)


@_check
def check_planted_anomalies_are_found(detector: Detector) -> None:
    """Far anomalies get the highest scores, in the training data and in new data."""
    X, y = planted()
    _fit(detector, X, y)
    assert roc_auc_score(y, detector.decision_scores_) > 0.95
    if detector.card.inductive:
        new, truth = planted(seed=0)
        rng = np.random.default_rng(5)
        new = new + rng.normal(scale=0.1, size=new.shape)
        assert roc_auc_score(truth, detector.decision_function(new)) > 0.95


@_check
def check_explanations(detector: Detector) -> None:
    """Contributions sum to the score and name the column in which an anomaly was planted."""
    if not detector.card.inductive:
        return
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    odd = rng.normal(size=(4, 4)) * 0.3
    odd[np.arange(4), np.arange(4)] = [11.0, -12.0, 13.0, -14.0]
    X, y = np.vstack([X, odd]), np.repeat([0, 1], [300, 4])
    _fit(detector, X, y)
    why = detector.explain(X[300:])
    assert why.values.shape == (4, 4)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(why.total, detector.decision_scores_[300:], rtol=1e-6, atol=1e-9)
    assert why.names == ["x0", "x1", "x2", "x3"]
    assert (why.values.argmax(axis=1) == np.arange(4)).all(), why.values.round(2)


@_check
def check_contamination(detector: Detector) -> None:
    """A number for contamination flags that share of the training rows, as in PyOD."""
    X, y = planted(n=380, n_odd=20)
    _fit(detector.set_params(contamination=0.05), X, y)
    scores = detector.decision_scores_
    assert detector.threshold_ == np.percentile(scores, 95)
    # Tied scores stay together on one side of the threshold, so fewer may be flagged.
    assert detector.labels_.sum() <= 20
    if len(np.unique(scores)) == len(scores):
        assert detector.labels_.sum() == 20


@_check
def check_thresholds(detector: Detector) -> None:
    """Every kind of threshold serves, with or without labels as it needs."""
    X, y = planted()
    _fit(detector, X, y)
    for rule in ("quantile:0.98", "sigma:3", "mad:3.5", "gaussian:0.001", "pot:0.01", None):
        detector.rethreshold(rule)
        assert np.isfinite(detector.threshold_)
    for rule in ("f1", "cost:1,10"):
        detector.rethreshold(rule, y=y)
        assert detector.labels_[y == 1].mean() > 0.5


@_check
def check_probabilities(detector: Detector) -> None:
    """Probabilities lie in [0, 1], sum to one and rise with the score."""
    if not detector.card.inductive:
        return
    X, y = planted()
    _fit(detector, X, y)
    order = np.argsort(detector.decision_scores_)
    for method in ("calibrated", "linear", "unify"):
        proba = detector.predict_proba(X, method=method)
        assert proba.shape == (len(X), 2)
        assert ((proba >= 0) & (proba <= 1)).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
        assert (np.diff(proba[order, 1]) >= -1e-6).all(), method


@_check
def check_feature_names(detector: Detector) -> None:
    """Names of a DataFrame are kept and used in explanations."""
    import pandas as pd

    X, y = planted()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    _fit(detector, frame, y)
    assert list(detector.feature_names_in_) == ["a", "b", "c", "d"]
    if detector.card.inductive:
        assert detector.explain(frame[:2]).names == ["a", "b", "c", "d"]


@_check
def check_bad_input(detector: Detector) -> None:
    """What is wrong with the input is said, with where."""
    X, y = planted()
    for value, word in ((np.nan, "NaN"), (np.inf, "inf")):
        bad = X.copy()
        bad[5, 1] = value
        _assert_raises(ValueError, f"{word}.*row 5, column 1", _fit, clone(detector), bad, y)
    _assert_raises(ValueError, "2D|2-d|dim", _fit, clone(detector), X[:, 0], y)
    _assert_raises(ValueError, "0 sample|minimum", _fit, clone(detector), X[:0], y[:0])
    _assert_raises(
        ValueError,
        "threshold|contamination",
        _fit,
        clone(detector).set_params(contamination="nonsense"),
        X,
        y,
    )
    if not detector.card.inductive:
        return
    _fit(detector, X, y)
    bad = X.copy()
    bad[7, 2] = np.nan
    _assert_raises(ValueError, "NaN.*row 7, column 2", detector.decision_function, bad)
    _assert_raises(ValueError, "features", detector.decision_function, X[:, :2])
    _assert_raises(ValueError, "0 sample|minimum", detector.decision_function, X[:0])
    _assert_raises(ValueError, "values", detector.score_one, X[0, :2])
    _assert_raises(Exception, "not fitted", clone(detector).decision_function, X)


@_check
def check_hard_tables(detector: Detector) -> None:
    """Constant, duplicated, tiny and widely scaled tables give finite scores or a clear error."""
    rng = np.random.default_rng(0)
    X, y = planted(n=60, n_odd=4)
    tables = {
        "a constant column": np.column_stack([X, np.full(len(X), 3.0)]),
        "all constant": np.ones((64, 3)),
        "a duplicated column": np.column_stack([X, X[:, 0]]),
        "few distinct rows": X[rng.integers(0, 4, 64)],
        "mixed scales": X * [1e-9, 1.0, 1e6, 1e9],
        "one column": X[:, :1],
        "more columns than rows": rng.normal(size=(64, 90)),
    }
    for name, table in tables.items():
        fitted = _fit(clone(detector), table, y)
        assert np.isfinite(fitted.decision_scores_).all(), name
        if detector.card.inductive:
            assert np.isfinite(fitted.decision_function(table * 1.5 + 1)).all(), name
    for n in (1, 2, 3, 5):
        try:
            fitted = _fit(clone(detector), X[-n:], np.r_[np.zeros(n - 1, int), 1])
        except ValueError as error:
            assert re.search(r"sample|row|label|y ", str(error)), f"{n} rows: {error}"
        else:
            assert np.isfinite(fitted.decision_scores_).all(), f"{n} rows"
