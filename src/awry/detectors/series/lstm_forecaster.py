"""Recurrent forecaster: points that are not what a network expects next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from scipy.signal import lfilter

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, listing, nothing, option
from awry.core.series import Series
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.recurrent import RecurrentForecasterNetwork


class LSTMForecaster(DeepSeriesDetector):
    """Points that are not what a network expects next.

    At each step of a window stacked LSTMs say what the next ``horizon`` points will be; they learn
    to make the mean squared error small. So each point is foretold ``horizon`` times, from ever
    nearer; the vector e of these errors, of all channels, follows on the training series a Gaussian
    N(μ, Σ), by maximum likelihood, and the score is (e - μ)ᵀ Σ⁻¹ (e - μ), which orders points as
    the paper's likelihood does (section 3). A channel's contribution is the sum of the squares of
    its entries in Σ^(-1/2) (e - μ). Only the second half of a window is judged.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the recurrent layers; None takes two of 32.
    horizon : int, default=3
        Points foretold at each step; at most half a window.
    errors : {"gaussian", "smoothed"}, default="gaussian"
        What the score is: the above, or Telemanom's: the absolute errors of what was foretold one
        step before, smoothed by an exponential mean (Hundman et al., section 3.2), which is made
        for the threshold ``contamination="dynamic"``.
    smoothing : int, default=105
        Span of that mean, in points; Telemanom's 5 % of 2100.
    cell : {"lstm", "gru"}, default="lstm"
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights, and the Gaussian's.

    Notes
    -----
    Departures: the network's state begins anew with each window, so that scores do not hang on
    where a series begins; the Gaussian is of the training errors, not of held-out ones.

    References
    ----------
    Malhotra et al.: "Long Short Term Memory Networks for Anomaly Detection in Time Series",
    ESANN 2015. Hundman et al.: "Detecting Spacecraft Anomalies Using LSTMs and Nonparametric
    Dynamic Thresholding", KDD 2018.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300] += 1.0
    >>> detector = LSTMForecaster(window=24, hidden=[16], epochs=10, lr=0.01, random_state=0).fit(x)
    >>> bool(298 < detector.decision_scores_.argmax() < 306)
    True
    """

    card = Card(
        name="lstm_forecaster",
        summary="Points that are not what a network expects next.",
        modality="series",
        family="networks",
        paper="Malhotra et al., LSTM Networks for Anomaly Detection in Time Series, ESANN",
        year=2015,
        fit_cost="O(T L w e), windows of L points, w weights, e epochs, step after step",
        score_cost="O(T L w)",
        finds="points and short stretches that the past does not lead to",
        misses="slow changes, each step of which is as expected",
        aliases=("telemanom",),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "horizon": integer(1),
        "errors": option("gaussian", "smoothed"),
        "smoothing": integer(1),
        "cell": option("lstm", "gru"),
    }

    def __init__(
        self,
        *,
        horizon: int = 3,
        errors: str = "gaussian",
        smoothing: int = 105,
        cell: str = "lstm",
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.horizon = horizon
        self.errors = errors
        self.smoothing = smoothing
        self.cell = cell

    @property
    def _unjudged_steps(self) -> int:
        return self.window_ // 2

    def _build(self, d: int) -> RecurrentForecasterNetwork:
        from awry.nn.recurrent import RecurrentForecasterNetwork

        if self.horizon > self._unjudged_steps:
            raise ValueError(
                f"LSTMForecaster: horizon must be at most half the window of {self.window_} "
                f"points, got {self.horizon}"
            )
        return RecurrentForecasterNetwork(
            d,
            self.hidden or [32, 32],
            horizon=self.horizon,
            skipped=self._unjudged_steps,
            absolute=self.errors == "smoothed",
            cell=self.cell,
            dropout=self.dropout,
        )

    @property
    def _left_out(self) -> str:  # type: ignore[override]
        smoothing = f", and the mean over {self.smoothing:,} points that smooths errors"
        return super()._left_out + (smoothing if self.errors == "smoothed" else "")

    def _terms(self, X: Series, judge: Any = None) -> FloatArray:
        terms = super()._terms(X, judge)
        return _smoothed(terms, self.smoothing) if self.errors == "smoothed" else terms


def _smoothed(terms: FloatArray, span: int) -> FloatArray:
    """Exponential means along time; a point without a value leaves the mean as it is."""
    share = 2.0 / (span + 1)
    known = ~np.isnan(terms)
    # Weights that sum to what has been seen, so that the first points count in full.
    sums, weights = (
        lfilter([share], [1.0, share - 1.0], part, axis=0)
        for part in (np.where(known, terms, 0.0), known.astype(np.float64))
    )
    return np.where(known, sums / np.where(known, weights, 1.0), np.nan)
