"""The base of series detectors, and that the checks of series see what they are for."""

import re
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from awry.checks import series as checks
from awry.checks.common import example
from awry.core import registry
from awry.core.card import Card
from awry.core.series import (
    MAX_FILL,
    OnlineDetector,
    Series,
    SeriesDetector,
    check_series,
    join_channels,
    robust_moments,
)
from awry.detectors.series.ewma import EWMA

NAN = np.nan


def gap(length: int, n: int = 40, first: int = 10) -> Series:
    values = np.arange(float(n))[:, None]
    values[first : first + length] = NAN
    return Series(values)


# -- filling --------------------------------------------------------------------------------------


def test_short_gaps_are_filled_in_and_long_ones_are_holes() -> None:
    values, holes = gap(MAX_FILL).filled()
    np.testing.assert_allclose(values[:, 0], np.arange(40.0))
    assert not holes.any()
    values, holes = gap(MAX_FILL + 1).filled()
    assert np.flatnonzero(holes[:, 0]).tolist() == list(range(10, 10 + MAX_FILL + 1))
    assert np.isfinite(values).all()


def test_causal_filling_carries_forward_until_a_gap_shows_to_be_long() -> None:
    values, holes = gap(MAX_FILL + 3).filled(causal=True)
    assert (values[10 : 10 + MAX_FILL + 3, 0] == 9.0).all()
    assert np.flatnonzero(holes[:, 0]).tolist() == [10 + MAX_FILL + i for i in range(3)]


def test_what_comes_before_the_first_value_is_a_hole_where_nothing_may_look_ahead() -> None:
    series = gap(3, first=0)
    values, holes = series.filled(causal=True)
    assert holes[:, 0].tolist() == [True] * 3 + [False] * 37
    assert (values[:3] == 0).all()
    values, holes = series.filled()
    assert (values[:3] == 3.0).all()
    assert not holes.any()


def test_a_channel_without_a_value_is_one_hole_and_input_stays_as_it_was() -> None:
    given = np.column_stack([np.arange(30.0), np.full(30, NAN)])
    given[4, 0] = NAN
    before = given.copy()
    for causal in (False, True):
        values, holes = Series(given).filled(causal=causal)
        assert holes[:, 1].sum() >= 30 - MAX_FILL
        assert not holes[:, 0].any()
        assert (values[:, 1] == 0).all()
    np.testing.assert_array_equal(given, before)


def test_a_series_without_gaps_is_not_copied() -> None:
    values = np.ones((5, 2))
    assert Series(values).filled()[0] is values


GAPPED = arrays(float, (30, 2), elements=st.sampled_from([NAN, NAN, 1.0, -2.0, 7.0]))


@given(GAPPED, st.integers(1, 29))
def test_causal_filling_does_not_depend_on_the_future(values, n: int) -> None:
    whole, part = Series(values).filled(causal=True), Series(values[:n]).filled(causal=True)
    known = ~np.isnan(values[:n]).all(axis=0)  # a channel without a value yet may get one
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[:n, known], b[:, known])


@given(GAPPED, st.booleans())
def test_filling_keeps_what_is_known(values, causal: bool) -> None:
    filled, holes = Series(values).filled(causal=causal)
    known = ~np.isnan(values)
    np.testing.assert_array_equal(filled[known], values[known])
    assert np.isfinite(filled).all()
    assert not holes[known].any()


# -- joining --------------------------------------------------------------------------------------


def test_channels_join_in_a_four_norm() -> None:
    scores = np.abs(np.random.default_rng(0).normal(size=(20, 5)))
    expected = (scores**4).sum(axis=1) ** 0.25
    np.testing.assert_allclose(join_channels(scores), expected)
    # Near the largest, yet not below it.
    assert (expected >= scores.max(axis=1)).all()


def test_joining_knows_missing_huge_and_zero_scores() -> None:
    scores = np.array([[3.0, NAN], [NAN, NAN], [1e200, 1e200], [0.0, 0.0], [1e-300, 0.0]])
    joined = join_channels(scores)
    np.testing.assert_allclose(joined, [3.0, NAN, 1e200 * 2**0.25, 0.0, 1e-300], rtol=1e-12)
    line = np.array([1.0, NAN, 2.0])
    np.testing.assert_array_equal(join_channels(line), line)
    np.testing.assert_array_equal(join_channels(line[:, None]), line)


# -- input ----------------------------------------------------------------------------------------


def test_times_come_from_the_index_as_wall_clock() -> None:
    stamps = pd.date_range("2024-03-31", periods=5, freq="h", tz="Europe/Berlin")
    series = check_series(EWMA(), pd.Series(np.arange(5.0), index=stamps, name="load"), reset=True)
    assert series.times is not None
    # The clock goes from 2 to 3.
    assert [str(t)[11:13] for t in series.times] == ["00", "01", "03", "04", "05"]
    assert series[1:3].times.tolist() == series.times[1:3].tolist()
    assert check_series(EWMA(), pd.DataFrame({"a": [1.0, 2.0]}), reset=True).times is None


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([1.0, np.inf], "EWMA: input contains infinity at point 1, channel 0"),
        ([[NAN, NAN]] * 3, "holds no value, all 6 are missing"),
        (pd.Series([1.0, 2.0], index=pd.to_datetime(["2024-01-02", "2024-01-01"])), "ascend, poi"),
        (pd.Series([1.0, 2.0], index=pd.to_datetime(["2024-01-02"] * 2)), "point 1 (2024-01-02"),
        (["a", "b"], "could not convert"),
    ],
)
def test_bad_input_is_named(X, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        EWMA().fit(X)


def test_robust_moments_do_without_the_odd_and_the_missing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(5.0, 2.0, size=(4000, 4))
    values[:400, 0], values[::3, 0] = 1e6, NAN
    values[:, 1], values[:, 2] = NAN, 7.0
    values[:3900, 3] = 1.0  # the median deviation is 0
    center, scale = robust_moments(values)
    np.testing.assert_allclose(center, [5.0, 0.0, 7.0, 1.0], atol=0.5)
    np.testing.assert_allclose(scale, [2.0, 1.0, 1.0, values[:, 3].std()], atol=0.5)


# -- detectors ------------------------------------------------------------------------------------


def card(name: str, **more) -> Card:
    return Card(
        name=name, summary="For the test.", modality="series", family="none", paper="None",
        year=2000, fit_cost="O(1)", score_cost="O(1)", finds="-", misses="-", **more,
    )  # fmt: skip


@pytest.fixture
def clean_registry():
    known = dict(registry._by_name)
    yield
    registry._by_name.clear()
    registry._by_name.update(known)


@pytest.fixture
def product(clean_registry):
    """A detector of points whose channels do not have the same sign, with one score a point."""

    class Product(SeriesDetector):
        card: ClassVar[Card] = card("product_for_the_test")

        def __init__(self, contamination=None):
            self.contamination = contamination

        def _fit(self, X, y):
            self.fitted_ = True

        def _score(self, X):
            return np.abs(X.values).prod(axis=1)

    return Product()


def test_what_cannot_be_judged_scores_like_an_ordinary_point(product) -> None:
    X = np.random.default_rng(0).normal(size=(101, 2))
    X[50] = NAN
    product.fit(X)
    judged = np.abs(np.delete(X, 50, axis=0)).prod(axis=1)
    assert product.neutral_ == np.median(judged)
    assert product.decision_scores_[50] == product.neutral_
    assert product.decision_function([[NAN, 1.0]])[0] == product.neutral_


def test_explanations_of_joint_scores_say_what_taking_a_channel_out_changes(product) -> None:
    X = np.random.default_rng(0).normal(loc=1.0, scale=0.1, size=(200, 2))
    product.fit(X)
    why = product.explain([[30.0, 1.0], [1.0, 30.0], [30.0, 30.0]])
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total)
    assert why.values[0, 0] > 0.95 * why.values[0].sum()
    assert why.values[1, 1] > 0.95 * why.values[1].sum()
    np.testing.assert_allclose(why.values[2, 0], why.values[2, 1], rtol=0.05)


def test_explanations_of_channels_are_their_shares() -> None:
    X = np.random.default_rng(0).normal(size=(300, 3))
    model = EWMA(weight=1.0).fit(X)
    new = np.array([[9.0, 0.0, 0.0], [0.0, 8.0, -8.0], [NAN, NAN, 7.0]])
    why = model.explain(new)
    np.testing.assert_allclose(why.values.sum(axis=1), why.total)
    assert why.values[0].argmax() == 0
    assert why.values[1, 0] < 0.01 < 0.4 < why.values[1, 1] / why.total[1] < 0.6
    assert why.values[2].tolist() == [0.0, 0.0, why.total[2]]


def test_partial_fit_begins_with_a_fit_and_goes_on() -> None:
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = EWMA(warmup=100).partial_fit(X[:150]).partial_fit(X[150:])
    whole = EWMA(warmup=100).fit(X)
    for a, b in zip(model.state_, whole.state_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_scores_of_channels_join_to_that_of_the_point() -> None:
    X = np.random.default_rng(0).normal(size=(200, 3))
    model, same = EWMA().fit(X), EWMA().fit(X)
    X[3, 1] = NAN
    channels = model.update(X, join=False)
    assert channels.shape == X.shape
    assert channels[3, 1] == model.neutral_ == 0.0
    np.testing.assert_array_equal(join_channels(channels), same.update(X))


def test_one_point_is_scored_without_being_learnt() -> None:
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = EWMA().fit(X)
    first = model.score_one([1.0, NAN])
    assert model.score_one([1.0, NAN]) == first == model.update([[1.0, NAN]])[0]
    assert model.learn_one([3.0, 1.0]).score_one([1.0, 1.0]) != first
    for bad in ([1.0], [1.0, np.inf]):
        with pytest.raises(ValueError, match="2 finite values"):
            model.learn_one(bad)


# -- the checks -----------------------------------------------------------------------------------


def online(name: str, advance) -> OnlineDetector:
    """An EWMA that does something else with the next points."""
    made = type(name, (EWMA,), {"card": card(name, online=True), "_advance": advance})
    return made()


def looking_ahead(self, state, X):
    scores = EWMA._advance(self, state, X)
    return scores + 0.5 * np.roll(scores, -1, axis=0)


def forgetting(self, state, X):
    return EWMA._advance(self, state._replace(level=state.level.copy()), X)


def teaching(self, X):
    return self._advance(self.state_, X)


def stumbling(self, state, X):
    if np.isnan(X.values).any():
        raise ValueError("missing")
    return EWMA._advance(self, state, X)


@pytest.mark.parametrize(
    ("advance", "check", "error"),
    [
        (looking_ahead, checks.check_series_causal, AssertionError),
        (looking_ahead, checks.check_series_online, AssertionError),
        (forgetting, checks.check_series_online, AssertionError),
        (forgetting, checks.check_series_one_pass, AssertionError),
        (stumbling, checks.check_series_missing, ValueError),
    ],
)
def test_the_checks_catch(clean_registry, advance, check, error) -> None:
    check(online("sound_for_the_test", EWMA._advance))
    with pytest.raises(error):
        check(online("broken_for_the_test", advance))


def test_the_checks_catch_scores_that_teach(clean_registry, monkeypatch) -> None:
    broken = online("broken_for_the_test", EWMA._advance)
    monkeypatch.setattr(type(broken), "_score", teaching)
    with pytest.raises(AssertionError, match="scoring taught"):
        checks.check_series_online(broken)


def test_the_planted_burst_is_what_a_detector_must_find(clean_registry) -> None:
    X, y = example(EWMA())
    assert X.shape == (600, 2)
    assert np.abs(X[y == 1]).min() > np.abs(X[y == 0]).max()
    blind = online("blind_for_the_test", lambda self, state, X: np.zeros(X.values.shape))
    with pytest.raises(AssertionError):
        checks.check_series_anomalies_are_found(blind)
