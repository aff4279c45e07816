"""A network that tells how much noise a row holds, and so how far it lies from the data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network

#: Variances of the noise added in the first and the last step.
_FIRST, _LAST = 1e-4, 0.01
#: Least scale of the inverse gamma distribution.
_TINY = 1e-6


class DiffusionTimeNetwork(Network):
    """Estimates the time at which a diffusion from the data would pass a row.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the last hidden layer.
    form : {"categorical", "inverse_gamma"}
        Of the distribution of the time, or of the variance that stands for it.
    n_steps : int
        Steps T of the diffusion.
    n_bins : int
        Of time, for the categorical form.
    dropout : float
    """

    kept: Tensor

    def __init__(
        self, sizes: Sequence[int], *, form: str, n_steps: int, n_bins: int, dropout: float
    ) -> None:
        super().__init__()
        self.form, self.n_bins = form, n_bins
        # Of the d dimensions half is what a chi-squared distance has; two or fewer have no mode.
        self.shape = max(sizes[0] / 2 - 1, 0.5)
        self.net = mlp([*sizes, n_bins if form == "categorical" else 1], dropout=dropout)
        kept = torch.cumprod(1 - torch.linspace(_FIRST, _LAST, n_steps), dim=0)
        self.register_buffer("kept", kept, persistent=False)

    def noisy(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows diffused to times (n,) drawn evenly, and these times, from 0 to T - 1."""
        t = torch.randint(len(self.kept), (len(x),), device=x.device)
        kept = self.kept[t][:, None]
        return kept.sqrt() * x + (1 - kept).sqrt() * torch.randn_like(x), t

    def loss(self, batch: Batch) -> Tensor:
        """-log p(t | x_t), but for what does not depend on the network."""
        x, t = self.noisy(batch[0])
        if self.form == "categorical":
            return functional.cross_entropy(self.net(x), t * self.n_bins // len(self.kept))
        scale = self.scale(x)
        return (scale / (1 - self.kept[t]) - self.shape * torch.log(scale)).mean()

    def scale(self, x: Tensor) -> Tensor:
        """Scale of the inverse gamma distribution of the variance, (n,)."""
        return self.net(x)[:, 0] ** 2 + _TINY

    def score(self, x: Tensor) -> Tensor:
        if self.form == "inverse_gamma":
            return self.scale(x) / self.shape
        middles = (torch.arange(self.n_bins, device=x.device) + 0.5) / self.n_bins
        return torch.softmax(self.net(x), dim=1) @ middles.to(x.dtype)
