"""LSTM and transformer: points that follow neither from what is near nor from what is far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing, option
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.lstm_transformer import LSTMTransformerNetwork


class LSTMTransformer(DeepSeriesDetector):
    """Points that follow neither from what is near nor from what is far.

    An LSTM reads the window step by step; layers of attention let each of its states look at all
    those before it; what both say is added up, and from that a linear layer says the next
    ``horizon`` steps. They learn to make the mean squared error small. The errors e of the
    training series, of each point foretold 1 to ``horizon`` steps before, follow a Gaussian
    N(μ, Σ), and the score of a point is its squared Mahalanobis distance (e - μ)ᵀ Σ⁻¹ (e - μ); a
    channel's contribution is the square of its entries in Σ^(-1/2) (e - μ).

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the LSTM's layers; the last is that of the attention. None takes one of 64.
    n_layers : int, default=1
        Layers of attention.
    n_heads : int, default=4
        Heads of the attention, lowered to what divides the width.
    horizon : int, default=1
        Steps foretold from each, at most half a window.
    positions : {"sinusoidal", "learnable", "rotary"}, default="sinusoidal"
        How attention is told where in the window a point is.
    dropout : float, default=0.1
        Share of the units left out at random in each step of training.
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
    The order, an LSTM for the neighbourhood, masked self-attention for what is far, each with a way
    past it and a normalisation, is that of the Temporal Fusion Transformer (sections 4.4 and 4.5),
    without its gates and its selection of variables; the score is that of Malhotra et al. The
    first half of a window is not judged, for want of a past.

    References
    ----------
    Lim, Arik, Loeff & Pfister: "Temporal Fusion Transformers for interpretable multi-horizon time
    series forecasting", International Journal of Forecasting 37(4), 2021. Malhotra, Vig, Shroff &
    Agarwal: "Long Short Term Memory Networks for Anomaly Detection in Time Series", ESANN 2015.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300] = 2.0
    >>> detector = LSTMTransformer(
    ...     window=16, hidden=[16], epochs=10, lr=0.01, random_state=0
    ... ).fit(x)
    >>> bool(297 < detector.decision_scores_.argmax() < 310)
    True
    """

    card = Card(
        name="lstm_transformer",
        summary="Points that follow neither from what is near nor from what is far.",
        modality="series",
        family="networks",
        paper="Lim et al., Temporal Fusion Transformers, IJF 37(4)",
        year=2021,
        fit_cost="O(T L (L + w) e), windows of L points, w weights, e epochs",
        score_cost="O(T L (L + w))",
        finds="points that do not follow from the window before them",
        misses="slow drifts; what no past foretells counts as odd",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "n_layers": integer(1),
        "n_heads": integer(1),
        "horizon": integer(1),
        "positions": option("sinusoidal", "learnable", "rotary"),
    }

    def __init__(  # type: ignore[misc]  # a default of its own
        self,
        *,
        n_layers: int = 1,
        n_heads: int = 4,
        horizon: int = 1,
        positions: str = "sinusoidal",
        dropout: float = 0.1,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(dropout=dropout, **training)
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.horizon = horizon
        self.positions = positions

    @property
    def _unjudged_steps(self) -> int:
        return self.window_ // 2

    def _build(self, d: int) -> LSTMTransformerNetwork:
        from awry.nn.attention import fitting_heads
        from awry.nn.lstm_transformer import LSTMTransformerNetwork

        if self.horizon > self.window_ // 2:
            raise ValueError(
                f"LSTMTransformer: horizon must be at most half the window of {self.window_} "
                f"points, got {self.horizon}"
            )
        widths = list(self.hidden or [64])
        return LSTMTransformerNetwork(
            self.window_,
            d,
            widths,
            n_layers=self.n_layers,
            heads=fitting_heads(widths[-1], self.n_heads),
            horizon=self.horizon,
            skipped=self._unjudged_steps,
            dropout=self.dropout,
            positions=self.positions,
        )
