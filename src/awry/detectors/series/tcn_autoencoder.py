"""TCN autoencoder: stretches of a series that dilated convolutions cannot tell from a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.tcn_autoencoder import TCNAutoEncoderNetwork


class TCNAutoEncoder(DeepSeriesDetector):
    """Stretches of a series that dilated convolutions cannot tell from a code.

    Blocks of convolutions, each dilated twice as far as the one before, read the window at its
    full length; few channels of that, averaged over ``pool`` steps, are the code, from which like
    blocks tell the window. They learn to make the mean squared error small. The errors e of the
    training series follow a Gaussian N(μ, Σ) over the channels, and the score of a point is its
    squared Mahalanobis distance (e - μ)ᵀ Σ⁻¹ (e - μ); a channel's contribution is the square of
    its entry in Σ^(-1/2) (e - μ).

    Parameters
    ----------
    hidden : list of int or None, default=None
        Channels of the blocks; None takes five of 20.
    latent : int or None, default=None
        Channels of the code; None takes 4, or half the series' where those are more.
    pool : int, default=8
        Steps that share a code.
    kernel_size : int, default=5
        Steps that a convolution sees; an even number counts as the odd one above it.
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
    Departures: the paper's convolutions see 20 steps and its codes are averaged over 42, of
    windows of 1050; windows here are shorter by far. Its distance is that of the errors of several
    points in a row. The decoder's dilations rise like the encoder's.

    References
    ----------
    Thill, Konen, Wang & Bäck: "Temporal convolutional autoencoder for unsupervised anomaly
    detection in time series", Applied Soft Computing 112, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300:310] = 0.0
    >>> detector = TCNAutoEncoder(window=32, hidden=[8, 8, 8], epochs=20, lr=0.01, random_state=0)
    >>> bool(295 < detector.fit(x).decision_scores_.argmax() < 315)
    True
    """

    card = Card(
        name="tcn_autoencoder",
        summary="Stretches of a series that dilated convolutions cannot tell from a code.",
        modality="series",
        family="networks",
        paper="Thill et al., Temporal convolutional autoencoder, Applied Soft Computing 112",
        year=2021,
        fit_cost="O(T L w e), windows of L points, w weights, e epochs",
        score_cost="O(T L w)",
        finds="odd shapes shorter than the window, and channels that break their relation",
        misses="what is much longer than the window; small shifts that a code can carry",
        aliases=("tcn_ae",),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "latent": any_of(nothing(), integer(1)),
        "pool": integer(1),
        "kernel_size": integer(1),
    }

    def __init__(
        self,
        *,
        latent: int | None = None,
        pool: int = 8,
        kernel_size: int = 5,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.pool = pool
        self.kernel_size = kernel_size

    def _build(self, d: int) -> TCNAutoEncoderNetwork:
        from awry.nn.tcn_autoencoder import TCNAutoEncoderNetwork

        return TCNAutoEncoderNetwork(
            d,
            self.hidden or [20] * 5,
            latent=self.latent or max(4, d // 2),
            pool=self.pool,
            kernel_size=self.kernel_size | 1,
            dropout=self.dropout,
        )
