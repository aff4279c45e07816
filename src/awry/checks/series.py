"""What every detector of series must do."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import clone

from awry import io
from awry.checks.common import assert_raises, check_for, example, fitted
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray

#: Points by which a window may blur where an anomaly lies.
SLACK = 40


def _peak_is_planted(scores: FloatArray, y: IntArray) -> bool:
    odd = np.flatnonzero(y)
    return bool(odd[0] - SLACK <= scores.argmax() <= odd[-1] + SLACK)


@check_for("series")
def check_series_anomalies_are_found(detector: Detector) -> None:
    """The highest score lies at the planted burst, in the training series and in a new one."""
    X, y = example(detector)
    fitted(detector, X, y)
    assert _peak_is_planted(detector.decision_scores_, y), detector.decision_scores_.argmax()
    if detector.card.inductive:
        calm, _ = example(detector, seed=2)
        fitted(detector, calm[:400], None if y is None else y[:400])
        assert _peak_is_planted(detector.decision_function(X), y)


@check_for("series")
def check_series_forms(detector: Detector) -> None:
    """One channel may come as (T,), as (T, 1) or as a Series; the scores are the same."""
    X, y = example(detector)
    forms = (X[:, 0], X[:, :1], pd.Series(X[:, 0]), X[:, 0].tolist())
    first, *others = (fitted(clone(detector), form, y).decision_scores_ for form in forms)
    for scores in others:
        assert np.array_equal(scores, first)


@check_for("series")
def check_series_training_scores(detector: Detector) -> None:
    """The scores kept from fit are those the training series gets, but for those that follow it."""
    if detector.card.inductive and not detector.card.online and not detector.compares_with_training:
        X, y = example(detector)
        fitted(detector, X, y)
        np.testing.assert_allclose(
            detector.decision_function(X), detector.decision_scores_, rtol=1e-7, atol=1e-9
        )


@check_for("series")
def check_series_missing(detector: Detector) -> None:
    """A block of missing values neither raises nor moves the peak; nor do scattered ones."""
    X, y = example(detector)
    block, scattered = X.copy(), X.copy()
    block[150:190] = np.nan
    scattered[np.random.default_rng(0).random(X.shape) < 0.03] = np.nan
    for values in (block, scattered):
        before = values.copy()
        fitted(detector, values, y)
        assert np.array_equal(values, before, equal_nan=True), "fit changed its input"
        assert np.isfinite(detector.decision_scores_).all(), "a score is not finite"
        assert _peak_is_planted(detector.decision_scores_, y), detector.decision_scores_.argmax()
        if detector.card.inductive:
            assert np.isfinite(detector.decision_function(values)).all(), "a score is not finite"


@check_for("series")
def check_series_explanations(detector: Detector) -> None:
    """Contributions sum to the score and name the channel in which an anomaly was planted."""
    if not detector.card.inductive:
        return
    calm, _ = example(detector, seed=2)
    fitted(detector, calm[:400], np.zeros(400, dtype=int))
    new, y = example(detector, seed=2)
    new[:, 0] = calm[:, 0] * (y == 0) + np.sin(np.arange(len(y))) * 0.1 * (y == 1)
    why = detector.explain(new)
    assert why.values.shape == new.shape
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(why.total, detector.decision_function(new), rtol=1e-6, atol=1e-9)
    at = int(why.total.argmax())
    assert why.values[at].argmax() == 1, why.values[at].round(3)


@check_for("series")
def check_series_online(detector: Detector) -> None:
    """However a series is cut, the scores are the same, also across saving and loading."""
    if not detector.card.online:
        assert not hasattr(detector, "score_one")
        return
    X, y = example(detector)
    fitted(detector, X[:300], y[:300])
    rest = X[300:].copy()
    rest[40:44, 0] = np.nan
    whole = detector.decision_function(rest)
    assert np.array_equal(detector.decision_function(rest), whole), "scoring taught"
    cut = []
    for i, part in enumerate(np.split(rest, [1, 2, 60, 61, 150])):
        if i == 3:
            cut.append([detector.score_one(part[0])])
            detector.learn_one(part[0])
        else:
            cut.append(detector.update(part))
        detector = io.loads(io.dumps(detector))
    assert np.array_equal(np.concatenate(cut), whole)
    assert_raises(ValueError, "values", detector.score_one, np.ones(X.shape[1] + 1))


@check_for("series")
def check_series_one_pass(detector: Detector) -> None:
    """With a warm-up, fitting on a series and following its end give the same scores."""
    if not detector.card.online:
        return
    X, _ = example(detector)
    detector.set_params(warmup=200)
    whole = clone(detector).fit(X).decision_scores_
    part = detector.fit(X[:350])
    assert np.array_equal(part.decision_scores_, whole[:350])
    assert np.array_equal(part.decision_function(X[350:]), whole[350:])


@check_for("series")
def check_series_causal(detector: Detector) -> None:
    """Changing the future does not change the past, for what claims to be causal."""
    params = detector.get_params(deep=False)
    if "causal" in params:
        detector.set_params(causal=True)
    elif not detector.card.online:
        return
    X, y = example(detector)
    other = X.copy()
    other[450:] = np.random.default_rng(3).normal(50.0, 30.0, size=other[450:].shape)
    other[455:480] = np.nan
    fitted(detector, X[:300], y[:300])
    past, same = detector.decision_function(X), detector.decision_function(other)
    np.testing.assert_allclose(past[:450], same[:450], rtol=1e-9, atol=1e-12)
    assert not np.allclose(past[450:], same[450:])
    if "warmup" in params:
        detector.set_params(warmup=200)
        past, same = (clone(detector).fit(Z).decision_scores_ for Z in (X, other))
        assert np.array_equal(past[:450], same[:450])


@check_for("series")
def check_series_hard(detector: Detector) -> None:
    """Constant, short, stepped and widely scaled series give finite scores or a clear error."""
    X, y = example(detector)
    constant_channel = np.column_stack([X[:, 0], np.full(len(X), 3.0)])
    empty_channel = np.column_stack([X[:, 0], np.full(len(X), np.nan)])
    cases = {
        "a constant channel": constant_channel,
        "an empty channel": empty_channel,
        "all constant": np.ones((200, 2)),
        "two values": np.repeat([[0.0], [1.0]], 100, axis=0),
        "mixed scales": X * [1e-9, 1e9],
        "trend": X + np.arange(len(X))[:, None] * 10.0,
        "leading gap": np.vstack([np.full((30, 2), np.nan), X]),
    }
    for name, values in cases.items():
        model = fitted(clone(detector), values, y[: len(values)])
        assert np.isfinite(model.decision_scores_).all(), name
        if detector.card.inductive:
            assert np.isfinite(model.decision_function(values * 1.5 + 1)).all(), name
    for n in (1, 2, 3, 5, 12):
        try:
            model = fitted(clone(detector), X[:n], y[:n])
        except ValueError as error:
            assert any(w in str(error) for w in ("sample", "point", "period")), f"{n}: {error}"
        else:
            assert np.isfinite(model.decision_scores_).all(), f"{n} points"
            assert len(model.decision_scores_) == n
    if detector.card.inductive:
        model = fitted(clone(detector), X, y)
        for n in (1, 2, 5):
            assert model.decision_function(X[:n]).shape == (n,), f"{n} new points"


@check_for("series")
def check_series_bad_input(detector: Detector) -> None:
    """What is wrong with the input is said, with where."""
    X, y = example(detector)
    bad = X.copy()
    bad[5, 1] = np.inf
    assert_raises(ValueError, "infinity at point 5, channel 1", fitted, clone(detector), bad, y)
    assert_raises(ValueError, "no value", fitted, clone(detector), X * np.nan, y)
    assert_raises(ValueError, "0 sample|minimum", fitted, clone(detector), X[:0], y[:0])
    stamps = pd.date_range("2024-01-01", periods=len(X), freq="h")
    unsorted = pd.DataFrame(X, index=stamps[::-1])
    assert_raises(ValueError, "ascend", fitted, clone(detector), unsorted, y)
    if detector.card.inductive:
        fitted(detector, pd.DataFrame(X, index=stamps, columns=["a", "b"]), y)
        assert list(detector.feature_names_in_) == ["a", "b"]
        narrow = pd.DataFrame(X[:, :1], columns=["a"])
        assert_raises(ValueError, "feature", detector.decision_function, narrow)
