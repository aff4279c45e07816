"""An autoencoder whose code hardly moves when the row does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.autoencoder import ReconstructionNetwork
from awry.nn.network import Batch


class ContractiveAutoEncoderNetwork(ReconstructionNetwork):
    """Sigmoid layers whose Jacobian is kept small; the decoder has the same weights, transposed.

    Were the decoder free, the encoder could halve its weights, and so its Jacobian, and the decoder
    double its own.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    contraction : float
        Weight λ of the Jacobian's squared Frobenius norm.
    dropout : float
        Share of the code left out while learning.
    """

    def __init__(self, sizes: Sequence[int], *, contraction: float, dropout: float) -> None:
        super().__init__()
        self.contraction, self.dropout = contraction, dropout
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.biases = nn.ParameterList(torch.zeros(width) for width in sizes[:-1])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch[0]
        reconstruction = self.terms(x).sum(dim=1).mean()
        contraction = self.jacobian(x).square().sum(dim=(1, 2)).mean()
        loss = reconstruction + self.contraction * contraction
        return {"loss": loss, "reconstruction": reconstruction, "contraction": contraction}

    def encode(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x

    def decode(self, code: Tensor) -> Tensor:
        x = functional.dropout(code, self.dropout, self.training)
        ways = list(zip(self.layers, self.biases, strict=True))
        for i, (layer, bias) in reversed(list(enumerate(ways))):
            x = functional.linear(x, layer.weight.T, bias)
            x = torch.sigmoid(x) if i else x
        return x

    def jacobian(self, x: Tensor) -> Tensor:
        """∂h_i / ∂x_j of the code h, (n, latent, d), layer by layer: σ' = σ (1 - σ)."""
        slopes = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
            weight: Tensor = layer.weight  # type: ignore[assignment]
            slopes = (x * (1 - x))[:, :, None] * (weight @ slopes)
        return slopes
