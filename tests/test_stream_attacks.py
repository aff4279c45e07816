"""An attack is told, and does not teach the stream that it is normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from awry.data.generate import generate
from awry.stream.keys import TemporarySpill
from awry.stream.lane import Lane
from awry.stream.plan import Plan
from awry.stream.records import Batch, Position
from awry.stream.rules import make_rule
from awry.stream.threshold import OnlineThreshold


@pytest.mark.parametrize("rule", ["adaptive:0.001", "quantile:0.999"])
@pytest.mark.parametrize("share", [0.15, 0.3])
def test_an_attack_does_not_raise_the_threshold(rule: str, share: float) -> None:
    rng = np.random.default_rng(1)
    threshold = OnlineThreshold(rule).start()
    threshold.decide(rng.gamma(2.0, size=10_000))
    before = threshold.threshold_
    scores = rng.gamma(2.0, size=15_000)
    odd = rng.random(len(scores)) < share
    scores[odd] = rng.normal(30, 3, size=odd.sum())
    # The first blocks of an attack may be learnt before it is seen to be one.
    found = np.concatenate([threshold.decide(part) for part in np.split(scores, 30)])
    assert threshold.threshold_ < 1.1 * before
    assert (found[odd] > 0).mean() > 0.99
    assert (found[~odd] > 0).mean() < 0.01
    threshold.decide(rng.gamma(2.0, size=10_000))
    assert threshold.frozen_ == 0
    assert threshold.threshold_ < 1.3 * before


def test_what_lasts_is_the_new_normal() -> None:
    rng = np.random.default_rng(1)
    threshold = OnlineThreshold().start()
    threshold.decide(rng.gamma(2.0, size=10_000))
    found = threshold.decide(rng.gamma(2.0, size=60_000) + 30)
    assert (found[:20_000] > 0).all()
    assert (found[-5_000:] > 0).mean() < 0.01


def test_the_generators_brute_force_is_found_and_nothing_else() -> None:
    frame = generate("user_behavior", n=20_000, seed=0).sort_values("timestamp")
    told = frame[["timestamp", "user_id", "action", "city", "response_ms"]]
    records: list[dict[str, Any]] = [
        {**row, "timestamp": row["timestamp"].timestamp()} for row in told.to_dict("records")
    ]
    rule = make_rule("burst:action=login_failed,by=user_id,window=300,count=10")
    plan = Plan(time="timestamp", key="user_id", rules=(rule,))
    lane = Lane(plan, "t", 0, TemporarySpill())
    for at in range(0, len(records), 5_000):
        some = records[at : at + 5_000]
        offsets = list(range(at, at + len(some)))
        lane.feed(Batch("t", 0, offsets, some, Position(at + len(some)), 2e9))
    found = [e for e in lane.episodes.values() if e["kind"] == "collective"]
    attacks = frame[frame["anomaly_kind"] == "brute_force"].groupby("incident_id")
    spans = {
        rows["user_id"].iloc[0]: (rows["timestamp"].min(), rows["timestamp"].max())
        for _, rows in attacks
    }
    assert len(spans) >= 4
    assert {e["key"] for e in found} == set(spans)
    for event in found:
        first, last = spans[event["key"]]
        assert first.timestamp() <= event["start"] <= event["end"] <= last.timestamp()
