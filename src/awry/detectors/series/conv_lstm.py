"""ConvLSTM: stretches of a series, seen as frames of channels by lags, that come unexpected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.conv_lstm import ConvLSTMNetwork


class ConvLSTM(DeepSeriesDetector):
    """Stretches of a series, seen as frames of channels by lags, that come unexpected.

    The window is cut into frames of ``lags`` points, each a picture of channels by lags. LSTMs
    whose products are convolutions (equation 3) read frame after frame, and a convolution of all
    their states says the next one (section 3.2). They learn to make its mean squared error small.
    The errors e of the training series follow a Gaussian N(μ, Σ) over the channels, and the score
    of a point is its squared Mahalanobis distance (e - μ)ᵀ Σ⁻¹ (e - μ); a channel's contribution is
    the square of its entry in Σ^(-1/2) (e - μ).

    Parameters
    ----------
    hidden : list of int or None, default=None
        Maps of the layers' states, from the input up; None takes two of 16.
    lags : int, default=4
        Points in a frame, at most half a window.
    kernel_size : int, default=3
        Channels and lags that a convolution sees; an even number counts as the odd one above it.
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
    Cell, peepholes and the forecast from all states are those of the paper, which has rain on a
    map for frames. Channels and lags for a picture, read by a ConvLSTM, follow MSCRED, whose
    pictures are the channels' inner products over several lengths; here they are the values
    themselves, so that the error of a point is its own. Departures: one frame is foretold, not a
    row of them; the squared error in place of the cross-entropy; the score is that of Malhotra et
    al. 2015. Convolutions see channels that stand next to each other: their order matters. The
    first half of a window's frames is not judged, for want of a past.

    References
    ----------
    Shi et al.: "Convolutional LSTM Network: A Machine Learning Approach for Precipitation
    Nowcasting", NeurIPS 2015. Zhang et al.: "A Deep Neural Network for Unsupervised Anomaly
    Detection and Diagnosis in Multivariate Time Series Data" (MSCRED), AAAI 2019.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300:304] = 0.0
    >>> detector = ConvLSTM(window=16, hidden=[8], epochs=15, lr=0.02, random_state=0).fit(x)
    >>> bool(295 < detector.decision_scores_.argmax() < 315)
    True
    """

    card = Card(
        name="conv_lstm",
        summary="Stretches, seen as frames of channels by lags, that come unexpected.",
        modality="series",
        family="networks",
        paper="Shi et al., Convolutional LSTM Network, NeurIPS",
        year=2015,
        fit_cost="O(T L d w e), windows of L points, w weights, e epochs",
        score_cost="O(T L d w)",
        finds="points and shapes that do not follow from the frames before",
        misses="slow drifts; what no past foretells counts as odd",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "lags": integer(1),
        "kernel_size": integer(1),
    }

    def __init__(
        self,
        *,
        lags: int = 4,
        kernel_size: int = 3,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.lags = lags
        self.kernel_size = kernel_size

    @property
    def _unjudged_steps(self) -> int:
        return self.window_ % self.lags + self.window_ // self.lags // 2 * self.lags

    def _build(self, d: int) -> ConvLSTMNetwork:
        from awry.nn.conv_lstm import ConvLSTMNetwork

        if self.lags > self.window_ // 2:
            raise ValueError(
                f"ConvLSTM: lags must be at most half the window of {self.window_} points, "
                f"got {self.lags}"
            )
        return ConvLSTMNetwork(
            self.window_,
            d,
            lags=self.lags,
            hidden=self.hidden or [16, 16],
            kernel_size=self.kernel_size | 1,
            dropout=self.dropout,
        )
