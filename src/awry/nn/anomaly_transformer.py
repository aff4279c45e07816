"""The Anomaly Transformer: what a step attends to beside what lies next to it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from awry.nn.attention import MultiHead
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Descend, Network
from awry.nn.positions import Positions, rotary_steps

#: Keeps logarithms of weights finite.
_TINY = 1e-4


class Associations(NamedTuple):
    """Of every step with every step, (n, heads, L, L), rows summing to 1."""

    prior: Tensor
    series: Tensor


class AnomalyAttention(nn.Module):
    """Attention, the series-association, beside Gaussians of learnt widths, the prior (eq. 2)."""

    distance: Tensor

    def __init__(self, steps: int, width: int, heads: int, positions: str) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads, rotary_steps(positions, steps))
        self.sigma = nn.Linear(width, heads)
        at = torch.arange(steps)
        away = (at[:, None] - at[None, :]).abs().float()
        self.register_buffer("distance", away, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Associations]:
        read, series = self.attention(x, x)
        # Between 0 and 2 steps, as the authors' code has it.
        width = torch.pow(3.0, torch.sigmoid(5 * self.sigma(x)) + 1e-5) - 1
        width = width.transpose(1, 2)[:, :, :, None]
        prior = torch.exp(-0.5 * (self.distance / width) ** 2) / (math.sqrt(2 * math.pi) * width)
        return read, Associations(prior / prior.sum(dim=3, keepdim=True), series)


class _Layer(nn.Module):
    """Anomaly attention and a feed-forward layer (equation 1)."""

    def __init__(self, steps: int, width: int, heads: int, dropout: float, positions: str) -> None:
        super().__init__()
        self.attention = AnomalyAttention(steps, width, heads, positions)
        self.forth = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Associations]:
        read, associations = self.attention(x)
        x = self.norms[0](x + self.dropout(read))
        return self.norms[1](x + self.dropout(self.forth(x))), associations


class AnomalyTransformerNetwork(Network):
    """Rebuilds windows, and tells how far each step's associations are from local ones.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    width : int
        Of the layers.
    n_layers : int
    heads : int
    weight : float
        λ of the discrepancy in the losses.
    temperature : float
        What the discrepancy is multiplied by before the softmax of the score.
    dropout : float
    positions : {"sinusoidal", "learnable", "rotary"}
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        *,
        width: int,
        n_layers: int,
        heads: int,
        weight: float,
        temperature: float,
        dropout: float,
        positions: str = "sinusoidal",
    ) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature
        self.embed = nn.Conv1d(channels, width, 3, padding=1, padding_mode="circular", bias=False)
        self.positions = Positions(positions, steps, width)
        self.dropout = nn.Dropout(dropout)
        layers = [_Layer(steps, width, heads, dropout, positions) for _ in range(n_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.to_x = nn.Linear(width, channels)

    def rebuild(self, x: Tensor) -> tuple[Tensor, list[Associations]]:
        """The windows rebuilt, and the associations of each layer."""
        h = self.dropout(self.positions(self.embed(x.transpose(1, 2)).transpose(1, 2)))
        associations = []
        for layer in self.layers:
            h, found = layer(h)
            associations.append(found)
        return self.to_x(self.norm(h)), associations

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        """Minimax with stop-gradients (equation 5), both phases in one step down.

        The prior comes towards the series-association as it is, that goes from the prior as it is,
        which makes it look beyond what lies next to it.
        """
        x = batch[0]
        rebuilt, found = self.rebuild(x)
        error = squared_error(x, rebuilt).mean()
        towards = discrepancy([Associations(p, s.detach()) for p, s in found]).mean()
        away = discrepancy([Associations(p.detach(), s) for p, s in found]).mean()
        descend(2 * error + self.weight * (towards - away))
        return {"loss": error, "discrepancy": towards}

    def held_out(self, batch: Batch) -> Tensor:
        """The error of reconstruction; the rest is a contest."""
        return squared_error(batch[0], self.rebuild(batch[0])[0]).mean()

    def terms(self, x: Tensor) -> Tensor:
        rebuilt, found = self.rebuild(x)
        # Equation 6: what cannot look beyond its neighbours weighs more.
        weights = torch.softmax(-self.temperature * discrepancy(found), dim=1)
        return weights[:, :, None] * squared_error(x, rebuilt)


def discrepancy(associations: list[Associations]) -> Tensor:
    """Symmetric Kullback-Leibler divergence of prior and series-association of each step.

    The mean over layers and heads, (n, L) (equation 4).
    """
    of_layers = []
    for prior, series in associations:
        apart = torch.log(prior + _TINY) - torch.log(series + _TINY)
        of_layers.append(((prior - series) * apart).sum(dim=3).mean(dim=1))
    return torch.stack(of_layers).mean(dim=0)
