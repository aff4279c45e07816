"""Probabilities: calibrated where the truth is known, small on clean data, and never falling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from awry.core.calibration import AnomalyProbability, TailProbability, probability
from awry.core.tail import ScoreTail

NORMAL = {
    "normal": stats.norm(0, 1),
    "gamma": stats.gamma(3),
    "exponential": stats.expon(),
    "lognormal": stats.lognorm(0.5),
}


def mixture(kind, share, n, seed):
    """Scores, labels and the true probability that each is an anomaly, five spreads apart."""
    rng = np.random.default_rng(seed)
    law = NORMAL[kind]
    other = stats.norm(law.mean() + 5 * law.std(), law.std())
    y = (rng.random(n) < share).astype(int)
    scores = np.where(y, other.rvs(n, random_state=rng), law.rvs(n, random_state=rng))
    weight = share * other.pdf(scores)
    return scores, y, weight / (weight + (1 - share) * law.pdf(scores))


def calibration_error(p, y, bins=15):
    """Expected calibration error (Naeini et al. 2015): mean gap of claim and truth over bins."""
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(p[place == b].sum() - y[place == b].sum()) for b in range(bins)]
    return sum(gaps) / len(p)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("kind", NORMAL)
def test_posterior_is_calibrated_without_labels(kind, share):
    scores, y, truth = mixture(kind, share, 4000, 0)
    p = AnomalyProbability().fit(scores).transform(scores)
    assert calibration_error(p, y) < 0.035
    assert np.abs(p - truth).mean() < 0.035
    assert p.mean() == pytest.approx(share, abs=0.035)
    # PyOD's two scalings are less so: they call a normal score likely.
    for method in ("linear", "unify"):
        other = probability(scores, scores, method=method)
        assert calibration_error(other, y) > 1.3 * calibration_error(p, y)


@pytest.mark.parametrize("kind", NORMAL)
@pytest.mark.parametrize("n", [60, 500, 5000])
def test_clean_scores_get_small_probabilities(kind, n):
    rng = np.random.default_rng(1)
    p = []
    for _ in range(5):
        scores = NORMAL[kind].rvs(n, random_state=rng)
        p.append(AnomalyProbability().fit(scores).transform(scores))
    p = np.concatenate(p)
    assert p.mean() < 0.03
    assert (p > 0.5).mean() < 0.01


def test_fresh_rows_keep_the_calibration():
    train, _, _ = mixture("exponential", 0.1, 4000, 2)
    scores, y, _ = mixture("exponential", 0.1, 4000, 3)
    assert calibration_error(AnomalyProbability().fit(train).transform(scores), y) < 0.03


def test_without_a_group_it_is_the_averaged_bayes_factor():
    """The density of p under the alternative, integrated by hand over xi."""
    scores = np.random.default_rng(4).exponential(size=3000)
    prior = 0.02
    at = np.array([0.1, 1.0, 4.0, 6.0, 9.0])
    found = AnomalyProbability(prior).fit(scores).transform(at)
    xi = (np.arange(100_000) + 0.5) / 100_000
    for value, p in zip(found, TailProbability().fit(scores).transform(at), strict=True):
        likelihood = (xi * p ** (xi - 1)).mean()
        odds = prior / (1 - prior) * likelihood
        assert value == pytest.approx(odds / (1 + odds), rel=0.02)
    # It averages to the prior: no more anomalies are claimed than were expected.
    p = (np.arange(1_000_000) + 0.5) / 1_000_000
    depth = -np.log(p)
    assert np.mean((1 / p - 1 - depth) / depth**2) == pytest.approx(1, abs=0.1)


# -- with labels ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "kind"), [(400, "gamma"), (6000, "gamma"), (6000, "lognormal")])
def test_with_labels_calibrated_on_fresh_rows(n, kind):
    """Platt's sigmoid below 50 anomalies, isotonic regression above."""
    share = 0.08
    train, y, _ = mixture(kind, share, n, 5)
    assert (y.sum() < 50) == (n == 400)
    fresh, truth, _ = mixture(kind, share, 20_000, 6)
    p = AnomalyProbability().fit(train, y).transform(fresh)
    assert calibration_error(p, truth) < (0.03 if n == 400 else 0.012)
    assert 0 < p.min() < p.max() < 1


def test_sigmoid_is_platts():
    """Against scikit-learn's logistic regression on Platt's targets, given as weights."""
    from sklearn.linear_model import LogisticRegression

    scores, y, _ = mixture("normal", 0.2, 150, 7)
    scores = scores * 40 + 7
    odd, normal = y.sum(), (1 - y).sum()
    high, low = (odd + 1) / (odd + 2), 1 / (normal + 2)
    target = np.where(y, high, low)
    X = np.tile(scores, 2)[:, None] / 40
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000)
    model.fit(X, np.repeat([1, 0], 150), sample_weight=np.r_[target, 1 - target])
    theirs = model.predict_proba(scores[:, None] / 40)[:, 1]
    assert AnomalyProbability().fit(scores, y).transform(scores) == pytest.approx(theirs, abs=2e-3)


def test_labels_not_judged_are_left_out():
    scores, y, _ = mixture("gamma", 0.1, 2000, 8)
    judged = np.random.default_rng(0).random(2000) < 0.7
    some = AnomalyProbability().fit(scores, np.where(judged, y, -1))
    alone = AnomalyProbability().fit(scores[judged], y[judged])
    assert some.transform(scores).tolist() == alone.transform(scores).tolist()
    # Labels of one kind cannot calibrate.
    none = AnomalyProbability().fit(scores, np.where(y, -1, 0)).transform(scores)
    assert none.tolist() == AnomalyProbability().fit(scores).transform(scores).tolist()


def test_anomalies_that_score_low_leave_the_score_without_a_say():
    scores = np.arange(40.0)
    y = (scores < 5).astype(int)
    p = AnomalyProbability().fit(scores, y).transform(scores)
    assert np.ptp(p) == 0
    assert p[0] == pytest.approx(y.mean(), abs=0.05)


# -- what holds always ------------------------------------------------------------------------


def draw(seed):
    """Scores of many shapes: tied, tiny, heavy, grouped."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 400))
    scores = [
        lambda: rng.normal(size=n),
        lambda: rng.standard_cauchy(n),
        lambda: rng.poisson(1, n).astype(float),
        lambda: np.zeros(n),
        lambda: np.r_[rng.normal(size=n), rng.normal(8, 1, n // 8)],
        lambda: rng.random(n) * 1e-9,
    ][seed % 6]()
    return rng.permutation(scores) * 10.0 ** rng.integers(-5, 6)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 100_000), st.booleans())
def test_probabilities_are_sound_and_monotone(seed, labelled):
    scores = draw(seed)
    rng = np.random.default_rng(seed)
    y = (rng.random(len(scores)) < 0.2).astype(int) if labelled else None
    wide = np.ptp(scores) + 1e-6
    grid = np.sort(np.r_[scores, np.linspace(scores.min() - wide, scores.max() + 50 * wide, 200)])
    p = AnomalyProbability().fit(scores, y).transform(grid)
    assert np.isfinite(p).all()
    assert p.min() >= 0
    assert p.max() <= 1
    assert (np.diff(p) >= 0).all()
    tail = TailProbability().fit(scores).transform(grid)
    assert tail.min() > 0
    assert tail.max() <= 1
    assert (np.diff(tail) <= 1e-12).all()


@pytest.mark.parametrize("kind", NORMAL)
def test_tail_probability_is_uniform_on_fresh_clean_scores(kind):
    rng = np.random.default_rng(9)
    tail = TailProbability().fit(NORMAL[kind].rvs(5000, random_state=rng))
    p = tail.transform(NORMAL[kind].rvs(200_000, random_state=rng))
    for level in (0.9, 0.5, 0.1, 0.01):
        assert (p <= level).mean() == pytest.approx(level, rel=0.2)
    assert 0.2e-3 < (p <= 1e-3).mean() < 2.5e-3  # five of the scores it was fitted on lie there


def test_tail_probability_leaves_the_anomalies_out():
    scores, y, _ = mixture("exponential", 0.2, 4000, 10)
    p = TailProbability().fit(scores).transform(scores)
    normal = p[y == 0]
    for level in (0.5, 0.1, 0.02):
        assert level / 2 < (normal <= level).mean() < 1.3 * level
    true = np.median(NORMAL["exponential"].sf(scores[y == 1]))
    assert true / 4 < np.median(p[y == 1]) < true * 4
    # Counted in, they would be a tenth of the rows, and nothing rare.
    assert np.median(ScoreTail.fit(scores, group=False).sf(scores[y == 1])) > 0.05


def test_linear_and_unify_are_pyods():
    base = pytest.importorskip("pyod.models.base")

    class Given(base.BaseDetector):
        def __init__(self):
            super().__init__()

        def fit(self, X, y=None):
            self.decision_scores_ = X[:, 0]
            self._process_decision_scores()
            self._set_n_classes(None)
            return self

        def decision_function(self, X):
            return X[:, 0]

    rng = np.random.default_rng(0)
    train, fresh = rng.gamma(2, size=300), rng.gamma(2, size=50) * 2
    theirs = Given().fit(train[:, None])
    for method in ("linear", "unify"):
        ours = probability(train, fresh, method=method)
        expected = theirs.predict_proba(fresh[:, None], method=method)[:, 1]
        assert ours == pytest.approx(expected, abs=1e-12)


def test_equal_scores_and_wrong_methods():
    same = np.full(10, 2.0)
    assert probability(same, same, method="linear").tolist() == [0.0] * 10
    assert probability(same, same, method="unify").tolist() == [0.0] * 10
    assert probability(same, same, method="calibrated").max() < 0.02
    with pytest.raises(ValueError, match="'calibrated', 'linear' or 'unify', got 'guess'"):
        probability(same, same, method="guess")


def test_refused_input():
    for cls in (AnomalyProbability, TailProbability):
        with pytest.raises(ValueError, match="finite, got nan at position 1"):
            cls().fit([0.0, np.nan])
    with pytest.raises(ValueError, match=r"prior must be a number > 0.0 and < 1.0, got 1.0"):
        AnomalyProbability(1.0).fit([0.0, 1.0])


@pytest.mark.parametrize("far", [1e100, 1e155, 1e300])
def test_scores_whose_squares_are_no_numbers_are_fitted_like_others(far):
    near = np.abs(np.random.default_rng(0).normal(size=500))
    usual, odd = TailProbability().fit(np.r_[near, [far] * 20]).transform([1.0, far])
    assert usual == pytest.approx(2 * stats.norm.sf(1.0), abs=0.1)
    assert odd < 0.1
