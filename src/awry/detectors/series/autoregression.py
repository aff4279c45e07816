"""Autoregression: each value from its own lags, learnt on by recursive least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import own_copy
from awry.core.params import any_of, integer, nothing, real
from awry.core.series import OnlineDetector, Series, robust_moments
from awry.core.threshold import Threshold
from awry.core.windows import windows
from awry.detectors.series._residuals import Band, common_periods
from awry.kernels.recursive import autoregress

#: Errors beyond so many scales count no more than at this limit (Huber).
CLIP = 3.0


class _State(NamedTuple):
    center: FloatArray
    unit: FloatArray
    lags: IntArray
    past: FloatArray
    head: IntArray
    coef: FloatArray
    cov: FloatArray
    scale: FloatArray


class Autoregression(OnlineDetector):
    """Values that their own past does not foretell.

    ``x_t = c + Σ φ_i x_(t-i) + ψ x_(t-m) + e_t`` with the lags 1 to p and the seasonal lag m. The
    coefficients are first fitted by ridge regression, re-weighted once by Huber's weights, then
    follow the series by recursive least squares with forgetting. The score of a channel is
    ``|e_t| / σ_t`` with an exponentially weighted standard deviation of the errors.

    Parameters
    ----------
    order : int, default=8
        p, the lags in a row.
    period : int or None, default=None
        m, the seasonal lag. None takes the shortest that :func:`~awry.data.periods.find_periods`
        finds above p, if any.
    ridge : float, default=1.0
        Penalty on the squared coefficients, of standardised values.
    forgetting : float, default=0.999
        λ in (0, 1]: the weight of an error falls by it with each point.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``coef`` (d, k): c, φ and ψ, of values less ``center`` over ``unit``; ``scale`` (d,): σ in
        that unit; ``lags``: p and m (0 without a season); ``past`` (L, d) and ``cov`` (d, k, k).

    Notes
    -----
    Departures: errors beyond 3 σ are cut to it before anything is learnt from them, in the
    coefficients, in σ and as a lag, so that an outlier makes neither the points after it odd nor
    the next one ordinary. A missing value is replaced by its prediction.

    References
    ----------
    Ljung & Söderström: "Theory and Practice of Recursive Identification", 1983, section 2.2;
    outliers as in Fox: "Outliers in Time Series", Journal of the Royal Statistical Society B 1972.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 4) + np.random.default_rng(0).normal(0, 0.05, 400)
    >>> x[300] -= 0.8
    >>> detector = Autoregression(warmup=100).fit(x)
    >>> int(detector.decision_scores_.argmax())
    300
    >>> detector.band(np.sin(np.arange(400, 402) / 4)).expected.shape
    (2, 1)
    """

    card = Card(
        name="autoregression",
        summary="Values that a linear function of their own past does not foretell.",
        modality="series",
        family="forecast",
        paper="Fox, Outliers in Time Series, Journal of the Royal Statistical Society B",
        year=1972,
        fit_cost="O(T d p²)",
        score_cost="O(T d p²)",
        finds="spikes, breaks and beats out of step, at once",
        misses="slow changes, which it follows; odd shapes made of foreseeable steps",
        aliases=("ar",),
        online=True,
        univariate=True,
    )

    constraints = {
        "order": integer(1),
        "period": any_of(nothing(), integer(2)),
        "ridge": real(0, None, "(]"),
        "forgetting": real(0, 1, "(]"),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        order: int = 8,
        period: int | None = None,
        ridge: float = 1.0,
        forgetting: float = 0.999,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.order = order
        self.period = period
        self.ridge = ridge
        self.forgetting = forgetting
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        center, unit = robust_moments(X.values)
        n, d = X.values.shape
        order = min(self.order, n // 4)
        period = self.period
        if period is None:
            period = next((p for p in common_periods(X) if p > order), 0)
        if n < 2 * period + order + 1:
            period = 0
        length = max(order, period, 1)
        z = (X.filled(causal=True)[0] - center) / unit
        missing = np.isnan(X.values)
        # The cycle before the first point is taken to be like the first one.
        past = np.zeros((length, d))
        past[: min(n, length)] = z[:length]
        k = 1 + order + (period > 0)
        coef, cov = np.zeros((d, k)), np.tile(np.eye(k) / self.ridge, (d, 1, 1))
        scale = np.ones(d)
        if n > length + k:
            blocks = windows(z, length + 1)
            for j in range(d):
                rows = blocks[~missing[length:, j], :, j]
                if len(rows) > k:
                    coef[j], cov[j], scale[j] = self._regress(rows, order, period)
        lags, head = np.array([order, period]), np.zeros(1, dtype=np.int64)
        return _State(center, unit, lags, past, head, coef, cov, scale)

    def _regress(
        self, rows: FloatArray, order: int, period: int
    ) -> tuple[FloatArray, FloatArray, float]:
        """Coefficients, their covariance over σ², and σ, from windows whose last value is known."""
        n, y = len(rows), rows[:, -1]
        parts = [np.ones((n, 1)), rows[:, -2 : -2 - order : -1]]
        if period:
            parts.append(rows[:, -1 - period, None])
        design = np.hstack(parts)
        weights = np.ones(n)
        for _ in range(2):
            gram = (design * weights[:, None]).T @ design + self.ridge * np.eye(design.shape[1])
            inverse = np.linalg.inv(gram)
            coef = inverse @ (design.T @ (weights * y))
            error = np.abs(y - design @ coef)
            scale = max(1.4826 * float(np.median(error)) or float(error.std()), 1e-9)
            weights = np.minimum(1.0, CLIP * scale / np.maximum(error, 1e-300))
        # No more memory than forgetting leaves.
        memory = max(1.0, n * (1.0 - self.forgetting))
        return coef, np.asarray(inverse * memory), scale

    def _run(self, state: _State, X: Series) -> FloatArray:
        z = np.ascontiguousarray((X.values - state.center) / state.unit)
        out = np.empty((3, *z.shape))
        autoregress(
            z, state.lags[0], state.lags[1], self.forgetting, self.ridge, CLIP, state.past,
            state.head, state.coef, state.cov, state.scale, out,
        )  # fmt: skip
        return out

    def _advance(self, state: _State, X: Series) -> FloatArray:
        return self._run(state, X)[2]

    def band(self, X: Any, width: float = 3.0) -> Band:
        """What is foretold of each of the points that come next, and where scores lie below
        ``width``; each (T, d). Nothing is learnt.

        Parameters
        ----------
        X : array-like of shape (T,) or (T, d)
        width : float, default=3
        """
        check_is_fitted(self)
        X = self._check_input(X, reset=False)
        state = own_copy(self.state_)
        expected, scale, _ = self._run(state, X)
        expected = state.center + state.unit * expected
        half = width * scale * state.unit
        return Band(expected, expected - half, expected + half)
