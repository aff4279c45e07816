"""Autoencoder: rows that a network with a bottleneck cannot rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from awry.core.card import Card
from awry.core.params import any_of, boolean, integer, nothing, option
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from awry.nn.network import Network


class Layers(Training, total=False):
    """The parameters that every kind of :class:`AutoEncoder` has."""

    latent: int | None
    activation: str
    batch_norm: bool


class AutoEncoder(DeepDetector):
    """Rows that a network with a bottleneck cannot rebuild.

    The columns are standardised, squeezed through ever narrower layers and rebuilt by their mirror
    image; the network learns to make the mean squared error ‖x - x̂‖² small (equation 2), and the
    score of a row is that error, summed over its columns (equation 5). A column's contribution is
    its own squared error.

    Parameters
    ----------
    latent : int or None, default=None
        Width of the bottleneck; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
        tanh keeps what is far out from being carried on in a straight line.
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
    Departures: batch normalisation and AdamW, after PyOD, and tanh, where the paper has sigmoids
    and gradient descent; early stopping; no dropout unless asked for, PyOD's 0.2 being much for
    narrow layers; widths by the columns, where PyOD has 64 and 32 even for fewer columns, which a
    network so wide can copy.

    References
    ----------
    Sakurada & Yairi: "Anomaly Detection Using Autoencoders with Nonlinear Dimensionality
    Reduction", MLSDA 2014.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = AutoEncoder(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="autoencoder",
        summary="Rows that a network with a bottleneck cannot rebuild.",
        family="networks",
        paper="Sakurada & Yairi, Anomaly Detection Using Autoencoders, MLSDA",
        year=2014,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows that break the relations between columns, curved ones included",
        misses="rows far out along the relations it learnt; small clusters of anomalies",
        pyod="auto_encoder.AutoEncoder",
        aliases=("auto_encoder",),
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "latent": any_of(nothing(), integer(1)),
        "activation": option("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"),
        "batch_norm": boolean(),
    }

    def __init__(
        self,
        *,
        latent: int | None = None,
        activation: str = "tanh",
        batch_norm: bool = True,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.activation = activation
        self.batch_norm = batch_norm

    def _build(self, d: int) -> Network:
        from awry.nn.autoencoder import AutoEncoderNetwork

        return AutoEncoderNetwork(**self._layers(d))

    def _layers(self, d: int) -> dict[str, Any]:
        """What the network of ``d`` columns is made of."""
        return {
            "sizes": [d, *self._widths(d), self.latent or self._narrow(d)],
            "activation": self.activation,
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
        }
