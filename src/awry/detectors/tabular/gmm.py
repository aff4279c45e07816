"""GMM: rows where the density of a mixture of Gaussians is low."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, option, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular.gaussian import (
    distance_terms,
    moments,
    positive_variances,
    squared_distances,
    whitening,
)

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

#: Numbers of components tried, and the rows they are tried on.
_TRIED = (1, 2, 3, 4, 6, 8)
_TRIAL_ROWS = 2000


class GMM(Detector):
    """Rows where the density of a mixture of Gaussians, fitted by EM, is low.

    The score is -log p(x), with p the density of the mixture.

    Parameters
    ----------
    n_components : int or None, default=None
        Gaussians in the mixture. None takes the number of 1, 2, 3, 4, 6 and 8 with the lowest
        Bayesian information criterion on at most 2000 rows.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Whether each Gaussian has its own covariance, all share one, or columns are independent
        within a Gaussian, with a variance each or one for all.
    reg_covar : float, default=0.01
        Added to the variances of the standardised columns in each Gaussian, as if every column
        carried so much noise. It keeps a Gaussian from closing in on a few rows.
    tol : float, default=1e-3
        The fit ends when an iteration raises the mean log-likelihood by less.
    max_iter : int, default=100
        Iterations at most.
    n_init : int, default=1
        Starts, of which the best is kept.
    max_samples : int or None, default=20_000
        Rows to fit, drawn at random where there are more; None for all.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the draw and of the starts.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    n_components_ : int
    weights_ : ndarray of shape (k,)
    means_ : ndarray of shape (k, d)
    covariances_ : ndarray of shape (k, d, d)
        Shares, means and covariances of the Gaussians, in the columns' own units.
    whitenings_ : ndarray of shape (k, d, d)
        Matrices W with W Wᵀ the inverse of each covariance.
    log_peaks_ : ndarray of shape (k,)
        Logarithm of each share times its Gaussian's density at the mean.
    converged_ : bool
        Whether ``tol`` was reached.

    Notes
    -----
    The contribution of column j is half its term of the squared Mahalanobis distance from each
    Gaussian, (x - μ)_j (Σ⁻¹ (x - μ))_j, weighted by the Gaussian's responsibility for the row. The
    base is the rest of the score: what it takes to be at the means.

    References
    ----------
    Dempster, Laird, Rubin: "Maximum Likelihood from Incomplete Data via the EM Algorithm", JRSS B
    1977. Schwarz: "Estimating the Dimension of a Model", Ann. Stat. 1978.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X[:100] += 10
    >>> X[3] = 5.0
    >>> detector = GMM(random_state=0).fit(X)
    >>> detector.n_components_, int(detector.decision_scores_.argmax())
    (2, 3)
    """

    card = Card(
        name="gmm",
        summary="Rows where the density of a mixture of Gaussians is low.",
        family="density",
        paper="Dempster, Laird & Rubin, The EM Algorithm, JRSS B",
        year=1977,
        fit_cost="O(m k d^2) an iteration, m = max_samples",
        score_cost="O(n k d^2)",
        finds="rows outside or between clusters; rows that break relations within one",
        misses="anomalies that form a cluster of their own; curved data",
        aliases=("gaussian_mixture",),
        pyod="gmm.GMM",
        stochastic=True,
    )
    constraints = {
        "n_components": any_of(nothing(), integer(1)),
        "covariance_type": option("full", "tied", "diag", "spherical"),
        "reg_covar": real(1e-12),
        "tol": real(0),
        "max_iter": integer(1),
        "n_init": integer(1),
        "max_samples": any_of(nothing(), integer(2)),
        "random_state": random_state(),
    }

    def __init__(
        self,
        *,
        n_components: int | None = None,
        covariance_type: str = "full",
        reg_covar: float = 0.01,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        max_samples: int | None = 20_000,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.max_samples = max_samples
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        seed, n = self._seed(), len(X)
        location, covariance = moments(X)
        scale = np.sqrt(positive_variances(location, np.diag(covariance)))
        order = np.random.default_rng(seed).permutation(n)[: self.max_samples]
        Z = (X[order] - location) / scale
        mixture = self._mixture(Z, self.n_components or self._choose(Z[:_TRIAL_ROWS], seed), seed)
        self.n_components_ = int(mixture.n_components)
        self.converged_ = bool(mixture.converged_)
        self.weights_ = mixture.weights_
        self.means_ = location + scale * mixture.means_
        self.covariances_ = self._square(mixture.covariances_) * np.outer(scale, scale)
        self.whitenings_ = np.stack([whitening(c) for c in self.covariances_])
        log_dets = np.linalg.slogdet(self.covariances_)[1]
        self.log_peaks_ = np.log(self.weights_) - (log_dets + X.shape[1] * np.log(2 * np.pi)) / 2

    def _choose(self, Z: FloatArray, seed: int) -> int:
        """The number of components with the lowest BIC on ``Z`` (n, d), 10 rows or more to each."""
        tried = [k for k in _TRIED if k == 1 or 10 * k <= len(Z)]
        return min(tried, key=lambda k: self._mixture(Z, k, seed).bic(Z))

    def _mixture(self, Z: FloatArray, k: int, seed: int) -> GaussianMixture:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(
            min(k, len(Z)),
            covariance_type=self.covariance_type,
            reg_covar=self.reg_covar,
            tol=self.tol,
            max_iter=self.max_iter,
            n_init=self.n_init,
            random_state=seed,
        )
        # Products this small cost several times as much when threads share them.
        with threadpool_limits(1), warnings.catch_warnings():
            # A density that is not quite the likeliest ranks rows as well; see ``converged_``.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mixture.fit(Z)

    def _square(self, covariances: FloatArray) -> FloatArray:
        """Covariances in the form of scikit-learn's ``covariance_type`` as (k, d, d)."""
        k, eye = self.n_components_, np.eye(self.n_features_in_)
        if self.covariance_type == "spherical":
            return covariances[:, None, None] * eye
        if self.covariance_type == "diag":
            return covariances[:, :, None] * eye
        return np.broadcast_to(covariances, (k, *eye.shape))

    def _score(self, X: FloatArray) -> FloatArray:
        return -np.logaddexp.reduce(self._log_densities(X), axis=1)

    def _log_densities(self, X: FloatArray) -> FloatArray:
        """Logarithm of each share times its Gaussian's density, shape (n, k)."""
        distances = [
            squared_distances(X, mean, whitening)
            for mean, whitening in zip(self.means_, self.whitenings_, strict=True)
        ]
        return self.log_peaks_ - np.column_stack(distances) / 2

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        logs = self._log_densities(X)
        score = -np.logaddexp.reduce(logs, axis=1)
        values = np.zeros(X.shape)
        for k, responsibility in enumerate(np.exp(logs + score[:, None]).T):
            terms = distance_terms(X, self.means_[k], self.whitenings_[k])
            values += responsibility[:, None] * terms / 2
        return values, score - values.sum(axis=1)
