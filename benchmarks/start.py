"""What starting costs: importing awry, its help, and one detection on 10,000 rows, in CPU seconds.

    python benchmarks/start.py

Each is a process of its own, run once to warm the caches and then five times; the median counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def cpu(command: list[str]) -> float:
    """User and system seconds of one finished child."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def main() -> None:
    from awry.data.generate import generate

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transactions.csv"
        generate("financial_transactions", n=10_000, seed=1).to_csv(path, index=False)
        python, module = sys.executable, ["-m", "awry"]
        labels = "anomaly_type,anomaly_kind,incident_id"
        detect = [
            python, *module, "detect", str(path), "--label", "is_anomaly", "--ignore", labels,
            "--report", f"{folder}/report.html", "--out", f"{folder}/rows.csv",
        ]  # fmt: skip
        runs = {
            "python -c pass": [python, "-c", "pass"],
            "import awry": [python, "-c", "import awry"],
            "awry --help": [python, *module, "--help"],
            "awry detect, 10,000 rows, report": detect,
        }
        found = {}
        for name, command in runs.items():
            cpu(command)
            found[name] = round(statistics.median(cpu(command) for _ in range(5)), 3)
            print(f"{found[name]:8.3f} CPU-s  {name}")
    (HERE / "start.json").write_text(json.dumps(found, indent=1))
    rows = "\n".join(f"| {name} | {seconds} |" for name, seconds in found.items())
    (HERE / "start.md").write_text(f"| process | CPU seconds (median of 5) |\n|---|---|\n{rows}\n")


if __name__ == "__main__":
    main()
