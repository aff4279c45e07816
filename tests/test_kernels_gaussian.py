"""The Gaussian kernel against plain differences, and its exponential against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

import oracles
from awry.kernels import gaussian as kernels

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0.0, 1e4])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (40, 70, 5), (3, 600, 90)])
def test_kernel_equals_plain_differences_even_far_from_the_origin(n, m, d, shift):
    X, C = RNG.normal(size=(n, d)) + shift, RNG.normal(size=(m, d)) + shift
    expected = oracles.log_kernel(X, C)
    np.testing.assert_allclose(kernels.log_kernel(X, C), expected, rtol=1e-9)
    np.testing.assert_allclose(kernels.gaussian_kernel(X, C), np.exp(expected), rtol=1e-6)


def test_equal_rows_are_at_distance_zero_exactly_and_no_others():
    X = RNG.normal(size=(50, 7)) * 1e3
    near = X * (1 + 1e-15)
    logs = kernels.log_kernel(X, np.vstack([X, near]))
    assert (np.diag(logs) == 0).all()
    assert (np.diag(logs[:, 50:])[(near != X).any(axis=1)] < 0).all()
    assert ((logs == 0).sum(axis=1) == 1).all()


def test_one_of_several_copies_is_left_out():
    X = np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]])
    logs = kernels.log_kernel(X, X[[0, 1, 0, 0]])
    found = kernels.leave_out_self(logs)
    assert found.tolist() == [True, True, False]
    assert np.isneginf(logs).sum(axis=1).tolist() == [1, 1, 0]
    assert (logs[0] == 0).sum() == 2


@given(st.lists(st.floats(-707, 700), min_size=1, max_size=40))
def test_exponential_equals_numpys_to_the_last_place(values):
    expected = np.exp(np.array(values))
    out = np.array(values)
    kernels.exp_in_place(out)
    np.testing.assert_allclose(out, expected, rtol=4.5e-16)


def test_exponential_of_very_negative_values_vanishes_over_several_blocks():
    values = np.full(1300, -np.inf)
    values[::3], values[1::3] = -1e300, 0.0
    kernels.exp_in_place(values)
    assert (values[1::3] == 1).all()
    assert (np.delete(values, np.s_[1::3]) < 1e-300).all()
    assert np.isfinite(values).all()


def test_log_sum_exp_of_rows_that_would_underflow():
    logs = RNG.normal(scale=300, size=(20, 1100)) - 1e5
    logs[:, 7] = -np.inf
    expected = logsumexp(logs, axis=1)
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    np.testing.assert_allclose(kernels.log_sum_exp(logs), expected, rtol=1e-14)
    np.testing.assert_allclose(logs, shares, atol=1e-15)
