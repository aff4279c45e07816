"""Generative adversarial active learning: generators make outliers up for a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.data import extremes
from awry.nn.gan import AdversarialNetwork, Critic, as_fake, as_real
from awry.nn.losses import bernoulli_nll
from awry.nn.network import Batch, Descend

#: Of the authors' gradient descent.
_MOMENTUM = 0.9


class GAALNetwork(AdversarialNetwork):
    """Generators whose items should get verdicts that real items get; the verdict is the score.

    Parameters
    ----------
    generators : sequence of Module
        Each takes noise, evenly from 0 to 1, in the shape of the items.
    discriminator : Critic
        Takes items whose values are brought to [0, 1] by the ends of the training data.
    shape : tuple of int
        Of an item.
    lr_generator : float
        Learning rate of the generators.
    generator_share : float
        Share of the epochs, the first, in which they learn.
    """

    least: Tensor
    spread: Tensor

    def __init__(
        self,
        generators: Sequence[nn.Module],
        discriminator: Critic,
        shape: Sequence[int],
        *,
        lr_generator: float,
        generator_share: float,
    ) -> None:
        super().__init__()
        self.generators, self.discriminator = nn.ModuleList(generators), discriminator
        self.lr_generator, self.generator_share = lr_generator, generator_share
        self.generating = True
        self.register_buffer("least", torch.zeros(*shape))
        self.register_buffer("spread", torch.ones(*shape))

    def on_start(self, batches: Callable[[], Iterator[Batch]]) -> None:
        least, most = extremes(batches())
        self.least.copy_(least)
        self.spread.copy_(torch.where(most > least, most - least, 1.0))

    def unit(self, x: Tensor) -> Tensor:
        """Items with the training data's values between 0 and 1."""
        return (x - self.least) / self.spread

    def players(self) -> dict[str, Sequence[nn.Module]]:
        return {"discriminator": [self.discriminator], "generator": [self.generators]}

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        rate = lr if part == "discriminator" else self.lr_generator
        return torch.optim.SGD(parameters, lr=rate, momentum=_MOMENTUM, weight_decay=weight_decay)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Stop the generators when their time is over; the discriminator draws its boundary."""
        self.generating = epoch < self.generator_share * epochs

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = self.unit(batch[0])
        # A batch has as many made-up items as real ones; they count alike.
        telling = 0.5 * (
            as_real(self.discriminator(x)) + as_fake(self.discriminator(self.make_up(x)))
        )
        descend(telling, "discriminator")
        if not self.generating:
            return {"loss": telling}
        passing = self.passing(x)
        descend(passing, "generator")
        return {"loss": telling, "generator": passing}

    @torch.no_grad()
    def make_up(self, x: Tensor) -> Tensor:
        """As many items as ``x`` has; a generator makes the more, the lower its target is."""
        shares = torch.arange(len(self.generators), 0, -1).cumsum(0)
        ends = [0, *(len(x) * shares // shares[-1]).tolist()]
        noise = torch.rand_like(x)
        parts = [g(noise[ends[j] : ends[j + 1]]) for j, g in enumerate(self.generators)]
        return torch.cat(parts)

    def targets(self, x: Tensor) -> Tensor:
        """The chances of being real that the generators aim at, (k,).

        A single one aims at 1, those of several at the quantiles 0, 1/k, … of those that ``x`` has.
        """
        k = len(self.generators)
        if k == 1:
            return x.new_ones(1)
        with torch.no_grad():
            chances = torch.sigmoid(self.discriminator(x)).float()
        return torch.quantile(chances, torch.arange(k, device=x.device) / k)

    def passing(self, x: Tensor) -> Tensor:
        """The generators' loss: cross-entropy of their items' verdicts from the targets."""
        noise = torch.rand_like(x)
        losses = [
            bernoulli_nll(target, self.discriminator(generator(noise))).mean()
            for generator, target in zip(self.generators, self.targets(x), strict=True)
        ]
        return torch.stack(losses).sum()

    def score(self, x: Tensor) -> Tensor:
        """The logit of the chance of being made up, which is still told apart near 0 and 1."""
        verdict: Tensor = self.discriminator(self.unit(x))
        return -verdict


def outlier_critic(sizes: Sequence[int], *, dropout: float = 0.0) -> Critic:
    """Layers of rectifiers that start with the authors' weights: variance 1 / inputs, no bias."""
    critic = Critic(mlp(sizes, dropout=dropout, linear_end=False), nn.Linear(sizes[-1], 1))
    for layer in critic.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
    return critic


def identity_generator(d: int) -> nn.Sequential:
    """Two layers of rectifiers that at first let noise pass as it is, all over the data."""
    net = mlp([d, d, d], linear_end=False)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net
