"""xStream against cells counted exactly, and with fields that come and go."""

from __future__ import annotations

import numpy as np
import pytest

from awry import io
from awry.detectors.stream.xstream import XStream, hashed
from oracles_stream import chain_scores


def stream(n=300, d=4):
    return np.random.default_rng(0).normal(size=(n, d))


def small(**params):
    return XStream(**{"n_estimators": 30, "random_state": 0, **params})


def test_scores_are_those_of_exact_counts_where_no_two_cells_meet() -> None:
    X = stream(160)
    settings = {"n_components": 7, "n_estimators": 6, "max_depth": 8, "n_buckets": 1 << 15}
    detector = small(window=40, **settings).fit(X)
    state = detector.state_
    z = (X - state.center) / state.scale @ state.weights
    expected = chain_scores(z, state, 40)
    np.testing.assert_allclose(detector.decision_scores_, np.nan_to_num(expected), rtol=1e-9)


def test_names_are_hashed_as_the_paper_has_it() -> None:
    many = np.concatenate([hashed(3, f"name {i}", 50) for i in range(400)])
    value = np.sqrt(3 / 50)
    assert set(np.unique(many)) == {-value, 0.0, value}
    assert np.abs([(many == v).mean() for v in (-value, value)] - np.full(2, 1 / 6)).max() < 0.01
    # Distances are kept, for which Achlioptas's constants are there.
    assert abs(50 * (many**2).mean() - 1) < 0.03
    assert not np.array_equal(hashed(3, "a", 50), hashed(4, "a", 50))


def test_small_sketches_never_count_too_little() -> None:
    X = stream(800)
    wide, narrow = (small(n_buckets=b).fit(X).decision_scores_ for b in (1 << 14, 64))
    assert (narrow <= wide + 1e-9).all()
    assert (narrow < wide - 0.1).any()


def test_a_record_is_the_row_of_its_known_fields() -> None:
    X = stream(600)
    detector = small().fit(X)
    for row in X[:5]:
        named = {f"x{j}": v for j, v in enumerate(row)}
        assert detector.score_one(named) == pytest.approx(detector.score_one(row), abs=1e-9)
    # What is missing is typical.
    typical = {"x0": X[0, 0]} | {f"x{j}": detector.state_.center[j] for j in (1, 2, 3)}
    assert detector.score_one({"x0": X[0, 0]}) == detector.score_one(typical)


def test_a_new_field_is_odd_until_it_is_usual() -> None:
    X = stream(1024)
    detector = small().fit(X)
    usual = {f"x{j}": 0.0 for j in range(4)}
    odd = {**usual, "protocol": "telnet", "bytes": 4e6}
    calm, before = detector.score_one(usual), detector.score_one(odd)
    assert before > calm + 1
    again = io.loads(io.dumps(detector))
    for row in stream(512):
        again.learn_one(
            {**{f"x{j}": v for j, v in enumerate(row)}, "protocol": "telnet", "bytes": 4e6}
        )
    assert again.score_one(odd) < before - 1
    # A row without it is now the odd one.
    assert again.score_one(usual) > again.score_one(odd)


def test_what_was_a_window_ago_is_forgotten() -> None:
    X = stream(2048)
    X[1024:] += 6
    scores = small().fit(X).decision_scores_
    assert scores[1024:1100].mean() > scores[600:1024].mean() + 1
    assert abs(scores[1600:].mean() - scores[600:1024].mean()) < 0.5
