"""BiGAN's networks, by which EGBAD scores, and ALAD's, which add two games of cycles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from awry.nn.gan import AdversarialNetwork, Critic, ResidualNetwork, as_fake, as_real, draw
from awry.nn.network import Batch, Descend


class BiGAN(AdversarialNetwork):
    """Pairs (x, E(x)) and (G(z), z), which a discriminator learns to tell from one another.

    Parameters
    ----------
    encoder, generator : Module
        From items to (n, latent) and back.
    pairs : Critic
        Takes items and codes.
    latent : int
    """

    def __init__(
        self, encoder: nn.Module, generator: nn.Module, pairs: Critic, latent: int
    ) -> None:
        super().__init__()
        self.encoder, self.generator, self.pairs, self.latent = encoder, generator, pairs, latent

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {"discriminator": [self.pairs], "generator": [self.encoder, self.generator]}

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        z = draw(x, self.latent)
        # Weights that are normalised are so once for each side, as these stay meanwhile.
        with parametrize.cached():
            code, made = self.encoder(x), self.generator(z)
            telling = self.telling(x, z, made.detach(), code.detach())
            descend(telling, "discriminator")
        with parametrize.cached():
            passing = self.passing(x, z, made, code)
            descend(passing, "generator")
        return {"loss": passing, "discriminator": telling}

    def telling(self, x: Tensor, z: Tensor, made: Tensor, code: Tensor) -> Tensor:
        """The discriminator's loss."""
        return as_real(self.pairs(x, code)) + as_fake(self.pairs(made, z))

    def passing(self, x: Tensor, z: Tensor, made: Tensor, code: Tensor) -> Tensor:
        """The loss of encoder and generator, which would have the pairs taken for each other."""
        return as_fake(self.pairs(x, code)) + as_real(self.pairs(made, z))

    def rebuild(self, x: Tensor) -> Tensor:
        """G(E(x))."""
        made: Tensor = self.generator(self.encoder(x))
        return made


class BiGANNetwork(BiGAN, ResidualNetwork):
    """BiGAN, scoring by α ‖x - G(E(x))‖₁ + (1 - α) L_D.

    Parameters
    ----------
    encoder, generator, pairs, latent
        See :class:`BiGAN`.
    alpha : float
    score : {"features", "cross_entropy"}
        What L_D is.
    """

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        pairs: Critic,
        latent: int,
        *,
        alpha: float,
        score: str,
    ) -> None:
        super().__init__(encoder, generator, pairs, latent)
        self.alpha, self.which = alpha, score

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        made, seen = self.generator(code), self.pairs.features(x, code)
        if self.which == "cross_entropy":
            beyond = functional.softplus(-self.pairs.judge(seen))
        else:
            beyond = (seen - self.pairs.features(made, code)).abs().sum(dim=1)
        return self.alpha * (x - made).abs(), (1 - self.alpha) * beyond


class ALADNetwork(BiGAN):
    """BiGAN with discriminators of (x, x) from (x, G(E(x))) and of (z, z) from (z, E(G(z))).

    Parameters
    ----------
    encoder, generator, pairs, latent
        See :class:`BiGAN`.
    items, codes : Critic
        Take two items, and two codes.
    score : {"features", "logits", "l1", "l2"}
    """

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        pairs: Critic,
        latent: int,
        *,
        items: Critic,
        codes: Critic,
        score: str,
    ) -> None:
        super().__init__(encoder, generator, pairs, latent)
        self.items, self.codes, self.which = items, codes, score

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {
            "discriminator": [self.pairs, self.items, self.codes],
            "generator": [self.encoder, self.generator],
        }

    def telling(self, x: Tensor, z: Tensor, made: Tensor, code: Tensor) -> Tensor:
        with torch.no_grad():
            again, back = self.generator(code), self.encoder(made)
        cycles = as_real(self.items(x, x)) + as_fake(self.items(x, again))
        cycles = cycles + as_real(self.codes(z, z)) + as_fake(self.codes(z, back))
        return super().telling(x, z, made, code) + cycles

    def passing(self, x: Tensor, z: Tensor, made: Tensor, code: Tensor) -> Tensor:
        cycles = as_real(self.items(x, self.generator(code)))
        cycles = cycles + as_real(self.codes(z, self.encoder(made)))
        return super().passing(x, z, made, code) + cycles

    @property
    def has_terms(self) -> bool:
        return self.which in ("l1", "l2")

    def terms(self, x: Tensor) -> Tensor:
        apart = (x - self.rebuild(x)).abs()
        return apart if self.which == "l1" else apart**2

    def score(self, x: Tensor) -> Tensor:
        if self.has_terms:
            return super().score(x)
        seen = self.items.features(x, self.rebuild(x))
        if self.which == "logits":
            return functional.softplus(-self.items.judge(seen))
        return (self.items.features(x, x) - seen).abs().sum(dim=1)
