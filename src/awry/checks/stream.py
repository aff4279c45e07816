"""What every detector of a stream of rows must do."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from awry import io
from awry.checks.common import assert_raises, check_for, example, fitted, takes_edges
from awry.core.detector import Detector


@check_for("stream")
def check_stream_anomalies_are_found(detector: Detector) -> None:
    """Anomalies score highest, both as they pass by and against what has been learnt."""
    X, y = example(detector)
    fitted(detector, X, y)
    assert roc_auc_score(y, detector.decision_scores_) > 0.95
    if not takes_edges(detector):
        fitted(detector, X[y == 0], None)
        new, truth = example(detector, seed=0)
        assert roc_auc_score(truth, detector.decision_function(new)) > 0.95


@check_for("stream")
def check_stream_cuts(detector: Detector) -> None:
    """However a stream is cut, the scores are the same, also across saving and loading."""
    X, y = example(detector)
    fitted(detector, X[:400], y[:400])
    rest = X[400:]
    whole = io.loads(io.dumps(detector)).update(rest)
    cut = []
    for i, part in enumerate(np.split(rest, [1, 2, 60, 61, 150])):
        if i in (0, 2, 3):
            for row in part:
                cut.append([detector.score_one(row)])
                detector.learn_one(row)
        else:
            cut.append(detector.update(part))
        detector = io.loads(io.dumps(detector))
    assert np.array_equal(np.concatenate(cut), whole)
    assert_raises(ValueError, "values", detector.score_one, np.ones(X.shape[1] + 1))
    assert_raises(ValueError, "finite", detector.learn_one, np.full(X.shape[1], np.nan))


@check_for("stream")
def check_stream_scoring_does_not_teach(detector: Detector) -> None:
    """Rows are scored by themselves: their order, company and number change nothing."""
    X, y = example(detector)
    fitted(detector, X, y)
    whole = detector.decision_function(X)
    assert np.array_equal(detector.decision_function(X[::-1])[::-1], whole)
    cuts = np.concatenate([detector.decision_function(part) for part in np.split(X, [1, 8, 50])])
    assert np.array_equal(cuts, whole)
    for i in (0, 200, 400):
        assert detector.score_one(X[i]) == whole[i]
    layouts = (np.asfortranarray(X), X.tolist())
    for layout in layouts:
        assert np.array_equal(detector.decision_function(layout), whole)


@check_for("stream")
def check_stream_one_pass(detector: Detector) -> None:
    """With a warm-up, fitting on all and fitting on a part and going on are the same.

    And changing the future does not change the past.
    """
    X, _ = example(detector)
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    detector.set_params(warmup=200)
    whole = clone(detector).fit(X).decision_scores_
    other = X.copy()
    other[450:] = other[450:].mean(axis=0).round()
    assert np.array_equal(clone(detector).fit(other).decision_scores_[:450], whole[:450])
    part = detector.fit(X[:350])
    assert np.array_equal(part.decision_scores_, whole[:350])
    assert np.array_equal(part.update(X[350:]), whole[350:])


@check_for("stream")
def check_stream_memory(detector: Detector) -> None:
    """The state does not grow."""
    X, y = example(detector)
    fitted(detector, X, y)
    before = state_bytes(detector.state_)  # type: ignore[attr-defined]
    shift = np.zeros(X.shape[1])
    for _ in range(4):
        shift[-1] += np.ptp(X[:, -1]) + 1
        detector.update(X + shift)  # type: ignore[attr-defined]
    assert state_bytes(detector.state_) == before  # type: ignore[attr-defined]


def state_bytes(state: Any) -> int:
    """Bytes of the arrays of a state."""
    return state.nbytes if isinstance(state, np.ndarray) else sum(map(state_bytes, state))


@check_for("stream")
def check_stream_explanations(detector: Detector) -> None:
    """Contributions sum to the score and name the column in which an anomaly was planted."""
    X, y = example(detector)
    odd = X[np.flatnonzero(y)]
    if not takes_edges(detector):
        rng = np.random.default_rng(0)
        X, odd = rng.normal(size=(700, 4)), rng.normal(size=(4, 4)) * 0.3
        odd[np.arange(4), np.arange(4)] = [11.0, -12.0, 13.0, -14.0]
    fitted(detector, X, None)
    why = detector.explain(odd)
    assert why.values.shape == odd.shape
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total, rtol=1e-6, atol=1e-9)
    assert np.array_equal(why.total, detector.decision_function(odd))
    if not takes_edges(detector):
        assert (why.values.argmax(axis=1) == np.arange(4)).all(), why.values.round(2)
