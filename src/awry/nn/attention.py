"""Attention over the steps of windows."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.positions import Rotary


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
    rotary : int or None, default=None
        Steps of both sequences, where queries and keys are turned by their positions.
    """

    def __init__(self, width: int, heads: int, rotary: int | None = None) -> None:
        super().__init__()
        self.turn = Rotary(rotary, width // heads) if rotary else nn.Identity()
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
        scores = self.turn(q) @ self.turn(k).transpose(2, 3) / self.scale
        if mask is not None:
            scores = scores.masked_fill(mask, -torch.inf)
        weights = torch.softmax(scores, dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights


def causal_mask(steps: int) -> Tensor:
    """True (steps, steps) where a step would look at a later one."""
    return torch.ones(steps, steps, dtype=torch.bool).triu(diagonal=1)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward layer, each added to what went in and then normalised.

    Parameters
    ----------
    width, heads, rotary
        See :class:`MultiHead`.
    inner : int
        Width of the feed-forward layer.
    dropout : float
    activation : str, default="relu"
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        *,
        activation: str = "relu",
        rotary: int | None = None,
    ) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads, rotary)
        self.forth = mlp([width, inner, width], activation=activation, dropout=dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.norms[0](x + self.dropout(self.attention(x, x, mask)[0]))
        return self.norms[1](x + self.dropout(self.forth(x)))
