"""Convolutional autoencoder: stretches of a series that cannot be rebuilt from a short code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing, option
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.conv_autoencoder_series import ConvAutoEncoderNetwork


class ConvAutoEncoderSeries(DeepSeriesDetector):
    """Stretches of a series that cannot be rebuilt from a short code.

    Convolutions along time, each of stride 2, shorten the window, transposed convolutions lengthen
    it again; the network learns to make the mean squared error small, and the score of a point is
    its squared error, summed over the channels. A channel's contribution is its own squared error.
    It learns several times as fast as a recurrent network and is the one to try first.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Channels of the convolutions, from the input inwards; None takes 32 and 16, or twice and
        once the channels of the series where those are more.
    kernel_size : int, default=7
        Steps that a convolution sees; an even number counts as the odd one above it.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
        tanh keeps what is far out from being carried on in a straight line.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    The layers are those of the autoencoder for series among Keras' examples; the paper's
    convolutions are two-dimensional, over windows enriched by statistics of each step. Departures
    from both: no dropout unless asked for, AdamW, early stopping, tanh.

    References
    ----------
    Kieu, Yang & Jensen: "Outlier Detection for Multidimensional Time Series using Deep Neural
    Networks", MDM 2018.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300:310] = 0.0
    >>> detector = ConvAutoEncoderSeries(window=32, epochs=20, random_state=0).fit(x)
    >>> bool(295 < detector.decision_scores_.argmax() < 315)
    True
    """

    card = Card(
        name="conv_autoencoder_series",
        summary="Stretches of a series that cannot be rebuilt from a short code.",
        modality="series",
        family="networks",
        paper="Kieu, Yang & Jensen, Outlier Detection for Multidimensional Time Series, MDM",
        year=2018,
        fit_cost="O(T L w e), windows of L points, w weights, e epochs",
        score_cost="O(T L w)",
        finds="odd shapes shorter than the window, and channels that break their relation",
        misses="what is much longer than the window; small shifts that a code can carry",
        aliases=("conv_ae_series",),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "kernel_size": integer(1),
        "activation": option("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"),
    }

    def __init__(
        self,
        *,
        kernel_size: int = 7,
        activation: str = "tanh",
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.kernel_size = kernel_size
        self.activation = activation

    def _build(self, d: int) -> ConvAutoEncoderNetwork:
        from awry.nn.conv_autoencoder_series import ConvAutoEncoderNetwork

        return ConvAutoEncoderNetwork(
            d,
            self.hidden or [max(32, 2 * d), max(16, d)],
            kernel_size=self.kernel_size | 1,
            activation=self.activation,
            dropout=self.dropout,
        )
