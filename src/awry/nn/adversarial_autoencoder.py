"""An autoencoder whose codes are drawn towards a Gaussian by an adversary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.blocks import mlp
from awry.nn.network import Batch, Descend


class AdversarialAutoEncoderNetwork(AutoEncoderNetwork):
    """Three steps a batch: rebuild; tell codes from draws of N(0, 1); pass codes off as draws.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    critic : sequence of int
        Widths of the discriminator's hidden layers.
    score : {"reconstruction", "prior"}
    activation, batch_norm, dropout
        See :func:`~awry.nn.blocks.mlp`; of encoder and decoder.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        critic: Sequence[int],
        score: str,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__(sizes, activation=activation, batch_norm=batch_norm, dropout=dropout)
        self.which = score
        self.discriminator = mlp([sizes[-1], *critic, 1], activation="leaky_relu")

    def parts(self) -> dict[str, Iterable[nn.Parameter]]:
        """The encoder learns in two of them, each with an optimiser of its own."""
        encoder, decoder = [*self.encoder.parameters()], [*self.decoder.parameters()]
        return {
            "autoencoder": encoder + decoder,
            "discriminator": self.discriminator.parameters(),
            "generator": encoder,
        }

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer | None:
        """For the game one with a short memory, as the other side moves on."""
        if part == "autoencoder":
            return None
        return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999))

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        rebuilding = self.terms(x).mean()
        descend(rebuilding, "autoencoder")
        code = self.encode(x)
        real, fake = self._verdict(torch.randn_like(code)), self._verdict(code.detach())
        telling = functional.softplus(-real).mean() + functional.softplus(fake).mean()
        descend(telling, "discriminator")
        passing = functional.softplus(-self._verdict(code)).mean()
        descend(passing, "generator")
        return {"loss": rebuilding, "discriminator": telling, "generator": passing}

    def _verdict(self, code: Tensor) -> Tensor:
        """Logit of the chance that a code is a draw of the prior, (n, 1)."""
        verdict: Tensor = self.discriminator(code)
        return verdict

    def held_out(self, batch: Batch) -> None:
        """Nothing: the rebuilding is best before the codes follow the prior."""

    # -- judging ----------------------------------------------------------------------------------

    @property
    def has_terms(self) -> bool:
        return self.which == "reconstruction"

    def score(self, x: Tensor) -> Tensor:
        if self.has_terms:
            return super().score(x)
        return self.encode(x).square().sum(dim=1)
