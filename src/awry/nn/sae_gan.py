"""A stacked attention autoencoder, and a discriminator that true windows are told by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.attention import EncoderLayer, fitting_heads
from awry.nn.conv_autoencoder_series import pad_to_multiple
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Descend, Network
from awry.nn.positions import Positions, rotary_steps


class StackedAttention(nn.Module):
    """Layers of attention, each of half the steps of the one before, and back up again.

    Parameters
    ----------
    steps : int
        Of a window, a multiple of 2 to the number of layers.
    channels : int
    hidden : sequence of int
        Widths of the layers, from the input inwards.
    heads : int
        At most, lowered to what divides a width.
    dropout : float
    positions : {"sinusoidal", "learnable", "rotary"}
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        hidden: Sequence[int],
        *,
        heads: int,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__()
        self.embed, self.to_x = nn.Linear(channels, hidden[0]), nn.Linear(hidden[0], channels)
        lengths = [steps >> i for i in range(len(hidden))]

        def attend(width: int, length: int) -> nn.Sequential:
            turned = rotary_steps(positions, length)
            most = fitting_heads(width, heads)
            layer = EncoderLayer(width, most, 2 * width, dropout, rotary=turned)
            return nn.Sequential(Positions(positions, length, width), layer)

        self.down = nn.ModuleList(map(attend, hidden, lengths))
        self.up = nn.ModuleList(map(attend, hidden, lengths))
        # The innermost width goes on by itself: two steps become one code of it.
        pairs = list(pairwise([*hidden, hidden[-1]]))
        self.join = nn.ModuleList(nn.Linear(2 * wide, narrow) for wide, narrow in pairs)
        self.part = nn.ModuleList(nn.Linear(narrow, 2 * wide) for wide, narrow in pairs)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, L / 2^layers, hidden[-1]) of windows (n, L, channels)."""
        h = self.embed(x)
        for attend, join in zip(self.down, self.join, strict=True):
            h = join(attend(h).unflatten(1, (-1, 2)).flatten(2))
        return h

    def forward(self, x: Tensor) -> Tensor:
        h = self.encode(x)
        for attend, part in zip(reversed(self.up), reversed(self.part), strict=True):
            h = attend(part(h).unflatten(2, (2, -1)).flatten(1, 2))
        told: Tensor = self.to_x(h)
        return told


class SAEGANNetwork(Network):
    """The autoencoder learns to rebuild windows so that the discriminator sees no difference.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    hidden : sequence of int
        Widths of the autoencoder's layers.
    critic : int
        Width of the discriminator.
    reconstruction_weight : float
        Of the squared error beside the adversarial loss of the autoencoder.
    alpha : float
        Share of the squared error in the score; the rest is what the discriminator sees.
    heads, dropout, positions
        See :class:`StackedAttention`.
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        hidden: Sequence[int],
        *,
        critic: int,
        reconstruction_weight: float,
        alpha: float,
        heads: int,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(hidden)
        self.weight, self.alpha = reconstruction_weight, alpha
        padded = -(-steps // self.multiple) * self.multiple
        self.generator = StackedAttention(
            padded, channels, hidden, heads=heads, dropout=dropout, positions=positions
        )
        self.features = nn.Sequential(
            nn.Conv1d(channels, critic, 5, padding=2), nn.LeakyReLU(0.2),
            nn.Conv1d(critic, critic, 5, padding=2), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.verdict = nn.Conv1d(critic, 1, 1)

    def parts(self) -> dict[str, Iterable[nn.Parameter]]:
        """The two sides of the game."""
        return {
            "generator": self.generator.parameters(),
            "discriminator": [*self.features.parameters(), *self.verdict.parameters()],
        }

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer | None:
        """For the discriminator one with a short memory, as the other side moves on."""
        if part == "generator":
            return None
        return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999))

    def rebuild(self, x: Tensor) -> Tensor:
        """The windows as the autoencoder tells them, the shape of ``x``."""
        padded = pad_to_multiple(x.transpose(1, 2), self.multiple).transpose(1, 2)
        told: Tensor = self.generator(padded)[:, : x.shape[1]]
        return told

    def look(self, x: Tensor) -> Tensor:
        """What the discriminator makes of each step, (n, L, critic)."""
        seen: Tensor = self.features(x.transpose(1, 2)).transpose(1, 2)
        return seen

    def judge(self, seen: Tensor) -> Tensor:
        """Logit of the chance that a step is of a true window, (n, L)."""
        logits: Tensor = self.verdict(seen.transpose(1, 2))
        return logits[:, 0]

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        told = self.rebuild(x)
        true, false = self.judge(self.look(x)), self.judge(self.look(told.detach()))
        telling = functional.softplus(-true).mean() + functional.softplus(false).mean()
        descend(telling, "discriminator")
        error = squared_error(x, told).mean()
        matching = squared_error(self.look(x).detach(), self.look(told)).mean()
        descend(self.weight * error + matching, "generator")
        return {"loss": error, "matching": matching, "discriminator": telling}

    def held_out(self, batch: Batch) -> None:
        """Of a contest no loss says when to stop."""

    def terms(self, x: Tensor) -> Tensor:
        told = self.rebuild(x)
        # A feature belongs to no channel; all bear it alike.
        apart = squared_error(self.look(x), self.look(told)).mean(dim=2, keepdim=True)
        return self.alpha * squared_error(x, told) + (1 - self.alpha) * apart
