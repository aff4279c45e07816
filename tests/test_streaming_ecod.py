"""Streaming ECOD against shares counted anew in each window."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.stream.streaming_ecod import StreamingECOD


@pytest.mark.parametrize("decimals", [0, 8])
def test_scores_are_tail_shares_of_the_last_rows(decimals) -> None:
    # Rounded to whole numbers the values have many ties.
    X = np.random.default_rng(0).normal(size=(300, 3)).round(decimals)
    detector = StreamingECOD(window=40).fit(X)
    for i in (0, 1, 5, 39, 40, 41, 150, 299):
        last = np.vstack([X[max(i - 40, 0) : i], X[i]])
        left, right = (last <= X[i]).mean(axis=0), (last >= X[i]).mean(axis=0)
        expected = -np.log(np.minimum(left, right)).sum()
        assert detector.decision_scores_[i] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(detector.state_.ordered, np.sort(X[-40:].T, axis=1))


def test_scores_of_a_full_window_are_those_of_ecod_on_it() -> None:
    from awry.detectors import ECOD

    X = np.random.default_rng(1).normal(size=(200, 3))
    ours = StreamingECOD(window=199).fit(X[:199]).score_one(X[199])
    assert ours == pytest.approx(ECOD().fit(X).decision_scores_[199], rel=1e-9)


def test_no_change_of_scale_or_bend_of_a_feature_matters() -> None:
    X = np.random.default_rng(0).normal(size=(300, 2))
    one, other = (StreamingECOD().fit(Z).decision_scores_ for Z in (X, np.exp(X) * [1e-9, 1e9]))
    np.testing.assert_array_equal(one, other)
