"""What every table detector must do."""

from __future__ import annotations

import re

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from awry.checks.common import assert_raises, check_for, example, fitted, planted, takes_edges
from awry.core.detector import Detector


@check_for("table")
def check_training_scores(detector: Detector) -> None:
    """The scores kept from fit are those the training data gets."""
    if detector.card.inductive:
        X, y = planted()
        fitted(detector, X, y)
        np.testing.assert_allclose(
            detector.decision_function(X), detector.decision_scores_, rtol=1e-7, atol=1e-9
        )


@check_for("table")
def check_batch_cut_invariance(detector: Detector) -> None:
    """Scores do not depend on how the data was cut into batches, nor on its order."""
    if not detector.card.inductive:
        return
    X, y = planted()
    fitted(detector, X, y)
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


@check_for("table")
def check_planted_anomalies_are_found(detector: Detector) -> None:
    """Far anomalies get the highest scores, in the training data and in new data."""
    X, y = planted()
    fitted(detector, X, y)
    assert roc_auc_score(y, detector.decision_scores_) > 0.95
    if detector.card.inductive:
        new, truth = planted(seed=0)
        rng = np.random.default_rng(5)
        new = new + rng.normal(scale=0.1, size=new.shape)
        assert roc_auc_score(truth, detector.decision_function(new)) > 0.95


@check_for("table")
def check_explanations(detector: Detector) -> None:
    """Contributions sum to the score and name the column in which an anomaly was planted."""
    if not detector.card.inductive:
        return
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    odd = rng.normal(size=(4, 4)) * 0.3
    odd[np.arange(4), np.arange(4)] = [11.0, -12.0, 13.0, -14.0]
    X, y = np.vstack([X, odd]), np.repeat([0, 1], [300, 4])
    fitted(detector, X, y)
    why = detector.explain(X[300:])
    assert why.values.shape == (4, 4)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(why.total, detector.decision_scores_[300:], rtol=1e-6, atol=1e-9)
    assert why.names == ["x0", "x1", "x2", "x3"]
    assert (why.values.argmax(axis=1) == np.arange(4)).all(), why.values.round(2)


@check_for("table")
@check_for("stream")
def check_feature_names(detector: Detector) -> None:
    """Names of a DataFrame are kept and used in explanations."""
    import pandas as pd

    X, y = example(detector)
    names = ["a", "b", "c", "d"][: X.shape[1]]
    frame = pd.DataFrame(X, columns=names)
    fitted(detector, frame, y)
    assert list(detector.feature_names_in_) == names
    if detector.card.inductive:
        assert detector.explain(frame[-2:]).names == names


@check_for("table")
@check_for("stream")
def check_bad_input(detector: Detector) -> None:
    """What is wrong with the input is said, with where."""
    X, y = example(detector)
    for value, word in ((np.nan, "NaN"), (np.inf, "inf")):
        bad = X.copy()
        bad[5, 1] = value
        assert_raises(ValueError, f"{word}.*row 5, column 1", fitted, clone(detector), bad, y)
    assert_raises(ValueError, "2D|2-d|dim", fitted, clone(detector), X[:, 0], y)
    assert_raises(ValueError, "0 sample|minimum", fitted, clone(detector), X[:0], y[:0])
    assert_raises(
        ValueError,
        "threshold|contamination",
        fitted,
        clone(detector).set_params(contamination="nonsense"),
        X,
        y,
    )
    if not detector.card.inductive:
        return
    fitted(detector, X, y)
    bad = X.copy()
    bad[7, 2] = np.nan
    assert_raises(ValueError, "NaN.*row 7, column 2", detector.decision_function, bad)
    assert_raises(ValueError, "features", detector.decision_function, X[:, :2])
    assert_raises(ValueError, "0 sample|minimum", detector.decision_function, X[:0])
    assert_raises(ValueError, "values", detector.score_one, X[0, :2])
    assert_raises(Exception, "not fitted", clone(detector).decision_function, X)


@check_for("table")
@check_for("stream")
def check_hard_tables(detector: Detector) -> None:
    """Constant, duplicated, tiny and widely scaled tables give finite scores or a clear error."""
    if takes_edges(detector):
        return
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
        model = fitted(clone(detector), table, y)
        assert np.isfinite(model.decision_scores_).all(), name
        if detector.card.inductive:
            assert np.isfinite(model.decision_function(table * 1.5 + 1)).all(), name
    for n in (1, 2, 3, 5):
        try:
            model = fitted(clone(detector), X[-n:], np.r_[np.zeros(n - 1, int), 1])
        except ValueError as error:
            assert re.search(r"sample|row|label|y ", str(error)), f"{n} rows: {error}"
        else:
            assert np.isfinite(model.decision_scores_).all(), f"{n} rows"
