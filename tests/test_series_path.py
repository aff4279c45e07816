"""From a table to explained events: what is taken for series, the grids, scores and events."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import awry
from awry import io
from awry.core.errors import DataError
from awry.core.surprise import OWN_TAILS, Surprise
from awry.data.generate import generate
from awry.data.grids import is_counter, lay, rates
from awry.data.roles import NotSeries, Roles, find_roles
from awry.data.series import read_series
from awry.data.tables import as_table
from awry.detectors.series.seasonal_ewma import SeasonalEWMA
from awry.series_model import SeriesModel
from awry.series_result import SeriesResult

LABELS = ["is_anomaly", "anomaly_type", "anomaly_kind", "incident_id"]
N = 600


def _wave(n: int = N, seed: int = 0, noise: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 10 + 3 * np.sin(np.arange(n) * 2 * np.pi / 48) + rng.normal(0, noise, n)


def _frame(n: int = N, **columns: object) -> pd.DataFrame:
    stamps = pd.date_range("2024-01-01", periods=n, freq="30min")
    return pd.DataFrame({"time": stamps, "load": _wave(n), **columns})


def _read(frame: pd.DataFrame, **told: object):
    table = as_table(frame)
    roles = find_roles(table, sure=True, **told)
    assert isinstance(roles, Roles)
    return read_series(table, roles)


@pytest.fixture(scope="module")
def odd() -> pd.DataFrame:
    frame = _frame(temp=_wave(seed=1))
    frame.loc[300:302, "load"] += 9.0
    return frame


@pytest.fixture(scope="module")
def result(odd) -> SeriesResult:
    return awry.detect(odd, detector="seasonal_ewma")


# -- what is taken for series ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["financial_transactions", "network_traffic", "user_behavior"])
def test_events_with_times_stay_tables(name):
    table = as_table(generate(name, 3000).drop(columns=LABELS))
    found = find_roles(table)
    assert isinstance(found, NotSeries)
    assert found.why


def test_readings_of_machines_are_a_series_each():
    found = find_roles(as_table(generate("iot_sensors", 3000).drop(columns=LABELS)))
    assert (found.time.name, found.by) == ("timestamp", ["machine_id"])
    assert [p.name for p in found.values][:2] == ["load_pct", "speed_rpm"]
    assert "site" in found.notes[0]


def test_a_long_table_is_keyed_by_all_that_tells_times_apart():
    stamps = pd.date_range("2024-01-01", periods=40, freq="min").repeat(4)
    frame = pd.DataFrame(
        {"ts": stamps, "host": ["a", "a", "b", "b"] * 40, "metric": ["cpu", "mem"] * 80}
    )
    frame["value"] = np.random.default_rng(0).normal(size=160)
    assert find_roles(as_table(frame)).by == ["host", "metric"]
    read = _read(frame.sample(frac=1, random_state=0))
    assert read.keys == ["a/cpu", "a/mem", "b/cpu", "b/mem"]
    assert {len(s) for s in read.series} == {40}


def test_what_looks_like_no_series_is_said_why():
    rng = np.random.default_rng(0)
    frame = _frame(country=rng.choice(["DE", "FR"], N))
    assert "country" in find_roles(as_table(frame)).why
    frame = _frame()
    frame["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        rng.exponential(600, N).cumsum().round(), unit="s"
    )
    assert "irregular" in find_roles(as_table(frame)).why
    assert "10 rows to a series" in find_roles(as_table(_frame(10))).why
    births = pd.DataFrame({"born": pd.to_datetime(rng.integers(0, 20_000, 400), unit="D")})
    assert isinstance(find_roles(as_table(births.assign(income=rng.normal(size=400)))), NotSeries)
    assert find_roles(as_table(pd.DataFrame({"x": [1.5, 2.0]}))) == NotSeries("")


def test_what_is_decided_is_told_and_can_be_overruled(odd, result):
    assert "taken for series: load, temp over time" in result.notes[0]
    assert type(awry.detect(odd, as_="table", detector="modified_zscore")) is awry.Result
    # A detector's own kind decides where one is named.
    assert type(awry.detect(odd, detector="modified_zscore")) is awry.Result
    text = odd.assign(mood=["good", "bad"] * (N // 2))
    assert "mood" in awry.detect(text[:200]).notes[0]
    forced = awry.detect(text, as_="series", detector="seasonal_ewma")
    assert isinstance(forced, SeriesResult)
    assert any("left out: mood" in note for note in forced.notes)
    with pytest.raises(DataError, match=r"context.*series"):
        awry.detect(odd, context=["temp"], as_="series")
    with pytest.raises(ValueError, match="as_ must be"):
        awry.detect(odd, as_="rows")


# -- grids ----------------------------------------------------------------------------------------


def test_rows_out_of_order_repeated_and_missing():
    frame = _frame(100)
    hard = pd.concat([frame.drop([40, 41, 42]), frame.iloc[[7]].assign(load=0.0)])
    read = _read(hard.sample(frac=1, random_state=0))
    x = read.series[0].values[:, 0]
    assert len(x) == 100
    assert np.isnan(x[40:43]).all()
    assert np.isfinite(np.delete(x, [40, 41, 42])).all()
    assert x[7] == pytest.approx(frame["load"][7] / 2)
    np.testing.assert_array_equal(
        np.delete(x, [7, 40, 41, 42]), frame["load"].drop([7, 40, 41, 42])
    )
    words = " ".join(read.notes)
    assert "out of order" in words
    assert "1 at the time of another" in words
    assert "missing: 3" in words


def test_every_row_knows_its_point():
    frame = _frame(100).sample(frac=1, random_state=1).reset_index(drop=True)
    read = _read(frame)
    np.testing.assert_array_equal(read.series[0].values[read.points, 0], frame["load"])
    found = read.at_rows([np.arange(100.0)], -1.0)
    np.testing.assert_array_equal(found, read.points)


@given(
    step=st.sampled_from([1, 60, 300, 3600, 86_400]),
    n=st.integers(10, 80),
    drop=st.integers(0, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_jitter_and_gaps_leave_the_grid_as_it_was(step, n, drop, seed):
    rng = np.random.default_rng(seed)
    keep = np.sort(rng.choice(np.arange(1, n - 1), n - 2 - drop, replace=False))
    true = np.r_[0, keep, n - 1]
    stamps = (true * step * 1e6 + rng.uniform(-0.004, 0.004, len(true)) * step * 1e6).astype(int)
    grid = lay(stamps)
    assert grid.step == step * 1_000_000
    np.testing.assert_array_equal(grid.points, true)


def test_months_are_a_step_each():
    stamps = pd.date_range("2018-01-01", periods=48, freq="MS").as_unit("us").asi8
    np.testing.assert_array_equal(lay(stamps).points, np.arange(48))


def test_a_clock_at_zero_does_not_stretch_the_grid():
    frame = _frame(200)
    frame.loc[5, "time"] = pd.Timestamp(0)
    read = _read(frame)
    assert len(read.series[0]) == 200
    assert read.rows[5] == -1
    assert "row 6" in str(read.problems[0])


def test_counters_become_rates_across_resets():
    rng = np.random.default_rng(0)
    steps = rng.integers(1, 9, 300).astype(float)
    total = steps.cumsum()
    total[150:] -= total[149]  # a restart: counts anew from what came since
    assert is_counter(total)
    np.testing.assert_allclose(rates(total, 2.0)[1:], steps[1:] / 2.0)
    assert not is_counter(_wave())
    assert not is_counter(np.tile([0.0, 0.0, 0.0, 50.0], 30))
    read = _read(_frame(300).assign(load=total))
    assert any("only counts up" in note for note in read.notes)
    np.testing.assert_allclose(read.series[0].values[1:, 0], steps[1:] / 1800)


def test_clocks_put_forward_keep_the_time_on_the_wall():
    zone = pd.date_range("2024-03-30", periods=200, freq="30min", tz="Europe/Berlin")
    read = _read(pd.DataFrame({"time": zone.tz_localize(None), "load": _wave(200)}))
    assert len(read.series[0]) == 202
    assert np.isnan(read.series[0].values).sum() == 2
    assert any("Sundays" in note for note in read.notes)
    back = pd.date_range("2024-10-26", periods=200, freq="30min", tz="Europe/Berlin")
    read = _read(pd.DataFrame({"time": back.tz_localize(None), "load": _wave(200)}))
    assert len(read.series[0]) == 198
    aware = _read(pd.DataFrame({"time": back, "load": _wave(200)}))
    assert len(aware.series[0]) == 200


# -- scores and events ----------------------------------------------------------------------------


def test_what_was_planted_is_one_event_with_its_channel_and_kind(odd, result):
    assert len(result) == len(odd)
    event = result.gravest(1)[0]
    assert (event.first, event.last, event.kind) == (300, 302, "spike")
    assert event.channels == ["load"]
    assert result.labels[300:303].all()
    assert event.start == odd["time"][300].timestamp()
    assert result.findings[0].periods[0] == 48
    reason = result.explain([301], k=1)[0][0]
    assert (reason.column, reason.share > 0.5) == ("load", True)
    row = result.to_table().to_pylist()[301]
    assert row["time"] == odd["time"][301].to_pydatetime()
    assert row["reasons"].startswith("spike: ")
    assert result.to_dict()["events"][0]["kind"] == "spike"


def test_rows_may_come_in_any_order(odd, result):
    mixed = odd.sample(frac=1, random_state=3)
    again = awry.detect(mixed, detector="seasonal_ewma")
    back = pd.Series(again.scores, index=mixed.index).sort_index()
    np.testing.assert_array_equal(back, result.scores)
    assert again.to_frame().index[0] == mixed.index[0]


def test_scores_of_series_of_any_scale_are_comparable():
    rng = np.random.default_rng(0)
    frames = []
    for key, scale in (("calm", 1.0), ("wild", 1000.0)):
        x = rng.normal(size=2000) * scale
        x[700] = 12 * scale
        stamps = pd.date_range("2024-01-01", periods=2000, freq="min")
        frames.append(pd.DataFrame({"time": stamps, "host": key, "x": x}))
    found = awry.detect(
        pd.concat(frames, ignore_index=True), detector="ewma", params={"weight": 1.0}
    )
    assert set(found.top(2).tolist()) == {700, 2700}
    for half in (found.scores[:2000], found.scores[2000:]):
        assert 0.05 < (half > 1).mean() < 0.15  # 1 is one in ten
    assert [e.key for e in found.gravest(2)] in (["calm", "wild"], ["wild", "calm"])


def test_surprise_rises_strictly_with_the_score():
    scores = np.random.default_rng(0).exponential(size=2000)
    surprise = Surprise().fit([scores, scores * 5])
    at = np.r_[np.sort(scores)[1200:], np.geomspace(10, 1e9, 50)]
    assert (np.diff(surprise.transform(0, at)) > 0).all()
    np.testing.assert_allclose(surprise.transform(1, at * 5), surprise.transform(0, at))


def test_many_series_take_one_detector_and_the_same_scores():
    n, T = OWN_TAILS + 20, 120
    rng = np.random.default_rng(0)
    x = rng.normal(size=(T, n)) + 5 * np.sin(np.arange(T) / 24 * 2 * np.pi)[:, None]
    x[60, 7] += 40
    stamps = np.datetime64("2024-01-01", "us") + np.arange(T) * np.timedelta64(1, "h")
    keys = np.array([f"h{i:03d}" for i in range(n)])
    table = pa.table({"time": np.repeat(stamps, n), "host": np.tile(keys, T), "value": x.ravel()})
    model = SeriesModel("seasonal_ewma", params={"period": 24}).fit(table)
    assert len(model.parts_) == 1
    assert int(model.train_scores_.argmax()) == 60 * n + 7
    alone = SeasonalEWMA(period=24).fit(x[:, 7]).decision_scores_
    mine = model.train_scores_[7::n]
    np.testing.assert_array_equal(np.argsort(mine[mine > 1]), np.argsort(alone[mine > 1]))
    # Half of the series go on; the others are not there.
    later = table.set_column(0, "time", pa.array(np.repeat(stamps + np.timedelta64(T, "h"), n)))
    some = later.filter(pa.array(np.tile(np.arange(n) % 2 == 0, T)))
    np.testing.assert_allclose(
        model.score(some), model.score(later)[np.tile(np.arange(n) % 2 == 0, T)]
    )


def test_scoring_goes_on_where_training_ended():
    frame = _frame(960)
    model = awry.fit(frame[:720], detector="seasonal_ewma")
    after = model.score(as_table(frame[720:]))
    assert (after > model.threshold_).mean() < 0.02
    # The same rows, hours later: the season goes on over the gap, so they are out of phase.
    moved = frame[720:].assign(time=frame["time"][720:] + pd.Timedelta("12h"))
    assert np.median(model.score(as_table(moved))) > 2 * np.median(after)
    days = frame[720:].assign(time=frame["time"][720:] + pd.Timedelta("10D"))
    np.testing.assert_allclose(model.score(as_table(days)), after)


def test_a_saved_model_judges_alike(odd, tmp_path):
    model = awry.fit(odd[:400], detector="seasonal_ewma")
    io.save(model, tmp_path / "m.awry")
    loaded = awry.load(tmp_path / "m.awry")
    one, two = (next(iter(awry.score(odd[400:], m))) for m in (model, loaded))
    np.testing.assert_array_equal(one.scores, two.scores)
    assert one.threshold == two.threshold
    assert [e.words for e in one.events] == [e.words for e in two.events]


def test_a_series_not_known_from_training_is_judged_by_itself():
    frames = [_frame(host=host) for host in ("a", "b")]
    model = awry.fit(frames[0], detector="seasonal_ewma", by="host")
    frames[1].loc[500, "load"] = 60.0
    found = next(iter(awry.score(frames[1], model)))
    assert found.top(1)[0] == 500
    assert any("not known from training" in note for note in found.notes)


@pytest.mark.parametrize("detector", ["seasonal_ewma", "windowed"])
def test_causal_scores_do_not_change_with_the_future(detector):
    frame = _frame()
    frame.loc[400, "load"] = 30.0
    changed = frame.copy()
    changed.loc[450:, "load"] = np.random.default_rng(5).normal(size=N - 450) * 50
    one, two = (awry.detect(f, detector=detector, causal=True).scores for f in (frame, changed))
    assert one[400] > 1
    np.testing.assert_array_equal(one[:450], two[:450])


def test_a_table_detector_is_put_on_windows(odd):
    model = awry.fit(odd, detector="pca", as_="series")
    assert model.detector_.card.name == "windowed"
    assert 290 < int(model.train_scores_.argmax()) < 312


def test_labels_measure_series_and_are_not_seen(odd):
    labelled = odd.assign(bad=(odd.index >= 300) & (odd.index <= 302))
    found = awry.evaluate(labelled, label="bad", detector="seasonal_ewma")
    assert found.metrics["vus_pr"] > 0.5
    assert found.metrics["event_recall"] == 1.0
    names = ["seasonal_ewma", "pca"]
    both = awry.compare(labelled, names, label="bad")
    assert {one.name for one in both} == {"seasonal_ewma", "windowed"}
    assert all("vus_pr" in one.metrics for one in both)


# -- bad input ------------------------------------------------------------------------------------


def test_bad_cells_and_stamps_are_set_aside_and_told():
    frame = _frame(200).astype({"time": str, "load": object})
    frame.loc[20, "time"] = "yesterday"
    frame.loc[30, "time"] = None
    frame.loc[40, "load"] = "n/k?"
    frame.loc[50, "load"] = np.inf
    found = awry.detect(frame, detector="seasonal_ewma", as_="series")
    told = [str(p) for p in found.problems]
    assert any("row 21" in t and "'yesterday' is not a time" in t for t in told)
    assert any("row 31" in t and "no time" in t for t in told)
    assert any("row 41" in t and "'n/k?' is not a number" in t for t in told)
    assert any("row 51" in t and "infinite" in t for t in told)
    assert np.isfinite(found.scores).all()
    assert found.scores[20] == 0


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"x": np.arange(50.0) ** 1.5}), "no column holds times.*--time"),
        (_frame(50)[["time"]], "no column holds numbers"),
        (_frame(50).assign(load=np.nan), "no column holds numbers|without any value"),
        (_frame(2), "2 rows"),
    ],
)
def test_what_cannot_be_series_is_said(frame, words):
    with pytest.raises(DataError, match=words):
        awry.detect(frame, as_="series", detector="seasonal_ewma")


def test_constant_series_are_calm():
    found = awry.detect(_frame(100).assign(load=5.0), as_="series", detector="seasonal_ewma")
    assert not found.labels.any()
    assert found.events == []


def test_a_bad_series_is_set_aside_and_the_rest_go_on():
    frames = [_frame(200, host=f"h{i}") for i in range(4)]
    frames[1]["load"] = np.nan
    frames[2] = frames[2][:2]
    frames[3].loc[150, "load"] = 99.0
    found = awry.detect(pd.concat(frames, ignore_index=True), detector="seasonal_ewma")
    assert {f.key for f in found.findings} == {"h0", "h3"}
    assert sorted(p.text for p in found.problems) == ["h1", "h2"]
    assert found.top(1)[0] == 200 + 200 + 2 + 150


_CELLS = st.one_of(
    st.none(), st.floats(), st.integers(-(10**6), 10**6), st.sampled_from(["", "x", "7", "1e400"])
)
_STAMPS = st.one_of(
    st.none(),
    st.datetimes().map(str),
    st.integers(0, 50).map(lambda i: f"2024-01-{1 + i % 28:02d} {i % 24:02d}:00"),
    st.sampled_from(["", "soon", "0001-01-01", "9999-12-31", "1970-01-01"]),
)


@given(
    rows=st.lists(st.tuples(_STAMPS, _CELLS, st.sampled_from(["a", "b", ""])), max_size=40),
    as_=st.sampled_from(["auto", "series"]),
)
@settings(max_examples=40)
def test_any_table_with_a_time_column_gives_a_result_or_says_why(rows, as_):
    table = {
        "time": pa.array([r[0] for r in rows], pa.string()),
        "value": pa.array([None if r[1] is None else str(r[1]) for r in rows], pa.string()),
        "host": pa.array([r[2] for r in rows], pa.string()),
    }
    try:
        found = awry.detect(pa.table(table), as_=as_, detector="seasonal_ewma", time="time")
    except DataError:
        return
    assert len(found) == len(rows)
    assert np.isfinite(found.scores).all()
    found.to_dict()


def test_holidays_need_no_other_setting() -> None:
    """With the days off named, only the day off that is not among them is odd."""
    times = pd.date_range("2026-01-05", periods=24 * 7 * 12, freq="h")
    named = ["2026-01-14", "2026-02-03", "2026-02-19", "2026-03-10"]
    off = pd.to_datetime([*named, "2026-03-24"])
    open_ = (times.hour >= 8) & (times.hour < 18) & (times.day_of_week < 5)
    load = 50.0 * (open_ & ~times.normalize().isin(off))
    load = load + np.random.default_rng(0).normal(size=len(times))
    result = awry.detect(pd.DataFrame({"time": times, "load": load}), holidays=named)
    flagged = times[result.labels == 1].normalize()
    assert "2026-03-24" in flagged
    assert not flagged.isin(pd.to_datetime(named)).any()
