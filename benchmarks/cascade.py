"""Cascades on generated card payments beside their stages alone: cost, order, share sent on.

    python benchmarks/cascade.py --rows 2000000

Learns from the first 50,000 payments, anomalies among them, and scores those that follow, batch by
batch. The first stage is an isolation forest, or a small network distilled from an autoencoder of
the second stage's kind. The share kept is set without labels: so that, by what a trial on training
rows costs, a cascade takes a tenth of what its second stage would; and once to 1 %. Writes
cascade.json and cascade.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.metrics import average_precision_score

from awry.bench.runs import markdown_table
from awry.data.generate import generate_batches
from awry.detectors import AutoEncoder, Cascade, Distilled, IsolationForest

HERE = Path(__file__).parent
JUDGE = "autoencoder"
LEARNT, BATCH, EPOCHS = 50_000, 250_000, 10
#: Of stage 2's cost; share kept at least; rows the trial learns from; runs of which the shortest
#: counts; batches between looks at the results.
SHARE_OF_COST, LEAST_KEPT, FEW, TRIALS, LOOK = 0.1, 0.01, 2_000, 5, 2


def encoded(frame: pd.DataFrame) -> np.ndarray:
    """Amount, distance, place, time of day, category and channel as numbers, (n, 21)."""
    stamps = frame["timestamp"].dt
    angle = 2 * np.pi * (stamps.hour + stamps.minute / 60) / 24
    flags = [np.eye(len(c.cat.categories))[c.cat.codes] for c in (frame.category, frame.channel)]
    numbers = [
        np.log1p(frame["amount"]), np.log1p(frame["distance_from_home_km"]), frame["lat"],
        frame["lon"], np.sin(angle), np.cos(angle),
    ]  # fmt: skip
    return np.column_stack([*numbers, *flags])


class Clock:
    """CPU seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, work: Any, *args: Any) -> Any:
        start = time.process_time()
        found = work(*args)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return found


def kept_by_cost(cascade: Cascade, train: np.ndarray) -> float:
    """The share kept for a cascade to cost a tenth of its second stage, by a hasty trial."""
    trial = clone(cascade)
    for path in ("judge__epochs", "screen__epochs", "screen__teacher__epochs"):
        if path in trial.get_params():
            trial.set_params(**{path: 1})
    trial.fit(train[:FEW])
    cost = {}
    for name, member in (("cascade", trial), ("judge", trial.members_[1])):
        runs = [Clock() for _ in range(TRIALS + 1)]
        for clock in runs:
            clock.time(name, member.decision_function, train)
        cost[name] = min(clock.seconds[name] for clock in runs[1:])
    # What the cascade costs beyond its second stage: the first, the scales and the blend.
    beyond = cost["cascade"] / cost["judge"] - trial.last_[1].rows / len(train)
    share = SHARE_OF_COST - beyond
    return round(max(share, LEAST_KEPT), 3)


def cascades(train: np.ndarray, clock: Clock) -> dict[str, Cascade]:
    """A cascade for each first stage, fitted, once more with the least kept; one second stage."""
    judge = AutoEncoder(epochs=EPOCHS)
    screens = {
        "isolation_forest": IsolationForest(),
        "distilled": Distilled(teacher=judge, hidden=[16, 8], augmentation=0, epochs=EPOCHS),
    }
    made = {}
    for name, screen in screens.items():
        cascade = Cascade(screen, judge, learn_from="all", random_state=0)
        for keep in (kept_by_cost(cascade, train), LEAST_KEPT):
            cascade = clone(cascade).set_params(keep=keep)
            told = f"{name}, {keep:.1%}"
            made[told] = clock.time(f"fit {told}", cascade.fit, train)
    return made


def run(rows: int) -> Iterator[dict[str, Any]]:
    """Results so far, now and then."""
    clock = Clock()
    frames = generate_batches("financial_transactions", None, batch_size=BATCH, seed=0)
    part = next(frames)
    made = cascades(encoded(part.iloc[:LEARNT]), clock)
    part = part.iloc[LEARNT:]
    # Cascades of a name have the same first stage, and all the same second.
    detectors: dict[str, Any] = {n.partition(",")[0]: c.members_[0] for n, c in made.items()}
    detectors[JUDGE] = next(iter(made.values())).members_[1]
    detectors |= {f"{name} → {JUDGE}": c for name, c in made.items()}
    scores: dict[str, list[np.ndarray]] = {name: [] for name in detectors}
    truth: list[np.ndarray] = []
    sent, n = dict.fromkeys(made, 0), 0
    while n < rows:
        X = clock.time("encode", encoded, part)[: rows - n]
        truth.append(part["is_anomaly"].to_numpy()[: len(X)])
        for name, detector in detectors.items():
            found = clock.time(name, detector.decision_function, X)
            scores[name].append(found.astype(np.float32))
        for name, cascade in made.items():
            sent[name] += cascade.last_[1].rows
        n += len(X)
        if n >= rows or len(truth) % LOOK == 1:
            labels = np.concatenate(truth)
            yield {
                "rows": n,
                "sent_on": {name: m / n for name, m in sent.items()},
                "anomalies": float(labels.mean()),
                "cpu_seconds": dict(clock.seconds),
                "auprc": {
                    name: float(average_precision_score(labels, np.concatenate(found)))
                    for name, found in scores.items()
                },
            }
        part = clock.time("generate", next, frames)


def report(found: dict[str, Any]) -> str:
    cpu, auprc, n = found["cpu_seconds"], found["auprc"], found["rows"]
    rows = []
    for name, value in auprc.items():
        screen = name.partition(" → ")[0]
        sent = f"{found['sent_on'][screen]:.1%}" if "→" in name else ""
        cost, share = cpu[name] / cpu[JUDGE], value / auprc[JUDGE]
        rows.append([name, sent, f"{n / cpu[name]:,.0f}", f"{cost:.3f}", value, f"{share:.1%}"])
    head = ["", "sent on", "rows / CPU s", "cost / stage 2's", "AUPRC", "AUPRC / stage 2's"]
    return (
        f"{n:,} payments of 21 columns, {found['anomalies']:.1%} of them anomalies, after "
        f"{LEARNT:,} to learn from. Percentages: kept of the training rows, first as the cost "
        f"allows, then {LEAST_KEPT:.0%}. One thread.\n\n" + markdown_table(head, rows) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for found in run(args.rows):
        (HERE / "cascade.json").write_text(json.dumps(found, indent=1) + "\n")
        (HERE / "cascade.md").write_text(report(found))


if __name__ == "__main__":
    main()
