"""Peak memory of ``awry score`` on a Parquet file of ten million rows and 20 columns.

    python benchmarks/streaming.py [rows]

Writes the file in pieces, fits on a sample, scores in a process of its own and reads its peak
resident size from the operating system.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        data, sample = Path(folder) / "data.parquet", Path(folder) / "sample.parquet"
        writer = None
        for start in range(0, rows, 500_000):
            X = rng.normal(size=(min(500_000, rows - start), 20))
            piece = pa.table(list(X.T), names=names)
            writer = writer or pq.ParquetWriter(data, piece.schema)
            writer.write_table(piece)
        writer.close()
        pq.write_table(piece.slice(0, 100_000), sample)
        awry = [sys.executable, "-m", "awry"]
        model = f"{folder}/model.awry"
        subprocess.run(
            [*awry, "fit", str(sample), "-d", "isolation_forest", "--save", model], check=True
        )
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        out = f"{folder}/out.parquet"
        subprocess.run([*awry, "score", str(data), "-m", model, "--out", out], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = {
            "rows": rows,
            "file_mb": round(data.stat().st_size / 2**20),
            "peak_mb": round(after.ru_maxrss / 2**10),
            "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "wall_s": round(time.monotonic() - start, 1),
            "rows_written": pq.read_metadata(out).num_rows,
        }
    (HERE / "streaming.json").write_text(json.dumps(found, indent=1))
    cells = " | ".join(f"{v:,}" for v in found.values())
    head = " | ".join(found)
    (HERE / "streaming.md").write_text(f"| {head} |\n|{'---|' * len(found)}\n| {cells} |\n")
    print(found)


if __name__ == "__main__":
    main()
