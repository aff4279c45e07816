"""The online autoencoder learns on, a batch at a time, as Adam does, and not from what is odd."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from awry.core.online import own_copy
from awry.detectors.stream.online_autoencoder import OnlineAutoEncoder


def plane(n: int, turned: bool = False, seed: int = 0) -> np.ndarray:
    """Rows near a plane in four dimensions; turned, near another."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n, 1))
    rows = np.hstack([a, b, a + b, a - b]) if not turned else np.hstack([a, b, b - a, -a - b])
    return rows + 0.05 * rng.normal(size=(n, 4))


def small(**params):
    return OnlineAutoEncoder(**{"epochs": 15, "lr": 5e-3, "random_state": 0, **params})


def test_it_learns_what_is_new_and_unlearns_what_was() -> None:
    detector = small().fit(plane(640))
    old, new = plane(200, seed=1), plane(200, turned=True, seed=1)
    before = [np.median(detector.decision_function(X)) for X in (old, new)]
    assert before[1] > 10 * before[0]
    scores = detector.update(plane(6400, turned=True, seed=2))
    assert np.median(scores[-640:]) < 0.2 * np.median(scores[:32])
    after = [np.median(detector.decision_function(X)) for X in (old, new)]
    assert after[0] > 5 * after[1]


def test_a_step_is_that_of_torchs_adam() -> None:
    detector = small(batch_size=16, trim=0.0).fit(plane(160))
    X = plane(48, turned=True, seed=3)
    state, learner = own_copy(detector.state_), detector._of(detector.state_)
    learner.terms(state.weights, X)
    adam = torch.optim.Adam(learner.network.parameters(), lr=5e-3)
    start, steps = learner.weights, 160 // 16
    # The moments are those of the steps before.
    shapes = [p.shape for p in learner.network.parameters()]
    cuts = np.cumsum([s.numel() for s in shapes])[:-1]
    for p, shape, *moments in zip(
        learner.network.parameters(), shapes, *(np.split(m.copy(), cuts) for m in state.moments),
        strict=True,
    ):  # fmt: skip
        first, second = (torch.tensor(m).reshape(shape) for m in moments)
        adam.state[p] = {"step": torch.tensor(float(steps)), "exp_avg": first, "exp_avg_sq": second}
    for rows in np.split((X - state.center) / state.scale, 3):
        adam.zero_grad()
        learner.network.terms(torch.from_numpy(rows)).mean().backward()
        torch.nn.utils.clip_grad_norm_(learner.network.parameters(), 5.0)
        adam.step()
    expected = learner.weights
    detector.update(X)
    np.testing.assert_allclose(detector.state_.weights, expected, rtol=1e-6, atol=1e-9)
    assert not np.allclose(expected, start)


def test_a_tenth_of_anomalies_is_not_learnt() -> None:
    rng = np.random.default_rng(5)
    X = plane(6400, seed=4)
    odd = np.arange(0, len(X), 16)
    X[odd] = [3.0, 3.0, -6.0, 4.0] + 0.05 * rng.normal(size=(len(odd), 4))
    trimmed, plain = (small(trim=trim).fit(plane(640)) for trim in (0.1, 0.0))
    late = [detector.update(X)[odd][-50:].mean() for detector in (trimmed, plain)]
    assert late[0] > 3 * late[1]
