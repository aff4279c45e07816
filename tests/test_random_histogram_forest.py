"""Random histogram forest."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from awry.checks import check_detector
from awry.detectors.tabular.random_histogram_forest import RandomHistogramForest


@pytest.mark.parametrize("max_samples", ["auto", 1.0])
def test_it_keeps_the_promises_of_a_detector(max_samples):
    check_detector(RandomHistogramForest(max_samples=max_samples))


def test_the_score_is_the_information_of_the_cells():
    X = np.random.default_rng(0).normal(size=(300, 2))
    detector = RandomHistogramForest(
        n_estimators=4, max_depth=3, max_samples=1.0, random_state=0
    ).fit(X)
    forest = detector.forest_
    leaves = forest.left == np.arange(len(forest.left))
    shares = np.exp(-forest.value[leaves])
    per_tree = np.add.reduceat(shares, np.searchsorted(np.flatnonzero(leaves), forest.roots[:-1]))
    np.testing.assert_allclose(per_tree, 1.0)  # the cells of a tree hold all rows between them
    assert (np.round(shares * 300, 9) % 1 == 0).all()
    assert np.diff(forest.roots).max() <= 15


def test_columns_with_tails_are_cut_most():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(size=(1000, 9)), rng.standard_t(1.5, size=1000)])
    forest = RandomHistogramForest(max_samples=1.0, random_state=0).fit(X).forest_
    roots = forest.feature[forest.roots[:-1]]
    assert np.mean(roots == 9) > 0.2  # an even draw would give 0.1


def test_rare_rows_in_a_few_of_many_columns_are_found():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(3000, 40))
    X[:20, 11] += rng.uniform(2, 9, 20)
    detector = RandomHistogramForest(random_state=0).fit(X)
    assert roc_auc_score(np.arange(3000) < 20, detector.decision_scores_) > 0.9
    assert (detector.explain(X[:20]).values.argmax(axis=1) == 11).mean() > 0.9
