"""Cascades: the cut, the common scale, what stands where stage 2 does not, and three stages."""

from __future__ import annotations

import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from awry import io
from awry.cli import app
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.params import ParameterError
from awry.core.registry import _by_name
from awry.core.stages import CascadeWarning, StageSums
from awry.data.generate import generate
from awry.detectors import KNN, AutoEncoder, Cascade, ConvLSTM, FlowCascade
from awry.detectors.tabular import cascade as cascades


@pytest.fixture(scope="module")
def rows():
    """Training rows, new ones with odd combinations among them, and their labels."""
    rng = np.random.default_rng(0)

    def ring(n):
        angle = rng.uniform(0, 2 * np.pi, n)
        return np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.05, (n, 2))

    # A ring, a few rows far outside it, and a few more that lie just beside it.
    odd = np.vstack([2.5 * ring(10), 1.35 * ring(10)])
    return ring(1500), np.vstack([ring(600), odd]), np.repeat([0, 1], [600, 20])


@pytest.fixture(scope="module")
def cascade(rows):
    return Cascade(judge="knn", keep=0.1, random_state=0).fit(rows[0])


class _Stub(Detector):
    """A judge that does as it is told when it scores."""

    card = Card(
        name="stub_for_cascades", summary="A stub.", family="none", paper="None", year=2000,
        fit_cost="O(1)", score_cost="O(1)", finds="nothing", misses="all",
    )  # fmt: skip

    def __init__(self, act=None, contamination=None):
        self.act = act
        self.contamination = contamination

    def _fit(self, X, y):
        return np.abs(X).sum(axis=1)

    def _score(self, X):
        return np.abs(X).sum(axis=1) if self.act is None else self.act(X)


_by_name.pop("stub_for_cascades")


def _with_judge(X, act):
    """A cascade whose second stage works while it is fitted and does ``act`` afterwards."""
    cascade = Cascade(judge=_Stub(), random_state=0).fit(X)
    cascade.members_[1].act = act
    return cascade


def test_the_cut_comes_from_fit_and_each_row_is_judged_by_itself(cascade, rows):
    X, new, _ = rows
    first = cascade.members_[0].decision_function(X)
    assert [stage.rows for stage in cascade.stages_] == [1500, int((first > cascade.cut_).sum())]
    assert cascade.stages_[1].rows <= 150
    # A batch of nothing but odd rows is sent on whole, one of the calmest not at all.
    cascade.decision_function(new[600:610])
    assert cascade.last_[1].rows == 10
    cascade.decision_function(X[np.argsort(first)[:200]])
    assert [stage.rows for stage in cascade.last_] == [200, 0]
    whole = cascade.decision_function(new)
    for cuts in ([1, 7, 300], list(range(1, len(new), 100))):
        parts = [cascade.decision_function(part) for part in np.split(new, cuts)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-9)


def test_no_row_that_was_sent_on_falls_below_one_that_was_not(cascade, rows):
    new = rows[1]
    first = cascade.members_[0].decision_function(new)
    scores, sent = cascade.decision_function(new), first > cascade.cut_
    assert 0 < sent.sum() < len(new)
    assert scores[sent].min() >= scores[~sent].max()
    # Even where stage 2 finds nothing in them at all.
    calm = _with_judge(rows[0], lambda X: np.full(len(X), -1e9))
    scores, sent = calm.decision_function(new), calm.members_[0].decision_function(new) > calm.cut_
    assert scores[sent].min() >= scores[~sent].max()
    # Those not sent on keep stage 1's order.
    order = np.argsort(first[~sent])
    assert (np.diff(scores[~sent][order]) >= 0).all()


def test_both_stages_speak_of_the_same_share_of_training_rows(cascade, rows):
    """The scale says -log of the share of training rows that go as far, whichever stage says it."""
    X = rows[0]
    first, second = cascade._pass_through(X)
    parts = cascade._blend(first, second) / cascade.weights_
    sent = np.flatnonzero(~np.isnan(second))
    for stage, raw in enumerate((first, second)):
        for place in sent[np.argsort(raw[sent])][[10, 70, 140]]:
            share = (raw[sent] >= raw[place]).sum() / len(X)
            assert parts[place, stage] == pytest.approx(-np.log(share), abs=0.1)


def test_weights_blend_and_the_judge_decides_among_suspects(rows):
    X, new, y = rows
    fits = {w: Cascade(judge="knn", keep=0.2, weights=w, random_state=0).fit(X)
            for w in ((1, 0), (3, 7), (0, 1))}  # fmt: skip
    one, blend, two = (fit.decision_function(new) for fit in fits.values())
    np.testing.assert_allclose(blend, np.where(one == two, one, 0.3 * one + 0.7 * two))
    # Stage 1 alone, an isolation forest, does not see how near the ring a row lies.
    assert roc_auc_score(y, blend) > roc_auc_score(y, one)
    with pytest.raises(ParameterError, match="two numbers"):
        Cascade(weights=(1.0,)).fit(X)


def test_stage_2_learns_from_calm_rows_unless_told_otherwise(rows):
    X = rows[0]
    calm, whole, few = (
        Cascade(judge="knn", random_state=0, **settings).fit(X)
        for settings in ({}, {"learn_from": "all"}, {"learn_from": "all", "learn_rows": 200})
    )
    learnt = [len(c.members_[1].decision_scores_) for c in (calm, whole, few)]
    assert learnt == [int((calm.members_[0].decision_scores_ <= calm.cut_).sum()), 1500, 200]
    assert 1350 <= learnt[0] <= 1360


def test_where_stage_2_fails_stage_1_stands_and_says_so(rows):
    X, new, _ = rows

    def fail(X):
        raise RuntimeError("out of order\nmore")

    cascade = _with_judge(X, fail)
    alone = cascade.scales_[0].transform(cascade.members_[0].decision_function(new))
    with pytest.warns(
        CascadeWarning, match="RuntimeError: out of order; for the others the answer"
    ):
        scores = cascade.decision_function(new)
    np.testing.assert_array_equal(scores, alone)
    stage = cascade.last_[1]
    assert stage.unjudged == stage.rows > 0
    assert "RuntimeError: out of order" in stage.reason
    # One score that is no number costs only its own row.
    cascade = _with_judge(X, lambda X: np.r_[np.nan, np.abs(X[1:]).sum(axis=1)])
    with pytest.warns(CascadeWarning, match="not finite"):
        cascade.decision_function(new)
    assert cascade.last_[1].unjudged == 1


def test_over_its_budget_stage_2_leaves_the_least_suspicious(rows):
    X, new, _ = rows
    slow = _with_judge(X, lambda X: (time.sleep(0.3), np.abs(X).sum(axis=1))[1])
    many = np.vstack([new] * 40)
    sent = int((slow.members_[0].decision_function(many) > slow.cut_).sum())
    assert sent > 3 * 512
    calm = slow.decision_function(many)
    slow.budget_ms = 1.0
    with pytest.warns(CascadeWarning, match="ran over its 1 ms"):
        scores = slow.decision_function(many)
    alone = slow.scales_[0].transform(slow.members_[0].decision_function(many))
    np.testing.assert_array_equal(scores, alone)
    slow.budget_ms = 750.0  # for two slices, or one where the machine is busy
    with pytest.warns(CascadeWarning):
        scores = slow.decision_function(many)
    judged = scores != alone
    assert 0 < slow.last_[1].unjudged < sent
    np.testing.assert_allclose(scores[judged], calm[judged])
    left = (scores == alone) & (calm != alone)
    assert alone[judged].min() >= alone[left].max()
    # An explanation takes its time, and a budget that suffices changes nothing.
    why = slow.explain(many[:3])
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total)
    slow.budget_ms = 60_000.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(slow.decision_function(new), calm[: len(new)])


def test_save_load_and_tell(cascade, rows):
    again = io.loads(io.dumps(cascade))
    new = rows[1]
    np.testing.assert_array_equal(again.decision_function(new), cascade.decision_function(new))
    assert again.stages_ == cascade.stages_
    assert "isolation_forest on 1,500 rows" in again.choice_
    assert f"knn on {cascade.stages_[1].rows} rows" in again.choice_
    assert isinstance(again.members_[1], KNN)


def test_learning_and_judging_in_training_are_told_apart(rows):
    taught = Cascade(judge=AutoEncoder(epochs=3, hidden=[4]), keep=0.1, random_state=0).fit(rows[0])
    screen, judge = taught.stages_
    assert (screen.learnt, screen.learning_seconds) == (1500, 0.0)
    assert judge.learnt == 1500 - judge.rows
    # Three passes over some 1,350 rows against one over 150.
    assert judge.learning_seconds > judge.cpu_seconds
    first, second = taught.choice_.split(" CPU s with learning from them, ")
    assert first.startswith("in training isolation_forest on 1,500 rows in ")
    assert second.endswith(f" CPU s of learning from {judge.learnt:,}")
    taught.decision_function(rows[1])
    assert "learning" not in " ".join(map(str, taught.last_))


def test_scoring_a_file_tells_of_the_stages(tmp_path, capsys, monkeypatch):
    csv, model = tmp_path / "x.csv", tmp_path / "m.awry"
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    frame.assign(place=["here", "there"] * 200).to_csv(csv, index=False)

    def run(*args):
        app.main(args=[*map(str, args)], prog_name="awry", standalone_mode=False)
        return capsys.readouterr().out

    for by in ([], ["--by", "place"]):
        run("fit", csv, "-d", "cascade", "-p", "judge=knn", "--save", model, *by)
        stages = json.loads(run("score", csv, "-m", model, "--json"))["stages"]
        assert [s["detector"] for s in stages] == ["isolation_forest", "knn"]
        assert stages[0]["rows"] == 400
        assert 0 < stages[1]["rows"] <= 40
        assert {s["unjudged"] for s in stages} == {0}
    run("fit", csv, "-d", "cascade", "-p", "judge=knn", "-p", "budget_ms=1e-9", "--save", model)
    # So few rows can be judged before anybody looks at the clock.
    monkeypatch.setattr(cascades, "_in_time", lambda work, seconds: False)
    with pytest.warns(CascadeWarning):
        said = run("score", csv, "-m", model)
    assert "  isolation_forest on 400 rows in " in said
    assert "of them not judged: which ran over its 1e-09 ms" in said
    run("fit", csv, "-d", "knn", "--save", model)
    assert "stages" not in json.loads(run("score", csv, "-m", model, "--json"))


def test_stages_are_summed_over_scorings(cascade, rows):
    sums = StageSums([cascade, KNN().fit(rows[0])])
    sums.add()
    assert sums.stages == []
    cascade.decision_function(rows[1])
    sums.add()
    sums.add()
    sent = cascade.last_[1].rows
    cascade.decision_function(rows[1][:300])
    sums.add()
    assert [stage.rows for stage in sums.stages] == [920, sent + cascade.last_[1].rows]


# -- three stages ----------------------------------------------------------------------------------


def _flows(frame: pd.DataFrame) -> pd.DataFrame:
    """What a flow is like, as numbers, at its time."""
    sizes = np.log1p(frame[["duration_s", "bytes_out", "bytes_in", "packets"]].to_numpy())
    state = np.eye(4)[frame["state"].cat.codes]
    udp = (frame["protocol"] == "udp").to_numpy(float)[:, None]
    ports = np.column_stack([frame["dst_port"] == p for p in (443, 53, 445, 25)]).astype(float)
    index = pd.DatetimeIndex(frame["timestamp"])
    return pd.DataFrame(np.hstack([sizes, udp, state, ports]), index=index).rename(columns=str)


def test_a_flood_of_ordinary_flows_is_seen_by_the_third_stage_alone():
    traffic = generate("network_traffic", n=2400, seed=3, anomaly_rate=0.0)
    calm, new = traffic[:1600], traffic[1600:]
    # Flows that were there, once more, a hundred times as fast as flows come.
    flood = new.sample(48, random_state=0)
    start = new["timestamp"].iloc[400]
    gap = (new["timestamp"].diff().median()) / 100
    flood = flood.assign(timestamp=start + gap * np.arange(1, 49), is_anomaly=1)
    new = pd.concat([new, flood]).sort_values("timestamp").drop_duplicates("timestamp")
    cascade = FlowCascade(
        features=AutoEncoder(hidden=[32], epochs=6, batch_size=128, lr=0.01),
        sequence=ConvLSTM(window=16, hidden=[6], stride=2, epochs=8, lr=0.02),
        random_state=0,
    ).fit(_flows(calm))
    X, y = _flows(new), new["is_anomaly"]
    screen = cascade.members_[0].decision_function(X.to_numpy())
    assert roc_auc_score(y, screen) < 0.65
    assert roc_auc_score(y, cascade.decision_function(X)) > 0.8
    assert [(s.detector, s.rows) for s in cascade.last_] == [
        (name, len(X)) for name in ("isolation_forest", "autoencoder", "conv_lstm")
    ]
    # What gives it away is the time between flows, the last channel of what the third stage reads.
    series = cascade._check_input(X, reset=False)
    story = cascade._story(
        series, series.values, cascade.members_[1].decision_function(X.to_numpy())
    )
    parts = cascade.members_[2].explain(story).values[y == 1].mean(axis=0)
    assert parts.argmax() == len(parts) - 1


def test_flow_cascades_say_what_they_need():
    X = np.random.default_rng(0).normal(size=(200, 3))
    with pytest.raises(ValueError, match="features must be an autoencoder, got hbos"):
        FlowCascade(features="hbos").fit(X)
    with pytest.raises(ParameterError, match="three numbers"):
        FlowCascade(weights=(1, 1)).fit(X)
