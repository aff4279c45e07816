"""Indices without labels against scikit-learn's, and stability where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from awry.core.errors import DataError
from awry.metrics.unlabelled import separation, stability


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(300, 3)), rng.normal(6, 1, size=(20, 3))]
    return X, np.repeat([0, 1], [300, 20])


def test_equal_to_scikit_learn_on_a_small_table(table):
    X, flagged = table
    found = separation(X, flagged)
    assert found.silhouette == pytest.approx(sk.silhouette_score(X, flagged))
    assert found.calinski_harabasz == pytest.approx(sk.calinski_harabasz_score(X, flagged))
    assert found.davies_bouldin == pytest.approx(sk.davies_bouldin_score(X, flagged))


def test_a_true_group_looks_better_than_a_random_one(table):
    X, flagged = table
    random = np.random.default_rng(1).permutation(flagged)
    right, wrong = separation(X, flagged), separation(X, random)
    assert right.silhouette > wrong.silhouette + 0.3
    assert right.calinski_harabasz > 10 * wrong.calinski_harabasz
    assert right.davies_bouldin < wrong.davies_bouldin / 10


def test_the_sampled_silhouette_is_near_the_whole_and_seeded(table):
    X, flagged = table
    X, flagged = np.tile(X, (4, 1)) + np.arange(4).repeat(320)[:, None] * 1e-3, np.tile(flagged, 4)
    whole, some = separation(X, flagged), separation(X, flagged, max_rows=300)
    assert some == separation(X, flagged, max_rows=300)
    assert some.silhouette != whole.silhouette
    assert some.silhouette == pytest.approx(whole.silhouette, abs=0.05)
    assert some.davies_bouldin == whole.davies_bouldin


@pytest.mark.parametrize(("flags", "word"), [([0, 0, 0, 0], "none"), ([1, 1, 1, 1], "every one")])
def test_one_kind_alone_is_refused(flags, word):
    with pytest.raises(DataError, match=f"{word} of the 4 rows is flagged; both kinds"):
        separation(np.arange(8.0).reshape(4, 2), flags)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"\(4, 2\) and \(3,\)"):
        separation(np.zeros((4, 2)), [0, 1, 0])
    with pytest.raises(DataError, match="at least 3 rows"):
        separation(np.zeros((2, 2)), [0, 1])


class Distance:
    """Scores by the distance from the mean of what it was fitted on, or at random."""

    def __init__(self, noise: float, seed: int) -> None:
        self.noise, self.seed = noise, seed

    def fit(self, X):
        self.centre = X.mean(axis=0)
        return self

    def decision_function(self, X):
        rng = np.random.default_rng(self.seed)
        far = np.linalg.norm(X - self.centre, axis=1)
        return far * (1 - self.noise) + self.noise * rng.random(len(X))


def test_stability_tells_a_steady_detector_from_a_random_one(table):
    X, _ = table
    steady = stability(lambda seed: Distance(0.0, seed), X, k=20)
    random = stability(lambda seed: Distance(1.0, seed), X, k=20)
    assert steady.rank_correlation > 0.98
    assert steady.top_overlap > 0.9
    assert abs(random.rank_correlation) < 0.1
    assert random.top_overlap < 0.1
    assert steady == stability(lambda seed: Distance(0.0, seed), X, k=20)


def test_constant_scores_rank_nothing(table):
    class Constant(Distance):
        def decision_function(self, X):
            return np.zeros(len(X))

    assert stability(lambda seed: Constant(0.0, seed), table[0]).rank_correlation == 0.0


def test_each_refit_sees_distinct_rows(table):
    X, seen = table[0], []

    class Spy(Distance):
        def fit(self, X):
            seen.append(len(X))
            assert len(np.unique(X, axis=0)) == len(X)
            return super().fit(X)

    stability(lambda seed: Spy(0.0, seed), X, n_refits=20)
    assert np.mean(seen) / len(X) == pytest.approx(1 - np.exp(-1), abs=0.02)


def test_stability_refuses_what_makes_no_sense(table):
    for k in (0, len(table[0])):
        with pytest.raises(ValueError, match="k must be"):
            stability(lambda seed: Distance(0.0, seed), table[0], k=k)
    with pytest.raises(ValueError, match="n_refits must be"):
        stability(lambda seed: Distance(0.0, seed), table[0], n_refits=1)
