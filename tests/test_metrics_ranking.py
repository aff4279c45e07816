"""Ranking metrics against scikit-learn's, and the edges it leaves open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from awry.core.errors import DataError
from awry.metrics import ranking


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_equal_to_scikit_learn_ties_included(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    y = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    scores = rng.integers(0, rng.integers(1, 12) + 1, n) / 3
    cut = float(rng.choice(scores))
    flags = scores > cut
    report = ranking.evaluate(y, scores, cut)
    assert report.auroc == pytest.approx(sk.roc_auc_score(y, scores))
    assert report.auprc == pytest.approx(sk.average_precision_score(y, scores))
    assert report.f1 == pytest.approx(sk.f1_score(y, flags, zero_division=0))
    assert report.f2 == pytest.approx(sk.fbeta_score(y, flags, beta=2, zero_division=0))
    assert report.precision == pytest.approx(sk.precision_score(y, flags, zero_division=0))
    assert report.recall == pytest.approx(sk.recall_score(y, flags))
    tn, fp, fn, tp = sk.confusion_matrix(y, flags).ravel()
    assert (report.true_negatives, report.false_positives) == (tn, fp)
    assert (report.false_negatives, report.true_positives) == (fn, tp)
    best, at = ranking.best_f(y, scores)
    every = [sk.f1_score(y, scores >= s, zero_division=0) for s in np.unique(scores)]
    assert best == pytest.approx(max(every))
    assert sk.f1_score(y, scores >= at, zero_division=0) == pytest.approx(best)
    fpr, tpr, _ = sk.roc_curve(y, scores, drop_intermediate=False)
    for limit in (0.0, 0.3, 1.0):
        assert ranking.recall_at_fpr(y, scores, limit) == pytest.approx(tpr[fpr <= limit].max())


def test_precision_at_k_shares_ties():
    y, scores = [1, 0, 0, 1], [3.0, 2.0, 2.0, 1.0]
    assert ranking.precision_at_k(y, scores, 1) == 1.0
    assert ranking.precision_at_k(y, scores, 2) == 0.5
    assert ranking.precision_at_k([1, 1, 0, 0], [3.0, 2.0, 2.0, 1.0]) == 0.75
    with pytest.raises(ValueError, match="k must be"):
        ranking.precision_at_k(y, scores, 5)


def test_there_is_no_accuracy():
    assert not any("accuracy" in name for name in vars(ranking))
    assert "accuracy" not in ranking.evaluate([0, 1], [0, 1], 0.5).to_dict()


@pytest.mark.parametrize(
    ("y", "scores", "words"),
    [
        ([0, 0], [1, 2], r"no anomalies"),
        ([1, 1], [1, 2], "no normal rows"),
        ([0, 2], [1, 2], "1 .anomaly. or 0"),
        ([0, 1], [1, np.nan], "finite"),
        ([0, 1, 1], [1, 2], "one length"),
    ],
)
def test_bad_input_is_said(y, scores, words):
    with pytest.raises(DataError, match=words):
        ranking.evaluate(y, scores)
