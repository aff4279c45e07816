"""Anomaly Transformer: points that find nothing like them but next to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, option, real
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.anomaly_transformer import AnomalyTransformerNetwork


class AnomalyTransformer(DeepSeriesDetector):
    """Points that find nothing like them but next to them.

    A transformer rebuilds the window. What each step attends to, its series-association S, is held
    against a Gaussian around it of learnt width, its prior-association P (equation 2). Normal steps
    find their like all over the window, odd ones only nearby, so their association discrepancy,
    the mean over layers of KL(P ‖ S) + KL(S ‖ P) (equation 4), is small. The losses
    ‖x - x̂‖² + λ AssDis(P, S) with S held fixed and ‖x - x̂‖² - λ AssDis(P, S) with P held fixed
    (equation 5) are descended together. The score of a point is
    softmax(-AssDis) over the window times ‖x - x̂‖² (equation 6), a channel's contribution its part.

    Parameters
    ----------
    window : int or None, default=100
        Points in a window; None takes the dominant period, up to 64.
    hidden : list of int or None, default=None
        Width of the transformer, the same for each layer, as often as there are layers; None takes
        three of 64.
    n_heads : int, default=8
        Heads of the attention, lowered to what divides the width.
    discrepancy_weight : float, default=3.0
        λ of the losses.
    temperature : float, default=1.0
        What the discrepancy is multiplied by in the softmax; the authors' code has 50.
    positions : {"sinusoidal", "learnable", "rotary"}, default="sinusoidal"
        How attention is told where in the window a point is.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, the mean squared error, and ``"discrepancy"``.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Departures: a width of 64 in place of 512, and a learning rate to match, to learn on a CPU; both
    losses in one step down, as gradients add up; AdamW; windows that overlap, each point judged by
    the mean over them. A softmax gives steps weights relative to their window, so that a window
    full of anomalies looks no worse than one with few. Losses, prior and score are those of the
    authors' code (``solver.py``), but for a mean over layers where it has a sum.

    The smaller discrepancy of what is odd comes late in training, once that of normal steps is as
    large as it can be: on waves some 20 epochs. It is then smaller for values that are usual in
    themselves but break the wave, flat stretches (AUROC 0.98 to 1.0 over five seeds) and single
    points turned over (0.79 to 0.99). For values far beyond those in training it was not
    reproduced: after few epochs theirs is the larger (0.0 to 0.05), after more there is no rule
    (0.4 to 0.75 for points, 0.01 to 0.6 for stretches), whatever the width, the rate and the
    epochs. The weight may so work against the error, which finds them all the same; the lower the
    temperature the less. That does not change which discrepancy is the smaller.

    References
    ----------
    Xu, Wu, Wang & Long: "Anomaly Transformer: Time Series Anomaly Detection with Association
    Discrepancy", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300] = 4.0
    >>> detector = AnomalyTransformer(window=32, hidden=[16], epochs=5, random_state=0).fit(x)
    >>> bool(295 < detector.decision_scores_.argmax() < 305)
    True
    """

    card = Card(
        name="anomaly_transformer",
        summary="Points that find nothing like them but next to them.",
        modality="series",
        family="networks",
        paper="Xu, Wu, Wang & Long, Anomaly Transformer, ICLR",
        year=2022,
        fit_cost="O(T L (L + w) e), windows of L points, w weights, e epochs",
        score_cost="O(T L (L + w))",
        finds="points and short stretches unlike the rest of the window",
        misses="windows that are odd throughout",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "n_heads": integer(1),
        "discrepancy_weight": real(0),
        "temperature": real(0),
        "positions": option("sinusoidal", "learnable", "rotary"),
    }

    def __init__(  # type: ignore[misc]
        self,
        *,
        window: int | None = 100,
        n_heads: int = 8,
        discrepancy_weight: float = 3.0,
        temperature: float = 1.0,
        positions: str = "sinusoidal",
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(window=window, **training)
        self.n_heads = n_heads
        self.discrepancy_weight = discrepancy_weight
        self.temperature = temperature
        self.positions = positions

    def _build(self, d: int) -> AnomalyTransformerNetwork:
        from awry.nn.anomaly_transformer import AnomalyTransformerNetwork
        from awry.nn.attention import fitting_heads

        widths = list(self.hidden or [64] * 3)
        if len(set(widths)) != 1:
            raise ValueError(
                f"AnomalyTransformer: hidden must be the same width for each layer, got {widths}"
            )
        return AnomalyTransformerNetwork(
            self.window_,
            d,
            width=widths[0],
            n_layers=len(widths),
            heads=fitting_heads(widths[0], self.n_heads),
            weight=self.discrepancy_weight,
            temperature=self.temperature,
            dropout=self.dropout,
            positions=self.positions,
        )
