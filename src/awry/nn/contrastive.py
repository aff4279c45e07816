"""Networks that learn to tell views of one row from one another: ICL, NeuTraL AD and GOAD."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network

#: Values in the largest tensor of a batch that is scored.
_MOST_VALUES = 1 << 24


def rows_at_once(values_per_row: int) -> int:
    """Rows to score at once where each takes so many values."""
    return max(1, min(4096, _MOST_VALUES // values_per_row))


class Contrastive(Network):
    """Scores by the loss that it learns by."""

    def loss(self, batch: Batch) -> Tensor:
        return self.score(batch[0]).mean()


class ICLNetwork(Contrastive):
    """Matches each run of neighbouring columns with the rest of its row.

    Parameters
    ----------
    d : int
        Columns.
    window : int
        Columns in a run, fewer than d.
    units, latent : int
        Widths of the two networks' hidden layers and of what they map to.
    temperature : float
    dropout : float
    """

    runs: Tensor
    rests: Tensor

    def __init__(
        self, d: int, window: int, *, units: int, latent: int, temperature: float, dropout: float
    ) -> None:
        super().__init__()
        self.temperature = temperature
        columns = torch.arange(d)
        runs = columns.unfold(0, window, 1)
        rests = torch.stack([columns[~torch.isin(columns, run)] for run in runs])
        self.register_buffer("runs", runs, persistent=False)
        self.register_buffer("rests", rests, persistent=False)
        style = {"activation": "leaky_relu", "dropout": dropout}
        self.of_run = mlp([window, units // 4, units // 2, latent], **style)  # type: ignore[arg-type]
        self.of_rest = mlp([d - window, units, units // 2, latent], **style)  # type: ignore[arg-type]
        self.rows_at_once = rows_at_once(len(runs) * max(len(runs), units))

    def terms_of_runs(self, x: Tensor) -> Tensor:
        """Cross-entropy of each run among all runs, given its rest: (n, m)."""
        runs = functional.normalize(self.of_run(x[:, self.runs]), dim=-1)
        rests = functional.normalize(self.of_rest(x[:, self.rests]), dim=-1)
        likeness = rests @ runs.transpose(1, 2) / self.temperature
        return torch.logsumexp(likeness, dim=2) - likeness.diagonal(dim1=1, dim2=2)

    def score(self, x: Tensor) -> Tensor:
        return self.terms_of_runs(x).mean(dim=1)


class NeuTraLNetwork(Contrastive):
    """Learns views of a row that stay like the row and unlike one another.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the encoder, from the input to the embedding.
    n_transformations : int
    transformation : {"residual", "multiplicative", "feed_forward"}
    temperature : float
    dropout : float
    """

    def __init__(
        self,
        sizes: list[int],
        *,
        n_transformations: int,
        transformation: str,
        temperature: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.transformation, self.temperature = transformation, temperature
        d = sizes[0]
        self.masks = nn.ModuleList(
            mlp([d, sizes[1], d], bias=False) for _ in range(n_transformations)
        )
        self.encoder = mlp(sizes, bias=False, dropout=dropout)
        self.rows_at_once = rows_at_once((n_transformations + 1) * max(sizes))

    def views(self, x: Tensor) -> Tensor:
        """What the transformations make of each row: (n, K, d)."""
        masks = torch.stack([mask(x) for mask in self.masks], dim=1)
        if self.transformation == "residual":
            return x[:, None] + masks
        if self.transformation == "multiplicative":
            return x[:, None] * torch.sigmoid(masks)
        return masks

    def score(self, x: Tensor) -> Tensor:
        """The deterministic contrastive loss, summed over the views."""
        views = functional.normalize(self.encoder(self.views(x)), dim=-1)
        row = functional.normalize(self.encoder(x), dim=-1)
        to_row = (views @ row[:, :, None])[:, :, 0] / self.temperature
        among = views @ views.transpose(1, 2) / self.temperature
        itself = torch.eye(views.shape[1], dtype=torch.bool, device=x.device)
        among = among.masked_fill(itself, -torch.inf)
        rivals = torch.cat([to_row[:, :, None], among], dim=2)
        return (torch.logsumexp(rivals, dim=2) - to_row).sum(dim=1)


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
        self.rows_at_once = rows_at_once(m * max(m, n_components))

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
