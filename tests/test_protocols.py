"""Protocols: who is trained on, who is tested, and that nothing leaks between."""

from __future__ import annotations

import numpy as np
import pytest

from awry.core.errors import DataError
from awry.metrics import protocols
from awry.metrics.ranking import auroc


@pytest.fixture
def table():
    """200 rows, many repeated, labels and classes; some anomalies equal normal rows."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(200, 3)).astype(float)
    y = (rng.random(200) < 0.15).astype(int)
    X[y == 1] += rng.choice([0, 10], size=(y.sum(), 1))
    return X, y, rng.choice(["a", "b", "c"], 200)


class Centre:
    """Scores by the distance from the mean of the rows it was fitted on."""

    def fit(self, X):
        self.centre = X.mean(axis=0)
        self.decision_scores_ = self.decision_function(X)
        return self

    def decision_function(self, X):
        return np.linalg.norm(X - self.centre, axis=1)


def test_transductive_tests_what_it_trains_on(table):
    _, y, _ = table
    (split,) = protocols.transductive(y)
    assert split.test is split.train
    assert split.y_test.tolist() == y.tolist()
    some = protocols.transductive(y, seeds=(0, 1), max_rows=50)
    assert [len(np.unique(s.train)) for s in some] == [50, 50]
    assert some[0].train.tolist() != some[1].train.tolist()
    assert (y[some[0].test] == some[0].y_test).all()


def test_no_row_tested_was_trained_on_even_by_a_copy(table):
    X, y, kinds = table
    splits = [
        *protocols.train_on_normal(X, y, range(5)),
        *protocols.one_vs_rest(X, kinds, range(2)),
        *protocols.leave_one_class_out(X, kinds, range(2)),
    ]
    assert len(splits) == 5 + 6 + 6
    for split in splits:
        trained = {tuple(row) for row in X[split.train]}
        assert not any(tuple(row) in trained for row in X[split.test])
        assert 0 < split.y_test.sum() < len(split.y_test)


def test_train_on_normal_trains_on_half_of_the_distinct_normal_rows(table):
    X, y, _ = table
    first, second = protocols.train_on_normal(X, y, (0, 1))
    distinct = len(np.unique(X[y == 0], axis=0))
    assert len(np.unique(X[first.train], axis=0)) == distinct // 2
    assert (y[first.train] == 0).all()
    assert (y[first.test] == first.y_test).all()
    assert set(first.train.tolist()) != set(second.train.tolist())
    # Without copies nothing is left out: halves of the normal rows, and every anomaly.
    X = np.arange(400.0).reshape(200, 2)
    (split,) = protocols.train_on_normal(X, y)
    assert len(split.train) == (y == 0).sum() // 2
    assert split.y_test.sum() == y.sum()
    assert sorted([*split.train, *split.test]) == list(range(200))


def test_classes_take_turns(table):
    _, _, kinds = table
    X = np.arange(400.0).reshape(200, 2)
    for one, out in zip(
        protocols.one_vs_rest(X, kinds), protocols.leave_one_class_out(X, kinds), strict=True
    ):
        assert one.case == out.case
        assert (kinds[one.train] == one.case).all()
        assert ((kinds[one.test] != one.case) == one.y_test).all()
        assert (kinds[out.train] != out.case).all()
        assert ((kinds[out.test] == out.case) == out.y_test).all()
    assert [s.case for s in protocols.one_vs_rest(X, kinds)] == ["a", "b", "c"]


def test_run_measures_each_split_and_summarise_averages(table):
    X, y, _ = table
    splits = [*protocols.train_on_normal(X, y, range(4)), *protocols.transductive(y)]
    seeds = []

    def make(seed):
        seeds.append(seed)
        return Centre()

    rows = protocols.run(make, X, splits)
    assert seeds == [0, 1, 2, 3, 0]
    split, row = splits[2], rows[2]
    scores = Centre().fit(X[split.train]).decision_function(X[split.test])
    assert row["auroc"] == auroc(split.y_test, scores)
    assert (row["n_train"], row["n_test"]) == (len(split.train), len(split.test))
    half, whole = protocols.summarise(rows)
    values = [r["auroc"] for r in rows[:4]]
    assert half["auroc"] == pytest.approx(np.mean(values))
    assert half["auroc_std"] == pytest.approx(np.std(values, ddof=1))
    assert half["auroc_std"] > 0
    assert (half["protocol"], half["runs"]) == ("train_on_normal", 4)
    assert (whole["runs"], whole["auroc_std"]) == (1, 0.0)
    assert "n_train" not in half


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: protocols.transductive([0, 0, 0]), "no anomalies"),
        (lambda: protocols.train_on_normal(np.eye(3), [1, 1, 1]), "no normal rows"),
        (lambda: protocols.train_on_normal(np.eye(3), [0, 1, 2]), "1 .anomaly. and 0"),
        (lambda: protocols.train_on_normal(np.eye(3), [0, 1]), "label for each row"),
        (lambda: protocols.train_on_normal(np.eye(3)[[0, 0, 1]], [0, 0, 1]), "two distinct normal"),
        (lambda: protocols.one_vs_rest(np.eye(3), ["a", "a", "a"]), "at least two, got 1"),
        (lambda: protocols.one_vs_rest(np.eye(3), ["a", "a", "b"]), "for class b"),
    ],
)
def test_what_cannot_be_split_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
