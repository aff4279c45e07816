"""An autoencoder for the rows of tables."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from awry.nn.blocks import mlp
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Network


class AutoEncoderNetwork(Network):
    """Encoder and mirrored decoder; learns and scores by the squared error of the reconstruction.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    activation, batch_norm, dropout
        See :func:`~awry.nn.blocks.mlp`.
    """

    def __init__(
        self, sizes: Sequence[int], *, activation: str, batch_norm: bool, dropout: float
    ) -> None:
        super().__init__()
        style = {"activation": activation, "batch_norm": batch_norm, "dropout": dropout}
        self.encoder = mlp(sizes, **style)  # type: ignore[arg-type]
        self.decoder = mlp([*reversed(sizes)], **style)  # type: ignore[arg-type]

    def loss(self, batch: Batch) -> Tensor:
        return self.terms(batch[0]).mean()

    def terms(self, x: Tensor) -> Tensor:
        return squared_error(x, self.decoder(self.encoder(x)))
