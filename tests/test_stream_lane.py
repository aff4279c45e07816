"""Judging of a partition: what comes out depends on the order of its events alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import awry
from awry import io
from awry.core.errors import DataError, ModelError
from awry.core.params import ParameterError
from awry.data.tables import as_table
from awry.detectors.tabular.ecod import ECOD
from awry.kernels import key_features, online_scale
from awry.model import Model
from awry.stream.edges import Edges
from awry.stream.episodes import Episodes
from awry.stream.features import KeyFeatures
from awry.stream.fields import Fields
from awry.stream.formats import decoder
from awry.stream.keys import KeyStore, TemporarySpill
from awry.stream.lane import Checkpoint, Lane
from awry.stream.plan import Plan, seconds
from awry.stream.reasons import Allowance
from awry.stream.records import Batch, Position
from awry.stream.rules import make_rule
from awry.stream.threshold import BLOCK, OnlineThreshold
from awry.stream.watermark import Held, Watermark


def events(n: int, keys: int = 30) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found = [
        {"k": f"k{rng.integers(keys)}", "at": 1e9 + 20.0 * i + float(rng.uniform(0, 100)),
         "a": float(rng.normal()), "b": float(rng.lognormal()), "c": "xyz"[rng.integers(3)],
         "lat": 48.0, "lon": 11.0 + 0.01 * float(rng.random())}
        for i in range(n)
    ]  # fmt: skip
    for i in range(900, n, 100):
        found[i]["a"] = 40.0
    return found


def run(plan: Plan, records: list[dict[str, Any]], cut: int, *, reload: bool = False) -> Any:
    """Scores, severities and offsets of records taken ``cut`` at a time."""
    spill = TemporarySpill()
    lane = Lane(plan, "t", 0, spill)
    parts = []
    for at in range(0, len(records), cut):
        some = [json.dumps(r).encode() for r in records[at : at + cut]]
        offsets = list(range(at, at + len(some)))
        lane.feed(Batch("t", 0, offsets, some, Position(at + len(some)), 2e9))
        parts += lane.judged
        lane.clear()
        if reload:
            saved = lane.save()
            if lane.store is not None:
                lane.store.put_away()
            lane = Lane(plan, "t", 0, spill, saved)
    lane.drain()
    parts += lane.judged
    columns = ("offsets", "scores", "severity", "times")
    return {name: np.concatenate([getattr(p, name) for p in parts]) for name in columns}


PLANS = {
    "plain": {},
    "trees": {"detector": "half_space_trees", "params": {"max_depth": 4}},
    "batch detector": {"detector": "ecod"},
    "keys": {"key": "k", "time": "at", "amount": "b", "place": ("lat", "lon"), "capacity": 16},
    "a detector a key": {"key": "k", "per_key": True, "capacity": 16},
    "in order": {"time": "at", "lateness": 60.0},
}


@pytest.mark.parametrize("name", PLANS)
def test_neither_cuts_nor_restarts_change_what_comes_out(name: str) -> None:
    records = events(1_500)
    plans = [Plan(**{"ignore": ("at", "k"), **PLANS[name]}) for _ in range(3)]
    whole = run(plans[0], records, 1_500)
    assert sorted(whole["offsets"]) == list(range(1_500))
    assert (whole["severity"] > 0).any() or name not in ("plain", "keys")
    for other in (run(plans[1], records, 77), run(plans[2], records, 130, reload=True)):
        for column, values in whole.items():
            np.testing.assert_array_equal(other[column], values, err_msg=column)


def test_planted_anomalies_are_found() -> None:
    found = run(Plan(ignore=("at", "k", "lat", "lon")), events(3_000), 500)
    flagged = set(found["offsets"][found["severity"] > 0])
    assert set(range(900, 3_000, 100)) <= flagged
    assert len(flagged) < 35


def test_a_key_is_held_beside_its_own_past() -> None:
    rng = np.random.default_rng(1)
    usual = {f"k{i}": 10.0 ** (i % 4) for i in range(20)}
    records = [
        {"k": k, "at": 1e9 + 60.0 * i, "b": usual[k] * float(rng.uniform(0.9, 1.1))}
        for i, k in enumerate(rng.choice(list(usual), 4_000))
    ]
    # An amount that is usual, but not of this key.
    records[3_500] |= {"k": "k0", "b": 500.0}
    shared = {"ignore": ("at", "k"), "time": "at"}
    blind = run(Plan(**shared), records, 500)["scores"]
    aware = run(Plan(key="k", amount="b", **shared), records, 500)["scores"]
    assert (blind[300:] > blind[3_500]).mean() > 0.05
    assert aware[3_500] == np.nanmax(aware[1_000:])


def test_features_of_keys_are_what_they_are_called() -> None:
    features = KeyFeatures(16, TemporarySpill())
    at = 1_700_000_000.0
    time = at + np.array([0.0, 60.0, 120.0, 4_000.0, 3_990.0])
    amount = np.array([10.0, 20.0, 15.0, 30.0, np.nan])
    place = np.array([[0.0, 0.0], [0.0, 1.0], [np.nan, 0.0], [0.0, 1.0], [0.0, 2.0]])
    X = features.update(["k"] * 5, time, amount, place)
    assert X[:3, 0].tolist() == [1.0, 2.0, 3.0]
    assert X[3, 0] <= 2.0
    # Before the third: 10 and 20, mean 15, spread 5. Before the fourth: mean 15, spread 4.08.
    np.testing.assert_allclose(X[2:4, 1], [0.0, 15 / np.std([10, 20, 15])])
    np.testing.assert_allclose(X[1:4, 2], np.log1p([60.0, 60.0, 3_880.0]))
    degree = 2 * np.pi * 6371.0088 / 360
    np.testing.assert_allclose(X[[1, 3], 3], [degree, 0.0], atol=1e-9)
    np.testing.assert_allclose(X[1, 4], degree * 60)
    # The fifth came late: no time since the last, and its place is not the last one.
    assert X[4, 2] == 0.0
    later = features.update(["k"], time[3:4] + 60, amount[:1], place[3:4])
    assert later[0, 3] == 0.0
    fresh = features.update(["other"], time[:1], amount[:1], place[:1])[0]
    assert fresh[0] == 1.0
    assert np.isnan(fresh[1:]).all()


def test_amounts_and_places_need_no_time() -> None:
    features, unknown = KeyFeatures(16, TemporarySpill()), np.full(3, np.nan)
    place = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    X = features.update(["k"] * 3, unknown, np.array([10.0, 20.0, 20.0]), place)
    np.testing.assert_allclose(X[2, 1], 1.0)
    np.testing.assert_allclose(X[1:, 3], [2 * np.pi * 6371.0088 / 360, 0.0])
    assert np.isnan(X[:, [0, 2, 4]]).all()


def test_thirty_days_pass() -> None:
    features = KeyFeatures(16, TemporarySpill())
    days = np.arange(40)
    X = features.update(
        ["k"] * 40, 1.7e9 + 86_400.0 * days, np.where(days < 5, 1_000.0, 10.0 + days % 3),
        np.full((40, 2), np.nan),
    )  # fmt: skip
    assert X[20, 1] < 0
    assert abs(X[39, 1]) < 2  # the large ones are forgotten


def test_a_distance_is_the_length_of_the_great_circle() -> None:
    # Paris to New York.
    assert key_features.kilometres(48.8566, 2.3522, 40.7128, -74.0060) == pytest.approx(5837, abs=3)


def test_a_key_store_forgets_nothing_within_its_bound() -> None:
    rng, spill = np.random.default_rng(0), TemporarySpill()
    start = {"n": np.zeros(1), "m": np.zeros((2, 2), dtype=np.int32), "empty": np.zeros((0, 3))}
    store, true = KeyStore(start, 50, spill), {}
    for _ in range(300):
        keys = [f"k{i}" for i in rng.integers(400, size=20)]
        for key, slot in zip(keys, store.slots(keys), strict=True):
            store.arrays["n"][slot] += 1
            store.arrays["m"][slot, 1, 0] -= 1
            true[key] = true.get(key, 0) + 1
        if store.crowded:
            store.put_away()
        assert len(store) <= 70
    slots = store.slots(list(true)[:20])
    assert [int(store.arrays["n"][s, 0]) for s in slots] == [true[k] for k in list(true)[:20]]
    assert [int(-store.arrays["m"][s, 1, 0]) for s in slots] == [true[k] for k in list(true)[:20]]


def test_keys_used_of_late_stay_in_memory() -> None:
    asked: list[str] = []

    class Spy(TemporarySpill):
        def load(self, keys: Sequence[str]) -> Mapping[str, bytes]:
            asked.extend(keys)
            return super().load(keys)

    store = KeyStore({"n": np.zeros(1)}, 4, Spy())
    for keys in (["a", "b", "c", "d"], ["a", "c", "a"], ["e"], ["f"], ["a", "c", "e", "f"]):
        store.slots(keys)
        store.put_away()
    assert asked == [*"abcdef"]
    store.slots(["b"])
    store.put_away()
    store.slots(["c", "e", "f", "b"])
    assert asked == [*"abcdefb"]


def test_a_record_of_another_size_is_refused() -> None:
    spill = TemporarySpill()
    spill.save([("k", b"1234")])
    with pytest.raises(ModelError, match="must have 8 bytes"):
        KeyStore({"n": np.zeros(1)}, 4, spill).slots(["k"])


# -- fields ---------------------------------------------------------------------------------------


def test_fields_are_taken_for_what_they_are() -> None:
    records: list[dict[str, Any]] = [
        {"id": i, "name": f"n{i}", "at": f"2024-01-01T00:{i // 60:02}:{i % 60:02}",
         "s": "ab"[i % 2], "n": f"{i % 9}", "o": {"x": i % 5}, "l": [1], "none": None,
         "flag": i % 2 == 0}
        for i in range(100)
    ]  # fmt: skip
    fields = Fields()
    X = fields.fit(records)
    assert fields.numbers_ == ["n", "o.x", "flag"]
    assert fields.texts_ == ["s"]
    assert X.shape == (100, 4)


def test_what_is_missing_or_new_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    records = [{"a": float(a), "b": float(b)} for a, b in rng.normal(size=(300, 2)) * [1, 1e6]]
    fields = Fields()
    fields.fit(records)
    before = fields.mean_.copy(), fields.var_.copy()
    odd: list[dict[str, Any]] = [
        {}, {"a": None, "b": float("nan")}, {"a": "what", "b": float("inf")}, {"a": [1], "new": 3},
    ]  # fmt: skip
    assert (fields.transform(odd) == 0).all()
    np.testing.assert_array_equal((fields.mean_, fields.var_), before)
    assert fields.unknown_ == {"new": 1}
    # Whatever the unit, a deviation is told in standard deviations.
    np.testing.assert_allclose(fields.transform([{"a": 10.0, "b": 1e7}]), 10.0, rtol=0.25)


def test_scales_follow_the_stream_and_no_outlier() -> None:
    rng = np.random.default_rng(0)
    fields = Fields(weight=0.01)
    fields.fit([{"a": float(a)} for a in rng.normal(size=300)])
    fields.transform([{"a": 1e9}])
    assert fields.transform([{"a": 3.0}])[0, 0] == pytest.approx(3.0, rel=0.3)
    fields.transform([{"a": float(a)} for a in rng.normal(50, 10, size=5_000)])
    assert fields.transform([{"a": 80.0}])[0, 0] == pytest.approx(3.0, rel=0.3)


def test_the_scaling_kernel_against_its_formula() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2)) * 3
    x[7, 0] = np.nan
    mean, var, seen = np.zeros(2), np.ones(2), np.full(2, 10.0)
    out = np.empty_like(x)
    m, v, n = mean.copy(), var.copy(), seen.copy()
    usual = np.empty_like(x)
    online_scale.run(x, mean, var, seen, 0.02, 2.0, 1e6, out, usual)
    for i in range(50):
        for j in range(2):
            assert usual[i, j] == pytest.approx(m[j])
            if np.isnan(x[i, j]):
                assert out[i, j] == 0
                continue
            assert out[i, j] == pytest.approx((x[i, j] - m[j]) / np.sqrt(v[j]))
            gap = np.clip(x[i, j] - m[j], -2 * np.sqrt(v[j]), 2 * np.sqrt(v[j]))
            n[j] += 1
            w = max(0.02, 1 / n[j])
            m[j], v[j] = m[j] + w * gap, (1 - w) * (v[j] + w * gap**2)
    np.testing.assert_allclose(mean, m)
    np.testing.assert_allclose(var, v)


def test_rare_texts_stand_out_and_counts_are_bounded() -> None:
    rng = np.random.default_rng(0)
    fields = Fields(max_texts=50)
    fields.fit([{"s": "abc"[i]} for i in rng.integers(3, size=300)])
    usual, rare = fields.transform([{"s": "a"}, {"s": "never"}])[:, 0]
    assert rare > usual + 3
    fields.transform([{"s": str(i)} for i in range(1_000)])
    assert len(fields.counts_[0]) <= 51
    assert "a" in fields.counts_[0]


def test_nothing_to_judge_is_told() -> None:
    with pytest.raises(DataError, match="no field"):
        Fields().fit([{"id": i} for i in range(100)])


# -- order, threshold, rules ----------------------------------------------------------------------


def test_events_are_let_go_in_order_and_late_ones_told() -> None:
    times = [10.0, 12.0, 11.0, 30.0, 29.0, 5.0, float("nan"), 50.0, 41.0]
    mark = Watermark(lateness=10.0).start()
    free, late = mark.push([Held(t, i, {}, 0.0, 0.0) for i, t in enumerate(times)])
    assert [e.offset for e in free] == [0, 2, 1, 5, 6, 4, 3]
    assert (free[4].time, mark.undated) == (20.0, 1)
    assert [e.offset for e, is_late in zip(free, late, strict=True) if is_late] == [5]
    other = Watermark(lateness=10.0).start()
    other.refill(mark.dump())
    assert [e.offset for e in other.drain()] == [8, 7] == [e.offset for e in mark.drain()]


def test_one_clock_that_is_wrong_makes_nobody_late() -> None:
    came = 1e9
    times = [came, came + 1, came + 3 * 86_400, came + 2, came + 15]
    mark = Watermark(lateness=10.0).start()
    free, late = mark.push([Held(t, i, {}, came, 0.0) for i, t in enumerate(times)])
    assert [e.offset for e in free] == [2, 0, 1, 3]
    assert [e.time for e in free] == [came - 9, came, came + 1, came + 2]
    assert not any(late)
    assert mark.newest_ == came + 15


def test_a_stream_of_wrong_clocks_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    plan = Plan(time="at", lateness=60.0, warmup=100)
    lane = Lane(plan, "t", 0, TemporarySpill())
    some = events(400)
    for record in some[200:]:
        record["at"] += 1e9
    came = some[199]["at"]
    lane.feed(Batch("t", 0, list(range(400)), some, Position(400), came))
    [out] = lane.judged
    # The others wait for events that are newer than they by a minute.
    assert len(out) >= 200 + 200 - 60
    assert (np.diff(out.times) >= 0).all()
    assert lane.watermark.undated == 200
    assert "'at' of an event is no time, or more than a day ahead" in caplog.text
    lane.feed(Batch("t", 0, [400], [{"at": None, "a": 0.0}], Position(401), came))
    assert [len(part) for part in lane.judged[1:]] == [1]
    assert len(caplog.records) == 1


def test_what_happened_when_is_known_in_python_too() -> None:
    records = events(600)
    found = list(awry.stream(records, key="k", time="at", lateness=200.0, batch=70))
    assert [v.time for v in found] == sorted(record["at"] for record in records)
    assert not any(v.late for v in found)


def test_of_events_without_any_time_none_is_told(caplog: pytest.LogCaptureFixture) -> None:
    records = [r | {"a": 40.0 if i > 994 else r["a"]} for i, r in enumerate(events(1_000))]
    plan = Plan(time="when", lateness=60.0, rules=(make_rule("rate:window=60"),))
    lane = Lane(plan, "t", 0, TemporarySpill())
    lane.feed(Batch("t", 0, list(range(1_000)), records, Position(1_000), 2e9))
    [out] = lane.judged
    assert (len(out), lane.watermark.undated) == (1_000, 1_000)
    assert np.isnan(out.times).all()
    [found] = lane.episodes.values()
    assert (found["items"] >= 5, found["start"], found["end"]) == (True, 2e9, 2e9)
    assert lane.save()


def test_what_is_held_is_bounded() -> None:
    mark = Watermark(lateness=1e9, most=5).start()
    free, _ = mark.push([Held(float(-i % 7), i, {}, 0.0, 0.0) for i in range(20)])
    assert len(free) == 15
    assert len(mark.heap) == 5


def test_an_attack_is_not_learnt_but_a_new_normal_is() -> None:
    rng = np.random.default_rng(0)
    threshold = OnlineThreshold("quantile:0.99", window=1_000, every=500, patience=3_000).start()
    assert not threshold.decide(rng.normal(size=500)).any()
    before = threshold.threshold_
    assert 1.5 < before < 4
    for _ in range(5):
        severity = threshold.decide(rng.normal(9, 1, size=4 * BLOCK))
        assert (severity > 0).all()
    assert threshold.threshold_ == before
    assert threshold.frozen_ > 0
    for _ in range(30):
        severity = threshold.decide(rng.normal(9, 1, size=4 * BLOCK))
    assert (severity > 0).mean() < 0.05
    assert threshold.frozen_ == 0


def test_scores_of_a_few_values_do_not_flag_half_of_them() -> None:
    rng = np.random.default_rng(0)
    threshold = OnlineThreshold().start()
    scores = rng.integers(4, size=3_000) + 1e-3 * rng.random(3_000)
    assert (threshold.decide(scores)[500:] > 0).mean() < 0.1


def test_a_threshold_keeps_its_bounds() -> None:
    rng = np.random.default_rng(0)
    bounded = OnlineThreshold("quantile:0.99", low=5.0, high=6.0).start()
    bounded.decide(rng.normal(size=1_000))
    assert bounded.threshold_ == 5.0


def test_failed_logins_from_many_places_are_one_event() -> None:
    rng = np.random.default_rng(0)
    records = [
        {"user": f"u{i % 5}", "at": 1e9 + i, "status": "ok" if rng.random() < 0.95 else "failed",
         "place": f"p{rng.integers(20)}", "ms": float(rng.normal())}
        for i in range(2_000)
    ]  # fmt: skip
    failed = {"user": "u1", "status": "failed"}
    for i in range(1_500, 1_560, 2):
        records[i] |= failed | {"place": f"q{i}"}
    # As many of one place alone are no such attack.
    for i in range(1_700, 1_760, 2):
        records[i] |= failed | {"place": "home"}
    rule = make_rule("burst:status=failed,by=user,distinct=place,window=60,count=20,least=15")
    for cut in (2_000, 33):
        lane = Lane(Plan(time="at", rules=(rule,)), "t", 0, TemporarySpill())
        found: dict[int, Any] = {}
        for at in range(0, 2_000, cut):
            some = records[at : at + cut]
            offsets = list(range(at, at + len(some)))
            lane.feed(Batch("t", 0, offsets, some, Position(at), 2e9))
            found |= {i: e for i, e in lane.episodes.items() if e["kind"] == "collective"}
        assert [(e["key"], e["start"]) for e in found.values()] == [
            ("u1", pytest.approx(1e9 + 1_537, abs=3, rel=0))
        ]


def test_a_rate_that_is_not_usual() -> None:
    rng = np.random.default_rng(0)
    per_minute = rng.poisson(50, size=60)
    per_minute[40] = 300
    per_minute[50] = 0
    times = np.concatenate(
        [60.0 * i + np.sort(rng.random(c)) * 60 for i, c in enumerate(per_minute)]
    )
    plan = Plan(rules=(make_rule("rate:window=60"),), time="t", gap=1.0)
    lane = Lane(plan, "t", 0, TemporarySpill())
    some = [{"t": float(t), "x": float(rng.normal())} for t in times]
    lane.feed(Batch("t", 0, list(range(len(some))), some, Position(1), 2e9))
    found = [e["start"] for e in lane.episodes.values() if e["kind"] == "rate"]
    assert found == [41 * 60.0, 51 * 60.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [("flood:x=1", "no rule 'flood'"), ("burst:", "needs FIELD=VALUE"),
     ("rate:window=soon", "window must be a number"), ("rate:many=3", "has no 'many'")],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_told(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_rule(text)


def test_in_python() -> None:
    records = events(1_500)
    one = list(awry.stream(records, "streaming_gaussian", ignore=("at", "k")))
    many = list(awry.stream(iter(records), "streaming_gaussian", batch=200, ignore=("at", "k")))
    assert one == many
    assert [v.offset for v in one] == list(range(1_500))
    assert one[0].score is None
    odd = one[1_200]
    assert odd.anomaly
    assert odd.reasons[0]["column"] == "a"
    # The name stays a function, whatever parts of the package have been imported.
    assert sum(1 for _ in awry.stream("generator://iot_sensors?n=500")) == 500


def test_settings_that_do_not_fit_together_are_told() -> None:
    for settings, words in (
        ({"per_key": True}, "needs a key"),
        ({"lateness": 3.0}, "lateness needs time"),
        ({"warmup": 2}, "warmup must be"),
        ({"detector": "lof_of_nothing"}, "lof_of_nothing"),
        ({"rules": (make_rule("rate:window=9"),)}, "rule needs time"),
        ({"detector": "midas", "fields": ["a", "b"]}, "midas judges edges: fields must name"),
        ({"detector": "midas_f"}, "must name source, target and time, got None"),
    ):
        with pytest.raises((ParameterError, ValueError), match=words):
            Plan(**settings)


def test_times_in_any_unit() -> None:
    at = 1_700_000_000.0
    assert [seconds(at * f) for f in (1, 1e3, 1e6, 1e9)] == [at] * 4
    assert seconds("2023-11-14T22:13:20Z") == seconds("2023-11-14 22:13:20") == at
    assert np.isnan([seconds(None), seconds("noon"), seconds([])]).all()


def test_a_model_is_taken_as_one_and_a_fitted_detector_is_not() -> None:
    records = events(600)
    model = awry.fit([{"a": r["a"], "b": r["b"]} for r in records], detector="ecod")
    found = list(awry.stream(records, model, batch=100))
    assert found == list(awry.stream(records, model=model, batch=100))
    expected = model.score(as_table([{"a": r["a"], "b": r["b"]} for r in records]))
    np.testing.assert_allclose([v.score for v in found], expected)
    fitted = ECOD().fit(np.random.default_rng(0).normal(size=(50, 2)))
    with pytest.raises(ParameterError, match=r"must not be fitted.*awry\.fit"):
        next(awry.stream(records, fitted))
    with pytest.raises(ParameterError, match="model must be fitted"):
        next(awry.stream(records, Model("ecod")))
    for more in ({"fields": ["a"]}, {"threshold": 0.1}, {"per_key": True, "key": "k"}):
        with pytest.raises(ParameterError, match="no effect beside a model"):
            next(awry.stream(records, model, **more))


@pytest.mark.parametrize("detector", ["ecod", "knn", "streaming_gaussian"])
def test_a_model_says_why(detector: str) -> None:
    records = events(1_500)
    model = awry.fit(
        [{"a": r["a"], "b": r["b"], "c": r["c"]} for r in records[:800]], detector=detector
    )
    for batch in (1, 500):
        odd = [v for v in awry.stream(records[800:1_300], model, batch=batch) if v.anomaly]
        planted = [v for v in odd if v.record["a"] == 40.0]
        assert [v.offset for v in planted] == [100, 200, 300, 400]
        assert [v.reasons[0]["column"] for v in planted] == ["a"] * 4
        assert all(0.0 < why["share"] <= 1.0 for v in odd for why in v.reasons)


def test_what_a_key_did_before_is_told_in_its_units() -> None:
    records = [r | {"distance from last": float(i % 3)} for i, r in enumerate(events(1_500))]
    records[1_400] |= {"lat": -33.0, "lon": 151.0}
    settings = {"key": "k", "time": "at", "place": ("lat", "lon"), "ignore": ("lat", "lon")}
    [odd] = [v for v in awry.stream(records, batch=40, **settings) if v.offset == 1_400]
    told = {why["column"]: why["value"] for why in odd.reasons}
    # From Bavaria to Sydney, while the record's own field of that name is as always.
    assert told["distance from last"] == "16,298 km"
    assert told["speed since last"].endswith(" km/h")
    assert told["a"] == "40"


def test_an_event_has_the_reasons_of_one_that_is_explained() -> None:
    episodes, why = Episodes(gap=9.0).start(), [{"column": "a"}]
    for i, (score, reasons) in enumerate([(5.0, []), (3.0, why), (7.0, [])]):
        found = episodes.add(
            key="", place=1.0 + i, at=1.0 + i, item=i, score=score, severity=1, reasons=reasons
        )
    assert (found["peak"], found["reasons"]) == (2, why)


def test_events_that_have_ended_are_let_go_of() -> None:
    episodes, most = Episodes(gap=9.0).start(), 0

    def add(key: str, place: float) -> dict[str, Any]:
        given = {"at": place, "item": 0, "score": 1.0, "severity": 1, "reasons": []}
        return episodes.add(key=key, place=place, **given)

    first = add("0", 0.0)
    for i in range(1, 5_000):
        add(str(i), float(i))
        most = max(most, len(episodes.open_))
    # Those of the last nine seconds can still grow.
    assert most == len(episodes.open_) == 10
    assert add("4995", 5_000.0)["items"] == 2
    assert add("0", 5_000.0) is not first

    # A clock that is wrong ends few, and what is of its time does not stay.
    for i in range(8):
        add(str(i), 6_000.0)
    add("wrong", 9e9)
    assert sum(add(str(i), 6_001.0)["items"] == 2 for i in range(8)) >= 6
    for i in range(8, 20):
        add(str(i), 6_002.0)
    assert "point:wrong" not in episodes.open_


def test_explanations_are_as_many_as_events_allow() -> None:
    rng = np.random.default_rng(0)
    severity = (rng.random(40_000) < 0.05).astype(np.int64)
    severity[20_000:25_000] = 2
    whole = Allowance().choose(severity)
    assert whole[:200] == np.flatnonzero(severity)[:200].tolist()
    assert len(whole) <= 200 + 40_000 / 25
    assert len([i for i in whole if i >= 20_000]) >= 700
    # Neither the cuts nor an end change which are explained.
    cut, left = [], None
    for at in range(0, 40_000, 37):
        one = Allowance(left)
        cut += [at + i for i in one.choose(severity[at : at + 37])]
        left = one.left
    assert cut == whole


def test_fields_that_no_event_has_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    records = events(1_000)
    settings = {"key": "nosuch", "time": "at", "amount": "amnt", "place": ("lat", "long")}
    assert sum(1 for _ in awry.stream(records, batch=30, **settings)) == 1_000
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    for name, setting in (("nosuch", "key"), ("amnt", "amount"), ("long", "place")):
        words = f"none of the first 256 events has the field {name!r}, given as {setting}"
        assert sum(one.endswith(words) for one in told) == 1
    caplog.clear()
    list(awry.stream([r | {"o": {"x": 1}} for r in records[:300]], key="o.x", fields=["a", "b"]))
    assert not caplog.records
    with pytest.raises(DataError, match="none of the first 256 events has a field x or y; name"):
        list(awry.stream(records, fields=["x", "y"]))


# -- edges ----------------------------------------------------------------------------------------


def edges(n: int = 1_500) -> list[dict[str, Any]]:
    """Connections between hosts, four a second, and a burst of 40 in one."""
    rng = np.random.default_rng(0)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    found: list[dict[str, Any]] = [
        {"from": f"10.0.0.{rng.integers(9)}", "to": int(rng.integers(7)),
         "at": (start + timedelta(seconds=i // 4)).isoformat(), "kB": float(rng.normal())}
        for i in range(n)
    ]  # fmt: skip
    found[1_000:1_040] = [found[1_000] | {"from": "10.0.0.3", "to": 4} for _ in range(40)]
    return found


@pytest.mark.parametrize("detector", ["midas", "midas_r", "midas_f"])
def test_bursts_of_edges_are_found(detector: str) -> None:
    plan = Plan(detector, fields=["from", "to", "at"], threshold="quantile:0.99")
    whole = run(plan, edges(), 1_500)
    for other in (run(plan, edges(), 77), run(plan, edges(), 200, reload=True)):
        np.testing.assert_array_equal(other["scores"], whole["scores"])
    assert int(np.nanargmax(whole["scores"])) in range(1_020, 1_040)
    # The rows that the detector saw are those of the edges by hand.
    ends = Edges(["from", "to", "at"]).fit(edges())
    made = plan.new_detector().fit(ends[:256])
    np.testing.assert_array_equal(whole["scores"][256:], made.update(ends[256:]))


def test_why_an_edge_is_odd() -> None:
    names = ["from", "to", "at"]
    found = [v for v in awry.stream(edges(), "midas_r", fields=names, key="from") if v.anomaly]
    assert {v.offset for v in found} & set(range(1_020, 1_040))
    worst = max(found, key=lambda v: v.score)
    assert [(why["column"], why["value"]) for why in worst.reasons] == [
        ("from", "10.0.0.3"), ("to", "4"),
    ]  # fmt: skip


def test_ends_of_edges_are_whole_numbers_that_stay() -> None:
    ends = [7, 7.0, -3, 2**53, "7", "host", None, float("nan"), [1], 0.5, True, 2**60]
    records = [{"s": end, "t": {"o": 1}, "at": 5 + i} for i, end in enumerate(ends)]
    fields = Edges(["s", "t.o", "at"])
    X = fields.fit(records)
    assert X[:4, 0].tolist() == [7, 7, -3, 2**53]
    # blake2b-64 of the text, its first 53 bits.
    assert X[5, 0] == int.from_bytes(hashlib.blake2b(b"host", digest_size=8).digest()) >> 11
    assert X[6, 0] == X[7, 0]
    assert len(set(X[:, 0])) == len(ends) - 2
    assert (X[:, 1] == 1).all()
    assert X[:, 2].tolist() == list(range(5, 17))
    late = [{"s": 1, "t": {"o": 1}, "at": at} for at in ("soon", 1_700_000_000_500, 1e300, None)]
    assert fields.transform(late)[:, 2].tolist() == [16, 1_700_000_000, 2**53, 2**53]
    with pytest.raises(DataError, match="none of the first 12 events has the field 'x'"):
        Edges(["s", "x", "at"]).fit(records)


# -- going on -------------------------------------------------------------------------------------


def saved(plan: Plan, n: int = 400) -> bytes:
    """The state after ``n`` events."""
    lane = Lane(plan, "t", 0, TemporarySpill())
    lane.feed(Batch("t", 0, list(range(n)), list(events(n)), Position(n), 2e9))
    return lane.save()


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({}, {"key": "k", "time": "at"}, "key was not given and is now k; time was not given"),
        ({"time": "at"}, {"time": "at", "rules": (make_rule("rate:window=9"),)}, "rules .*Rate.*9"),
        ({}, {"detector": "half_space_trees"}, "detector was .*StreamingGaussian.*HalfSpaceTrees"),
        ({"threshold": "quantile:0.99"}, {"threshold": 0.02}, "quantile:0.99 and is now 0.02"),
        ({"fields": ["a"]}, {"fields": ["a", "b"]}, "fields was"),
        ({"time": "at", "lateness": 9.0}, {"time": "at"}, "lateness was 9.0 and is now not given"),
        ({"detector": "rs_hash"}, {"detector": "rs_hash", "random_state": 1}, "detector was"),
    ],
)  # fmt: skip
def test_a_state_goes_on_with_what_it_began_with(
    before: dict[str, Any], now: dict[str, Any], words: str
) -> None:
    kept = saved(Plan(**before))
    assert Lane(Plan(**before), "t", 0, TemporarySpill(), kept).position == Position(400)
    with pytest.raises(DataError, match=f"t/0.*{words}.*another --name, or the options"):
        Lane(Plan(**now), "t", 0, TemporarySpill(), kept)


def test_what_shapes_no_state_may_change() -> None:
    kept = saved(Plan(key="k", drift=100))
    plan = Plan(key="k", capacity=16, gap=1.0, drift=200, decode=decoder("csv", header="a"))
    assert Lane(plan, "t", 0, TemporarySpill(), kept).position == Position(400)


def test_a_state_that_tells_no_options_goes_on_and_harms_no_memory() -> None:
    parts = io.loads(saved(Plan())).parts
    del parts["plan"]
    made = Checkpoint()
    made.parts = parts
    old = io.dumps(made)
    assert Lane(Plan(), "t", 0, TemporarySpill(), old).position == Position(400)
    lane = Lane(Plan(key="k", time="at"), "t", 0, TemporarySpill(), old)
    with pytest.raises(ModelError, match="scales are of 7 columns, the records have 12"):
        lane.feed(Batch("t", 0, list(range(400, 800)), list(events(400)), Position(800), 2e9))


def test_scaling_looks_at_its_bounds() -> None:
    fields = Fields()
    fields.fit(events(100), np.zeros((100, 2)))
    with pytest.raises(ModelError, match="of 9 columns, the records have 7"):
        fields.transform(events(9))
    x, three = np.zeros((4, 5)), np.ones(3)
    with pytest.raises(ValueError, match="of the same features"):
        online_scale.run(x, three, three, three, 0.1, 5.0, 1e6, *np.empty((2, *x.shape)))
