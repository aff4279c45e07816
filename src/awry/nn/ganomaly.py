"""GANomaly's encoder-decoder-encoder, and Skip-GANomaly's autoencoder with skip connections."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from awry.nn.gan import AdversarialNetwork, Critic, ResidualNetwork, as_fake, as_real, leaky
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Descend


class _Contest(AdversarialNetwork):
    """Base of both: reconstructions against items, before a discriminator with features.

    Subclasses write ``players`` and ``passing``.
    """

    discriminator: Critic

    def rebuild(self, x: Tensor) -> Tensor:
        """The reconstruction, the shape of ``x``."""
        raise NotImplementedError

    def passing(self, x: Tensor, made: Tensor) -> dict[str, Tensor]:
        """The losses of the reconstruction by name, of which ``"loss"`` is their weighted sum."""
        raise NotImplementedError

    def telling(self, x: Tensor, made: Tensor) -> Tensor:
        """The loss of the discriminator."""
        return as_real(self.discriminator(x)) + as_fake(self.discriminator(made))

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        made = self.rebuild(x)
        telling = self.telling(x, made.detach())
        descend(telling, "discriminator")
        losses = self.passing(x, made)
        descend(losses["loss"], "generator")
        return {**losses, "discriminator": telling}

    def features_apart(self, x: Tensor, made: Tensor) -> Tensor:
        """Squared differences of the discriminator's features, (n, f)."""
        seen = self.discriminator.features
        return squared_error(seen(x), seen(made))


class GANomalyNetwork(_Contest):
    """An autoencoder and a second encoder, which should find the code again.

    Parameters
    ----------
    encoder, decoder, second : Module
        From items to codes, back, and from reconstructions to codes.
    discriminator : Critic
    weights : tuple of float
        Of the adversarial, the contextual and the encoder's loss.
    score : {"l1", "l2"}
        How far apart the codes are.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        second: nn.Module,
        discriminator: Critic,
        *,
        weights: Sequence[float],
        score: str,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.second = encoder, decoder, second
        self.discriminator, self.weights, self.which = discriminator, tuple(weights), score

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {
            "discriminator": [self.discriminator],
            "generator": [self.encoder, self.decoder, self.second],
        }

    def rebuild(self, x: Tensor) -> Tensor:
        made: Tensor = self.decoder(self.encoder(x))
        return made

    def passing(self, x: Tensor, made: Tensor) -> dict[str, Tensor]:
        adversarial = self.features_apart(x, made).mean()
        contextual = (x - made).abs().mean()
        encoding = squared_error(self.encoder(x), self.second(made)).mean()
        parts = (adversarial, contextual, encoding)
        loss = sum((w * part for w, part in zip(self.weights, parts, strict=True)), x.new_zeros(()))
        return dict(
            zip(("loss", "adversarial", "contextual", "encoding"), (loss, *parts), strict=True)
        )

    def score(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        apart = (code - self.second(self.decoder(code))).flatten(1)
        return apart.abs().mean(dim=1) if self.which == "l1" else (apart**2).mean(dim=1)


class SkipAutoEncoder(nn.Module):
    """Layers that narrow and widen; each that widens is told what its mirror image saw, too.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the bottleneck.
    dropout : float, default=0.0
    """

    def __init__(self, sizes: Sequence[int], *, dropout: float = 0.0) -> None:
        super().__init__()
        style = {"dropout": dropout, "linear_end": False}
        self.down = nn.ModuleList(leaky(pair, **style) for pair in pairwise(sizes))  # type: ignore[arg-type]
        levels = list(pairwise(sizes))[:0:-1]
        # Above the bottleneck comes what is below beside what was seen at the level.
        self.up = nn.ModuleList(
            leaky([narrow if i == 0 else 2 * narrow, wide], **style)  # type: ignore[arg-type]
            for i, (wide, narrow) in enumerate(levels)
        )
        self.out = nn.Linear(2 * sizes[1] if levels else sizes[1], sizes[0])

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        for layer in self.down:
            x = layer(x)
            seen.append(x)
        seen.pop()
        for layer in self.up:
            x = torch.cat([layer(x), seen.pop()], dim=1)
        made: Tensor = self.out(x)
        return made


class SkipGANomalyNetwork(_Contest, ResidualNetwork):
    """An autoencoder with skip connections, judged by values and by the discriminator's features.

    Parameters
    ----------
    generator : Module
        From items to their reconstructions.
    discriminator : Critic
    weights : tuple of float
        Of the adversarial, the contextual and the latent loss.
    share : float
        λ, the share of the reconstruction in the score.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: Critic,
        *,
        weights: Sequence[float],
        share: float,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.weights, self.share = tuple(weights), share

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {"discriminator": [self.discriminator], "generator": [self.generator]}

    def rebuild(self, x: Tensor) -> Tensor:
        made: Tensor = self.generator(x)
        return made

    def passing(self, x: Tensor, made: Tensor) -> dict[str, Tensor]:
        adversarial = as_real(self.discriminator(made))
        contextual = (x - made).abs().mean()
        latent = self.features_apart(x, made).mean()
        parts = (adversarial, contextual, latent)
        loss = sum((w * part for w, part in zip(self.weights, parts, strict=True)), x.new_zeros(()))
        return dict(
            zip(("loss", "adversarial", "contextual", "latent"), (loss, *parts), strict=True)
        )

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        made = self.generator(x)
        beyond = self.features_apart(x, made).mean(dim=1)
        return self.share * (x - made).abs() / x[0].numel(), (1 - self.share) * beyond
