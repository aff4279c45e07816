"""STL and MSTL beside statsmodels': CPU seconds and equality of the components.

    python benchmarks/stl.py [--points 100000] [--out benchmarks]

One thread, the same series and settings, statsmodels' defaults; each is warmed up on a short series
first, so that compiling does not count, and the better of two runs is taken, of those that take
less than ten seconds. statsmodels' robust STL at the period 1440, half an hour, is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402
from statsmodels.tsa.seasonal import MSTL, STL  # noqa: E402

from awry.kernels import loess  # noqa: E402

CASES = ((24, False), (24, True), (1440, False), (1440, True), ((24, 168), False))
LEFT_OUT = {(1440, True)}


def series(points: int, periods: tuple[int, ...]) -> np.ndarray:
    """Waves on a trend, noise, and a spike in every fiftieth point."""
    rng = np.random.default_rng(0)
    at = np.arange(points)
    x = sum(np.sin(2 * np.pi * at / p) for p in periods) + 1e-4 * at + rng.normal(0, 0.3, points)
    x[rng.integers(0, points, points // 50)] += 8.0
    return x


def awry(x: np.ndarray, period: Any, robust: bool) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(period, tuple):
        found = loess.mstl(x, list(period))
        return found.season.sum(axis=0), found.trend
    found = loess.stl(x, period, robust=robust)
    return found.season, found.trend


def statsmodels(x: np.ndarray, period: Any, robust: bool) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(period, tuple):
        found = MSTL(x, periods=period).fit()
        return found.seasonal.sum(axis=1), found.trend
    found = STL(x, period=period, robust=robust).fit()
    return found.seasonal, found.trend


def cpu(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, the better of two runs where one is short, and the result."""
    best, result = np.inf, None
    for _ in range(2):
        start = time.process_time()
        result = run()
        best = min(best, time.process_time() - start)
        if best > 10:
            break
    return best, result


def compare(points: int, period: Any, robust: bool) -> dict[str, Any]:
    periods = period if isinstance(period, tuple) else (period,)
    small = series(4 * max(periods), periods)
    awry(small, period, robust)
    x = series(points, periods)
    ours, parts = cpu(lambda: awry(x, period, robust))
    result: dict[str, Any] = {"period": period, "robust": robust, "awry": ours}
    if (period, robust) not in LEFT_OUT:
        theirs, peer = cpu(lambda: statsmodels(x, period, robust))
        gap = max(float(np.abs(a - b).max()) for a, b in zip(parts, peer, strict=True))
        result |= {"statsmodels": theirs, "ratio": theirs / ours, "difference": gap}
    return result


def markdown(results: list[dict[str, Any]]) -> str:
    lines = [
        "| decomposition | period | statsmodels | awry | ratio | components differ by |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        several = isinstance(r["period"], tuple)
        name = "MSTL" if several else "STL, robust" if r["robust"] else "STL"
        known = "ratio" in r
        cells = [
            name,
            " and ".join(map(str, r["period"])) if several else str(r["period"]),
            f"{r['statsmodels']:.2f} s" if known else "–",
            f"{r['awry']:.2f} s",
            f"{r['ratio']:.0f}" if known else "–",
            f"{r['difference']:.0e}" if known else "–",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    results = [compare(options.points, *case) for case in CASES]
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"points": options.points, "results": results}
    (options.out / "stl.json").write_text(json.dumps(report, indent=1) + "\n")
    text = f"{options.points:,} points, CPU seconds on one thread.\n\n" + markdown(results)
    (options.out / "stl.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
