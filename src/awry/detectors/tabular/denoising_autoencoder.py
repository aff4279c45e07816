"""Denoising autoencoder: rows that do not look like what noise was taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import option, real
from awry.detectors.tabular._bottleneck import Bottleneck, Layers

if TYPE_CHECKING:
    from awry.nn.denoising_autoencoder import DenoisingAutoEncoderNetwork


class DenoisingAutoEncoder(Bottleneck):
    """Rows that do not look like what noise was taken off.

    An autoencoder that is shown rows with noise and learns to rebuild them as they were: with
    values gone, it has to work them out from the other columns, so that copying does not help. It
    scores, as :class:`AutoEncoder` does, by the squared error, of rows to which nothing was added.

    Parameters
    ----------
    noise : {"masking", "gaussian", "salt_and_pepper", "dropout"}, default="masking"
        What learning adds: ``"masking"`` puts values to the mean of their column, which is 0;
        ``"gaussian"`` adds to each; ``"salt_and_pepper"`` puts values to the least or the greatest
        of their column; ``"dropout"`` masks, and raises what is left so that sums stay as large.
    level : float, default=0.25
        Share of the values hit, or the Gaussian's standard deviation in those of the columns.
    latent : int or None, default=None
        Width of the bottleneck; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
    batch_norm : bool, default=True
        Normalise what goes into each activation over the batch.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Corruptions of section 3.3 and loss of section 3.1 of the paper for real values; Srivastava's
    dropout of inputs as the fourth. Departures: layers are trained together, not one by one, and
    there is a bottleneck, as in :class:`AutoEncoder`, whose other departures hold here as well. All
    values are rebuilt for their own sake, those hit and those not (no emphasis, section 3.2).

    References
    ----------
    Vincent, Larochelle, Lajoie, Bengio, Manzagol: "Stacked Denoising Autoencoders: Learning Useful
    Representations in a Deep Network with a Local Denoising Criterion", JMLR 11, 2010. Srivastava,
    Hinton, Krizhevsky, Sutskever, Salakhutdinov: "Dropout", JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = DenoisingAutoEncoder(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="denoising_autoencoder",
        summary="Rows that do not look like what noise was taken off.",
        family="networks",
        paper="Vincent et al., Stacked Denoising Autoencoders, JMLR",
        year=2010,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="values that the other columns speak against",
        misses="rows far out along the relations it learnt; what noise of the same kind would do",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "noise": option("masking", "gaussian", "salt_and_pepper", "dropout"),
        "level": real(0, 1, "[)"),
    }

    def __init__(
        self, *, noise: str = "masking", level: float = 0.25, **layers: Unpack[Layers]
    ) -> None:
        super().__init__(**layers)
        self.noise = noise
        self.level = level

    def _build(self, d: int) -> DenoisingAutoEncoderNetwork:
        from awry.nn.denoising_autoencoder import DenoisingAutoEncoderNetwork

        return DenoisingAutoEncoderNetwork(self.noise, self.level, **self._layers(d))
