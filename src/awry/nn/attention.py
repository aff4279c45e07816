"""Attention over the steps of windows, and where in a window a step is."""

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


def fitting_heads(width: int, most: int) -> int:
    """The largest number of heads, at most ``most``, that ``width`` can be shared among."""
    return next(h for h in range(min(most, width), 0, -1) if width % h == 0)


class MultiHead(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017, section 3.2).

    Parameters
    ----------
    width : int
    heads : int
        Divides ``width``.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, math.sqrt(width / heads)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(
        self, queries: Tensor, memory: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the steps of ``queries`` (n, L, width) read in ``memory`` (n, M, width).

        Where ``mask`` (L, M) is true nothing is read. Also gives the weights (n, heads, L, M).
        """
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, memory), (self.value, memory))
        )
        scores = q @ k.transpose(2, 3) / self.scale
        if mask is not None:
            scores = scores.masked_fill(mask, -torch.inf)
        weights = torch.softmax(scores, dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights
