"""VAE-GAN: a variational autoencoder that is told how far it is off by a discriminator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from awry.nn.gan import AdversarialNetwork, Critic, as_fake, as_real, draw
from awry.nn.losses import kl_to_standard_normal, squared_error
from awry.nn.network import Batch, Descend

#: Bounds of log-variances, beyond which a variance says no more.
_LEAST, _MOST = -6.0, 6.0


class VAEGANNetwork(AdversarialNetwork):
    """Encoder, decoder and discriminator, each with a loss of its own.

    Parameters
    ----------
    encoder : Module
        Takes items, gives (n, 2 latent): means and log-variances.
    decoder : Module
        Takes (n, latent), gives items.
    discriminator : Critic
    latent : int
    gamma : float
        Weight of the features' error in what the decoder learns, beside passing for real.
    score : {"features", "elbo", "reconstruction"}
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: Critic,
        latent: int,
        *,
        gamma: float,
        score: str,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.latent, self.gamma, self.which = latent, gamma, score

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {
            "encoder": [self.encoder],
            "decoder": [self.decoder],
            "discriminator": [self.discriminator],
        }

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """The paper's RMSProp."""
        return torch.optim.RMSprop(parameters, lr=lr, alpha=0.9, weight_decay=weight_decay)

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        mean, log_variance = self.encode(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        made, dreamt = self.decoder(z), self.decoder(draw(x, self.latent))
        kl = kl_to_standard_normal(mean, log_variance).sum(dim=1).mean()
        error = self.features_error(x, made).mean()
        descend(kl + error, "encoder")
        # The decoder of the same pass: what went before has not touched it.
        made = self.decoder(z.detach())
        error = self.features_error(x, made).mean()
        passing = as_real(self.discriminator(made)) + as_real(self.discriminator(dreamt))
        descend(self.gamma * error + passing, "decoder")
        telling = as_real(self.discriminator(x)) + as_fake(self.discriminator(made.detach()))
        telling = telling + as_fake(self.discriminator(dreamt.detach()))
        descend(telling, "discriminator")
        return {"loss": kl + error, "kl": kl, "decoder": passing, "discriminator": telling}

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (n, latent)."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(_LEAST, _MOST)

    def features_error(self, x: Tensor, made: Tensor) -> Tensor:
        """-log N(f(x); f(x̃), 1) of the discriminator's features but for a constant, (n,)."""
        seen = self.discriminator.features
        return 0.5 * squared_error(seen(x), seen(made)).sum(dim=1)

    # -- judging ----------------------------------------------------------------------------------

    @property
    def has_terms(self) -> bool:
        return self.which == "reconstruction"

    def terms(self, x: Tensor) -> Tensor:
        return squared_error(x, self.decoder(self.encode(x)[0]))

    def score(self, x: Tensor) -> Tensor:
        if self.has_terms:
            return super().score(x)
        mean, log_variance = self.encode(x)
        error = self.features_error(x, self.decoder(mean))
        if self.which == "elbo":
            return error + kl_to_standard_normal(mean, log_variance).sum(dim=1)
        return error
