import numpy as np
import pytest

from awry.detectors.series.nelson_rules import NelsonRules
from oracles_series import rules_broken

#: A calm training series whose center is 0 and scale 1.
CALM = np.tile([0.0, 0.6745, -0.6745], 100) / 0.6745 / 1.4826 * 1.0


@pytest.fixture(scope="module")
def nelson() -> NelsonRules:
    model = NelsonRules().fit(CALM)
    model.state_.runs[:] = 0
    model.state_.last[:] = np.nan
    return model


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.6, 0.95])
def test_the_rules_by_their_words(nelson: NelsonRules, rho: float) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000)
    for t in range(1, len(z)):
        z[t] = rho * z[t - 1] + np.sqrt(1 - rho**2) * z[t]
    z[100:130] *= 0.2
    z[200] = z[201]
    expected = rules_broken(z)
    broken = nelson.rules_broken(z)[:, 0]
    np.testing.assert_array_equal(broken, expected)
    np.testing.assert_array_equal(nelson.decision_function(z) > 3, expected.any(axis=1))
    assert broken[:, :3].any() or rho < 0


def test_every_rule_is_broken_by_its_own_example(nelson: NelsonRules) -> None:
    examples = [
        [0.0, 3.1],
        [0.2, 0.4, 0.3] * 3,
        [-0.9, -0.5, -0.1, 0.3, 0.6, 0.9],
        [0.5, -0.5] * 7,
        [2.1, 0.0, 2.2],
        [1.1, 1.2, 0.5, 1.3, 1.1],
        [0.3, -0.2, -0.4, 0.6, 0.1] * 3,
        [1.2, -1.3, -1.2, 1.6] * 2,
    ]
    for rule, z in enumerate(examples):
        found = nelson.rules_broken(np.array(z))[:, 0, rule]
        assert found[-1], nelson.rules_[rule]
        assert not found[:-1].any(), nelson.rules_[rule]


def test_severity_grows_with_the_distance_and_the_run(nelson: NelsonRules) -> None:
    far = nelson.decision_function([[3.5]])[0], nelson.decision_function([[7.0]])[0]
    np.testing.assert_allclose(far, (3.5, 7.0))
    run = nelson.decision_function(np.tile([0.2, 0.4, 0.3], 20))
    assert run[7] < 3 < run[8] < run[-1] < 6


def test_western_electric_has_four_rules_and_wants_eight_on_a_side() -> None:
    model = NelsonRules(rules="western_electric").fit(CALM)
    model.state_.runs[:] = 0
    broken = model.rules_broken(np.array([0.2, 0.4, 0.3, 0.5] * 2))
    assert broken.shape == (8, 1, 4)
    assert broken[-1, 0].tolist() == [False, False, False, True]
    assert not broken[:-1].any()
    assert "8 points" in model.rules_[3]


def test_missing_points_do_not_break_a_run(nelson: NelsonRules) -> None:
    z = np.array([0.2, 0.4, 0.3, 0.5, np.nan, 0.2, 0.4, np.nan, 0.3, 0.5, 0.2])
    broken = nelson.rules_broken(z)[:, 0, 1]
    assert np.flatnonzero(broken).tolist() == [10]
