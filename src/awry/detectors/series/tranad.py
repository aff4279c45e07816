"""TranAD: a transformer that looks again where it was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, nothing, option, real
from awry.detectors.deep_series import SeriesTraining
from awry.detectors.series._two_decoders import TwoDecoderDetector

if TYPE_CHECKING:
    from awry.nn.tranad import TranADNetwork


class TranAD(TwoDecoderDetector):
    """A transformer that looks again where it was wrong.

    In the first phase the encoder reads the window W beside a focus of zeros, and two decoders
    rebuild it as O1 and O2. In the second it reads W beside the focus F = (O1 - W)², and the second
    decoder rebuilds it as Ô2. The first learns to make Ô2 like W, the second to tell the two apart,
    which amplifies what the first gets wrong: in epoch n they descend
    1/n ‖O1 - W‖² + (1 - 1/n) ‖Ô2 - W‖² and 1/n ‖O2 - W‖² - (1 - 1/n) ‖Ô2 - W‖² (equations 8 and 9),
    by turns. Each epoch but the last ends with a step of meta-learning (MAML): both weigh the step
    θ' = θ - α ∇L(θ) on a random batch and descend the slope at θ of L(θ'). The score is
    ½ ‖O1 - W‖² + ½ ‖Ô2 - W‖² (equation 10), here of each point, and a channel's contribution its
    part of it.

    Parameters
    ----------
    window : int or None, default=10
        Points in a window; None takes the dominant period, up to 64.
    hidden : list of int or None, default=None
        One number, the width of the feed-forward layers; None takes 64.
    width : int or None, default=None
        Of the transformer; None takes twice the channels, but at least 16.
    n_heads : int or None, default=None
        Heads of the attention, lowered to what divides the width; None takes the channels, up to 8.
    positions : {"sinusoidal", "learnable", "rotary"}, default="sinusoidal"
        How attention is told where in the window a point is.
    meta_step : float, default=0.01
        Length α of the trial step of the meta-learning; 0 for none, as in the authors' code.
    dropout : float, default=0.1
        Share of the units left out at random in each step of training.
    validation_fraction : float, default=0.0
        Share of the windows left out of the training; of two that contend, no loss says when to
        stop.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of the first decoder, ``"second"`` of the second.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    The step of meta-learning is Algorithm 1's, line by line; the authors' code has none, nor a
    second optimiser: there the two losses are added up, whereby the contest cancels. Departures:
    1/n in place of ε⁻ⁿ, as in earlier versions of that code; the second step of the meta-learning
    is AdamW's, on the first batch of the next epoch; the encoder reads the window where the paper's
    reads all that came before, as in the code; a linear layer lays the channels beside their focus
    out over ``width``, which would be 2 for a single channel.

    References
    ----------
    Tuli, Casale & Jennings: "TranAD: Deep Transformer Networks for Anomaly Detection in
    Multivariate Time Series Data", VLDB 2022.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300] = 2.0
    >>> detector = TranAD(epochs=5, random_state=0).fit(x)
    >>> bool(290 < detector.decision_scores_.argmax() < 310)
    True
    """

    card = Card(
        name="tranad",
        summary="A transformer that looks again where it was wrong.",
        modality="series",
        family="networks",
        paper="Tuli, Casale & Jennings, TranAD, VLDB",
        year=2022,
        fit_cost="O(T L (L + w) e), windows of L points, w weights, e epochs",
        score_cost="O(T L (L + w))",
        finds="odd shapes shorter than the window, and channels that break their relation",
        misses="what lies within the range of the series and is soon over",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "width": any_of(nothing(), integer(2)),
        "n_heads": any_of(nothing(), integer(1)),
        "positions": option("sinusoidal", "learnable", "rotary"),
        "meta_step": real(0),
    }

    def __init__(  # type: ignore[misc]
        self,
        *,
        window: int | None = 10,
        width: int | None = None,
        n_heads: int | None = None,
        positions: str = "sinusoidal",
        meta_step: float = 0.01,
        alpha: float = 0.5,
        dropout: float = 0.1,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(window=window, alpha=alpha, dropout=dropout, **training)
        self.width = width
        self.n_heads = n_heads
        self.positions = positions
        self.meta_step = meta_step

    def _build(self, d: int) -> TranADNetwork:
        from awry.nn.attention import fitting_heads
        from awry.nn.tranad import TranADNetwork

        width = self.width or max(2 * d, 16)
        return TranADNetwork(
            self.window_,
            d,
            width=width,
            heads=fitting_heads(width, self.n_heads or min(d, 8)),
            inner=self.hidden[0] if self.hidden else 64,
            alpha=self.alpha,
            dropout=self.dropout,
            positions=self.positions,
            meta_step=self.meta_step,
        )
