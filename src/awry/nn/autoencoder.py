"""Autoencoders for the rows of tables."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Network


class ReconstructionNetwork(Network):
    """Any encoder and decoder; learns and scores by the squared error of the reconstruction.

    Subclasses set ``encoder`` and ``decoder``, or write ``encode`` and ``decode``.
    """

    encoder: nn.Module
    decoder: nn.Module

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        return self.terms(batch[0]).mean()

    def terms(self, x: Tensor) -> Tensor:
        return squared_error(x, self.rebuild(x))

    def rebuild(self, x: Tensor) -> Tensor:
        """The reconstruction, the shape of ``x``."""
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> Tensor:
        """What rows are rebuilt from, (n, latent)."""
        code: Tensor = self.encoder(x)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Rows from their codes."""
        rows: Tensor = self.decoder(code)
        return rows


class AutoEncoderNetwork(ReconstructionNetwork):
    """An encoder of ever narrower layers and its mirror image.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    activation, batch_norm, dropout, bias
        See :func:`~awry.nn.blocks.mlp`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str,
        batch_norm: bool,
        dropout: float,
        bias: bool = True,
    ) -> None:
        super().__init__()
        style = {
            "activation": activation, "batch_norm": batch_norm, "dropout": dropout, "bias": bias,
        }  # fmt: skip
        self.encoder = mlp(sizes, **style)  # type: ignore[arg-type]
        self.decoder = mlp([*reversed(sizes)], **style)  # type: ignore[arg-type]
