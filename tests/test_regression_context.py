"""Regression context: relations that break, and the channel that broke them."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.series.regression_context import RegressionContext


def plant(n: int = 600, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    load = np.sin(np.arange(n) / 9) + 0.3 * rng.normal(size=n)
    late = np.r_[0.0, load[:-1]]
    parts = np.column_stack([load, 2 * load, 5 - load, 3 * late, rng.normal(size=n)])
    return parts + rng.normal(0, 0.05, size=parts.shape)


@pytest.mark.parametrize("channel", [0, 1, 2, 3])
def test_the_channel_that_broke_is_named(channel):
    model = RegressionContext().fit(plant())
    new = plant(seed=1)
    new[300:320, channel] = plant(seed=2)[300:320, channel][::-1]  # ordinary, but not now
    scores = model.decision_function(new)
    assert 300 <= scores.argmax() < 325
    top = 300 + np.argsort(scores[300:320])[-5:]
    assert (model.explain(new).values[top].argmax(axis=1) == channel).mean() >= 0.8


def test_lags_count_and_one_weight_is_ols():
    x = plant()
    model = RegressionContext(lags=1, ridge=1e-9).fit(x)
    # The fourth channel follows the first three an instant later.
    foretold = model.band(x).expected[:, 3]
    assert np.corrcoef(foretold[1:], x[1:, 3])[0, 1] > 0.99
    own = np.arange(10) % 5
    for j in range(5):
        assert not model.coef_[j, own == j].any()


def test_what_all_do_together_is_not_odd():
    model = RegressionContext().fit(plant())
    new = plant(seed=1)
    calm = model.decision_function(new)
    both = new.copy()
    both[:, [0, 1]] += np.array([0.4, 0.8])
    both[:, 2] -= 0.4
    both[:, 3] += 1.2
    assert np.median(model.decision_function(both)) < 2 * np.median(calm)


def test_the_past_does_not_depend_on_the_future():
    model = RegressionContext().fit(plant())
    new, other = plant(seed=1), plant(seed=1)
    other[400:] = np.nan
    np.testing.assert_array_equal(
        model.decision_function(new)[:400], model.decision_function(other)[:400]
    )
