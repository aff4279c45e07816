"""Learnt views of a row that stay like the row and unlike one another: NeuTraL AD."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network

#: Values in the largest tensor of a batch that is scored.
_MOST_VALUES = 1 << 24


class NeuTraLNetwork(Network):
    """Transformations of a row and an encoder of what they make of it, none with a bias.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the encoder, from the input to the embedding.
    width : int
        Of the hidden layer of each transformation.
    n_transformations : int
    transformation : {"multiplicative", "residual", "feed_forward"}
    temperature : float
    dropout : float
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        width: int,
        n_transformations: int,
        transformation: str,
        temperature: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.transformation, self.temperature = transformation, temperature
        d, k = sizes[0], n_transformations
        # All at once, and drawn as the weights of so many linear layers are.
        self.inner = nn.Parameter(torch.empty(k, d, width).uniform_(-(d**-0.5), d**-0.5))
        self.outer = nn.Parameter(torch.empty(k, width, d).uniform_(-(width**-0.5), width**-0.5))
        self.encoder = mlp(sizes, bias=False, dropout=dropout)
        self.unit = k * math.log(k)
        self.rows_at_once = max(1, min(4096, _MOST_VALUES // ((k + 1) * max(*sizes, k))))

    def views(self, x: Tensor) -> Tensor:
        """What the transformations make of each row: (n, K, d)."""
        masks = (torch.relu(x @ self.inner) @ self.outer).transpose(0, 1)
        if self.transformation == "residual":
            return x[:, None] + masks
        if self.transformation == "multiplicative":
            return x[:, None] * torch.sigmoid(masks)
        return masks

    def loss(self, batch: Batch) -> Tensor:
        return self.score(batch[0]).mean()

    def score(self, x: Tensor) -> Tensor:
        """The deterministic contrastive loss, in units of K log K, what alike views make it."""
        views = functional.normalize(self.encoder(self.views(x)), dim=-1)
        row = functional.normalize(self.encoder(x), dim=-1)
        to_row = (views @ row[:, :, None]) / self.temperature
        among = views @ views.transpose(1, 2) / self.temperature
        itself = torch.eye(views.shape[1], dtype=torch.bool, device=x.device)
        rivals = torch.cat([to_row, among.masked_fill(itself, -torch.inf)], dim=2)
        return (torch.logsumexp(rivals, dim=2) - to_row[:, :, 0]).sum(dim=1) / self.unit
