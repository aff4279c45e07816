"""What ECOD and COPOD share: how far out in its column each value lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed

from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing
from awry.core.threshold import Threshold
from awry.kernels import columns as kernels


class EmpiricalTails(Detector):
    """Sums a tail score over the columns, each judged by its empirical distribution."""

    # Sorting many rows at a time is quicker, row for row, and takes two columns of memory.
    chunk_rows = 1 << 18
    transient = ("_table",)
    constraints = {"n_jobs": any_of(nothing(), integer())}
    #: Whether the tails are combined as COPOD does.
    copula: ClassVar[bool]
    #: Fewer rows are searched one by one, more are sorted and merged.
    few_rows: ClassVar[int] = 64

    def __init__(
        self, *, n_jobs: int | None = 1, contamination: float | str | Threshold | None = None
    ) -> None:
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        self.sorted_ = kernels.columns_of(X)
        self.skew_ = np.array([kernels.skew_sign(column) for column in self.sorted_])
        self._restore()

        def sort_and_score(j: int) -> FloatArray:
            values, order = kernels.sort_with_order(self.sorted_[j])
            self.sorted_[j] = values
            return kernels.sorted_tails(
                values, self.skew_[j], self._table, values, order, self.copula
            )

        return _add_up(self._each_column(sort_and_score), len(X))

    def _restore(self) -> None:
        self._table = kernels.surprises(self.sorted_.shape[1])

    def _score(self, X: FloatArray) -> FloatArray:
        return _add_up(self._tails(X), len(X))

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        return np.column_stack(list(self._tails(X))), 0.0

    def _tails(self, X: FloatArray) -> Iterable[FloatArray]:
        """Tail scores of ``X`` (m, d), column by column."""
        if len(X) < self.few_rows:
            rows = np.array(X, order="C")
            return kernels.few_tails(self.sorted_, self.skew_, self._table, rows, self.copula)
        columns = kernels.columns_of(X)
        return self._each_column(
            lambda j: kernels.column_tails(
                self.sorted_[j], self.skew_[j], self._table, columns[j], self.copula
            )
        )

    def _each_column(self, work: Callable[[int], FloatArray]) -> Iterable[FloatArray]:
        columns = range(len(self.sorted_))
        if self.n_jobs in (None, 1):
            return map(work, columns)
        parallel = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")
        tails: Iterable[FloatArray] = parallel(delayed(work)(j) for j in columns)
        return tails


def _add_up(tails: Iterable[FloatArray], n: int) -> FloatArray:
    """Sum over the columns in their order, so that scores do not depend on the batch."""
    scores = np.zeros(n)
    for tail in tails:
        scores += tail
    return scores
