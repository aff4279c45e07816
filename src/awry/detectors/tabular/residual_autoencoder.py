"""Residual autoencoder: rows that a deep network with shortcuts cannot rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer
from awry.detectors.tabular._bottleneck import Bottleneck, Layers

if TYPE_CHECKING:
    from awry.nn.residual_autoencoder import ResidualAutoEncoderNetwork


class ResidualAutoEncoder(Bottleneck):
    """Rows that a deep network with shortcuts cannot rebuild.

    Encoder and decoder are towers of residual blocks y = x + F(x) (He et al., equation 1): a block
    that has nothing to add lets rows and gradients pass, so that deep towers learn no worse than
    shallow ones. The blocks are those of Gorishniy et al. (section 3.2, ResNet) for tables, F being
    batch normalisation, two linear layers with an activation between them, and dropout. It learns
    and scores by the squared error, as :class:`AutoEncoder` does.

    Parameters
    ----------
    n_blocks : int, default=2
        Blocks on either side of the bottleneck.
    latent : int or None, default=None
        Width of the bottleneck; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
        tanh keeps what is far out from being carried on in a straight line.
    batch_norm : bool, default=True
        Normalise what goes into each block over the batch.
    hidden : list of int or None, default=None
        Its first entry is the width of the blocks; None sets it by the columns.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Departures from Gorishniy et al.: tanh for ReLU, for which see ``activation``; the inner width
    of a block is its outer one; no dropout unless asked for.

    References
    ----------
    He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", CVPR 2016. Gorishniy,
    Rubachev, Khrulkov, Babenko: "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = ResidualAutoEncoder(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="residual_autoencoder",
        summary="Rows that a deep network with shortcuts cannot rebuild.",
        family="networks",
        paper="He et al., Deep Residual Learning, CVPR; Gorishniy et al., NeurIPS 2021",
        year=2016,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows that break the relations between columns, intricate ones included",
        misses="rows far out along the relations it learnt; small clusters of anomalies",
        extra="deep",
        stochastic=True,
    )
    constraints = {"n_blocks": integer(1)}

    def __init__(self, *, n_blocks: int = 2, **layers: Unpack[Layers]) -> None:
        super().__init__(**layers)
        self.n_blocks = n_blocks

    def _build(self, d: int) -> ResidualAutoEncoderNetwork:
        from awry.nn.residual_autoencoder import ResidualAutoEncoderNetwork

        layers = self._layers(d)
        _, width, *_, latent = layers.pop("sizes")
        return ResidualAutoEncoderNetwork(d, width, latent, n_blocks=self.n_blocks, **layers)
