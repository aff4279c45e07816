"""What adversarial networks share: critics, losses of the game, the gradient penalty.

Nothing here takes items for vectors: generators, encoders and critics' bodies are modules, which
may as well be made of convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network

#: Slope of critics and encoders for what is negative (Radford et al., DCGAN, section 3).
_SLOPE = 0.2


def leaky(
    sizes: Sequence[int],
    *,
    dropout: float = 0.0,
    linear_end: bool = True,
    wrap: Callable[[nn.Module], nn.Module] | None = None,
) -> nn.Sequential:
    """Linear layers through ``sizes`` with leaky rectifiers of slope 0.2 between them.

    Parameters
    ----------
    sizes : sequence of int
    dropout : float, default=0.0
    linear_end : bool, default=True
    wrap : callable, optional
        Applied to every linear layer, such as spectral normalisation.
    """
    net = mlp(sizes, activation="leaky_relu", dropout=dropout, linear_end=linear_end)
    for layer in net:
        if isinstance(layer, nn.LeakyReLU):
            layer.negative_slope = _SLOPE
        elif wrap is not None and isinstance(layer, nn.Linear):
            wrap(layer)
    return net


class Pair(nn.Module):
    """Two inputs, each through layers of its own, joined along dimension 1, and through more.

    Parameters
    ----------
    first, second, joint : Module
        ``nn.Identity()`` for an input that is taken as it is.
    """

    def __init__(self, first: nn.Module, second: nn.Module, joint: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.joint = first, second, joint

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        told: Tensor = self.joint(torch.cat([self.first(one), self.second(other)], dim=1))
        return told


class Critic(nn.Module):
    """Features of an item, or of a pair, and a verdict read off them.

    Parameters
    ----------
    body : Module
        Takes the items and gives their features, of any shape.
    head : Module
        Takes the features, flattened, and gives (n, 1).
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def features(self, *items: Tensor) -> Tensor:
        """What the verdict is read off, (n, f)."""
        found: Tensor = self.body(*items)
        return found.flatten(1)

    def judge(self, features: Tensor) -> Tensor:
        """The verdict on features (n,): the higher, the more it takes an item for real."""
        verdict: Tensor = self.head(features)
        return verdict[:, 0]

    def forward(self, *items: Tensor) -> Tensor:
        return self.judge(self.features(*items))


def dense_critic(
    sizes: Sequence[int],
    *,
    dropout: float = 0.0,
    wrap: Callable[[nn.Module], nn.Module] | None = None,
) -> Critic:
    """A critic of rows, of linear layers through ``sizes``, the last of which has the features."""
    body = leaky(sizes, dropout=dropout, linear_end=False, wrap=wrap)
    return Critic(body, leaky([sizes[-1], 1], wrap=wrap))


def as_real(verdict: Tensor) -> Tensor:
    """Mean cross-entropy of verdicts, taken as logits, from "real": -log D."""
    return functional.softplus(-verdict).mean()


def as_fake(verdict: Tensor) -> Tensor:
    """Mean cross-entropy of verdicts, taken as logits, from "made up": -log(1 - D)."""
    return functional.softplus(verdict).mean()


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean of (‖∇critic‖ - 1)² at random places between real and made-up items.

    References
    ----------
    Gulrajani et al.: "Improved Training of Wasserstein GANs", NeurIPS 2017, equation 3.
    """
    share = torch.rand([len(real)] + [1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def adam(
    parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float
) -> torch.optim.Optimizer:
    """Adam, in one fused step on the CPU, where no 16-bit gradients have to be scaled back."""
    parameters = list(parameters)
    fused = parameters[0].device.type == "cpu"
    return torch.optim.Adam(parameters, lr, betas, weight_decay=weight_decay, fused=fused)


class AdversarialNetwork(Network):
    """Base of networks that learn from a game; subclasses write ``players`` and ``step``."""

    def players(self) -> dict[str, Sequence[nn.Module]]:
        """Who plays, and the networks of each."""
        raise NotImplementedError

    def parts(self) -> dict[str, Iterable[nn.Parameter]]:
        return {
            player: [p for network in networks for p in network.parameters()]
            for player, networks in self.players().items()
        }

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """Adam with a short memory, as the other side moves on (Radford et al., section 3)."""
        return adam(parameters, lr, (0.5, 0.999), weight_decay)

    def held_out(self, batch: Batch) -> None:
        """Of a game no loss says when to stop."""


class ResidualNetwork(AdversarialNetwork):
    """Base of those whose score is a distance from a reconstruction and something beyond it."""

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What each value adds to the score, the shape of ``x``, and what is beyond that, (n,)."""
        raise NotImplementedError

    def terms(self, x: Tensor) -> Tensor:
        return self.judge(x)[0]

    def base(self, x: Tensor) -> Tensor:
        return self.judge(x)[1]

    def score(self, x: Tensor) -> Tensor:
        terms, beyond = self.judge(x)
        return terms.flatten(1).sum(dim=1) + beyond


def draw(x: Tensor, latent: int) -> Tensor:
    """As many draws of the latent prior N(0, 1) as ``x`` has items, (n, latent)."""
    return torch.randn(len(x), latent, device=x.device, dtype=x.dtype)
