"""What is judged just now, minute by minute, by all processes together."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from awry.ops.judgement import Judgement
from awry.ops.shared import Shared
from awry.ops.sketch import Sketch

#: Minutes that can be asked for, and seconds that each is kept.
MINUTES = 60
_KEPT = 60.0 * (MINUTES + 2)
_QUANTILES = (0.5, 0.9, 0.99)


class Live:
    """Counts of rows, and the distribution of their scores, of requests and streams.

    The database has the same by the hour; this costs it nothing, and is there at once.

    Examples
    --------
    >>> live = Live(Shared())
    >>> live.hear(Judgement("s", "request", ["1", "2"], np.array([1.0, 3.0]), np.array([0, 1])))
    >>> found = live.now("s", 1)
    >>> found["rows"], found["flagged"], round(found["quantiles"]["0.99"])
    (2, 1, 1)
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def hear(self, made: Judgement) -> None:
        """Count a judgement; those of jobs are of data from any time, and are not."""
        if made.role != "champion" or made.origin == "job":
            return
        name = _name(made.source, made.judged // 60)
        counts = {"rows": len(made.scores), "flagged": int((np.asarray(made.severity) > 0).sum())}
        self._shared.add(name, counts, _KEPT)
        self._shared.observe(name, Sketch.of(np.asarray(made.scores, dtype=float)), _KEPT)

    def now(self, source: str, minutes: int = 5, *, at: float | None = None) -> dict[str, Any]:
        """Rows, rows flagged and quantiles of the scores of the last ``minutes``."""
        last = (time.time() if at is None else at) // 60
        names = [_name(source, last - i) for i in range(min(minutes, MINUTES) + 1)]
        counts, scores = self._shared.counts(*names), self._shared.distribution(*names)
        return {
            "rows": counts["rows"],
            "flagged": counts["flagged"],
            "quantiles": {str(q): scores.quantile(q) for q in _QUANTILES} if len(scores) else {},
        }


def _name(source: str, minute: float) -> str:
    return f"live {source} {minute:.0f}"
