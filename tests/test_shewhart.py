import numpy as np
import pytest

from awry import io
from awry.detectors.series.shewhart import Shewhart
from oracles_series import LOANS, shewhart


def test_montgomerys_example_of_individuals() -> None:
    # Example 6.5: mean 300.5, mean moving range 7.79, limits 279.78 and 321.22.
    model = Shewhart(scale="range").fit(LOANS)
    assert model.state_.center[0] == 300.5
    low, high = 279.78, 321.22
    np.testing.assert_allclose(model.decision_function([low, high]), 3.0, atol=0.002)


def test_ranges_of_subgroups_estimate_the_scale_within_them() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(scale=5.0, size=400), 5) + rng.normal(scale=2.0, size=2000)
    within = Shewhart(subgroup=5, scale="range").fit(x).state_.scale[0]
    assert abs(within / 2.0 - 1) < 0.05
    assert Shewhart(subgroup=5).fit(x).state_.scale[0] > 4.5


@pytest.mark.parametrize(("subgroup", "window"), [(1, None), (4, None), (1, 30), (3, 7)])
def test_kernel_against_its_oracle(subgroup: int, window: int | None) -> None:
    rng = np.random.default_rng(0)
    train, x = rng.normal(1e4, 1.0, size=200), rng.normal(1e4 + 3, 1.0, size=300)
    x[40:45] = np.nan
    x[100:140] = 1e4
    model = Shewhart(subgroup=subgroup, window=window, warmup=len(train)).fit(train[: len(train)])
    # The chart goes through the warm-up as well, so start from there.
    center, scale = np.median(train), 1.4826 * np.median(np.abs(train - np.median(train)))
    expected = shewhart(np.r_[train, x], center, scale, 0.05 * scale, subgroup, window or 0)[200:]
    np.testing.assert_allclose(
        model._score(model._check_input(x, reset=False))[:, 0], expected, rtol=1e-6, atol=1e-6
    )


def test_means_of_subgroups_show_what_single_points_hide() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    x[800:] += 1.5
    single = Shewhart(warmup=500).fit(x).decision_scores_
    grouped = Shewhart(subgroup=10, warmup=500).fit(x).decision_scores_
    assert (grouped[809::10] > 3).mean() > 0.8 > 0.3 > (single[800:] > 3).mean()
    assert (grouped[509:800:10] > 3).mean() < 0.1


def test_rolling_limits_follow_a_trend_with_no_rounding_left_over() -> None:
    x = np.random.default_rng(0).normal(size=5000) + 1e5 * np.arange(5000)
    model = Shewhart(window=50, warmup=100).fit(x)
    tail = x[-50:]
    np.testing.assert_allclose(model.state_.center[0], tail.mean(), rtol=1e-12)
    np.testing.assert_allclose(model.state_.scale[0], tail.std(ddof=1), rtol=1e-9)
    fixed = Shewhart(warmup=100).fit(x)
    assert fixed.decision_scores_[-1] > 50 > 3 > model.decision_scores_[-1]
    assert np.array_equal(io.loads(io.dumps(model)).state_.ring, model.state_.ring)
