import numpy as np
import pytest

from awry.detectors.series.seasonal_ewma import SeasonalEWMA, _medians
from oracles_series import seasonal_ewma


def waves(n: int, period: int = 24, noise: float = 0.2, seed: int = 0) -> np.ndarray:
    at = np.arange(n)
    noise = np.random.default_rng(seed).normal(scale=noise, size=n)
    return 3.0 * np.sin(2 * np.pi * at / period) + (at % period == 5) * 4.0 + noise


@pytest.mark.parametrize("period", [1, 12])
def test_kernel_against_the_paper_s_recursions(period: int) -> None:
    rng = np.random.default_rng(0)
    train, x = waves(240, 12), waves(300, 12, seed=1)
    x[100:105] = np.nan
    x[rng.integers(0, 300, 10)] += 20.0
    model = SeasonalEWMA(period=period, weight=0.3, season_weight=0.2, scale_weight=0.1).fit(train)
    state = model.state_
    assert state.ticks[0] == 0
    expected, low, high = (b[:, 0] for b in model.band(x, width=1.0))
    season_weight = 0.0 if period == 1 else 0.2
    center, scale = seasonal_ewma(
        x, state.level[0], state.season[:, 0], state.variance[0], 0.3, season_weight, 0.1
    ).T
    np.testing.assert_allclose(expected, center, rtol=1e-9)
    np.testing.assert_allclose((high - low) / 2, scale, rtol=1e-9)
    known = ~np.isnan(x)
    np.testing.assert_allclose(
        model.decision_function(x)[known], (np.abs(x - center) / scale)[known], rtol=1e-9
    )


def test_what_is_usual_at_another_time_is_odd() -> None:
    x = waves(24 * 20)
    x[24 * 15 + 11] = 6.0  # what the hour 5 has every day
    model = SeasonalEWMA(warmup=24 * 7).fit(x)
    assert model.period_ == 24
    assert model.decision_scores_.argmax() == 24 * 15 + 11
    assert model.decision_scores_[24 * 15 + 5] < 4


def test_the_profile_is_the_season() -> None:
    model = SeasonalEWMA(period=24).fit(waves(24 * 15, noise=0.05))
    truth = waves(24, noise=0.0)
    season = model.state_.level[0] + model.state_.season[:, 0]
    np.testing.assert_allclose(season, truth, atol=0.1)
    forecast = model.band(np.full(48, np.nan)).expected[:, 0]
    np.testing.assert_allclose(forecast, np.tile(season, 2), rtol=1e-12)


def test_a_band_holds_the_points_it_says() -> None:
    x = waves(24 * 200)
    model = SeasonalEWMA(period=24).fit(x[: 24 * 50])
    expected, low, high = model.band(x[24 * 50 :], width=2.0)
    inside = (x[24 * 50 :, None] >= low) & (x[24 * 50 :, None] <= high)
    assert 0.92 < inside.mean() < 0.975
    np.testing.assert_allclose(expected, (low + high) / 2)


def test_outliers_teach_little() -> None:
    clean = waves(24 * 30)
    dirty = clean.copy()
    dirty[24 * 20 + np.arange(10) * 7] += 1e3
    bands = [SeasonalEWMA(period=24, warmup=24 * 10).fit(x).band(np.nan * clean[:24])
             for x in (clean, dirty)]  # fmt: skip
    assert np.abs(bands[0].expected - bands[1].expected).max() < 0.3
    assert (bands[1].high - bands[1].low)[0, 0] < 2 * (bands[0].high - bands[0].low)[0, 0]


def test_it_follows_a_lasting_step() -> None:
    x = waves(24 * 40)
    x[24 * 20 :] += 10.0
    scores = SeasonalEWMA(period=24, warmup=24 * 10).fit(x).decision_scores_
    assert scores[24 * 20] > 20
    assert np.median(scores[-24 * 5 :]) < 2


def test_a_cold_start_has_a_level_only_and_learns_the_season() -> None:
    x = waves(24 * 30)
    model = SeasonalEWMA(period=24).fit(x[:30])
    start = model._start(model._check_input(x[:30], reset=False))
    assert not start.season.any()
    off = np.abs(x[30:] - model.band(x[30:]).expected[:, 0])
    assert off[-24 * 5 :].mean() < 0.3 < 1.0 < off[:10].mean()


def test_without_a_period_it_is_a_level() -> None:
    x = np.random.default_rng(0).normal(size=400)
    model = SeasonalEWMA().fit(x)
    assert model.period_ == 1
    assert not model.state_.season.any()


def test_missing_points_let_the_phase_go_on() -> None:
    x = waves(24 * 20)
    model = SeasonalEWMA(period=24).fit(x[: 24 * 10])
    gap = x[24 * 10 :].copy()
    gap[3:80] = np.nan
    scores = model.decision_function(gap)
    assert (scores[3:80] == 0).all()
    assert scores.max() < 6


def test_many_channels_are_each_on_their_own() -> None:
    X = np.column_stack([waves(24 * 12, seed=s) * 10.0**s for s in range(5)])
    X[40, 2] = np.nan
    together = SeasonalEWMA(period=24).fit(X).band(X).expected
    for j in range(5):
        alone = SeasonalEWMA(period=24).fit(X[:, j]).band(X[:, j]).expected[:, 0]
        np.testing.assert_array_equal(together[:, j], alone)


def test_medians_without_nan() -> None:
    values = np.random.default_rng(0).normal(size=(7, 4, 3))
    values[np.random.default_rng(1).random(values.shape) < 0.3] = np.nan
    values[:, 0, 0], values[1:, 1, 1] = np.nan, np.nan
    found = _medians(values)
    assert np.isnan(found[0, 0])
    known = ~np.isnan(found)
    np.testing.assert_allclose(
        found[known], [np.nanmedian(values[(slice(None), *at)]) for at in np.argwhere(known)]
    )
