"""PCA: rows far out along the principal components, the minor ones most of all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import ParameterError, any_of, boolean, integer, nothing, option, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._scale import is_constant, median_and_scale
from awry.kernels import projections as kernels
from awry.kernels.columns import column_blocks

#: Components with less than this share of the largest variance are rounding.
_NOTHING = 1e-12


class PCA(Detector):
    """Rows that lie far out along the principal components, each in terms of its variance.

    With z the standardised row, v_i the components and w_i their shares of the variance, the score
    is the sum of ``‖z - v_i‖ / w_i``, PyOD's, or with ``metric="mahalanobis"`` that of
    ``(v_i · z)² / λ_i`` with the variances λ_i, the classifier of Shyu et al. (equation 4).

    Parameters
    ----------
    n_components : int, float or None, default=None
        Components kept, the largest first; below 1 the share of the variance to keep; None keeps
        all that have any.
    n_selected_components : int or None, default=None
        How many of those, the smallest, the score uses; None for all.
    metric : {"euclidean", "mahalanobis"}, default="euclidean"
        How far a row is along a component, see above.
    robust : bool, default=False
        Take medians and MADs for means and standard deviations and find the components on the unit
        sphere (spherical PCA), so that anomalies in the training data neither hide nor turn them.
        Best with ``metric="mahalanobis"``.
    weighted : bool, default=True
        False leaves out the division by the variances.
    standardization : bool, default=True
        Bring the columns to a common scale first. They are centred in any case.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    components_ : ndarray of shape (k, d)
        Directions in the standardised columns, by falling variance.
    explained_variance_, explained_variance_ratio_ : ndarray of shape (k,)
        Their variances, and those as shares of the variance of all.
    center_, scale_ : ndarray of shape (d,)
        What standardises the columns.

    Notes
    -----
    Departures from PyOD: components without variance are left out, where PyOD divides by their
    rounding errors; and columns are centred even when not standardised.

    A column's contribution is its part of each component's term: of the squared distance, scaled
    to add up to the distance, or of the quadratic form, projected back on the columns.

    References
    ----------
    Shyu, Chen, Sarinnapakorn, Chang: "A Novel Anomaly Detection Scheme Based on Principal Component
    Classifier", ICDM workshop 2003. Locantore et al.: "Robust principal component analysis for
    functional data", Test 1999, section 3.3 (spherical PCA; variances by MAD).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 1))
    >>> X = np.hstack([x, -x]) + np.random.default_rng(1).normal(0, 0.1, (200, 2))
    >>> X[5] = [1.5, 1.5]
    >>> int(PCA(metric="mahalanobis").fit(X).decision_scores_.argmax())
    5
    """

    card = Card(
        name="pca",
        summary="Rows far out along the principal components.",
        family="projections",
        paper="Shyu et al., Principal Component Classifier, ICDM workshop",
        year=2003,
        fit_cost="O(n d^2 + d^3)",
        score_cost="O(n d^2)",
        finds="rows that break linear relations between columns; extreme rows",
        misses="local anomalies; anomalies within curved or clustered data",
        pyod="pca.PCA",
    )
    constraints = {
        "n_components": any_of(nothing(), integer(1), real(0, 1, "()")),
        "n_selected_components": any_of(nothing(), integer(1)),
        "metric": option("euclidean", "mahalanobis"),
        "robust": boolean(),
        "weighted": boolean(),
        "standardization": boolean(),
    }

    def __init__(
        self,
        *,
        n_components: int | float | None = None,
        n_selected_components: int | None = None,
        metric: str = "euclidean",
        robust: bool = False,
        weighted: bool = True,
        standardization: bool = True,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_selected_components = n_selected_components
        self.metric = metric
        self.robust = robust
        self.weighted = weighted
        self.standardization = standardization
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        d = X.shape[1]
        for name in ("n_components", "n_selected_components"):
            value = getattr(self, name)
            if value is not None and value > d:
                raise ParameterError(f"PCA: {name} must be at most the {d} columns, got {value}")
        self.scale_ = np.ones(d)
        if self.robust:
            self._fit_robust(X)
        else:
            self._fit_plain(X)

    def _fit_plain(self, X: FloatArray) -> None:
        self.center_ = X.mean(axis=0)
        covariance = self._covariance(X)
        if self.standardization:
            scale = np.sqrt(np.diag(covariance))
            self.scale_ = np.where(is_constant(self.center_, scale), 1.0, scale)
            covariance /= np.outer(self.scale_, self.scale_)
        self._select(*np.linalg.eigh(covariance))

    def _fit_robust(self, X: FloatArray) -> None:
        medians = np.array([median_and_scale(X[:, j]) for j in range(X.shape[1])])
        self.center_ = medians[:, 0].copy()
        if self.standardization:
            self.scale_ = medians[:, 1].copy()
        axes = np.linalg.eigh(self._covariance(X))[1]
        self._select(self._recentre(X, axes), axes)

    def _standardized(self, X: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """Blocks of the standardised rows as columns (d, m), and their places."""
        for rows, block in column_blocks(X):
            kernels.standardize(block, self.center_, self.scale_)
            yield rows, block

    def _covariance(self, X: FloatArray) -> FloatArray:
        """Covariance (d, d) of the standardised rows, or of their directions if robust."""
        total = np.zeros((X.shape[1], X.shape[1]))
        for _, block in self._standardized(X):
            if self.robust:
                lengths = np.sqrt((block**2).sum(axis=0))
                block /= np.where(lengths > 0, lengths, 1.0)
            total += block @ block.T
        return total / len(X)

    def _recentre(self, X: FloatArray, axes: FloatArray) -> FloatArray:
        """Move the centre to the medians along ``axes`` (d, d) and return the variances there."""
        along = np.hstack([axes.T @ block for _, block in self._standardized(X)])
        medians, scales = np.array([median_and_scale(x) for x in along]).T
        self.center_ = self.center_ + self.scale_ * (axes @ medians)
        # A coordinate that is constant has the scale 1 by convention, but no variance.
        return np.where(np.ptp(along, axis=1) > 0, scales**2, 0.0)

    def _select(self, variances: FloatArray, axes: FloatArray) -> None:
        order = np.argsort(-variances, kind="stable")
        variances, axes = variances[order], axes[:, order]
        real_ones = int(np.sum(variances > _NOTHING * variances[0]))
        if not real_ones:
            # Of a constant table every direction is as good as any other.
            variances, axes, real_ones = np.ones_like(variances), np.eye(len(axes)), len(axes)
        ratio = variances / variances.sum()
        keep = self.n_components or len(ratio)
        if isinstance(keep, float):
            keep = int(np.searchsorted(np.cumsum(ratio), keep, side="right")) + 1
        keep = min(keep, real_ones)
        # The sign an axis is given matters to the euclidean metric: as scikit-learn's.
        signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))])
        self.components_ = (axes * signs).T[:keep].copy()
        self.explained_variance_, self.explained_variance_ratio_ = variances[:keep], ratio[:keep]

    def _selected(self) -> tuple[FloatArray, FloatArray]:
        """The components that count (k, d) and what divides the distance along each (k,)."""
        count = min(self.n_selected_components or len(self.components_), len(self.components_))
        euclidean = self.metric == "euclidean"
        weights = self.explained_variance_ratio_ if euclidean else self.explained_variance_
        if not self.weighted:
            weights = np.ones_like(weights)
        return self.components_[-count:], weights[-count:]

    def _score(self, X: FloatArray) -> FloatArray:
        euclidean = self.metric == "euclidean"
        measure = kernels.direction_distances if euclidean else kernels.component_variances
        directions, weights = self._selected()
        scores = np.empty(len(X))
        for rows, block in self._standardized(X):
            scores[rows] = measure(block, directions, weights)
        return scores

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        Z = (X - self.center_) / self.scale_
        values = np.zeros(X.shape)
        for direction, weight in zip(*self._selected(), strict=True):
            if self.metric == "euclidean":
                squares = (Z - direction) ** 2
                distances = np.sqrt(squares.sum(axis=1, keepdims=True))
                values += squares / (np.where(distances > 0, distances, 1.0) * weight)
            else:
                values += Z * direction * (Z @ direction)[:, None] / weight
        return values, 0.0
