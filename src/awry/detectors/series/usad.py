"""USAD: windows that one decoder cannot rebuild so that another takes them for true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, nothing
from awry.detectors.deep_series import SeriesTraining
from awry.detectors.series._two_decoders import TwoDecoderDetector

if TYPE_CHECKING:
    from awry.nn.two_decoders import USADNetwork


class USAD(TwoDecoderDetector):
    """Windows that one decoder cannot rebuild so that another takes them for true.

    Two autoencoders AE1 and AE2 of one encoder rebuild the window W. AE1 learns to rebuild it so
    that AE2 finds nothing left to mend, AE2 to rebuild W but not what AE1 made of it: in epoch n
    they descend 1/n ‖W - AE1(W)‖² + (1 - 1/n) ‖W - AE2(AE1(W))‖² and
    1/n ‖W - AE2(W)‖² - (1 - 1/n) ‖W - AE2(AE1(W))‖² (equations 6 and 7), by turns. The score is
    α ‖W - AE1(W)‖² + β ‖W - AE2(AE1(W))‖², β = 1 - α (equation 8), here of each point, and a
    channel's contribution its part of it.

    Parameters
    ----------
    window : int or None, default=12
        Points in a window; None takes the dominant period, up to 64.
    hidden : list of int or None, default=None
        Widths of the layers; None takes a half and a quarter of the values in a window.
    latent : int or None, default=None
        Width of the code; None takes an eighth of them, up to 40.
    validation_fraction : float, default=0.0
        Share of the windows left out of the training; of two that contend, no loss says when to
        stop.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of AE1, ``"second"`` of AE2.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Departures: AdamW and a falling learning rate. The paper gives a window one score; here each of
    its points has its own. Channels are brought to [0, 1] by their least and greatest values, so
    that a far anomaly in the training series takes room from all else.

    References
    ----------
    Audibert et al.: "USAD: UnSupervised Anomaly Detection on Multivariate Time Series", KDD 2020.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> detector = USAD(epochs=20, lr=5e-3, random_state=0).fit(x)
    >>> x[300:310] += 1.5
    >>> bool(295 < detector.decision_function(x).argmax() < 315)
    True
    """

    card = Card(
        name="usad",
        summary="Windows that one decoder cannot rebuild so that another takes them for true.",
        modality="series",
        family="networks",
        paper="Audibert et al., USAD, KDD",
        year=2020,
        fit_cost="O(T w e), w weights, e epochs",
        score_cost="O(T w)",
        finds="odd shapes shorter than the window, and channels that break their relation",
        misses="what lies within the range of the series and is soon over",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {"latent": any_of(nothing(), integer(1))}

    def __init__(  # type: ignore[misc]
        self,
        *,
        window: int | None = 12,
        latent: int | None = None,
        alpha: float = 0.5,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(window=window, alpha=alpha, **training)
        self.latent = latent

    def _build(self, d: int) -> USADNetwork:
        from awry.nn.two_decoders import USADNetwork

        values = self.window_ * d
        halves = [max(2, values // 2), max(2, values // 4)]
        return USADNetwork(
            [values, *(self.hidden or halves), self.latent or min(max(2, values // 8), 40)],
            alpha=self.alpha,
            dropout=self.dropout,
        )
