"""f-AnoGAN's networks: a Wasserstein game, then an encoder that inverts its generator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from awry.nn.gan import Critic, ResidualNetwork, adam, draw, gradient_penalty
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Descend


class FAnoGANNetwork(ResidualNetwork):
    """WGAN-GP in the first epochs; in the others an encoder, the rest of the networks fixed.

    Parameters
    ----------
    encoder, generator : Module
        From items to (n, latent) and back.
    critic : Critic
    latent : int
    kappa : float
        Weight of the features' error in the encoder's loss and in the score.
    penalty : float
        Weight of the gradient penalty.
    n_critic : int
        Steps of the critic for one of the generator.
    encoder_share : float
        Share of the epochs, the last, in which the encoder learns.
    """

    turns: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        critic: Critic,
        latent: int,
        *,
        kappa: float,
        penalty: float,
        n_critic: int,
        encoder_share: float,
    ) -> None:
        super().__init__()
        self.encoder, self.generator, self.critic = encoder, generator, critic
        self.latent, self.kappa, self.penalty = latent, kappa, penalty
        self.n_critic, self.encoder_share, self.encoding = n_critic, encoder_share, False
        self.register_buffer("turns", torch.zeros((), dtype=torch.long))

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {"critic": [self.critic], "generator": [self.generator], "encoder": [self.encoder]}

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """Adam without momentum in the game (Gulrajani et al., algorithm 1)."""
        return adam(parameters, lr, (0.9, 0.999) if part == "encoder" else (0.0, 0.9), weight_decay)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Let the encoder learn once the game is over."""
        self.encoding = epoch >= round((1 - self.encoder_share) * epochs)

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        return self._encode(batch[0], descend) if self.encoding else self._play(batch[0], descend)

    def _play(self, x: Tensor, descend: Descend) -> dict[str, Tensor]:
        with torch.no_grad():
            made = self.generator(draw(x, self.latent))
        distance = self.critic(x).mean() - self.critic(made).mean()
        penalty = gradient_penalty(self.critic, x, made)
        descend(self.penalty * penalty - distance, "critic")
        self.turns += 1
        if self.turns % self.n_critic == 0:
            descend(-self.critic(self.generator(draw(x, self.latent))).mean(), "generator")
        return {"loss": distance, "penalty": penalty}

    def _encode(self, x: Tensor, descend: Descend) -> dict[str, Tensor]:
        terms, beyond = self.judge(x)
        loss = terms.flatten(1).sum(dim=1).mean() + beyond.mean()
        descend(loss, "encoder")
        return {"loss": loss}

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared errors of values and, beyond them, of features (the paper's izi_f)."""
        made = self.generator(self.encoder(x))
        errors = squared_error(self.critic.features(x), self.critic.features(made)).mean(dim=1)
        return squared_error(x, made) / x[0].numel(), self.kappa * errors
