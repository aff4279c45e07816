"""CPU microseconds per point of the detectors that take a series point by point, beside river's.

    python benchmarks/online.py

One channel of noise with a daily wave and a spike in a thousand points; fitted on 2,000 points and
then followed, in one call (the compiled loop) and one point at a time (``score_one`` and
``learn_one``). Then 100,000 series at once, one tick a call. Peers are river's nearest parts, which
are called for each point. Needs ``pip install river``; without it the peers are left out. Writes
online.json and online.md beside this file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from awry.core import registry

HERE = Path(__file__).parent
TRAIN, POINTS, SINGLE = 2_000, 200_000, 3_000
#: Detectors, their parameters and the goal in microseconds.
RUNS: dict[str, tuple[dict[str, Any], float | None]] = {
    "ewma": ({}, 2.0),
    "cusum": ({}, 2.0),
    "shewhart": ({}, None),
    "nelson_rules": ({}, None),
    "hampel": ({"window": 51}, None),
    "rolling_quantile": ({"window": 200}, None),
    "spot": ({}, 20.0),
    "spot, drift_window=450": ({"drift_window": 450}, 20.0),
    "seasonal_ewma": ({"period": 24}, None),
}
SERIES, TICKS, PERIODS = 100_000, 60, (24, 1440)


def series(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(n) * 2 * np.pi / 24) + rng.normal(scale=0.5, size=n)
    return x + 8.0 * (rng.random(n) < 1e-3)


def peers() -> dict[str, tuple[str, Callable[[float], Any]]]:
    """For each detector river's nearest part and what it does with a point."""
    try:
        from river import drift, stats, time_series
    except ImportError:
        return {}
    mean, variance = stats.EWMean(0.2), stats.EWVar(0.2)
    page = drift.PageHinkley()
    iqr = stats.RollingIQR(200, q_inf=0.02, q_sup=0.98)
    median = stats.RollingQuantile(0.5, window_size=51)
    winters = time_series.HoltWinters(alpha=0.1, beta=0.1, gamma=0.2, seasonality=24)

    def ewma(x: float) -> None:
        mean.update(x)
        variance.update(x)

    def season(x: float) -> None:
        # It forecasts only after a season.
        if winters.season:
            winters.forecast(1)
        winters.learn_one(x)

    return {
        "ewma": ("EWMean and EWVar", ewma),
        "cusum": ("PageHinkley", page.update),
        "hampel": ("RollingQuantile, median only", median.update),
        "rolling_quantile": ("RollingIQR", iqr.update),
        "seasonal_ewma": ("HoltWinters", season),
    }


def each(call: Callable[[Any], Any], points: Any) -> float:
    """CPU microseconds per point of ``call``."""
    start = time.process_time()
    for point in points:
        call(point)
    return (time.process_time() - start) / len(points) * 1e6


def one(detector: Any, point: np.ndarray) -> None:
    detector.score_one(point)
    detector.learn_one(point)


def per_point() -> list[dict[str, Any]]:
    x, others, rows = series(TRAIN + POINTS), peers(), []
    for name, (params, goal) in RUNS.items():
        detector = registry.create(name.partition(",")[0], **params).fit(x[:TRAIN])
        detector.update(x[TRAIN : TRAIN + 10])
        loop = min(each(detector.update, [x[TRAIN:]]) for _ in range(3)) / POINTS
        single = each(partial(one, detector), x[-SINGLE:, None])
        row = {"detector": name, "goal": goal, "loop_us": round(loop, 3), "one_us": round(single)}
        if name in others:
            peer, call = others[name]
            row |= {"peer": peer, "peer_us": round(each(call, x[TRAIN:].tolist()), 2)}
        rows.append(row)
        print(row)
    return rows


def ticks() -> list[dict[str, Any]]:
    X, rows = np.random.default_rng(0).normal(size=(TICKS + 48, SERIES)), []
    for period in PERIODS:
        detector = registry.create("seasonal_ewma", period=period).fit(X[:48])
        spent = []
        for tick in X[48:]:
            start = time.process_time()
            detector.update(tick[None])
            spent.append(1e3 * (time.process_time() - start))
        rows.append({"period": period, "median_ms": round(float(np.median(spent)), 2),
                     "most_ms": round(max(spent), 2)})  # fmt: skip
        print(rows[-1])
    return rows


def main() -> None:
    points, advances = per_point(), ticks()
    (HERE / "online.json").write_text(json.dumps({"points": points, "ticks": advances}, indent=1))
    lines = ["| detector | CPU µs a point | goal | one at a time, µs | river | its µs |"]
    lines.append("|---" * 6 + "|")
    for row in points:
        goal = "" if row["goal"] is None else f"{row['goal']:g}"
        peer = f"{row['peer']} | {row['peer_us']}" if "peer" in row else "- | -"
        lines.append(
            f"| {row['detector']} | {row['loop_us']} | {goal} | {row['one_us']} | {peer} |"
        )
    lines += ["", f"| seasonal_ewma, {SERIES:,} series | CPU ms a tick, median | most | goal |"]
    lines.append("|---" * 4 + "|")
    for row in advances:
        lines.append(f"| period {row['period']} | {row['median_ms']} | {row['most_ms']} | 10 |")
    (HERE / "online.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
