"""Draws the pictures of ``events.md``, light and dark: ``python docs/_event_pictures.py``.

Needs Chromium and Pillow, which awry does not; the pictures are kept in ``_static``.
"""

from __future__ import annotations

import html
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import awry
from awry.core.inputs import FloatArray
from awry.data.event_kinds import Describer
from awry.data.expected import expected_band
from awry.report import charts, series_charts
from awry.series_result import Finding, SeriesEvent

OUT = Path(__file__).parent / "_static"
POINTS, PERIOD, STEP = 960, 48, 1800.0
AT = np.arange(POINTS)
WAVE = 5 * np.sin(2 * np.pi * AT / PERIOD)
BEAT = 12 * np.exp(-0.5 * ((AT % PERIOD - 20) / 2.5) ** 2)


def main() -> None:
    """Draw the nine kinds and the report of the page's example."""
    _shoot(_kinds(), "events-kinds", 1100, 695)
    with tempfile.TemporaryDirectory() as folder:
        report = (
            awry.detect(outage(), detector="seasonal_ewma")
            .report(Path(folder) / "report.html")
            .read_text()
        )
    _shoot(report, "events-report", 1060, 1120)


def outage() -> pd.DataFrame:
    """The example of the page: twelve hosts, five of which fail together."""
    rng = np.random.default_rng(0)
    times = pd.date_range("2026-03-02", periods=7 * 288, freq="5min")
    day = np.sin(2 * np.pi * np.arange(len(times)) / 288)
    frames = []
    for i in range(12):
        load = 40 + 10 * day + rng.normal(0, 2, len(times))
        if i < 5:
            load[1500 + i : 1536] += 45
        frames.append(pd.DataFrame({"time": times, "host": f"web-{i + 1}", "load": load}))
    return pd.concat(frames)


def planted() -> dict[str, tuple[FloatArray, list[int], int, int]]:
    """For each kind values, periods, and the first and the last point of the event."""
    cases = {}
    for kind, season, first, last in (
        ("spike", WAVE, 600, 602), ("dip", WAVE, 612, 613), ("level shift", WAVE, 600, 640),
        ("trend change", 0 * WAVE, 600, 800), ("variance change", 0 * WAVE, 600, 660),
        ("flat line", WAVE, 600, 630), ("missing beat", BEAT, 592, 600),
        ("odd shape", WAVE, 576, 623), ("out-of-season", BEAT, 613, 625),
    ):  # fmt: skip
        noise = np.random.default_rng(3).normal(size=POINTS)
        x, part = 40 + season + noise, slice(first, last + 1)
        if kind in ("spike", "dip"):
            x[part] += 18 if kind == "spike" else -18
        elif kind == "level shift":
            x[part] += 16
        elif kind == "trend change":
            x[first:] += 0.12 * (AT[first:] - first)
        elif kind == "variance change":
            x[part] += 3 * noise[part]
        elif kind == "flat line":
            x[part] = x[first]
        elif kind == "missing beat":
            x[part] -= season[part]
        elif kind == "odd shape":
            x[part] = 40 + noise[part] + 7 * np.sin(6 * np.pi * AT[part] / PERIOD)
        else:
            x[part] += BEAT[part.start - 27 : part.stop - 27] - BEAT[part]
        cases[kind] = (x[:, None], [PERIOD] if season.any() else [], first, last)
    return cases


def _kinds() -> str:
    cells = []
    for x, periods, first, last in planted().values():
        band = expected_band(x, periods)
        said = Describer(x, band, periods, STEP).describe(first, last)
        times = np.datetime64("2026-03-01", "us") + AT * np.timedelta64(int(STEP), "s")
        seconds = times.astype(np.int64) / 1e6
        peak = first + int(np.argmax(np.abs(x - band.expected)[first : last + 1]))
        event = SeriesEvent(
            first, last, peak, 1.0, 2,
            last - first + 1, seconds[first], seconds[last], None, said.kind, ["value"], said.words,
        )  # fmt: skip
        finding = Finding(
            "", ["value"], times, x, band.expected, band.low, band.high, np.zeros(POINTS),
            np.zeros(POINTS, dtype=int), 1.0, periods, 0.0, STEP, [event],
        )  # fmt: skip
        picture = series_charts.event_picture(finding, event).replace("height:54px", "height:130px")
        cells.append(
            f'<div class="event anomaly" style="display:block">{picture}'
            f"<strong>{html.escape(said.kind)}</strong><div>{html.escape(said.words)}</div></div>"
        )
    grid = "display:grid;grid-template-columns:repeat(3,1fr);gap:14px;padding:14px"
    return (
        f'<!doctype html><meta charset="utf-8"><style>{charts.style()}</style>'
        f'<body class="awry"><div style="{grid}">{"".join(cells)}</div></body>'
    )


def _shoot(page: str, name: str, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        source.write_text(page)
        for scheme, number in (("light", 1), ("dark", 0)):
            subprocess.run(
                ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 f"--blink-settings=preferredColorScheme={number}", f"--screenshot={shot}",
                 f"--window-size={width},{height}", source.as_uri()],
                check=True, capture_output=True,
            )  # fmt: skip
            with Image.open(shot) as picture:  # 256 colours take half the space
                small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            small.save(OUT / f"{name}-{scheme}.png", optimize=True)


if __name__ == "__main__":
    main()
