"""Power, delay and false alarms of what watches for drift, beside river, frouros and alibi-detect.

    python benchmarks/drift.py

Streams: errors whose rate goes from 20 % to 40 %, and values in [0, 1] whose mean goes from 0.4 to
0.5 (deviation 0.1), after 2,000 items: at once (sudden), item by item more often of the new kind
over 1,000 items (gradual), by a mean that moves over 1,000 items (incremental), and to and fro
every 1,000 items (recurring; each of the four changes counts by itself). A change is found by the
first alarm within 1,000 items of it (2,000 where it takes 1,000); the delay is the median over the
changes found. False alarms are those on streams without drift, per 10,000 items. The rows that
always and never fire show how the three must be read together. Defaults throughout; slow peers see
fewer streams. All run in one process on one thread, alternating item by item as their interfaces
want it; awry's loop is fed whole streams, and once item by item.

Batches: the share of 300 features, 500 rows a side, that each test finds significant at 5 % where
nothing moved (the level it keeps) and where the mean moved by 0.2 deviations or the deviation by
1.3; then the CPU of the tests beside those of the peers. Writes drift.json and drift.md.
Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from awry.drift.binned import PSI, ChiSquare, GTest, JensenShannon, KullbackLeibler
from awry.drift.errors import DDM, EDDM, HDDMA, HDDMW, PageHinkley
from awry.drift.mcd_dd import MCDDD
from awry.drift.mmd import MMD, LinearMMD
from awry.drift.multivariate import ClassifierTwoSample, PCAReconstruction
from awry.drift.online import OnlineDrift
from awry.drift.ordered import CramerVonMises, Energy, KolmogorovSmirnov, Wasserstein
from awry.drift.windows import ADWIN, KSWIN, MMDEW

HERE = Path(__file__).parent
BEFORE, CHANGE, AFTER, STEADY = 2000, 1000, 2000, 10_000
KINDS = ("sudden", "gradual", "incremental", "recurring")
STREAMS, FEW = 20, 4
#: A follower that takes longer than this for an item sees fewer streams.
_SLOW_US = 30.0
#: What follows a stream: from its values to the places of alarms.
Follow = Callable[[np.ndarray], np.ndarray]


def stream(what: str, kind: str, seed: int) -> tuple[np.ndarray, list[int]]:
    """A stream and the places at which it changes."""
    rng = np.random.default_rng([seed, KINDS.index(kind) if kind in KINDS else 9])
    n = STEADY if kind == "steady" else BEFORE + 2 * AFTER
    place = np.arange(n)
    ramp = np.clip((place - BEFORE) / CHANGE, 0, 1)
    share = {
        "steady": np.zeros(n),
        "sudden": (place >= BEFORE).astype(float),
        "gradual": (rng.random(n) < ramp).astype(float),
        "incremental": ramp,
        "recurring": ((place // CHANGE - 1) % 2 * (place >= BEFORE)).astype(float),
    }[kind]
    starts = {"steady": [], "recurring": list(range(BEFORE, n, CHANGE))}.get(kind, [BEFORE])
    if what == "errors":
        return (rng.random(n) < 0.2 + 0.2 * share).astype(float), starts
    return np.clip(rng.normal(0.4 + 0.1 * share, 0.1), 0, 1), starts


def ours(detector: OnlineDrift) -> Follow:
    def follow(x: np.ndarray) -> np.ndarray:
        return detector.reset().update_many(x[:, None] if detector.multivariate else x)

    return follow


def scaled(detector: OnlineDrift) -> Follow:
    follow = ours(detector)
    return lambda x: follow((x - 0.4) / 0.1)


def theirs(make: Callable[[], Any], step: Callable[[Any, float], bool]) -> Follow:
    def follow(x: np.ndarray) -> np.ndarray:
        detector = make()
        return np.flatnonzero([step(detector, value) for value in x.tolist()])

    return follow


def river_followers(what: str) -> dict[str, Follow]:
    try:
        from river import drift
    except ImportError:
        return {}

    def step(detector: Any, value: float) -> bool:
        detector.update(int(value) if what == "errors" else value)
        return bool(detector.drift_detected)

    makers: dict[str, Callable[[], Any]] = {"ADWIN": drift.ADWIN, "PageHinkley": drift.PageHinkley,
                                            "KSWIN": lambda: drift.KSWIN(seed=0)}  # fmt: skip
    if what == "errors":
        binary = drift.binary
        makers |= {"DDM": binary.DDM, "EDDM": binary.EDDM, "HDDMA": binary.HDDMA,
                   "HDDMW": binary.HDDMW}  # fmt: skip
        makers.pop("KSWIN")
    return {f"{name} (river)": theirs(make, step) for name, make in makers.items()}


def frouros_followers(what: str) -> dict[str, Follow]:
    try:
        from frouros.detectors import concept_drift as peers
    except ImportError:
        return {}

    def step(detector: Any, value: float) -> bool:
        detector.update(value=value)
        if detector.drift:
            detector.reset()
            return True
        return False

    names = ["ADWIN", "PageHinkley"] + (
        ["DDM", "EDDM", "HDDMA", "HDDMW"] if what == "errors" else []
    )
    return {f"{name} (frouros)": theirs(getattr(peers, name), step) for name in names}


def followers(what: str) -> dict[str, Follow]:
    found: dict[str, Follow] = {
        "always fires": lambda x: np.arange(len(x)),
        "never fires": lambda x: np.arange(0),
    }
    detectors: list[OnlineDrift] = [ADWIN(), HDDMA(two_sided=True), HDDMW(two_sided=True),
                                    PageHinkley()]  # fmt: skip
    if what == "errors":
        detectors += [HDDMA(), HDDMW(), DDM(), EDDM()]
    else:
        detectors += [KSWIN(), KSWIN(alpha=1e-5), MMDEW()]
    for one in detectors:
        marks = ", two-sided" if getattr(one, "two_sided", False) else ""
        marks += f", alpha={one.alpha:g}" if isinstance(one, KSWIN) else ""
        found[f"**{type(one).__name__}**{marks}"] = ours(one)
    if what == "values" and importlib.util.find_spec("torch"):
        # It takes values of about unit deviation.
        for one in (MCDDD(window=1000), MCDDD(window=1000, quantile=0.999)):
            marks = f", quantile={one.quantile:g}" if one.quantile > 0.95 else ""
            found[f"**MCDDD**, window=1000{marks}"] = scaled(one)
    return found | river_followers(what) | frouros_followers(what)


def follow_streams(what: str) -> list[dict[str, Any]]:
    rows = []
    for name, follow in followers(what).items():
        follow(stream(what, "steady", 99)[0][:300])  # compile
        start, first = time.process_time(), stream(what, "steady", 0)[0]
        alarms, cost = len(follow(first)), (time.process_time() - start) / STEADY * 1e6
        rounds = STREAMS if cost < _SLOW_US else FEW
        for seed in range(1, rounds):
            alarms += len(follow(stream(what, "steady", seed)[0]))
        row: dict[str, Any] = {
            "detector": name,
            "us": cost,
            "false": alarms / rounds / STEADY * 1e4,
        }
        for kind in KINDS:
            row[kind] = power_and_delay(what, kind, follow, rounds)
        rows.append(row)
        print(row, flush=True)
    return rows


def power_and_delay(
    what: str, kind: str, follow: Follow, rounds: int
) -> tuple[float, float | None]:
    """Share of changes found, and the median delay of those."""
    horizon = AFTER if kind in ("gradual", "incremental") else CHANGE
    delays, changes = [], 0
    for seed in range(rounds):
        x, starts = stream(what, kind, 1000 + seed)
        found = follow(x)
        for start in starts:
            near = found[(found >= start) & (found < start + horizon)]
            delays += [int(near[0] - start)] if len(near) else []
            changes += 1
    return len(delays) / changes, float(np.median(delays)) if delays else None


def batches() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    shape, rows = (500, 300), []
    old = rng.normal(size=shape)
    news = {
        "none": rng.normal(size=shape),
        "mean": rng.normal(0.2, 1, size=shape),
        "spread": rng.normal(0, 1.3, size=shape),
    }
    tests = [
        KolmogorovSmirnov, CramerVonMises, Wasserstein, Energy, ChiSquare, GTest, PSI,
        KullbackLeibler, JensenShannon,
    ]  # fmt: skip
    for cls in tests:
        options = {"bins": 10} if cls in (ChiSquare, GTest) else {}
        test = cls(correction=None, min_effect=0.0, **options).fit(old)
        row: dict[str, Any] = {"test": cls.__name__}
        start = time.process_time()
        row |= {name: float(test.test(new).significant.mean()) for name, new in news.items()}
        row["ms"] = (time.process_time() - start) / 900 * 1e3
        rows.append(row)
    joint = [MMD(n_permutations=199), LinearMMD(), ClassifierTwoSample(), PCAReconstruction()]
    for one in joint:
        rounds = 50 if isinstance(one, ClassifierTwoSample) else 200
        row = {"test": f"{type(one).__name__}, 5 features"}
        start = time.process_time()
        for name, (mean, spread) in {"none": (0, 1), "mean": (0.2, 1), "spread": (0, 1.3)}.items():
            found = [
                one.fit(rng.normal(size=(500, 5))).test(rng.normal(mean, spread, (500, 5)))
                for _ in range(rounds)
            ]
            row[name] = float(np.mean([f.significant for f in found]))
        row["ms"] = (time.process_time() - start) / (3 * rounds) * 1e3
        rows.append(row)
    for row in rows:
        print(row, flush=True)
    return rows


def cpu(call: Callable[[], Any]) -> float:
    call()
    start = time.process_time()
    call()
    return time.process_time() - start


def costs() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    wide, wide2 = rng.normal(size=(2, 10_000, 100))
    deep, deep2 = rng.normal(size=(2, 1000, 50))
    long, long2 = rng.normal(size=(2, 1_000_000, 10))
    calls: dict[str, dict[str, Callable[[], Any]]] = {
        "KS, 100 features × 10,000 rows": {
            "awry": lambda: KolmogorovSmirnov().fit(wide).test(wide2)
        },
        "MMD, 1000 × 50, 1000 permutations": {"awry": lambda: MMD().fit(deep).test(deep2)},
        "MMD, 1000 × 50, 100 permutations": {
            "awry": lambda: MMD(n_permutations=100).fit(deep).test(deep2)
        },
        "linear MMD, 1,000,000 × 10": {"awry": lambda: LinearMMD().fit(long).test(long2)},
    }
    try:
        from frouros.callbacks import PermutationTestDistanceBased
        from frouros.detectors import data_drift

        def frouros_mmd(permutations: int) -> None:
            test = PermutationTestDistanceBased(num_permutations=permutations, random_state=0,
                                                num_jobs=1, name="p")  # fmt: skip
            detector = data_drift.MMD(callbacks=[test])
            detector.fit(X=deep)
            detector.compare(X=deep2)

        def frouros_ks() -> None:
            for old, new in zip(wide.T, wide2.T, strict=True):
                detector = data_drift.KSTest()
                detector.fit(X=old)
                detector.compare(X=new)

        calls["KS, 100 features × 10,000 rows"]["frouros"] = frouros_ks
        calls["MMD, 1000 × 50, 100 permutations"]["frouros"] = lambda: frouros_mmd(100)
    except ImportError:
        pass
    try:
        from alibi_detect.cd import KSDrift, MMDDrift

        calls["KS, 100 features × 10,000 rows"]["alibi-detect"] = lambda: KSDrift(wide).predict(
            wide2
        )
        calls["MMD, 1000 × 50, 100 permutations"]["alibi-detect"] = lambda: MMDDrift(
            deep.astype(np.float32), backend="pytorch", n_permutations=100
        ).predict(deep2.astype(np.float32))
    except ImportError:
        pass
    rows = []
    for what, peers in calls.items():
        rows.append({"what": what, **{name: cpu(call) for name, call in peers.items()}})
        print(rows[-1], flush=True)
    return rows


def tables(found: dict[str, Any]) -> str:
    def told(value: tuple[float, float | None]) -> str:
        return f"{100 * value[0]:.0f} %" + ("" if value[1] is None else f", {value[1]:.0f}")

    lines = []
    for what in ("errors", "values"):
        lines += [
            f"| {what} | false alarms in 10,000 | " + " | ".join(KINDS) + " | CPU µs an item |"
        ]
        lines += ["|---" * (len(KINDS) + 3) + "|"]
        for row in found[what]:
            cells = " | ".join(told(row[kind]) for kind in KINDS)
            lines += [f"| {row['detector']} | {row['false']:,.1f} | {cells} | {row['us']:.2f} |"]
        lines += [""]
    lines += [
        "| significant at 5 % | no drift | mean + 0.2 σ | σ × 1.3 | CPU ms |",
        "|---" * 5 + "|",
    ]
    lines += [
        f"| {row['test']} | {row['none']:.1%} | {row['mean']:.0%} | {row['spread']:.0%} "
        f"| {row['ms']:.2f} |"
        for row in found["batches"]
    ]
    lines += ["", "| CPU-s | awry | frouros | alibi-detect |", "|---" * 4 + "|"]
    for row in found["costs"]:
        costs = [f"{row[n]:.2f}" if n in row else "-" for n in ("awry", "frouros", "alibi-detect")]
        lines += [f"| {row['what']} | " + " | ".join(costs) + " |"]
    return "\n".join(lines) + "\n"


def main() -> None:
    warnings.simplefilter("ignore")
    found = {"costs": costs(), "batches": batches(),
             "errors": follow_streams("errors"), "values": follow_streams("values")}  # fmt: skip
    (HERE / "drift.json").write_text(json.dumps(found, indent=1))
    (HERE / "drift.md").write_text(tables(found))


if __name__ == "__main__":
    main()
