import numpy as np

from awry.detectors.series.ewma import EWMA
from awry.kernels import control
from oracles_series import SHIFTED


def test_montgomerys_example() -> None:
    # Table 9.10: λ = 0.1, L = 2.7, center 10, σ 1; the chart signals from point 29 on.
    level, age, scores = np.array([10.0]), np.zeros(1), np.empty((30, 1))
    control.ewma(SHIFTED[:, None], np.array([10.0]), np.ones(1), 0.1, level, age, scores)
    assert np.round(level[0], 4) == 10.6341
    assert np.flatnonzero(scores[:, 0] > 2.7).tolist() == [28, 29]
    # z_1 = 9.945 with limits of 0.27 about the center.
    np.testing.assert_allclose(scores[0, 0], 0.055 / 0.1)


def test_small_shifts_stand_out_more_than_in_the_points() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    x[400:] += 1.0
    scores = EWMA(warmup=300).fit(x).decision_scores_
    assert scores[300:400].max() < 3 < scores[405:415].max()
    assert (scores[420:] > 3).mean() > 0.6 > 0.1 > (np.abs(x[420:]) > 3).mean()


def test_the_limits_are_exact_from_the_first_point_on() -> None:
    many = np.random.default_rng(0).normal(size=(3, 20_000))
    d = many.shape[1]
    scores = np.empty_like(many)
    control.ewma(many, np.zeros(d), np.ones(d), 0.2, np.zeros(d), np.zeros(d), scores)
    np.testing.assert_allclose((scores**2).mean(axis=1), 1.0, atol=0.03)
