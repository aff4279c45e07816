"""A network that recognises which of many random maps was applied to a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network

#: Values in the largest tensor of a batch that is scored.
_MOST_VALUES = 1 << 24


class GOADNetwork(Network):
    """Recognises which of many random affine maps was applied to a row.

    Parameters
    ----------
    d : int
        Columns.
    n_transformations, n_components : int
        Random maps, and the width of what they map to.
    width : int
        Of the hidden layers and of the embedding.
    margin, weight : float
        Of the triplet loss; of the cross-entropy beside it.
    epsilon : float
        Least squared distance from a centre that counts.
    """

    maps: Tensor
    shifts: Tensor
    centers: Tensor

    def __init__(
        self,
        d: int,
        *,
        n_transformations: int,
        n_components: int,
        width: int,
        margin: float,
        weight: float,
        epsilon: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.margin, self.weight, self.epsilon = margin, weight, epsilon
        m = n_transformations
        self.register_buffer("maps", torch.randn(m, d, n_components) / d**0.5)
        self.register_buffer("shifts", torch.randn(m, 1, n_components))
        self.register_buffer("centers", torch.zeros(m, width))
        self.encoder = mlp([n_components, width, width], activation="leaky_relu", dropout=dropout)
        self.to_logits = nn.Linear(width, m)
        self.rows_at_once = max(1, min(4096, _MOST_VALUES // (m * max(m, n_components))))

    def embed(self, x: Tensor) -> Tensor:
        """Where each transformed row lies: (n, M, width)."""
        return self.encoder((x @ self.maps + self.shifts).transpose(0, 1))

    @staticmethod
    def distances(z: Tensor, centers: Tensor) -> Tensor:
        """Squared distance of each of (n, M, width) from each centre (M, width): (n, M, M)."""
        squares = (z**2).sum(dim=2, keepdim=True) + (centers**2).sum(dim=1)
        return (squares - 2 * z @ centers.T).clamp_min(0.0)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        z = self.embed(batch[0])
        away = self.distances(z, z.mean(dim=0))
        own = away.diagonal(dim1=1, dim2=2)
        itself = torch.eye(z.shape[1], dtype=torch.bool, device=z.device)
        nearest = away.masked_fill(itself, torch.inf).amin(dim=2)
        triplet = (own + self.margin - nearest).clamp_min(0.0).mean()
        logits = self.to_logits(functional.leaky_relu(z))
        which = torch.arange(z.shape[1], device=z.device).expand(len(z), -1)
        entropy = functional.cross_entropy(logits.flatten(0, 1), which.flatten())
        return {
            "loss": triplet + self.weight * entropy, "triplet": triplet, "cross_entropy": entropy,
        }  # fmt: skip

    @torch.no_grad()
    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Each transformation's centre is the mean of all training rows under it."""
        total, n = torch.zeros_like(self.centers), 0
        for batch in batches():
            for part in batch[0].split(self.rows_at_once):
                total += self.embed(part).sum(dim=0)
                n += len(part)
        self.centers.copy_(total / n)

    def score(self, x: Tensor) -> Tensor:
        """-Σ log P(m | T_m(x)), by a softmax of minus the distances."""
        away = self.distances(self.embed(x), self.centers).clamp_min(self.epsilon)
        own = away.diagonal(dim1=1, dim2=2)
        return (own + torch.logsumexp(-away, dim=2)).sum(dim=1)
