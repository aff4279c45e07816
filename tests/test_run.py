"""The path from data to a result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import awry
from awry import io
from awry.core.errors import DataError
from awry.data import samples
from awry.data.generate import generate
from awry.model import Model

DROP = ["anomaly_type", "anomaly_kind", "incident_id"]


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 600
    frame = pd.DataFrame(
        {
            "order": [f"O{i:05d}" for i in range(n)],
            "time": pd.date_range("2026-01-01", periods=n, freq="h"),
            "amount": rng.lognormal(3, 0.4, n).round(2),
            "items": rng.poisson(3, n),
            "country": rng.choice(["DE", "FR", "IT"], n, p=[0.6, 0.3, 0.1]),
            "express": rng.random(n) < 0.2,
        }
    )
    frame.loc[100, "amount"] = 9_000.0
    frame.loc[200, "country"] = "KP"
    frame.loc[[300, 301, 302], "items"] = [60, 70, 80]
    return frame


@pytest.fixture(scope="module")
def result(shop: pd.DataFrame) -> awry.Result:
    return awry.detect(shop, detector="modified_zscore")


def test_planted_rows_come_first_and_the_columns_say_why(shop, result):
    assert {100, 300, 301, 302} <= set(result.top(6).tolist())
    reasons = result.explain([100, 302, 200], k=2)
    assert reasons[0][0].column == "amount"
    assert "9,000" in reasons[0][0].value
    assert reasons[1][0].column == "items"
    assert "country" in [r.column for r in reasons[2]]
    for row in reasons:
        assert all(0 < r.share <= 1 for r in row)


def test_identifiers_and_times_are_kept_not_judged(result):
    assert "order" in result.model.id_columns_
    assert "order" not in {r.column for why in result.explain(k=9) for r in why}
    assert result.to_table().column_names[:2] == ["row", "order"]


def test_neighbouring_anomalies_are_one_event(result):
    event = next(e for e in result.events if e.first <= 300 <= e.last)
    assert (event.first, event.last) == (300, 302)
    assert event.peak == 302


def test_severities_rise_with_the_score(result):
    order = np.argsort(result.scores)
    assert (np.diff(result.severity[order]) >= 0).all()
    np.testing.assert_array_equal(result.labels, result.scores > result.threshold)
    assert set(np.unique(result.severity)) <= {0, 1, 2, 3}


def test_a_frame_keeps_its_index(shop):
    framed = awry.detect(shop.set_index(shop.index + 1000), detector="ecod").to_frame()
    assert framed.index[0] == 1000
    assert {"score", "label", "severity", "reasons", "amount"} <= set(framed.columns)


def test_scoring_again_gives_the_training_scores(shop, result):
    table = pa.Table.from_pandas(shop, preserve_index=False)
    again = np.concatenate([r.scores for r in awry.score(table, result.model, batch_rows=97)])
    np.testing.assert_allclose(again, result.scores, rtol=1e-9)


def test_a_saved_model_judges_alike(shop, result, tmp_path):
    io.save(result.model, tmp_path / "m.awry")
    loaded = awry.load(tmp_path / "m.awry")
    one = next(iter(awry.score(shop, loaded)))
    np.testing.assert_array_equal(one.scores, next(iter(awry.score(shop, result.model))).scores)
    assert one.threshold == result.threshold
    assert [str(r) for r in one.explain([100])[0]] == [str(r) for r in result.explain([100])[0]]


def test_batches_count_rows_on(shop, result):
    rows = np.concatenate([r.rows for r in awry.score(shop, result.model, batch_rows=100)])
    np.testing.assert_array_equal(rows, np.arange(1, len(shop) + 1))


def test_missing_and_infinite_values_and_odd_columns_are_coped_with(shop):
    hard = shop.assign(nothing=np.nan, same=1.0, twin=shop["amount"], huge=shop["amount"] * 1e9)
    hard["amount"] = hard["amount"].where(hard.index % 7 != 3)
    hard.loc[5, "huge"] = np.inf
    found = awry.detect(hard, detector="modified_zscore")
    assert np.isfinite(found.scores).all()
    assert {300, 301, 302} <= set(found.top(15).tolist())


def test_context_finds_what_is_ordinary_elsewhere():
    rng = np.random.default_rng(0)
    hour = np.tile(np.arange(24.0), 50)
    load = 50 + 40 * np.sin((hour - 6) / 24 * 2 * np.pi) + rng.normal(size=len(hour))
    load[24 * 20 + 3] = 70.0  # ordinary by day, odd at three in the morning
    frame = pd.DataFrame({"hour": hour, "load": load, "noise": rng.normal(size=len(hour))})
    plain = awry.detect(frame, detector="modified_zscore")
    given = awry.detect(frame, detector="modified_zscore", context=["hour"])
    assert 24 * 20 + 3 not in plain.top(5)
    assert given.top(1)[0] == 24 * 20 + 3
    assert "given hour 3" in str(given.explain([24 * 20 + 3])[0][0])
    auto = awry.detect(frame, detector="modified_zscore", context="auto")
    assert auto.model.context_.columns == ["hour"]
    assert auto.top(1)[0] == 24 * 20 + 3


def test_no_column_serves_as_context_is_said():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=list("abc"))
    frame["group"] = np.tile(["x", "y"], 150)
    with pytest.raises(DataError, match="context"):
        awry.detect(frame, context="auto", detector="ecod")


def test_groups_have_detectors_of_their_own_and_small_ones_share():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "host": np.repeat(["a", "b", "c"], [400, 400, 30]),
            "load": np.r_[rng.normal(10, 1, 400), rng.normal(90, 1, 400), rng.normal(50, 1, 30)],
        }
    )
    frame.loc[7, "load"] = 90.0  # b's habit, not a's
    found = awry.detect(frame, by="host", detector="modified_zscore")
    assert set(found.model.groups_) == {"a", "b"}
    assert found.top(1)[0] == 7
    again = next(iter(awry.score(frame, found.model)))
    np.testing.assert_allclose(again.scores, found.scores, rtol=1e-9)
    strange = pd.DataFrame({"host": ["never seen"], "load": [10.0]})
    assert np.isfinite(next(iter(awry.score(strange, found.model))).scores).all()


def test_labels_are_kept_out_of_what_is_judged_and_measured_against():
    frame = generate("financial_transactions", n=3_000, seed=3)
    found = awry.evaluate(frame.drop(columns=DROP), label="is_anomaly", detector="ecod")
    assert 0.5 < found.metrics["auroc"] <= 1.0
    assert len(found.y) == 3_000
    side = awry.compare(samples.path("wdbc"), ["ecod", "hbos"], label="malignant")
    assert {one.name for one in side} == {"ecod", "hbos"}
    assert side[0].metrics["auprc"] >= side[1].metrics["auprc"]


def test_threshold_on_labels():
    found = awry.detect(samples.path("wdbc"), label="malignant", threshold="f1", detector="ecod")
    free = awry.detect(samples.path("wdbc"), label="malignant", threshold=0.3, detector="ecod")
    assert found.labels.sum() < free.labels.sum()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"by": "nope"}, "no such column.*choose one of"),
        ({"context": ["nope"]}, "no such column"),
        ({"label": "nope"}, "no such column.*choose one of"),
        ({"label": "country"}, "not labels"),
        ({"detector": "nope"}, "no detector 'nope'"),
        ({"detector": "ecod", "params": {"k": 1}}, "no parameter 'k'"),
        ({"threshold": "nope"}, "threshold"),
        ({"kinds": {"amount": "nope"}}, "nope"),
        ({"ignore": ["amount", "items", "country", "express", "time"]}, "no column can be judged"),
    ],
)
def test_bad_settings_are_said(shop, change, words):
    with pytest.raises(ValueError, match=words):
        awry.detect(shop, **change)
    with pytest.raises(TypeError, match="no setting 'colour'"):
        awry.detect(shop, colour="red")


def test_bad_data_is_said(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv"):
        awry.detect(tmp_path / "no.csv")
    with pytest.raises(DataError, match="table cannot be made of int"):
        awry.detect(3)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n3,4\n")
    with pytest.raises(DataError, match=r"b\.csv.*differ.*y, z"):
        awry.detect([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_a_missing_column_is_said_when_scoring(shop, result):
    with pytest.raises(DataError, match="amount"):
        list(awry.score(shop.drop(columns="amount"), result.model))


def test_a_model_of_another_kind_is_said(tmp_path):
    from awry.detectors import ECOD

    ECOD().fit(np.random.default_rng(0).normal(size=(30, 2))).save(tmp_path / "d.awry")
    with pytest.raises(DataError, match="holds a ECOD, not a Model"):
        list(awry.score(samples.path("wdbc"), tmp_path / "d.awry"))


def test_model_parameters_are_checked():
    with pytest.raises(ValueError, match="random_state"):
        Model(random_state=-1).fit(pa.table({"x": [1.0, 2.0, 3.0]}))
