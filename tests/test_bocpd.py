"""BOCPD against the paper's algorithm written out; bounded memory."""

from __future__ import annotations

import numpy as np

import oracles_loess as oracle
from awry.detectors.series.bocpd import BOCPD
from awry.kernels.run_lengths import run_lengths


def followed(x: np.ndarray, most: int = 300, least: float = 0.0):
    size = (1, most)
    prob = np.zeros(size)
    prob[0, 0] = 1.0
    runs = np.zeros(size, np.int64)
    state = (prob, runs, np.zeros(size), np.ones(size), np.ones(size), np.ones(1, np.int64))
    out = np.empty((2, len(x), 1))
    run_lengths(x[:, None], 1 / 50, least, 5, *state, np.zeros(1), out)
    return out[:, :, 0], prob[0, : state[5][0]], runs[0, : state[5][0]]


def test_the_posterior_is_the_papers():
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=40), rng.normal(4, 0.3, 30)]
    _, posteriors = oracle.run_lengths(x, 1 / 50)
    out, prob, runs = followed(x)
    expected = [posteriors[-1][r] for r in runs]
    assert len(runs) == len(x) + 1
    np.testing.assert_allclose(prob, expected, rtol=1e-8)
    young = [sum(p for r, p in posterior.items() if r <= 5) for posterior in posteriors]
    np.testing.assert_allclose(out[1, 6:], young[6:], rtol=1e-8)
    assert runs[prob.argmax()] == 30
    # Dropping improbable runs changes little.
    np.testing.assert_allclose(followed(x, least=1e-6)[0][1], out[1], atol=1e-3)


def test_few_run_lengths_are_kept():
    x = np.random.default_rng(0).normal(size=3000)
    x[1500:] += 3
    model = BOCPD(score="change", max_runs=30).fit(x)
    assert model.state_.prob.shape == (1, 30)
    kept = model.state_.prob[0, : model.state_.used[0]]
    assert len(kept) <= 30
    assert np.isclose(kept.sum(), 1.0)
    assert 1500 <= model.decision_scores_.argmax() <= 1510


def test_a_change_of_spread_is_a_change():
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=400), rng.normal(0, 8, 200)]
    scores = BOCPD(score="change", warmup=200).fit(x).decision_scores_
    assert 400 <= scores[200:].argmax() + 200 <= 412
