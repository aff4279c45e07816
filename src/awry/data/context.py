"""Contextual anomalies: what is left of a row once its context is accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import rankdata

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable, instance, integer, listing, real

#: Levels of a category with more than this are folded into one, the rarest first.
MAX_LEVELS = 1_000
#: The least share of the other columns' spread a context chosen by itself must account for.
MIN_EXPLAINED = 0.05


class Context(Configurable):
    """Subtracts what a row's context leads one to expect, and divides by the spread it has there.

    Each context column is cut into cells: the levels of a category, quantile bins of a number, the
    hour and the weekday of a time. The location of every judged column is a sum of one effect a
    context column and one for the joint cell, found by median polish (Tukey, *Exploratory Data
    Analysis*, 1977), each effect shrunk towards none by ``n / (n + shrinkage)``, n being the rows
    of its cell; the logarithm of its spread (median absolute deviation) likewise. So rare and
    unseen contexts fall back on what the larger ones say.

    Parameters
    ----------
    columns : list of str
        The context.
    n_bins : int, default=12
        Quantile bins of a number.
    shrinkage : float, default=20.0
        Rows a cell needs for its own word to count half.

    Examples
    --------
    >>> import pyarrow as pa
    >>> hour = np.tile([0.0, 12.0], 200)
    >>> load = hour * 10 + np.random.default_rng(0).normal(size=400)
    >>> load[0] = 120.0
    >>> left = Context(["hour"]).fit(pa.table({"hour": hour}), load[:, None])
    >>> int(left.residuals(pa.table({"hour": hour}), load[:, None]).argmax())
    0
    """

    constraints = {
        "columns": listing(instance(str)),
        "n_bins": integer(2),
        "shrinkage": real(0.0),
    }

    def __init__(
        self, columns: Sequence[str] = (), n_bins: int = 12, shrinkage: float = 20.0
    ) -> None:
        self.columns = columns
        self.n_bins = n_bins
        self.shrinkage = shrinkage

    def fit(self, table: pa.Table, X: FloatArray) -> Self:
        """Learn the effects of the context in ``table`` on the columns of ``X`` (n, d)."""
        self.check_params()
        self.cells_: dict[str, Any] = {}
        for name in self.columns:
            self.cells_ |= self._cells(name, table[name])
        codes = self._codes(table)
        first = np.unique(codes, axis=0, return_index=True)[1]
        self.joint_ = {_key(codes[i]): at for at, i in enumerate(first)}
        parts = [*codes.T, self._joint_codes(codes)]
        self.center_ = np.median(X, axis=0)
        left = X - self.center_
        self.location_ = [np.zeros((int(c.max(initial=-1)) + 1, X.shape[1])) for c in parts]
        for _ in range(2):
            for effect, code in zip(self.location_, parts, strict=True):
                step = self._shrunk(left, code, len(effect), _middle)
                effect += step
                left -= _take(step, code)
        spread = _spread(left)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        self.scale_ = []
        for code, effect in zip(parts, self.location_, strict=True):
            step = self._shrunk(left / self.spread_, code, len(effect), _log_spread)
            self.scale_.append(step)
            left = left / np.exp(_take(step, code))
        return self

    def residuals(self, table: pa.Table, X: FloatArray) -> FloatArray:
        """``X`` (n, d) less what its context leads one to expect, in units of the usual spread."""
        codes = self._codes(table)
        parts = [*codes.T, self._joint_codes(codes)]
        left = X - self.center_
        for effect, code in zip(self.location_, parts, strict=True):
            left -= _take(effect, code)
        for effect, code in zip(self.scale_, parts, strict=True):
            left /= np.exp(_take(effect, code))
        return left / self.spread_

    def words(self, table: pa.Table, row: int) -> str:
        """The context of one row in words."""
        return ", ".join(f"{c} {table[c][row].as_py()}" for c in self.columns)

    def _cells(self, name: str, column: pa.ChunkedArray) -> dict[str, Any]:
        """How to turn a context column into cell numbers."""
        if pa.types.is_temporal(column.type):
            return {f"{name}:hour": list(range(24)), f"{name}:weekday": list(range(7))}
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values = _numbers(column)
            distinct = np.unique(values[np.isfinite(values)])
            if len(distinct) > 2 * self.n_bins:
                cuts = np.quantile(values[np.isfinite(values)], np.linspace(0, 1, self.n_bins + 1))
                return {name: np.unique(cuts[1:-1])}
            return {name: (distinct[1:] + distinct[:-1]) / 2}
        counts = column.cast(pa.string()).value_counts().to_pylist()
        counts.sort(key=lambda c: (-c["counts"], str(c["values"])))
        return {name: [str(c["values"]) for c in counts[:MAX_LEVELS]]}

    def _codes(self, table: pa.Table) -> IntArray:
        """Cell number of each row in each context column, -1 where unknown, shape (n, c)."""
        codes = []
        for name, cells in self.cells_.items():
            source, _, part = name.partition(":")
            column = table[source if source in table.column_names else name]
            if isinstance(cells, np.ndarray):
                values = _numbers(column)
                code = np.where(np.isnan(values), -1, np.searchsorted(cells, values))
            elif part in ("hour", "weekday") and pa.types.is_temporal(column.type):
                clock = pc.hour(column) if part == "hour" else pc.day_of_week(column)
                code = clock.fill_null(-1).to_numpy()
            else:
                found = pc.index_in(column.cast(pa.string()).fill_null("None"), pa.array(cells))
                code = found.fill_null(-1).to_numpy()
            codes.append(code.astype(np.int64))
        return np.column_stack(codes)

    def _joint_codes(self, codes: IntArray) -> IntArray:
        return np.array([self.joint_.get(_key(row), -1) for row in codes], dtype=np.int64)

    def _shrunk(self, left: FloatArray, code: IntArray, n_cells: int, summary: Any) -> FloatArray:
        """``summary`` of each cell's rows, shrunk towards zero, shape (n_cells, d)."""
        step = np.zeros((n_cells, left.shape[1]))
        order = np.argsort(code, kind="stable")
        names, starts = np.unique(code[order], return_index=True)
        for cell, rows in zip(names, np.split(order, starts[1:]), strict=True):
            if cell >= 0:
                step[cell] = summary(left[rows]) * len(rows) / (len(rows) + self.shrinkage)
        return step


def choose_context(table: pa.Table, kinds: dict[str, str], most: int = 2) -> list[str]:
    """The columns that best account for the others' values.

    For each category, boolean, time or number with few levels: the mean share of the rank variance
    of the number columns that its cells explain (the correlation ratio, less what as many random
    cells would).

    Parameters
    ----------
    table : pyarrow.Table
    kinds : dict
        Kind of each column, from its profile.
    most : int, default=2

    Returns
    -------
    list of str
        At most ``most`` names, the best first.
    """
    judged = [c for c, kind in kinds.items() if kind == "number"]
    shares = {}
    for name, kind in kinds.items():
        if kind not in ("category", "boolean", "time", "number"):
            continue
        others = [c for c in judged if c != name]
        context = Context([name])
        context.cells_ = context._cells(name, table[name])
        if not others or (kind == "number" and len(context.cells_[name]) > 31):
            continue
        code = np.unique(context._codes(table), axis=0, return_inverse=True)[1].ravel()
        shares[name] = float(np.mean([_explained(_numbers(table[c]), code) for c in others]))
    best = sorted((n for n in shares if shares[n] >= MIN_EXPLAINED), key=lambda n: -shares[n])
    if not best:
        raise DataError(
            "no column accounts for enough of the others to serve as context",
            remedy="name the context columns, or leave the context out",
        )
    return best[:most]


def _explained(values: FloatArray, code: IntArray) -> float:
    known = np.isfinite(values)
    values, code = rankdata(values[known]), code[known]
    n, k = len(values), len(np.unique(code))
    if n <= k or values.std() == 0:
        return 0.0
    sums, sizes = np.bincount(code, values), np.bincount(code)
    within = ((values - (sums / np.maximum(sizes, 1))[code]) ** 2).sum() / (n - k)
    return max(0.0, 1.0 - within / values.var(ddof=1))


def _numbers(column: pa.ChunkedArray) -> FloatArray:
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _key(codes: IntArray) -> str:
    return ",".join(map(str, codes))


def _take(effect: FloatArray, code: IntArray) -> FloatArray:
    """The effect of each row's cell; none where the cell is unknown."""
    padded = np.vstack([effect, np.zeros((1, effect.shape[1]))])
    return padded[np.where(code < len(effect), code, -1)]


def _middle(values: FloatArray) -> FloatArray:
    return np.median(values, axis=0)


def _spread(values: FloatArray) -> FloatArray:
    return 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)


def _log_spread(values: FloatArray) -> FloatArray:
    # Bounded, so that a cell of equal values does not make its next value infinitely odd.
    return np.log(np.clip(_spread(values), 0.1, 10.0))
