"""An encoder under which samples of one stretch of a stream lie close, and disturbed ones apart."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from awry.nn.network import Batch, Descend, Network


class ConceptEncoder(Network):
    """Maps rows (d,) to (width,) so that means over samples tell concepts apart.

    A batch is one window of the stream: sets of rows (1, n_sub, k, m, d), k samples of m rows from
    each of its n_sub stretches.

    Parameters
    ----------
    d, hidden, width : int
        Of a row, of the hidden layer and of what it becomes.
    small, large : float
        Standard deviations of the noise that makes a sample a little, and quite, another.
    temperature, penalty : float
        Of the contrastive loss, and the weight of the gradient's.
    """

    def __init__(
        self,
        d: int,
        *,
        hidden: int,
        width: int,
        small: float,
        large: float,
        temperature: float,
        penalty: float,
    ) -> None:
        super().__init__()
        self.small, self.large = small, large
        self.temperature, self.penalty = temperature, penalty
        self.net = nn.Sequential(
            nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Sigmoid()
        )
        self._adam: torch.optim.Optimizer | None = None

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """Adam, whose moments live on from window to window, for each takes few steps."""
        if self._adam is None:
            self._adam = torch.optim.Adam(parameters, lr=lr)
        return self._adam

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def means(self, samples: Tensor) -> Tensor:
        """Mean embeddings (…, k, width) of samples (…, k, m, d)."""
        return self.net(samples).mean(dim=-2)

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        samples = batch[0][0].requires_grad_(True)
        embedded = self.net(samples)
        means = embedded.mean(dim=-2)
        half = samples.shape[1] // 2
        alike = torch.stack([within(part).mean() for part in means])
        disturbed = self.means(samples[:, half:] + self.small * torch.randn_like(samples[:, half:]))
        weak = [between(a[:half], b).mean() for a, b in zip(means, disturbed, strict=True)]
        last = self.means(samples[-1] + self.large * torch.randn_like(samples[-1]))
        unlike = torch.stack([*weak, between(means[0], last).mean()])
        joined = torch.cat([alike, unlike]) / self.temperature
        contrast = torch.logsumexp(alike / self.temperature, 0) - torch.logsumexp(joined, 0)
        (slope,) = torch.autograd.grad(embedded.sum(), samples, create_graph=True)
        steep = ((slope.square().sum(dim=-1) + 1e-12).sqrt() - 1).square().mean()
        loss = contrast + self.penalty * steep
        descend(loss)
        return {"loss": loss.detach()}

    def held_out(self, batch: Batch) -> Tensor | None:
        return None


def between(a: Tensor, b: Tensor) -> Tensor:
    """Distances of every mean in ``a`` (k, width) from every one in ``b``."""
    return torch.cdist(a, b)


def within(a: Tensor) -> Tensor:
    """Distances of every two means in ``a`` (k, width), each pair once."""
    i, j = torch.triu_indices(len(a), len(a), offset=1)
    return (a[i] - a[j]).square().sum(dim=1).add(1e-12).sqrt()
