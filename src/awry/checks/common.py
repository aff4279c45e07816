"""What every detector must do, whatever its items are, and the data to see it on."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

from awry import io
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import ParameterError

Check = Callable[[Detector], None]
#: Checks by the modality they are for; ``"any"`` are for all.
CHECKS: dict[str, list[Check]] = {"any": [], "table": [], "series": [], "stream": []}


def check_for(modality: str) -> Callable[[Check], Check]:
    """Enter a check for detectors of ``modality``."""

    def enter(function: Check) -> Check:
        CHECKS[modality].append(function)
        return function

    return enter


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


def planted_series(
    n: int = 600, d: int = 2, period: int = 25, seed: int = 0
) -> tuple[FloatArray, IntArray]:
    """Noisy waves with a burst of large values in the second half: X (n, d) and y (n,)."""
    rng = np.random.default_rng(seed)
    at = np.arange(n)
    waves = np.sin(2 * np.pi * (at[:, None] / period + np.arange(d) / (d + 1)))
    X, y = waves + rng.normal(scale=0.1, size=(n, d)), np.zeros(n, dtype=np.int64)
    first = 7 * n // 10
    burst = slice(first, first + 12)
    X[burst] += 8.0 * rng.choice([-1.0, 1.0], size=(12, d))
    y[burst] = 1
    return X, y


def planted_stream(n: int = 700, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """The rows of :func:`planted`, the anomalies here and there in the second half."""
    X, y = planted(n - 8, seed=seed)
    places = np.sort(np.random.default_rng(seed).choice(n // 2, size=8, replace=False)) + n // 2
    order = np.insert(np.arange(n - 8), places - np.arange(8), np.arange(n - 8, n))
    return X[order], y[order]


def planted_edges(n_ticks: int = 60, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Edges (source, target, time), 15 a tick among 40 nodes, and a burst between two of them."""
    rng = np.random.default_rng(seed)
    time = np.repeat(np.arange(n_ticks), 15)
    edges = np.column_stack([rng.integers(0, 40, size=(len(time), 2)), time]).astype(np.float64)
    at = int(np.searchsorted(time, 3 * n_ticks // 4))
    burst = np.tile([3.0, 7.0, time[at]], (60, 1))
    y = np.zeros(len(time) + 60, dtype=np.int64)
    # The first few of a burst are like any other edges.
    y[at + 8 : at + 60] = 1
    return np.insert(edges, at, burst, axis=0), y


def takes_edges(detector: Detector) -> bool:
    """Whether the rows of ``detector`` are edges and their time."""
    return detector.card.family == "edges"


def example(detector: Detector, *, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Data of the kind ``detector`` takes, with easy anomalies, and their labels."""
    if takes_edges(detector):
        return planted_edges(seed=seed)
    if detector.card.modality == "series":
        return planted_series(seed=seed)
    return planted_stream(seed=seed) if detector.card.modality == "stream" else planted(seed=seed)


def fitted(detector: Detector, X: Any, y: Any) -> Detector:
    """``detector`` fitted with a fixed seed, on labels only if it uses them."""
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    return detector.fit(X, y if detector.card.supervision != "none" else None)


def assert_raises(
    kind: type[Exception], words: str, call: Callable[..., object], *args: Any
) -> None:
    """Assert that a call raises ``kind`` with a message that matches ``words``."""
    try:
        call(*args)
    except kind as error:
        assert re.search(words, str(error)), f"the error does not say {words!r}: {error}"
        return
    raise AssertionError(f"no {kind.__name__} about {words!r} was raised")


@check_for("any")
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


@check_for("any")
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
        assert_raises(ParameterError, name, wrong.fit, *example(detector))


@check_for("any")
def check_fit_keeps_its_hands_off(detector: Detector) -> None:
    """Fit changes neither the parameters nor the input, and returns the detector."""
    X, y = example(detector)
    before = X.copy()
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    params = {k: repr(v) for k, v in detector.get_params().items()}
    assert fitted(detector, X, y) is detector
    assert np.array_equal(X, before), "fit changed its input"
    assert {k: repr(v) for k, v in detector.get_params().items()} == params, (
        "fit changed parameters"
    )
    X.setflags(write=False)
    fitted(clone(detector), X, y)


@check_for("any")
def check_fitted_attributes(detector: Detector) -> None:
    """Scores, labels and the threshold have their shapes and agree with one another."""
    X, y = example(detector)
    fitted(detector, X, y)
    assert detector.decision_scores_.shape == (len(X),)
    assert np.isfinite(detector.decision_scores_).all(), "a score is not finite"
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    assert detector.labels_.dtype.kind == "i"
    assert detector.threshold_rule_.reason_


@check_for("any")
def check_same_seed_same_scores(detector: Detector) -> None:
    """Two fits with one seed give the same scores, bit for bit."""
    X, y = example(detector)
    first, second = (fitted(clone(detector), X, y).decision_scores_ for _ in range(2))
    assert np.array_equal(first, second)


@check_for("any")
def check_contamination(detector: Detector) -> None:
    """A number for contamination flags that share of the training rows, as in PyOD."""
    X, y = example(detector)
    fitted(detector.set_params(contamination=0.05), X, y)
    scores = detector.decision_scores_
    assert detector.threshold_ == np.percentile(scores, 95)
    # Tied scores stay together on one side of the threshold, so fewer may be flagged.
    share = int(np.ceil(0.05 * len(X)))
    assert detector.labels_.sum() <= share
    if len(np.unique(scores)) == len(scores):
        assert detector.labels_.sum() >= share - 1


@check_for("any")
def check_thresholds(detector: Detector) -> None:
    """Every kind of threshold serves, with or without labels as it needs."""
    X, y = example(detector)
    fitted(detector, X, y)
    for rule in ("quantile:0.98", "sigma:3", "mad:3.5", "gaussian:0.001", "pot:0.01", None):
        detector.rethreshold(rule)
        assert np.isfinite(detector.threshold_)
    # Of an event in a series its onset may be all that is flagged.
    least = 0.0 if detector.card.modality == "series" else 0.5
    for rule in ("f1", "cost:1,10"):
        detector.rethreshold(rule, y=y)
        assert detector.labels_[y == 1].mean() > least


@check_for("any")
def check_probabilities(detector: Detector) -> None:
    """Probabilities lie in [0, 1], sum to one and rise with the score."""
    if not detector.card.inductive:
        return
    X, y = example(detector)
    fitted(detector, X, y)
    order = np.argsort(detector.decision_function(X))
    for method in ("calibrated", "linear", "unify"):
        proba = detector.predict_proba(X, method=method)
        assert proba.shape == (len(X), 2)
        assert ((proba >= 0) & (proba <= 1)).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
        assert (np.diff(proba[order, 1]) >= -1e-6).all(), method


@check_for("any")
def check_transductive_has_no_decision_function(detector: Detector) -> None:
    """A detector that cannot score new data does not offer to."""
    for method in ("decision_function", "predict", "predict_proba", "explain"):
        assert hasattr(detector, method) == detector.card.inductive, method


@check_for("any")
def check_save_and_load(detector: Detector) -> None:
    """A saved and loaded detector scores bit-equal."""
    X, y = example(detector)
    fitted(detector, X, y)
    again = io.loads(io.dumps(detector))
    assert np.array_equal(again.decision_scores_, detector.decision_scores_)
    assert again.threshold_ == detector.threshold_
    if detector.card.inductive:
        new = example(detector, seed=1)[0]
        assert np.array_equal(again.decision_function(new), detector.decision_function(new))
        assert np.array_equal(again.predict_proba(new), detector.predict_proba(new))
        assert np.array_equal(again.explain(new[-3:]).values, detector.explain(new[-3:]).values)
