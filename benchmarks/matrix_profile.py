"""CPU time of matrix profiles beside stumpy's, one thread each.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/matrix_profile.py

The self-join of 20,000 and 40,000 points, whose cost grows with the square; and the left profile,
point by point, on a full buffer: stumpy's on a smaller one, its cost growing with the buffer.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import stumpy

from awry.detectors.series._profile import self_join
from awry.detectors.series.left_matrix_profile import LeftMatrixProfile

HERE = Path(__file__).parent
WINDOW = 100


def _seconds(call) -> tuple[float, object]:
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


def joins() -> list[dict]:
    rows = []
    for n in (500, 20_000, 40_000):
        x = np.random.default_rng(0).normal(size=n).cumsum()
        ours, found = _seconds(lambda x=x: self_join(x, WINDOW))
        theirs, other = _seconds(lambda x=x: stumpy.stump(x, WINDOW))
        if n == 500:  # The first calls compile.
            continue
        apart = float(np.abs(found.distance - other[:, 0].astype(float)).max())
        rows.append({"task": f"self-join of {n:,} points, s", "awry": round(ours, 2),
                     "stumpy": round(theirs, 2), "largest difference": f"{apart:.0e}"})  # fmt: skip
    scale = (100_000 / n) ** 2
    rows.append({"task": "self-join of 100,000 points, s (by the square)",
                 "awry": round(ours * scale, 1), "stumpy": round(theirs * scale, 1),
                 "largest difference": ""})  # fmt: skip
    return rows


def updates() -> list[dict]:
    rng = np.random.default_rng(0)
    rows = []
    for size in (2_000, 10_000):
        x = rng.normal(size=size + 3_000).cumsum()
        old, new = x[:size], x[size:]
        model = LeftMatrixProfile(window=WINDOW, buffer=size).fit(old)
        ours, _ = _seconds(lambda model=model, new=new: model.update(new))
        row = {"task": f"left profile, buffer {size:,}, µs per point"}
        row |= {"awry": round(ours / len(new) * 1e6, 1), "stumpy": "", "largest difference": ""}
        if size == 2_000:
            stream = stumpy.stumpi(old, WINDOW, egress=True)
            stream.update(new[0])  # The first update compiles.
            theirs, _ = _seconds(lambda new=new, s=stream: [s.update(v) for v in new[1:31]])
            row["stumpy"] = round(theirs / 30 * 1e6, 1)
        rows.append(row)
    return rows


def main() -> None:
    rows = joins() + updates()
    (HERE / "matrix_profile.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    lines = [" | ".join(rows[0]), "|".join(["---"] * len(rows[0]))]
    lines += [" | ".join(str(v) for v in row.values()) for row in rows]
    (HERE / "matrix_profile.md").write_text("".join(f"| {line} |\n" for line in lines))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
