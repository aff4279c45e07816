"""Charts and the page of series show what was found, lose no spike, and need nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import awry
from awry.core.incidents import find_incidents
from awry.report import charts, series_charts, series_page
from awry.series_result import Finding, SeriesEvent

STEP = 300.0


def _finding(key="<b>cpu</b>", n=5000, d=1, events=(), seed=0):
    values = np.random.default_rng(seed).normal(10, 1, (n, d))
    scores = np.zeros(n)
    for event in events:
        values[event.first : event.last + 1, 0] += 30
        scores[event.first : event.last + 1] = event.score
    times = np.datetime64("2026-01-01", "us") + np.arange(n) * np.timedelta64(int(STEP), "s")
    flat = np.full((n, d), 10.0)
    return Finding(
        key=key, channels=[f"ch{j}" for j in range(d)], times=times, values=values, expected=flat,
        low=flat - 4, high=flat + 4, scores=scores, severity=(scores > 2).astype(int),
        threshold=2.0, periods=[288], trend=0.0, step=STEP, events=list(events),
    )  # fmt: skip


def _event(first, last, key="<b>cpu</b>", severity=2, channels=("ch0",)):
    origin = 1767225600.0
    return SeriesEvent(
        first, last, first, 5.0, severity, last - first + 1, origin + first * STEP,
        origin + last * STEP, key, "spike", list(channels), "rose & fell",
    )  # fmt: skip


def _points(chart, css):
    """Places of the path of class ``css``, from 0 to 1000."""
    (path,) = re.findall(rf'<path class="{css}" d="([^"]*)"', chart.plot())
    return np.array([tuple(map(float, p)) for p in re.findall(r"([\d.-]+) ([\d.-]+)", path)])


def test_a_spike_of_one_point_among_many_survives():
    x = np.random.default_rng(0).normal(size=100_000)
    x[54_321] = 50.0
    seconds, thin = series_charts._thin(np.arange(100_000.0), x)
    assert len(thin) <= 2 * series_charts.SLOTS
    assert 50.0 in thin
    assert seconds[np.argmax(thin)] == 54_321
    assert thin.min() == x.min()
    assert (np.diff(seconds) > 0).all()


def test_gaps_stay_gaps_and_lone_points_are_seen():
    finding = _finding(n=4000)
    finding.values[1000:2000] = np.nan
    finding.values[1500] = 10.0
    chart = series_charts.series_panels(finding).charts[0]
    (path,) = re.findall(r'<path class="line calm" d="([^"]*)"', chart.plot())
    assert path.count("M") == 3
    points = _points(chart, "line calm")
    inside = points[(points[:, 0] > 252) & (points[:, 0] < 498)]
    assert len(inside) == 1


def test_band_is_left_out_where_nothing_was_expected():
    finding = _finding(n=100)
    finding.low[:50] = finding.high[:50] = np.nan
    chart = series_charts.series_panels(finding).charts[0]
    assert _points(chart, "box expected band")[:, 0].min() > 480


def test_events_are_shaded_where_they_are_and_wide_enough_to_see():
    chart = series_charts.series_panels(_finding(events=[_event(2500, 2500)])).charts[0]
    (path,) = re.findall(r'<path class="box shade critical" d="([^"]*)"', chart.plot())
    left, right = float(path[1:].split()[0]), float(re.search(r"H([\d.]+)", path).group(1))
    assert (left + right) / 2 == pytest.approx(500, abs=1)
    assert right - left >= 3.9


def test_involved_channels_come_first():
    finding = _finding(d=9, events=[_event(50, 60, channels=["ch7", "ch2"])], n=4000)
    panels = series_charts.series_panels(finding)
    assert [c.y.label for c in panels.charts[:3]] == ["ch7", "ch2", "ch0"]
    assert len(panels.charts) == series_charts.CHANNELS + 1
    alone = series_charts.event_panels(finding, finding.events[0])
    assert [c.y.label for c in alone.charts] == ["ch7", "ch2", "score"]
    assert alone.charts[0].x.high - alone.charts[0].x.low < 1000 * STEP


def test_overview_has_a_row_for_each_series_with_events():
    findings = [_finding(key=k, events=[_event(100 * i, 100 * i + 9, k)], n=600)
                for i, k in enumerate("abc")] + [_finding(key="calm", n=600)]  # fmt: skip
    incidents = find_incidents([e for f in findings for e in f.events], 3 * STEP)
    chart = series_charts.overview(findings, incidents)
    assert sorted(chart.y.names) == ["a", "b", "c"]
    assert "1 series without" in chart.caption
    assert series_charts.overview(findings, []) is None


def test_long_names_keep_what_tells_them_apart():
    names = {series_charts._short(f"ec2_cpu_utilization_{i:06x}") for i in range(100)}
    assert len(names) == 100
    assert max(map(len, names)) <= 18
    assert series_charts._short("web-1") == "web-1"


def test_facts_in_words():
    finding = _finding(n=600)
    finding.values[100:120] = np.nan
    finding.trend = 12.0
    facts = series_page.series_facts(finding)
    assert facts["comes round"] == "every 1 d (288 points)"
    assert facts["gaps"] == "1, 3.3 % of the points"
    assert facts["trend"] == "+12 per day"
    finding.trend = 0.01
    assert series_page.series_facts(finding)["trend"] == "none to speak of"


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    times = pd.date_range("2026-01-01", periods=1000, freq="5min")
    frames = []
    for key in ("<i>a</i>", "b & c", "calm"):
        load = 10 + rng.normal(size=1000)
        if key != "calm":
            load[700:712] += 40
        frames.append(pd.DataFrame({"time": times, "host": key, "load": load}))
    return awry.detect(pd.concat(frames), detector="ewma")


def test_an_outage_of_two_series_is_one_incident(result):
    first = result.incidents[0]
    assert set(first.keys) == {"<i>a</i>", "b & c"}
    assert first.start == pd.Timestamp("2026-01-03 10:20").timestamp()


def test_the_page_is_whole_escaped_and_needs_no_network(result, tmp_path):
    page = result.report(tmp_path / "series.html").read_text()
    assert "<i>a</i>" not in page
    assert "&lt;i&gt;a" in page
    assert not re.search(r"<script|src=|https?://|@import|>None<|>nan<|about missing", page)
    assert page.count("<section") == page.count("</section>")
    assert page.count("<div") == page.count("</div>")
    assert "2 series at once" in page
    assert "rose from about" in page
    for heading in ("Incidents", "Events", "Series", "What was read", "Data quality"):
        assert f"<h2>{heading}</h2>" in page
    assert "prefers-color-scheme: dark" in page


def test_a_page_of_nothing_says_so(result, tmp_path):
    calm = [replace(finding, events=[]) for finding in result.findings]
    none = replace(result, events=[], incidents=[], findings=calm)
    page = none.report(tmp_path / "calm.html").read_text()
    assert "Nothing unusual" in page
    assert "<b>0</b> events" in page


def test_a_notebook_shows_a_result_and_its_pictures(result, tmp_path):
    assert "2 series at once" in result._repr_html_()
    assert result.plot()._repr_html_().startswith('<div class="awry">')
    assert "calm" in result.plot("calm").title
    assert result.plot("incidents").y.names
    result.plot().save(tmp_path / "chart.html")
    assert "<svg" in (tmp_path / "chart.html").read_text()
    with pytest.raises(ValueError, match="no finding of a series 'other'"):
        result.plot("other")


def test_large_ticks_are_short():
    assert [t for _, t in charts.Axis(0, 4e8).ticks()] == ["0", "100M", "200M", "300M", "400M"]
    assert [t for _, t in charts.Axis(0, 4000).ticks()][-1] == "4,000"
