"""Where in a sequence a step is, told to attention in one of three ways."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoids(steps: int, width: int) -> Tensor:
    """Positional encoding (steps, width): Vaswani et al. 2017, section 3.5."""
    at = torch.arange(steps)[:, None]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    waves = torch.stack([torch.sin(at * rates), torch.cos(at * rates)], dim=2)
    return waves.flatten(1)[:, :width]


class Positions(nn.Module):
    """Adds to sequences (n, steps, width) what tells their steps apart.

    Parameters
    ----------
    kind : {"sinusoidal", "learnable", "rotary"}
        Fixed waves; numbers that are learnt; nothing, as attention itself turns by positions.
    steps, width : int
    """

    where: Tensor

    def __init__(self, kind: str, steps: int, width: int) -> None:
        super().__init__()
        if kind == "learnable":
            self.where = nn.Parameter(0.02 * torch.randn(steps, width))
        else:
            fixed = sinusoids(steps, width) if kind == "sinusoidal" else torch.zeros(1, width)
            self.register_buffer("where", fixed, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.where


class Rotary(nn.Module):
    """Turns queries and keys so that their products depend on how far apart they are alone.

    The values 2i and 2i + 1 of step t are turned as a point of the plane by the angle
    t 10000^(-2i / width): Su et al., "RoFormer", Neurocomputing 568, 2024, equation 34. Of an odd
    width the last value stays as it is.

    Parameters
    ----------
    steps, width : int
        Of what is turned, (..., steps, width).
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.pairs = width // 2
        rates = 10_000.0 ** (-2.0 * torch.arange(self.pairs) / max(width, 1))
        angles = torch.arange(steps)[:, None] * rates
        self.register_buffer("cosine", torch.cos(angles), persistent=False)
        self.register_buffer("sine", torch.sin(angles), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        turned = x[..., : 2 * self.pairs]
        a, b = turned[..., 0::2], turned[..., 1::2]
        both = (a * self.cosine - b * self.sine, a * self.sine + b * self.cosine)
        return torch.cat([torch.stack(both, dim=-1).flatten(-2), x[..., 2 * self.pairs :]], dim=-1)


def rotary_steps(kind: str, steps: int) -> int | None:
    """What attention takes as ``rotary`` for positions of a kind."""
    return steps if kind == "rotary" else None
