"""What all detectors share that rebuild rows from what passes a bottleneck."""

from __future__ import annotations

from typing import Any, Unpack

from awry.core.params import any_of, boolean, integer, nothing, option
from awry.detectors.deep import DeepDetector, Training


class Layers(Training, total=False):
    """The parameters that every :class:`Bottleneck` has."""

    latent: int | None
    activation: str
    batch_norm: bool


class Bottleneck(DeepDetector):
    """Base of the autoencoders.

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
    history_, weights_
        See :class:`~awry.detectors.deep.DeepDetector`.
    """

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

    def _layers(self, d: int) -> dict[str, Any]:
        """What the network of ``d`` columns is made of."""
        return {
            "sizes": [d, *self._widths(d), self.latent or self._narrow(d)],
            "activation": self.activation,
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
        }
