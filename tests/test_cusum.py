import numpy as np
import pytest

from awry.detectors.series.cusum import CUSUM
from awry.kernels import control
from oracles_series import SHIFTED, cusum


def run(x: np.ndarray, k: float, h: float, center: float = 0.0, scale: float = 1.0):
    up, down, scores = np.zeros(1), np.zeros(1), np.empty((len(x), 1))
    control.cusum(x[:, None], np.array([center]), np.array([scale]), k, h, up, down, scores)
    return scores[:, 0], up[0], down[0]


def test_montgomerys_example() -> None:
    # Table 9.2, the larger of C+ and C-: k = 0.5, h = 5; the first signal is point 29.
    scores, up, down = run(SHIFTED, 0.5, np.inf, center=10.0)
    expected = [
        0.05, 1.56, 1.77, 1.16, 2.82, 2.50, 1.46, 1.00, 0.30, 0.00,
        0.47, 0.97, 0.98, 0.10, 0.00, 0.13, 0.12, 0.00, 0.98, 0.34,
        0.74, 0.17, 1.79, 2.79, 2.89, 3.47, 3.35, 4.47, 5.28, 5.30,
    ]  # fmt: skip
    np.testing.assert_allclose(scores[22:], expected[22:], atol=1e-9)
    assert np.flatnonzero(scores > 5)[0] == 28
    np.testing.assert_allclose((up, down), (5.30, 0.0), atol=1e-9)


@pytest.mark.parametrize("h", [2.0, 5.0, np.inf])
def test_kernel_against_its_oracle(h: float) -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    x[50:60] = np.nan
    scores, *_ = run(x, 0.4, h, center=2.5, scale=1.7)
    np.testing.assert_allclose(scores, cusum(x, 2.5, 1.7, 0.4, h), rtol=1e-12)


@pytest.mark.parametrize(
    ("h", "shift", "length"), [(5.0, 0.0, 465.0), (4.0, 0.0, 168.0), (5.0, 1.0, 10.4)]
)
def test_average_run_lengths_are_the_tables(h: float, shift: float, length: float) -> None:
    # Montgomery, tables 9.3 and 9.4 (k = 0.5, two-sided).
    x = np.random.default_rng(0).normal(shift, size=1_000_000)
    scores, *_ = run(x, 0.5, h)
    assert abs(len(x) / np.sum(scores > h) / length - 1) < 0.08


def test_a_lasting_shift_is_a_new_signal_each_time_or_one_that_grows() -> None:
    x = np.r_[np.random.default_rng(0).normal(size=300), np.full(100, 2.0)]
    again = CUSUM(warmup=300).fit(x).decision_scores_[300:]
    growing = CUSUM(h=None, warmup=300).fit(x).decision_scores_[300:]
    assert 10 < np.sum(again > 5) < 50
    assert again.max() < 8
    assert (np.diff(growing) > 0).all()
    assert growing[-1] > 80
