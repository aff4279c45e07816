"""Takes tokens of a rate that processes share, as fast as it can, and says how many it got."""

from __future__ import annotations

import sys
import time

from awry.ops.shared import Rates, Shared


def take(url: str, rate: float, burst: int, seconds: float) -> int:
    """How many tokens there were within ``seconds``."""
    rates, got, until = Rates(Shared(url), rate, burst), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        got += rates.wait("me") == 0.0
        time.sleep(0.0005)
    return got


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    got = take(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    sys.stdout.write(f"{got}\n")
