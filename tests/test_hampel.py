import numpy as np
import pytest

from awry import io
from awry.detectors.series.hampel import Hampel
from oracles_series import median_band


@pytest.mark.parametrize("window", [3, 8, 31])
def test_bands_against_their_oracle(window: int) -> None:
    rng = np.random.default_rng(0)
    train, x = rng.normal(size=100), np.round(rng.normal(size=300), 1)
    x[50:60] = np.nan
    model = Hampel(window=window).fit(train)
    expected, low, high = model.band(x, width=1.0)
    center, scale = median_band(x, train, window).T
    np.testing.assert_allclose(expected[:, 0], center, atol=1e-12)
    # Windows of equal points keep a twentieth of the training points' scale.
    kept = np.maximum(scale, 0.05 * 1.4826 * np.median(np.abs(train - np.median(train))))
    np.testing.assert_allclose((high - low)[:, 0] / 2, kept, atol=1e-12)
    score = np.abs(x - center) / kept
    np.testing.assert_allclose(
        model.decision_function(x), np.where(np.isnan(x), 0.0, score), atol=1e-9
    )


def test_a_centred_window_holds_as_many_points_on_either_side() -> None:
    x = np.random.default_rng(0).normal(size=200)
    model = Hampel(window=21, causal=False).fit(x)
    inner = range(30, 170)
    windows = [x[t - 10 : t + 11] for t in inner]
    expected = [np.median(w) for w in windows]
    spread = [1.4826 * np.median(np.abs(w - np.median(w))) for w in windows]
    np.testing.assert_allclose(
        model.decision_scores_[30:170], np.abs(x[30:170] - expected) / spread, rtol=1e-9
    )
    again = Hampel(window=21, causal=False).fit(x[:20])
    np.testing.assert_allclose(again.band(x[20:]).expected[15:150, 0], expected[5:140], rtol=1e-9)


def test_a_step_is_odd_until_it_fills_half_the_causal_window_and_never_when_centred() -> None:
    x = np.random.default_rng(0).normal(scale=0.1, size=400)
    x[200:] += 5.0
    causal = Hampel(window=41).fit(x).decision_scores_
    assert (causal[200:215] > 10).all()
    assert causal[230:].max() < 6
    centred = Hampel(window=41, causal=False).fit(x).decision_scores_
    assert centred[200:].max() < 0.1 * causal[200:].max()


def test_constant_stretches_do_not_blow_up_small_ripples() -> None:
    x = np.random.default_rng(0).normal(size=500)
    x[200:300] = 0.0
    x[290] = 0.01
    scores = Hampel(window=31).fit(x).decision_scores_
    assert scores[290] < 1 < scores.max()


def test_half_a_window_of_outliers_does_not_hide_them() -> None:
    x = np.random.default_rng(0).normal(size=500)
    x[300:324] += 30.0
    scores = Hampel(window=51).fit(x).decision_scores_
    assert (scores[300:324] > 8).all()


def test_the_state_does_not_grow() -> None:
    rng = np.random.default_rng(0)
    model = Hampel().fit(rng.normal(size=200))
    before = len(io.dumps(model))
    model.update(rng.normal(size=5000))
    assert abs(len(io.dumps(model)) - before) < 500
    assert np.array_equal(np.sort(model.state_.ring), model.state_.ordered)
