"""CPU time and memory of every detector that claims to scale, at 10⁴ to 10⁷ rows of 20 columns.

    python benchmarks/growth.py                 # all; each size in a process of its own
    python benchmarks/growth.py --most 1000000 --detectors ecod,hbos

Writes growth.json and growth.md beside this file. A run that would take longer than the limit, by
the growth seen so far, is left out and said so.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def one(name: str, n: int) -> dict[str, object]:
    """Fit and score ``n`` rows; CPU seconds, and peak memory beyond the data itself."""
    from awry.core import registry

    rng = np.random.default_rng(0)
    detector = registry.create(name)
    if detector.card.stochastic:
        detector.set_params(random_state=0)
    warm = rng.normal(size=(2_000, 20))
    detector.fit(warm).decision_function(warm)  # compile
    X = rng.normal(size=(n, 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    detector.fit(X)
    fitted = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    detector.decision_function(X)
    end = time.process_time()
    return {
        "detector": name,
        "rows": n,
        "fit_cpu_s": round(fitted - start, 3),
        "score_cpu_s": round(end - fitted, 3),
        "fit_peak_of_input": round(max(peak - before, 0) * 1024 / X.nbytes, 2),
    }


def table(rows: list[dict[str, object]]) -> str:
    names = list(dict.fromkeys(str(r["detector"]) for r in rows))
    sizes = sorted({int(str(r["rows"])) for r in rows})
    cells = {(r["detector"], r["rows"]): r for r in rows}
    head = "| detector | " + " | ".join(f"{n:,} rows" for n in sizes) + " | memory / input |"
    lines = [head, "|---" * (len(sizes) + 2) + "|"]
    for name in names:
        row, memory = [], 0.0
        for n in sizes:
            found = cells.get((name, n))
            if found is None or "fit_cpu_s" not in found:
                row.append("left out")
                continue
            row.append(f"{found['fit_cpu_s']} + {found['score_cpu_s']}")
            memory = found["fit_peak_of_input"]
        lines.append(f"| {name} | " + " | ".join(row) + f" | {memory} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detectors")
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds a run")
    parser.add_argument("--one", nargs=2)
    args = parser.parse_args()
    if args.one:
        sys.stdout.write(json.dumps(one(args.one[0], int(args.one[1]))))
        return
    from awry.core import registry

    cards = registry.cards("table")
    scale = [
        c.name for c in cards if c.max_rows is None and c.supervision != "required" and c.inductive
    ]
    names = args.detectors.split(",") if args.detectors else scale
    rows: list[dict[str, object]] = []
    for name in names:
        spent = 0.0
        for n in (s for s in SIZES if s <= args.most):
            if spent * 12 > args.limit:
                rows.append({"detector": name, "rows": n, "left_out": "beyond the limit"})
                continue
            command = [sys.executable, __file__, "--one", name, str(n)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                rows.append({"detector": name, "rows": n, "left_out": done.stderr[-200:]})
                break
            rows.append(json.loads(done.stdout))
            spent = float(str(rows[-1]["fit_cpu_s"])) + float(str(rows[-1]["score_cpu_s"]))
            (HERE / "growth.json").write_text(json.dumps(rows, indent=1))
            print(rows[-1], flush=True)
    text = "CPU seconds to fit + to score, 20 columns; peak memory of fit beside the input.\n\n"
    (HERE / "growth.md").write_text(text + table(rows) + "\n")


if __name__ == "__main__":
    main()
