"""What smaller networks cost and lose: int8, pruned and distilled, beside the network they are of.

    python benchmarks/compress.py

Trained on one half of the normal rows of four ADBench tables, scored on the rest; every variant is
written as ONNX and scored by onnxruntime on one thread. Writes compress.json and compress.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from awry.bench.adbench import sample, split
from awry.bench.runs import markdown_table
from awry.core import registry
from awry.detectors.compress import distil, prune

HERE = Path(__file__).parent
SETS = ("6_cardio", "28_pendigits", "30_satellite", "22_magic.gamma")
DETECTORS = ("autoencoder", "vae", "deep_svdd")
EPOCHS, REFINING, ROWS = 15, 5, 2_000
#: Rows scored, and how often, to have something to measure.
TIMED, TIMES = 20_000, 5


def scored(path: Path, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Scores of the rows, and CPU microseconds a row over many of them, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (scores,) = session.run(["scores"], {"rows": rows})
    many = {"rows": np.resize(rows, (TIMED, rows.shape[1]))}
    session.run(["scores"], many)
    start = time.process_time()
    for _ in range(TIMES):
        session.run(["scores"], many)
    return scores, (time.process_time() - start) / TIMES / TIMED * 1e6


def variants(name: str, train: np.ndarray) -> dict[str, tuple[Any, bool]]:
    """Detectors, and whether their weights are to be kept in 8 bits."""
    whole = registry.create(name, epochs=EPOCHS, random_state=0).fit(train)
    found = {
        "float32": (whole, False),
        "int8": (whole, True),
        "pruned, half the weights": (prune(whole, 0.5, X=train, epochs=REFINING), False),
        "distilled": (distil(whole, train, epochs=2 * EPOCHS, lr=3e-3, random_state=0), False),
    }
    if name != "vae":
        units = prune(whole, 0.5, X=train, structured=True, epochs=REFINING)
        found["pruned, half the units"] = (units, False)
    return found


def measure(data: Path, folder: Path, name: str) -> list[dict[str, Any]]:
    X, y = sample(data / f"{folder.name}.npz", 0)
    train, test, truth = split(X, y, "train_on_normal", 0)
    train, rows, reference = train[:ROWS], [], None
    for variant, (detector, int8) in variants(name, train).items():
        model, saved = folder / "model.onnx", folder / "model.awry"
        detector.to_onnx(model, int8=int8)
        detector.save(saved)
        scores, cpu = scored(model, test)
        reference = scores if reference is None else reference
        rows.append(
            {
                "data": folder.name,
                "detector": name,
                "variant": variant,
                "onnx_bytes": model.stat().st_size,
                "saved_bytes": saved.stat().st_size,
                "cpu_us_per_row": cpu,
                "auprc": float(average_precision_score(truth, scores)),
                "rank_correlation": float(spearmanr(scores, reference)[0]),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the tables."""
    head = [
        "detector", "variant", "ONNX kB", "saved kB", "CPU µs/row", "AUPRC", "rank correlation",
    ]  # fmt: skip
    lines = []
    for name in DETECTORS:
        for variant in dict.fromkeys(r["variant"] for r in rows if r["detector"] == name):
            of = [r for r in rows if (r["detector"], r["variant"]) == (name, variant)]

            def mean(key: str, of: list[dict[str, Any]] = of) -> float:
                return float(np.mean([r[key] for r in of]))

            sizes = [f"{mean(key) / 1e3:.0f}" for key in ("onnx_bytes", "saved_bytes")]
            cpu = f"{mean('cpu_us_per_row'):.2f}"
            lines.append([name, variant, *sizes, cpu, mean("auprc"), mean("rank_correlation")])
    return markdown_table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/work/shared/data/adbench"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for data in SETS:
            place = Path(folder) / data
            place.mkdir()
            for name in DETECTORS:
                rows += measure(args.data, place, name)
                (HERE / "compress.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = (
        f"Means over {len(SETS)} tables ({', '.join(s.partition('_')[2] for s in SETS)}), at most "
        f"{ROWS:,} rows to learn from, {EPOCHS} epochs, pruned ones {REFINING} more; onnxruntime "
        "on one thread. Saved: awry's own file, training scores included.\n\n"
    )
    (HERE / "compress.md").write_text(text + table(rows) + "\n")


if __name__ == "__main__":
    main()
