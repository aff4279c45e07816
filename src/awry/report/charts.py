"""Charts as HTML: the marks are an SVG that stretches, the words stay the size of the text.

They take their colours from CSS variables, so one chart serves light and dark, and their width from
the page, so it serves a phone. Nothing is loaded from anywhere.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import numpy as np

#: Side of the square the marks are drawn in, before it is stretched.
_UNIT = 1000.0
#: From which size on ticks are in which unit, for long numbers would not fit beside a plot.
_UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (2e4, 1e3, "k"), (0.0, 1.0, ""))
#: Colour classes of the severities: normal, warning, critical, emergency.
SEVERITY_CLASSES = ("calm", "warning", "critical", "emergency")


def style() -> str:
    """The CSS that charts and pages share."""
    return files("awry.report").joinpath("style.css").read_text()


def number(value: float) -> str:
    """A number for people: at most four digits that matter, thousands apart.

    >>> number(9200.0), number(0.000123), number(3.14159), number(12345678.0)
    ('9,200', '0.000123', '3.142', '12,345,678')
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "missing"
    if value == 0:
        return "0"
    if abs(value) >= 1e15 or abs(value) < 1e-5:
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """What the colours stand for, from pairs of a class and its name, as HTML."""
    keys = (f'<span class="key"><i class="{css}"></i>{html.escape(t)}</span>' for css, t in entries)
    return f'<div class="legend">{"".join(keys)}</div>'


@dataclass
class Axis:
    """A scale from data to the unit square, and its ticks.

    Parameters
    ----------
    low, high : float
        The ends of the data.
    kind : {"linear", "log", "time"}
        ``"log"`` draws log10(1 + value), for counts; ``"time"`` takes seconds since the epoch.
    label : str
    names : sequence of str
        What stands at 0, 1, 2 and so on in place of numbers.
    """

    low: float
    high: float
    kind: str = "linear"
    label: str = ""
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.high > self.low:
            pad = abs(self.low) * 0.05 or 0.5
            self.low, self.high = self.low - pad, self.high + pad

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Share of the way from low to high, 0 to 1."""
        raw = np.asarray(values, dtype=float)
        if self.kind == "log":
            low, high = math.log10(1 + self.low), math.log10(1 + self.high)
            return (np.log10(1 + np.clip(raw, 0, None)) - low) / (high - low)
        return (raw - self.low) / (self.high - self.low)

    def ticks(self, n: int = 5) -> list[tuple[float, str]]:
        """Places, 0 to 1, and their labels."""
        if self.names:
            named = [(float(i), name) for i, name in enumerate(self.names)]
        elif self.kind == "log":
            top = math.ceil(math.log10(1 + self.high))
            values = [0.0, *(10.0**p for p in range(0, top + 1, max(1, top // 4)))]
            named = [(v, f"{v:,.0f}") for v in values]
        elif self.kind == "time":
            named = _time_ticks(self.low, self.high, n)
        else:
            step = _nice((self.high - self.low) / n)
            first = math.ceil(self.low / step - 1e-9)
            values = [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
            most = max(abs(self.low), abs(self.high))
            size, unit = next((size, unit) for least, size, unit in _UNITS if most >= least)
            named = [(v, f"{number(v / size)}{unit if v else ''}") for v in values]
        placed = [(float(self.place(v)), text) for v, text in named]
        return [(p, text) for p, text in placed if -1e-6 <= p <= 1 + 1e-6]


class Picture:
    """What shows itself in a notebook and writes itself as a page."""

    title: str

    def html(self) -> str:
        """The picture as an HTML figure, to go where :func:`style` is in force."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return f'<div class="awry"><style>{style()}</style>{self.html()}</div>'

    def save(self, path: str | Path) -> None:
        """Write the picture as a page of its own."""
        Path(path).write_text(
            '<!doctype html><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width"><title>{html.escape(self.title)}</title>'
            f'<body class="awry"><style>{style()}</style>{self.html()}</body>',
            encoding="utf-8",
        )


@dataclass
class Chart(Picture):
    """One picture: axes, marks, rules and a caption."""

    title: str
    x: Axis
    y: Axis
    caption: str = ""
    height: int = 240
    marks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    def _xy(self, xs: np.ndarray, ys: np.ndarray) -> list[tuple[float, float]]:
        px = np.clip(self.x.place(xs), -0.02, 1.02) * _UNIT
        py = (1 - np.clip(self.y.place(ys), -0.02, 1.02)) * _UNIT
        return list(zip(px.round(1).tolist(), py.round(1).tolist(), strict=True))

    def line(self, xs: np.ndarray, ys: np.ndarray, css: str = "calm") -> Chart:
        """A line through the points; a gap where a value is not finite."""
        finite = np.isfinite(np.asarray(ys, dtype=float))
        path, pen = [], "M"
        points = self._xy(np.asarray(xs), np.nan_to_num(ys))
        for (px, py), ok in zip(points, finite.tolist(), strict=True):
            if ok:  # a point between two gaps is a line of no length
                path.append(f"{pen}{px} {py}{'h0' if pen == 'M' else ''}")
            pen = "L" if ok else "M"
        self.marks.append(f'<path class="line {css}" d="{"".join(path)}"/>')
        return self

    def area(self, xs: np.ndarray, low: np.ndarray, high: np.ndarray, css: str) -> Chart:
        """A filled band between two lines; a gap where either is not finite."""
        finite = np.isfinite(low) & np.isfinite(high)
        edges = np.flatnonzero(np.diff(np.r_[False, finite, False].astype(np.int8)))
        path = []
        for first, end in edges.reshape(-1, 2):
            part = slice(first, end)
            back = self._xy(xs[part], low[part])[::-1]
            points = [*self._xy(xs[part], high[part]), *back]
            path.append("M" + "L".join(f"{px} {py}" for px, py in points) + "z")
        if path:
            self.marks.append(f'<path class="box {css}" d="{"".join(path)}"/>')
        return self

    def dots(self, xs: np.ndarray, ys: np.ndarray, css: str = "calm") -> Chart:
        """Round dots of one size whatever the stretch."""
        path = "".join(f"M{px} {py}h0" for px, py in self._xy(np.asarray(xs), np.asarray(ys)))
        if path:
            self.marks.append(f'<path class="dot {css}" d="{path}"/>')
        return self

    def boxes(
        self, left: np.ndarray, right: np.ndarray, low: np.ndarray, high: np.ndarray, css: str
    ) -> Chart:
        """Filled rectangles: bars of a histogram, bands, shaded stretches."""
        corners = zip(self._xy(left, low), self._xy(right, high), strict=True)
        path = "".join(f"M{ax} {ay}H{bx}V{by}H{ax}z" for (ax, ay), (bx, by) in corners)
        if path:
            self.marks.append(f'<path class="box {css}" d="{path}"/>')
        return self

    def rule(self, value: float, text: str, *, axis: str = "x", css: str = "rule") -> Chart:
        """A dashed line across the plot at ``value`` with its name."""
        place = float((self.x if axis == "x" else self.y).place(value))
        if not -0.001 <= place <= 1.001:
            return self
        at = round((place if axis == "x" else 1 - place) * _UNIT, 1)
        d = f"M{at} 0V{_UNIT:.0f}" if axis == "x" else f"M0 {at}H{_UNIT:.0f}"
        self.marks.append(f'<path class="line {css}" d="{d}"/>')
        side = "flip" if axis == "x" and place > 0.6 else ""
        spot = f"left:{place:.2%};top:0" if axis == "x" else f"bottom:{place:.2%};right:0"
        self.notes.append(f'<span class="note {side}" style="{spot}">{html.escape(text)}</span>')
        return self

    def plot(self, *, bare: bool = False, times: bool = True) -> str:
        """The marks between their axes; ``bare`` without any words, ``times=False`` without x's."""
        x_ticks = self.x.ticks() if times and not bare else []
        y_ticks = [] if bare else self.y.ticks(max(2, min(5, self.height // 30)))
        grid = "".join(f"M0 {(1 - p) * _UNIT:.1f}H{_UNIT:.0f}" for p, _ in y_ticks)
        words = "".join(
            f'<span class="tick x" style="left:{p:.2%}">{html.escape(t)}</span>' for p, t in x_ticks
        ) + "".join(
            f'<span class="tick y" style="bottom:{p:.2%}">{html.escape(t)}</span>'
            for p, t in y_ticks
        )
        notes = "" if bare else "".join(self.notes)
        return (
            f'<div class="plot{" named" if self.y.names else ""}" style="height:{self.height}px">'
            f'<svg viewBox="0 0 {_UNIT:.0f} {_UNIT:.0f}" preserveAspectRatio="none" role="img" '
            f'aria-label="{html.escape(self.title, quote=True)}">'
            f'<path class="grid" d="{grid}"/>{"".join(self.marks)}</svg>{words}{notes}</div>'
        )

    def html(self) -> str:
        caption = f'<p class="caption">{html.escape(self.caption)}</p>' if self.caption else ""
        return (
            f'<figure class="chart"><figcaption>{html.escape(self.title)}</figcaption>'
            f"{legend(self.legend)}"
            f'<div class="ylabel">{html.escape(self.y.label)}</div>'
            f'{self.plot()}<div class="xlabel">{html.escape(self.x.label)}</div>{caption}</figure>'
        )


def score_histogram(
    scores: np.ndarray, levels: Sequence[tuple[str, float]], bins: int = 60
) -> Chart:
    """How scores are spread, and where the thresholds cut.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    levels : sequence of (name, threshold)
        Ascending; bars beyond a threshold take its colour.
    """
    counts, edges = np.histogram(scores, bins=bins)
    top = max([edges[-1], *(t for _, t in levels if np.isfinite(t))])
    chart = Chart(
        "Scores",
        Axis(float(edges[0]), float(top), label="score, higher = more anomalous"),
        Axis(0, float(counts.max()) * 1.3, "log", label="rows (log scale)"),
    )
    cuts = [t for _, t in levels]
    colour = np.searchsorted(cuts, (edges[:-1] + edges[1:]) / 2)
    for level, css in enumerate(SEVERITY_CLASSES):
        pick = (colour == level) & (counts > 0)
        chart.boxes(edges[:-1][pick], edges[1:][pick], np.zeros(pick.sum()), counts[pick], css)
    for name, cut in levels:
        chart.rule(cut, f"{name} {number(cut)}")
    return chart


def score_over_time(
    times: np.ndarray, scores: np.ndarray, severity: np.ndarray, threshold: float, bins: int = 400
) -> Chart:
    """Where in time the anomalies lie: the range of scores in each slot, flagged rows as dots."""
    kind = "time" if times.size and times.max() > 1e8 else "linear"
    chart = Chart(
        "Scores over time",
        Axis(float(times.min()), float(times.max()), kind, label="time (UTC)"),
        Axis(float(scores.min()), float(max(scores.max(), threshold)), label="score"),
    )
    slot = np.minimum((chart.x.place(times) * bins).astype(int), bins - 1)
    highest = np.full(bins, -np.inf)
    middle = np.full(bins, np.nan)
    np.maximum.at(highest, slot, scores)
    order = np.argsort(slot, kind="stable")
    used, starts = np.unique(slot[order], return_index=True)
    for at, rows in zip(used, np.split(order, starts[1:]), strict=True):
        middle[at] = np.median(scores[rows])
    edges = np.linspace(chart.x.low, chart.x.high, bins + 1)
    chart.boxes(
        edges[:-1][used],
        edges[1:][used],
        middle[used],
        np.maximum(highest[used], middle[used]),
        "band",
    )
    for level, css in enumerate(SEVERITY_CLASSES):
        pick = np.flatnonzero((severity == level) & (severity > 0))[:2000]
        chart.dots(times[pick], scores[pick], css)
    chart.rule(threshold, f"threshold {number(threshold)}", axis="y")
    chart.caption = "Shaded: from the median to the highest score of each slot of time."
    return chart


def projection(points: np.ndarray, severity: np.ndarray, explained: Sequence[float]) -> Chart:
    """Rows in two dimensions, flagged ones on top.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
    severity : ndarray of shape (n,)
    explained : two floats
        Share of the variance along each axis.
    """
    chart = Chart(
        "Rows in two dimensions",
        Axis(*_span(points[:, 0]), label=f"first component, {explained[0]:.0%} of the variance"),
        Axis(*_span(points[:, 1]), label=f"second component, {explained[1]:.0%}"),
        height=320,
    )
    names = ("not flagged", "warning", "critical", "emergency")
    for level, css in enumerate(SEVERITY_CLASSES):
        pick = severity == level
        if pick.any():
            chart.dots(points[pick, 0], points[pick, 1], css)
            chart.legend.append((css, names[level]))
    return chart


def curves(
    title: str,
    lines: Sequence[tuple[str, np.ndarray, np.ndarray]],
    x_label: str,
    y_label: str,
) -> Chart:
    """Lines in the unit square, such as ROC and precision-recall curves, best first.

    The first six are solid, six more dashed, each in a colour; the others lie pale below them.
    """
    chart = Chart(title, Axis(0, 1, label=x_label), Axis(0, 1, label=y_label), height=300)
    for i, (name, xs, ys) in reversed([*enumerate(lines)]):
        css = f"series{i % 6}{' dashed' * (i >= 6)}" if i < 12 else "calm"
        keep = np.unique(np.linspace(0, len(xs) - 1, 500).astype(int))
        chart.line(np.asarray(xs)[keep], np.asarray(ys)[keep], css)
        if i < 12:
            chart.legend.insert(0, (css, name))
    if len(lines) > 12:
        chart.legend.append(("calm", f"{len(lines) - 12} others"))
    return chart


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = (high - low) * 0.04
    return low - pad, high + pad


def _nice(step: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step * (1 - 1e-9))


_TIME_STEPS: Sequence[tuple[float, str]] = (
    *((seconds, "%H:%M:%S") for seconds in (1, 5, 15, 30)),
    *((60 * minutes, "%H:%M") for minutes in (1, 2, 5, 10, 15, 30)),
    *((3600 * hours, "%d %b %H:%M") for hours in (1, 2, 4, 6, 12)),
    *((86400 * days, "%d %b") for days in (1, 2, 4, 7, 14)),
    *((86400 * days, "%b %Y") for days in (30, 91)),
    *((365 * 86400 * years, "%Y") for years in (1, 5, 25)),
)


def _time_ticks(low: float, high: float, n: int) -> list[tuple[float, str]]:
    want = (high - low) / n
    step, shape = next((s for s in _TIME_STEPS if s[0] >= want), _TIME_STEPS[-1])
    first = math.ceil(low / step)
    values = [i * step for i in range(first, math.floor(high / step) + 1)]
    return [(v, datetime.fromtimestamp(v, UTC).strftime(shape)) for v in values]
