"""Charts and pages: what they show is what was found, and they need nothing from elsewhere."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

import awry
from awry.report import charts, curves


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01", periods=400, freq="min"),
            "<b>load</b>": rng.normal(size=400),
            "name": rng.choice(["<script>alert(1)</script>", "b & c"], 400),
        }
    )
    frame.loc[50, "<b>load</b>"] = 30.0
    return awry.detect(frame, detector="modified_zscore")


class _Balanced(HTMLParser):
    VOID = {"meta", "br", "path", "link", "img"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_network_shows_how_its_losses_fell(result, tmp_path):
    network = copy.copy(result)
    network.model = copy.copy(result.model)
    network.model.detector_ = copy.copy(result.model.detector_)
    network.model.detector_.history_ = {
        "loss": [3.0, 2.0, 1.5], "held_out": [3.0, 2.5, 2.75], "lr": [0.1] * 3,
    }  # fmt: skip
    page = network.report(tmp_path / "r.html").read_text()
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert 'aria-label="Losses"' in page
    assert "held-out rows" in page
    assert 'aria-label="Losses"' not in result.report(tmp_path / "s.html").read_text()


def test_the_report_is_whole_escaped_and_needs_no_network(result, tmp_path):
    page = result.report(tmp_path / "r.html").read_text()
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "script" not in parser.seen
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert "row 51" in page
    assert f"{int(result.labels.sum()):,}</b> of 400 rows flagged" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    for title in ("Scores", "Scores over time", "Rows in two dimensions"):
        assert f"<figcaption>{title}</figcaption>" in page


def test_a_report_that_cannot_be_written_leaves_nothing(result, tmp_path):
    with pytest.raises(OSError, match="no"):
        result.report(tmp_path / "no" / "r.html")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_a_result_and_a_chart(result, tmp_path):
    assert "row 51" in result._repr_html_()
    assert "<svg" in result.plot()._repr_html_()
    result.plot("projection").save(tmp_path / "p.html")
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    with pytest.raises(ValueError, match="kind must be"):
        result.plot("pie")
    assert "rows flagged" in repr(result)


def test_the_histogram_counts_every_row():
    scores = np.r_[np.zeros(90), np.linspace(1, 2, 9), 5.0]
    chart = charts.score_histogram(scores, [("warning", 1.5), ("critical", 4.0)])
    drawn = " ".join(chart.marks)
    assert "emergency" not in drawn
    assert 'class="box critical"' in drawn
    assert [n for n in chart.notes if "critical 4" in n]


@pytest.mark.parametrize(
    ("low", "high", "kind"), [(0, 1, "linear"), (-3e-9, 2e-9, "linear"), (5, 5, "linear"),
                              (0, 12345, "log"), (1.7e9, 1.7e9 + 90, "time"), (0, 4e9, "time")],
)  # fmt: skip
def test_ticks_lie_in_the_plot_and_ascend(low, high, kind):
    ticks = charts.Axis(low, high, kind).ticks()
    places = [p for p, _ in ticks]
    assert 2 <= len(ticks) <= 12
    assert places == sorted(places)
    assert all(-1e-6 <= p <= 1 + 1e-6 for p in places)
    assert len({text for _, text in ticks}) == len(ticks)


def test_a_line_breaks_where_a_value_is_missing():
    chart = charts.Chart("t", charts.Axis(0, 3), charts.Axis(0, 1))
    chart.line(np.arange(4), np.array([0.0, np.nan, 1.0, 1.0]))
    assert chart.marks[0].count("M") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1,234"), (0.5, "0.5"), (-0.00123, "-0.00123"), (1e20, "1e+20"),
     (float("nan"), "missing"), (float("inf"), "∞")],
)  # fmt: skip
def test_numbers_for_people(value, text):
    assert charts.number(value) == text


def test_the_area_under_the_curve_shown_is_the_average_precision():
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.2).astype(np.int64)
    scores = np.round(rng.normal(size=200) + y, 1)  # with ties
    precision, recall, _ = precision_recall_curve(y, scores)
    xs, ys = curves._steps(recall, precision)
    assert -np.trapezoid(ys, xs) == pytest.approx(average_precision_score(y, scores))


def test_no_two_curves_look_alike():
    unit = np.linspace(0, 1, 5)
    chart = charts.curves("t", [(f"d{i}", unit, unit) for i in range(15)], "x", "y")
    looks, names = zip(*chart.legend, strict=True)
    assert names == (*(f"d{i}" for i in range(12)), "3 others")
    assert len(set(looks)) == 13
    # The best is drawn last, above the others.
    assert f'"line {looks[0]}"' in chart.marks[-1]
