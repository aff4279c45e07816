"""A network on the distances of a row from its nearest neighbours, taught with made-up rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network

#: Numbers of distances in the largest tensor of a batch.
_MOST_VALUES = 1 << 24


class LunarNetwork(Network):
    """Tells training rows from made-up ones by their distances from their neighbours.

    Parameters
    ----------
    reference : Tensor of shape (n, d)
        The training rows, among which neighbours are looked for.
    n_neighbors : int
    width : int
        Of the three hidden layers.
    output : {"weights", "score"}
        Whether the layers weigh the distances or give the verdict on them.
    negatives : {"mixed", "uniform", "subspace"}
    epsilon : float
        Standard deviation of the noise in a subspace; by how much the uniform rows' box is wider
        than the data's, as a share.
    dropout : float
    """

    reference: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        reference: Tensor,
        *,
        n_neighbors: int,
        width: int,
        output: str,
        negatives: str,
        epsilon: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.k = min(n_neighbors, len(reference) - 1)
        self.output, self.negatives, self.epsilon = output, negatives, epsilon
        sizes = [self.k, width, width, width]
        if output == "weights":
            weigh = [nn.LayerNorm(width), nn.Linear(width, self.k), nn.Softmax(dim=1)]
            self.net = nn.Sequential(mlp(sizes, dropout=dropout, linear_end=False), *weigh)
            self.norm = nn.BatchNorm1d(1)
        else:
            self.net = mlp([*sizes, 1], activation="tanh", dropout=dropout)
        # Kept with the detector, in double precision, and not a second time with the weights.
        self.register_buffer("reference", reference, persistent=False)
        low, high = reference.amin(dim=0), reference.amax(dim=0)
        self.register_buffer("low", low - epsilon * (high - low), persistent=False)
        self.register_buffer("high", high + epsilon * (high - low), persistent=False)
        self.rows_at_once = max(1, min(4096, _MOST_VALUES // len(reference)))

    def distances(self, x: Tensor) -> Tensor:
        """Ascending distances from the k nearest training rows: (n, k).

        A row that coincides with a training row is taken to be that row, no neighbour of itself.
        """
        rows = self.reference.to(x.dtype)
        near = (rows**2).sum(dim=1) - 2 * x @ rows.T
        places = near.topk(self.k + 1, dim=1, largest=False).indices
        # By differences, in which what coincides has a distance of exactly zero.
        squares = ((x[:, None] - rows[places]) ** 2).sum(dim=2).sort(dim=1).values
        itself = squares[:, :1] == 0
        return torch.where(itself, squares[:, 1:], squares[:, :-1]).clamp_min(1e-12).sqrt()

    def made_up(self, x: Tensor) -> Tensor:
        """As many rows as ``x`` has, evenly in the data's box or by noise in random columns."""
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        uniform = low + (high - low) * torch.rand_like(x)
        moved = torch.rand_like(x) < 0.3
        subspace = x + moved * self.epsilon * torch.randn_like(x)
        share = {"mixed": 0.5, "uniform": 1.0, "subspace": 0.0}[self.negatives]
        return torch.where(torch.rand_like(x[:, :1]) < share, uniform, subspace)

    def loss(self, batch: Batch) -> Tensor:
        x = batch[0]
        verdict = self.score(torch.cat([x, self.made_up(x)]))
        # The sigmoid of the paper's last layer; a weighted distance has none.
        taken = verdict if self.output == "weights" else torch.sigmoid(verdict)
        real, made_up = taken.chunk(2)
        return (real**2).mean() + ((1 - made_up) ** 2).mean()

    def score(self, x: Tensor) -> Tensor:
        """The weighted distance, normalised, or the logit of being made up, (n,)."""
        distances = self.distances(x)
        if self.output == "score":
            return self.net(distances)[:, 0]
        far: Tensor = self.norm((self.net(distances) * distances).sum(dim=1, keepdim=True))
        return far[:, 0]
