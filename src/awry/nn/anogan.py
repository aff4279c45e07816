"""AnoGAN's networks, and the search for the code from which an item is generated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from awry.nn.gan import Critic, ResidualNetwork, as_fake, as_real, draw
from awry.nn.network import Batch, Descend


class AnoGANNetwork(ResidualNetwork):
    """A generator and a discriminator; an item is scored by the nearest one that is generated.

    Parameters
    ----------
    generator : Module
        Takes (n, latent), gives items.
    discriminator : Critic
    latent : int
    weight : float
        λ, the share of the features' distance in the score.
    n_steps, n_starts : int
        Steps of the search, and codes of which each item takes the nearest to start from.
    search_lr : float
        Learning rate of the search, which falls to zero in half a wave.
    """

    starts: Tensor

    def __init__(
        self,
        generator: nn.Module,
        discriminator: Critic,
        latent: int,
        *,
        weight: float,
        n_steps: int,
        n_starts: int,
        search_lr: float,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent, self.weight = latent, weight
        self.n_steps, self.search_lr = n_steps, search_lr
        self.register_buffer("starts", torch.randn(n_starts, latent))

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {"discriminator": [self.discriminator], "generator": [self.generator]}

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        made = self.generator(draw(x, self.latent))
        telling = as_real(self.discriminator(x)) + as_fake(self.discriminator(made.detach()))
        descend(telling, "discriminator")
        passing = as_real(self.discriminator(made))
        descend(passing, "generator")
        return {"loss": passing, "discriminator": telling}

    # -- judging ----------------------------------------------------------------------------------

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._distances(x, self.discriminator.features(x), self.search(x))

    def _distances(self, x: Tensor, features: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Residuals by value, and the distance of the features, each with its weight."""
        made = self.generator(z)
        apart = (features - self.discriminator.features(made)).abs().sum(dim=1)
        return (1 - self.weight) * (x - made).abs(), self.weight * apart

    def _loss(self, x: Tensor, features: Tensor, z: Tensor) -> Tensor:
        terms, beyond = self._distances(x, features, z)
        return terms.flatten(1).sum(dim=1) + beyond

    def search(self, x: Tensor) -> Tensor:
        """The codes (n, latent) from which items nearest to ``x`` are generated.

        Adam's steps down the score; each item's are its own, and the best place it came by counts.
        """
        features = self.discriminator.features(x).detach()
        z = self._start(x, features)
        best, least = z.clone(), torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
        optimiser = torch.optim.Adam([z.requires_grad_()], lr=self.search_lr)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.n_steps + 1)
        for _ in range(self.n_steps + 1):
            with torch.enable_grad():
                loss = self._loss(x.detach(), features, z)
                (z.grad,) = torch.autograd.grad(loss.sum(), z)
            nearer = loss.detach() < least
            best = torch.where(nearer[:, None], z.detach(), best)
            least = torch.where(nearer, loss.detach(), least)
            optimiser.step()
            fall.step()
        return best

    @torch.no_grad()
    def _start(self, x: Tensor, features: Tensor) -> Tensor:
        """For each item the start with the least loss."""
        losses = [self._loss(x, features, start[None]) for start in self.starts]
        return self.starts[torch.stack(losses).argmin(dim=0)]
