"""What comes out: scores, decisions, events and reasons, with ways to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from awry.core.events import Event
from awry.core.inputs import FloatArray, IntArray
from awry.data.problems import Problems

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from awry.model import Model
    from awry.report.charts import Picture

#: Names of the severities 0 to 3.
SEVERITIES = ("", "warning", "critical", "emergency")
#: Rows flagged beyond this many are explained only when asked for by number.
MAX_EXPLAINED = 10_000


@dataclass(frozen=True)
class Reason:
    """One column's part in an anomaly.

    Attributes
    ----------
    column : str
    value : str
        What the row holds, as text.
    typical : str
        What the column typically holds.
    share : float
        Part of what pushed the score up that is this column's, 0 to 1.
    """

    column: str
    value: str
    typical: str
    share: float

    def __str__(self) -> str:
        return f"{self.column} {self.value} (typical {self.typical})"


@dataclass
class Result:
    """Scores and decisions for the rows of a table.

    Attributes
    ----------
    scores : ndarray of shape (n,)
        Higher = more anomalous.
    labels : ndarray of shape (n,)
        1 where a row is flagged, else 0.
    severity : ndarray of shape (n,)
        0 not flagged, 1 warning, 2 critical, 3 emergency.
    threshold : float
        A row is flagged when its score is above it.
    events : list of Event
        Flagged rows that belong together; one per row where the table has no time column.
    model : Model
        What scored the rows.
    table : pyarrow.Table
        The rows, as read.
    rows : ndarray of shape (n,)
        Number of each row among those read, from 1.
    times : ndarray of shape (n,), optional
        Seconds since 1970, not finite where unknown.
    keys : ndarray of shape (n,), optional
        The group each row belongs to.
    problems : Problems
        Rows and cells set aside, with where and why: the first of them, and how many in all.
    notes : list of str
        What was decided on the way, in words.
    """

    scores: FloatArray
    severity: IntArray
    model: Model
    table: pa.Table
    rows: IntArray
    times: FloatArray | None = None
    keys: np.ndarray | None = None
    events: list[Event] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)
    source: str = "table"
    index: Any = None

    @property
    def labels(self) -> IntArray:
        return (self.severity > 0).astype(np.int64)

    @property
    def threshold(self) -> float:
        return self.model.threshold_

    def __len__(self) -> int:
        return len(self.scores)

    def top(self, k: int = 10) -> IntArray:
        """Positions of the ``k`` rows with the highest scores, highest first."""
        k = min(k, len(self))
        picks = np.argpartition(-self.scores, k - 1)[:k] if k else np.arange(0)
        return picks[np.lexsort((picks, -self.scores[picks]))]

    def explain(
        self, rows: Sequence[int] | IntArray | None = None, k: int = 3
    ) -> list[list[Reason]]:
        """Why rows scored what they did.

        Parameters
        ----------
        rows : sequence of int, optional
            Positions, 0-based; the flagged rows by default, in order of position.
        k : int, default=3
            The most reasons a row.

        Returns
        -------
        list of list of Reason
            For each row the columns that pushed its score up most, strongest first; none that
            did so by less than a tenth of the strongest.
        """
        picks = np.flatnonzero(self.severity) if rows is None else np.asarray(rows, dtype=int)
        if not len(picks):
            return []
        return self.model.reasons(self.table.take(picks), k)

    @cached_property
    def _reasons(self) -> dict[int, str]:
        """Text of the reasons of flagged rows, by position."""
        picks = np.flatnonzero(self.severity)
        if len(picks) > MAX_EXPLAINED:
            picks = picks[np.argsort(-self.scores[picks], kind="stable")[:MAX_EXPLAINED]]
        found = self.explain(picks)
        return {int(i): "; ".join(map(str, why)) for i, why in zip(picks, found, strict=True)}

    def to_table(self, columns: str = "ids") -> pa.Table:
        """The result as an Arrow table.

        Parameters
        ----------
        columns : {"ids", "all"}, default="ids"
            Which columns of the source to keep beside ``row``, ``score``, ``label``, ``severity``
            and ``reasons``: identifiers, keys and times, or all of them.
        """
        import pyarrow as pa

        keep = self.table.column_names if columns == "all" else self.model.id_columns_
        kept = {name: self.table[name] for name in keep if name in self.table.column_names}
        reasons = [self._reasons.get(i, "") for i in range(len(self))]
        return pa.table(
            {
                "row": pa.array(self.rows),
                **kept,
                "score": pa.array(self.scores),
                "label": pa.array(self.labels),
                "severity": pa.array([SEVERITIES[s] for s in self.severity]),
                "reasons": pa.array(reasons, pa.string()),
            }
        )

    def to_frame(self, columns: str = "all") -> pd.DataFrame:
        """The result as a DataFrame, on the index of the DataFrame it came from."""
        frame = self.to_table(columns).to_pandas()
        if self.index is not None:
            frame.index = self.index
        return frame

    def to_dict(self, top: int = 10) -> dict[str, Any]:
        """The result in plain data, with the ``top`` rows and their reasons."""
        picks = self.top(top)
        found = self.explain(picks)
        return {
            "source": self.source,
            "rows": len(self),
            "flagged": int(self.labels.sum()),
            "threshold": self.threshold,
            "threshold_reason": self.model.rule_.reason_,
            "stated_rate": self.model.rule_.stated_rate_,
            "detector": self.model.describe(),
            "columns": self.model.column_words(),
            "notes": self.notes,
            "set_aside": self.problems.total,
            "problems": [str(p) for p in self.problems],
            "sorts_of_problems": self.problems.summary(),
            "events": len(self.events),
            "top": [
                {
                    "row": int(self.rows[i]),
                    **{c: str(self.table[c][int(i)].as_py()) for c in self.model.id_columns_},
                    "score": float(self.scores[i]),
                    "severity": SEVERITIES[self.severity[i]],
                    "reasons": [vars(reason) for reason in why],
                }
                for i, why in zip(picks, found, strict=True)
            ],
        }

    def plot(self, kind: str | None = None) -> Picture:
        """A picture: ``"scores"``, ``"time"`` or ``"projection"``.

        The default is the scores over time where there is a time column, else their distribution.
        """
        from awry.report import charts

        kind = kind or ("time" if self.times is not None else "scores")
        if kind == "time":
            if self.times is None:
                raise ValueError(f"{self.source} has no time column to plot over")
            known = np.isfinite(self.times)
            return charts.score_over_time(
                self.times[known], self.scores[known], self.severity[known], self.threshold
            )
        if kind == "projection":
            points, picks, explained = self.model.project(self.table, self.severity)
            return charts.projection(points, self.severity[picks], explained)
        if kind == "scores":
            return charts.score_histogram(self.scores, self.model.levels())
        raise ValueError(f"kind must be 'scores', 'time' or 'projection', got {kind!r}")

    def report(self, path: str | Path) -> Path:
        """Write a self-contained HTML report to ``path`` and return it."""
        from awry.report.page import write

        return write(self, path)

    def __repr__(self) -> str:
        rate = f"{self.labels.mean():.2%}" if len(self) else "0%"
        return (
            f"<Result of {self.source}: {int(self.labels.sum()):,} of {len(self):,} rows flagged "
            f"({rate}), threshold {self.threshold:.4g}>"
        )

    def _repr_html_(self) -> str:
        from awry.report.page import fragment

        return fragment(self)
