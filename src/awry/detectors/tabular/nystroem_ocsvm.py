"""NystroemOCSVM: the one-class support vector machine for a million rows and more."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, integer, nothing, option, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular.ocsvm import OCSVM

#: Directions in feature space with less than this share of the largest variance are left out: they
#: would need weights so large that rounding shows in the scores.
_NOTHING = 1e-8
#: Halvings of the interval in which a projection looks for its shift: down to rounding.
_HALVINGS = 60
#: Steps between looks at how much is left to gain.
_LOOK = 10


class NystroemOCSVM(OCSVM):
    """Rows outside the region that holds most rows: a one-class SVM in time linear in the rows.

    As :class:`~awry.detectors.OCSVM` with the kernel exp(-γ ‖x - x'‖²), in the space of functions
    spanned by the kernels of a few training rows, the landmarks (Nyström's method). There the
    machine is linear and its dual a quadratic programme over the rows, solved by accelerated
    projected gradients; and the score is ρ - Σ β_i k(x, x_i) over the landmarks alone.

    Parameters
    ----------
    nu : float, default=0.5
        Share of the rows left out at most.
    gamma : {"scale", "auto"} or float, default="scale"
        The kernel's γ; "scale" is 1 / (d · variance of all cells), "auto" 1 / d.
    n_components : int, default=512
        Landmarks, drawn at random.
    max_samples : int or None, default=20_000
        Rows to learn from, drawn at random where there are more; None for all.
    standardize : bool, default=True
        Bring the columns to mean 0 and variance 1 first.
    tol : float, default=1e-4
        The solver ends when it can gain no more than this share of its objective.
    max_iter : int, default=1000
        Steps of the solver at most.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the draws.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    support_ : ndarray of shape (m,)
        Numbers of the training rows that are landmarks.
    support_vectors_ : ndarray of shape (m, d)
        Those rows, standardised.
    dual_coef_ : ndarray of shape (m,)
        Their weights β.
    offset_ : float
        The ρ, in units in which the dual weights of the rows sum to 1.
    gamma_ : float
        The γ used.
    center_, scale_ : ndarray of shape (d,)
        What standardises the columns.

    References
    ----------
    Schölkopf et al.: "Estimating the Support of a High-Dimensional Distribution", Neural
    Computation 2001, equations 3.10 and 3.11. Williams & Seeger: "Using the Nyström Method to Speed
    Up Kernel Machines", NIPS 2000. Beck & Teboulle: "A Fast Iterative Shrinkage-Thresholding
    Algorithm for Linear Inverse Problems", SIAM J. Imaging Sciences 2009. O'Donoghue & Candès:
    "Adaptive Restart for Accelerated Gradient Schemes", Found. Comput. Math. 2015.

    Examples
    --------
    >>> import numpy as np
    >>> angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 300)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> X[11] = 3.0
    >>> int(NystroemOCSVM(nu=0.1, random_state=0).fit(X).decision_scores_.argmax())
    11
    """

    card = Card(
        name="nystroem_ocsvm",
        summary="Rows outside the region a kernel machine draws around most of a large table.",
        family="boundary",
        paper="Williams & Seeger, Nyström Method to Speed Up Kernel Machines, NIPS",
        year=2000,
        fit_cost="O(n d + s m^2), s = max_samples, m = n_components",
        score_cost="O(n m d)",
        finds="rows outside the data's region, whatever its shape, among millions",
        misses="anomalies in the midst of the data; degrees of far: all far rows score alike",
        aliases=("scalable_ocsvm",),
        stochastic=True,
    )
    constraints = {
        "nu": real(0, 1, "(]"),
        "gamma": any_of(option("scale", "auto"), real(0, closed="(]")),
        "n_components": integer(1),
        "max_samples": any_of(nothing(), integer(2)),
        "standardize": boolean(),
        "tol": real(0, closed="(]"),
        "max_iter": integer(1),
        "random_state": random_state(),
    }
    kernel = "rbf"

    def __init__(
        self,
        *,
        nu: float = 0.5,
        gamma: float | str = "scale",
        n_components: int = 512,
        max_samples: int | None = 20_000,
        standardize: bool = True,
        tol: float = 1e-4,
        max_iter: int = 1000,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.nu = nu
        self.gamma = gamma
        self.n_components = n_components
        self.max_samples = max_samples
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self._learn_scale(X)
        picks = self._rng().permutation(len(X))[: self.max_samples]
        rows = self._scaled(X[picks])
        self.support_ = picks[: self.n_components].copy()
        self.support_vectors_ = rows[: self.n_components].copy()
        variances, axes = np.linalg.eigh(self._kernel(self.support_vectors_, self.support_vectors_))
        keep = variances > _NOTHING * variances[-1]
        to_features = axes[:, keep] / np.sqrt(variances[keep])
        features = self._kernel(rows, self.support_vectors_) @ to_features
        normal = features.T @ one_class_dual(features, self.nu, self.tol, self.max_iter)
        self.dual_coef_ = to_features @ normal
        # The share nu of the rows lies outside, as the optimality conditions have it.
        self.offset_ = float(np.quantile(features @ normal, self.nu))


def one_class_dual(features: FloatArray, nu: float, tol: float, max_iter: int) -> FloatArray:
    """Weights α that minimise ‖Σ α_i f_i‖² subject to 0 <= α_i <= 1 / (ν n) and Σ α_i = 1.

    Parameters
    ----------
    features : ndarray of shape (n, m)
        Rows f_i.
    nu : float
        In (0, 1].
    tol : float
        Share of the objective that may be left to gain.
    max_iter : int
        Most steps of the accelerated projected gradient, restarted where it runs uphill.

    Returns
    -------
    ndarray of shape (n,)
    """
    n = len(features)
    cap = 1 / (nu * n)
    size = 1 / np.linalg.eigvalsh(features.T @ features)[-1]
    weights = ahead = np.full(n, 1 / n)
    momentum = 1.0
    for step in range(max_iter):
        gradient = features @ (features.T @ ahead)
        last, weights = weights, _project(ahead - size * gradient, cap)
        way = weights - last
        if gradient @ way > 0:
            momentum, ahead = 1.0, weights
        else:
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = weights + (momentum - 1) / following * way
            momentum = following
        if step % _LOOK == 0 and _gap(features @ (features.T @ weights), weights, nu, cap) < tol:
            break
    return weights


def _gap(gradient: FloatArray, weights: FloatArray, nu: float, cap: float) -> float:
    """Most that is left to gain, as a share: the gap of Frank & Wolfe, by convexity a bound."""
    whole = int(nu * len(weights))
    smallest = np.sort(gradient)[: whole + 1]
    least = cap * smallest[:whole].sum() + (1 - cap * whole) * smallest[-1]
    return float(2 * (1 - least / (gradient @ weights)))


def _project(weights: FloatArray, cap: float) -> FloatArray:
    """The point nearest to ``weights`` (n,) with values between 0 and ``cap`` that sum to 1."""
    low, high = weights.min() - cap, weights.max()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if np.clip(weights - middle, 0, cap).sum() > 1:
            low = middle
        else:
            high = middle
    return np.clip(weights - high, 0, cap)
