"""Recurrent autoencoder: stretches of a series that cannot be told anew from a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing, option
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.recurrent import RecurrentAutoEncoderNetwork


class LSTMAutoEncoder(DeepSeriesDetector):
    """Stretches of a series that cannot be told anew from a state.

    EncDec-AD: an LSTM reads the window, another tells it from the state that the first is left in,
    backwards. They learn to make the mean squared error small. The errors e of the training
    series follow a Gaussian N(μ, Σ) over the channels, by maximum likelihood, and the score of a
    point is (e - μ)ᵀ Σ⁻¹ (e - μ) (section 2.2); a channel's contribution is the square of its
    entry in Σ^(-1/2) (e - μ).

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the recurrent layers; None takes one of 64.
    bottleneck : {"last", "sequence"}, default="last"
        One code for the whole window, the last state; or one for every 8 steps, which keeps where
        in the window things happen.
    latent : int or None, default=None
        Width of a code; None leaves the last state as it is, and takes the square root of the
        channels for each code of a sequence.
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
    Departures: the decoder reads the code at every step (the unconditioned decoder of Srivastava
    et al., section 2.1) where the paper's reads its own last output, which need not then be
    unrolled step by step; the Gaussian is of the training errors, not of held-out ones; AdamW.
    :class:`ConvAutoEncoderSeries` learns several times as fast.

    References
    ----------
    Malhotra et al.: "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection", ICML Anomaly
    Detection Workshop 2016. Srivastava, Mansimov & Salakhutdinov: "Unsupervised Learning of Video
    Representations using LSTMs", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300:310] = 0.0
    >>> detector = LSTMAutoEncoder(window=24, hidden=[16], epochs=20, lr=0.01, random_state=0)
    >>> detector = detector.fit(x)
    >>> bool(295 < detector.decision_scores_.argmax() < 315)
    True
    """

    card = Card(
        name="lstm_autoencoder",
        summary="Stretches of a series that cannot be told anew from a state.",
        modality="series",
        family="networks",
        paper="Malhotra et al., LSTM-based Encoder-Decoder for Anomaly Detection, ICML",
        year=2016,
        fit_cost="O(T L w e), windows of L points, w weights, e epochs, step after step",
        score_cost="O(T L w)",
        finds="odd shapes shorter than the window, and channels that break their relation",
        misses="what is much longer than the window; small shifts that a state can carry",
        aliases=("gru_autoencoder", "encdec_ad"),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "bottleneck": option("last", "sequence"),
        "latent": any_of(nothing(), integer(1)),
        "cell": option("lstm", "gru"),
    }

    #: Steps for which a sequence has one code.
    _every = 8

    def __init__(
        self,
        *,
        bottleneck: str = "last",
        latent: int | None = None,
        cell: str = "lstm",
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.bottleneck = bottleneck
        self.latent = latent
        self.cell = cell

    def _build(self, d: int) -> RecurrentAutoEncoderNetwork:
        from awry.nn.recurrent import RecurrentAutoEncoderNetwork

        sequence = self.bottleneck == "sequence"
        return RecurrentAutoEncoderNetwork(
            d,
            self.hidden or [64],
            latent=self.latent or (self._narrow(d) if sequence else None),
            every=self._every if sequence else None,
            cell=self.cell,
            dropout=self.dropout,
        )
