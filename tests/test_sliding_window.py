"""A window's detector is the one fitted to the latest rows, whoever fits it and when."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

from awry import io
from awry.core.params import ParameterError
from awry.detectors import HBOS
from awry.detectors.stream.sliding_window import SlidingWindow


def stream(n=1000):
    return np.random.default_rng(0).normal(size=(n, 3)) + np.linspace(0, 8, n)[:, None]


def small(**params):
    given = {"window_size": 200, "update_frequency": 50, "late": "wait", "random_state": 0}
    return SlidingWindow(**{"detector": "hbos", **given, **params})


class Slow(HBOS):
    """Fits when it is told to."""

    go = threading.Event()

    def _fit(self, X, y):
        if threading.current_thread() is not threading.main_thread():
            assert self.go.wait(20)
        return super()._fit(X, y)


def test_every_row_is_judged_by_a_fit_to_the_window_before() -> None:
    X = stream()
    for background, lag in ((False, 0), (True, 50)):
        scores = small(warmup=300, background=background).fit(X).decision_scores_
        for i in (350, 399, 400, 777, 999):
            end = i // 50 * 50 - lag
            fresh = HBOS().fit(X[end - 200 : end])
            assert scores[i] == fresh.decision_function(X[i : i + 1])[0]


def test_a_window_follows_where_a_single_fit_does_not() -> None:
    X = stream()
    still = HBOS().fit(X[:300]).decision_function(X[900:])
    moving = small(warmup=300).fit(X).decision_scores_[900:]
    assert np.median(still) > np.median(moving) + 1
    # Once it has moved away so far that all is beyond what was learnt, nothing is told apart.
    assert len(np.unique(still)) < len(np.unique(moving))


def test_a_slow_fit_does_not_stall_the_stream() -> None:
    X = stream()
    Slow.go.clear()
    detector = SlidingWindow(Slow(), window_size=200, update_frequency=50).fit(X[:200])
    first = detector.detector_
    detector.update(X[200:900])
    assert detector.detector_ is first
    pending = detector._pending
    Slow.go.set()
    pending.result(20)
    detector.update(X[900:1000])
    assert detector.detector_ is not first


def test_the_threshold_goes_with_the_detector() -> None:
    detector = small(contamination=0.1, background=False).fit(stream(400))
    X = 100 * stream(250)
    detector.update(X)
    assert detector.threshold_ == HBOS(contamination=0.1).fit(X[50:]).threshold_
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)


def test_a_fit_under_way_is_begun_again_after_loading() -> None:
    X = stream()
    whole = small().fit(X[:320])
    assert whole.state_.clock[2] == 300
    copies = [io.loads(io.dumps(whole)), copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))]
    expected = whole.update(X[320:])
    for again in copies:
        assert np.array_equal(again.update(X[320:]), expected)


def test_a_failing_fit_is_told_and_the_last_goes_on(caplog) -> None:
    class Failing(HBOS):
        def _fit(self, X, y):
            if X[0, 0] > 50:
                raise ValueError("no fit to this")
            return super()._fit(X, y)

    for background in (True, False):
        detector = small(detector=Failing(), background=background).fit(stream(300))
        first = detector.detector_
        detector.update(stream(200) + 100)
        caplog.clear()
        detector.update(stream(100) + 100)
        assert "no fit to this" in caplog.text
        assert type(detector.detector_) is type(first)


def test_what_cannot_be_wrapped_is_refused() -> None:
    for name in ("half_space_trees", "devnet"):
        with pytest.raises(ParameterError, match="must judge new rows of a table"):
            SlidingWindow(name).fit(stream(100))
