"""OCSVM: rows outside the region in which most rows lie, by a kernel machine."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, integer, option, real
from awry.core.threshold import Threshold
from awry.detectors.tabular.gaussian import moments, positive_variances
from awry.kernels.gaussian import gaussian_kernel


class OCSVM(Detector):
    """Rows outside the region that holds most rows: the one-class support vector machine.

    The score is ρ - Σ α_i k(x, x_i) over the support vectors x_i: positive outside the region,
    which leaves out the share ``nu`` of the training rows at most.

    Parameters
    ----------
    kernel : {"rbf", "linear", "poly", "sigmoid"}, default="rbf"
        exp(-γ ‖x - x'‖²), x·x', (γ x·x' + coef0)^degree or tanh(γ x·x' + coef0).
    degree : int, default=3
        Of the polynomial kernel.
    gamma : {"scale", "auto"} or float, default="scale"
        The kernels' γ; "scale" is 1 / (d · variance of all cells), "auto" 1 / d.
    coef0 : float, default=0.0
        Constant of the polynomial and the sigmoid kernel.
    nu : float, default=0.5
        Share of the rows left out at most, and of the support vectors at least.
    standardize : bool, default=True
        Bring the columns to mean 0 and variance 1 first; False works on them as they are, as PyOD.
    tol : float, default=1e-3
        Tolerance of the solver.
    shrinking : bool, default=True
        Whether the solver sets rows aside that will not change.
    cache_size : float, default=200
        Megabytes of kernel values kept by the solver.
    max_iter : int, default=-1
        Iterations at most; -1 for no limit.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    support_ : ndarray of shape (m,)
        Numbers of the training rows that are support vectors.
    support_vectors_ : ndarray of shape (m, d)
        Those rows, standardised.
    dual_coef_ : ndarray of shape (m,)
        Their weights α.
    offset_ : float
        The ρ.
    gamma_ : float
        The γ used.
    center_, scale_ : ndarray of shape (d,)
        What standardises the columns.

    References
    ----------
    Schölkopf, Platt, Shawe-Taylor, Smola, Williamson: "Estimating the Support of a High-Dimensional
    Distribution", Neural Computation 2001.

    Examples
    --------
    >>> import numpy as np
    >>> angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 300)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> X[11] = 3.0
    >>> int(OCSVM(nu=0.1).fit(X).decision_scores_.argmax())
    11
    """

    card = Card(
        name="ocsvm",
        summary="Rows outside the region a kernel machine draws around most of the data.",
        family="boundary",
        paper="Schölkopf et al., Estimating the Support of a High-Dimensional Distribution",
        year=2001,
        fit_cost="O(n^2 d) to O(n^3)",
        score_cost="O(n m d), m support vectors",
        finds="rows outside the data's region, whatever its shape",
        misses="anomalies in the midst of the data; degrees of far: all far rows score alike",
        aliases=("one_class_svm",),
        pyod="ocsvm.OCSVM",
        max_rows=20_000,
    )
    constraints = {
        "kernel": option("rbf", "linear", "poly", "sigmoid"),
        "degree": integer(0),
        "gamma": any_of(option("scale", "auto"), real(0, closed="(]")),
        "coef0": real(),
        "nu": real(0, 1, "(]"),
        "standardize": boolean(),
        "tol": real(0, closed="(]"),
        "shrinking": boolean(),
        "cache_size": real(0, closed="(]"),
        "max_iter": integer(-1),
    }
    chunk_rows: ClassVar[int] = 1 << 10

    def __init__(
        self,
        *,
        kernel: str = "rbf",
        degree: int = 3,
        gamma: float | str = "scale",
        coef0: float = 0.0,
        nu: float = 0.5,
        standardize: bool = True,
        tol: float = 1e-3,
        shrinking: bool = True,
        cache_size: float = 200,
        max_iter: int = -1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.nu = nu
        self.standardize = standardize
        self.tol = tol
        self.shrinking = shrinking
        self.cache_size = cache_size
        self.max_iter = max_iter
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        from sklearn.svm import OneClassSVM

        self._learn_scale(X)
        machine = OneClassSVM(
            kernel=self.kernel,
            degree=self.degree,
            gamma=self.gamma_,
            coef0=self.coef0,
            nu=self.nu,
            tol=self.tol,
            shrinking=self.shrinking,
            cache_size=self.cache_size,
            max_iter=self.max_iter,
        ).fit(self._scaled(X))
        self.support_ = machine.support_.astype(np.int64)
        self.support_vectors_ = machine.support_vectors_
        self.dual_coef_ = machine.dual_coef_[0]
        self.offset_ = float(machine.offset_[0])

    def _learn_scale(self, X: FloatArray) -> None:
        """Set ``center_``, ``scale_`` and ``gamma_`` from the training rows ``X`` (n, d)."""
        d, (location, covariance) = X.shape[1], moments(X)
        variances = np.diag(covariance)
        self.center_, self.scale_ = np.zeros(d), np.ones(d)
        if self.standardize:
            self.center_ = location
            self.scale_ = np.sqrt(positive_variances(location, variances))
        if isinstance(self.gamma, str):
            means = (location - self.center_) / self.scale_
            spread = (variances / self.scale_**2).mean() + means.var()
            self.gamma_ = float(1 / (d * (spread if self.gamma == "scale" and spread else 1.0)))
        else:
            self.gamma_ = float(self.gamma)

    def _scaled(self, X: FloatArray) -> FloatArray:
        return (X - self.center_) / self.scale_

    def _score(self, X: FloatArray) -> FloatArray:
        return self.offset_ - self._kernel(self._scaled(X), self.support_vectors_) @ self.dual_coef_

    def _kernel(self, Z: FloatArray, points: FloatArray) -> FloatArray:
        """The kernel of the rows of ``Z`` (n, d) and ``points`` (m, d), shape (n, m)."""
        if self.kernel == "rbf":
            width = np.sqrt(2 * self.gamma_)
            return gaussian_kernel(Z * width, points * width)
        products = Z @ points.T
        if self.kernel == "linear":
            return products
        products = self.gamma_ * products + self.coef0
        return products**self.degree if self.kernel == "poly" else np.tanh(products)
