"""HBOS: histogram-based outlier score."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, option, real
from awry.core.threshold import Threshold
from awry.kernels import histograms as kernels
from awry.kernels.columns import column_blocks, columns_of, total


class HBOS(Detector):
    """Rows whose values fall into low bins of their columns' histograms.

    The score of a row is the sum over columns of -log2(height + alpha), the height being that of
    the bin the value falls into (equation 1 of the paper, for bins of equal width).

    Parameters
    ----------
    n_bins : int or "auto", default=10
        Bins per column; ``"auto"`` chooses for each column by Birgé and Rozenholc's penalised
        likelihood.
    alpha : float, default=0.1
        Added to the heights, so that empty bins do not score infinity.
    tol : float, default=0.5
        A new value up to this many bin widths outside a histogram takes the outermost bin; one
        further out scores as the lowest bin.
    heights : {"density", "relative"}, default="density"
        ``"density"`` is PyOD's: a column's unit decides what ``alpha`` means for it, and columns
        with a wide range hardly count. ``"relative"`` divides by the density of an even spread over
        the column's range, so that units do not matter.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    low_, high_ : ndarray of shape (d,)
        Ranges of the histograms.
    n_bins_ : ndarray of shape (d,)
        Bins of each column.
    hist_ : ndarray of shape (d, ``max(n_bins_)``)
        Heights.

    Notes
    -----
    With ``n_bins`` a number and ``heights="density"`` the scores are PyOD's, down to a value on an
    edge between two bins: counted in the right one, it is scored by the left one. With ``"auto"``
    they differ, since PyOD subtracts the penalty once for every bin.

    References
    ----------
    Goldstein & Dengel: "Histogram-based Outlier Score (HBOS): A fast Unsupervised Anomaly Detection
    Algorithm", KI 2012. Birgé & Rozenholc: "How many bins should be put in a regular histogram",
    ESAIM: Probability and Statistics 2006.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[9.0, 9.0, 0.0]]])
    >>> detector = HBOS().fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> sorted(name for name, _ in detector.explain(X[200:]).top(2)[0])
    ['x0', 'x1']
    """

    card = Card(
        name="hbos",
        summary="Rows with values where their columns' histograms are low.",
        family="statistical",
        paper="Goldstein & Dengel, HBOS, KI",
        year=2012,
        fit_cost="O(n d)",
        score_cost="O(n d)",
        finds="rare values in single columns, also in gaps between modes; very fast",
        misses="odd combinations of ordinary values",
        pyod="hbos.HBOS",
        univariate=True,
    )
    constraints = {
        "n_bins": any_of(integer(2), option("auto")),
        "alpha": real(0, 1, "()"),
        "tol": real(0, 1),
        "heights": option("density", "relative"),
    }

    def __init__(
        self,
        *,
        n_bins: int | str = 10,
        alpha: float = 0.1,
        tol: float = 0.5,
        heights: str = "density",
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.alpha = alpha
        self.tol = tol
        self.heights = heights
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n, d = X.shape
        blocks = [(b.min(axis=1), b.max(axis=1)) for _, b in column_blocks(X)]
        low, high = np.min([b[0] for b in blocks], axis=0), np.max([b[1] for b in blocks], axis=0)
        pad = np.where(low == high, 0.5, 0.0)
        self.low_, self.high_ = low - pad, high + pad
        if isinstance(self.n_bins, str):
            self.n_bins_ = np.array([kernels.best_bins(np.sort(X[:, j])) for j in range(d)])
        else:
            self.n_bins_ = np.full(d, self.n_bins)
        counts = np.zeros((d, self.n_bins_.max()), np.int64)
        for _, block in column_blocks(X):
            kernels.add_counts(block, self.low_, self.high_, self.n_bins_, counts)
        self.hist_ = np.zeros(counts.shape)
        for j, bins in enumerate(self.n_bins_):
            edges = np.linspace(self.low_[j], self.high_[j], bins + 1)
            widths = np.diff(edges) if self.heights == "density" else 1 / bins
            self.hist_[j, :bins] = counts[j, :bins] / widths / n
        self._table = self._make_table()

    def _make_table(self) -> FloatArray:
        """Scores of the bins, (d, bins + 2); those of values outside stand at the ends."""
        table = -np.log2(np.pad(self.hist_, ((0, 0), (1, 1))) + self.alpha)
        for row, bins in zip(table, self.n_bins_, strict=True):
            row[0] = row[bins + 1] = row[1 : bins + 1].max()
        return table

    def _score(self, X: FloatArray) -> FloatArray:
        scores = np.empty(len(X))
        for rows, block in column_blocks(X):
            scores[rows] = total(self._look_up(block))
        return scores

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        return self._look_up(columns_of(X)).T, 0.0

    def _look_up(self, columns: FloatArray) -> FloatArray:
        shape = self.low_, self.high_, self.n_bins_
        return kernels.look_up(columns, *shape, self._table, self.tol, True)
