"""TranAD's transformer, which looks again where it was wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from awry.nn.attention import MultiHead, sinusoids
from awry.nn.blocks import mlp
from awry.nn.two_decoders import TwoDecoders


class _Reader(nn.Module):
    """Self-attention and a feed-forward layer (equation 4)."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads)
        self.forth = mlp([width, inner, width], dropout=dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](x + self.dropout(self.attention(x, x)[0]))
        return self.norms[1](x + self.dropout(self.forth(x)))


class _Teller(nn.Module):
    """Masked attention to the window, attention to what was read, and a way out (5, 6)."""

    mask: Tensor

    def __init__(
        self, steps: int, channels: int, width: int, heads: int, inner: int, dropout: float
    ) -> None:
        super().__init__()
        self.own, self.read = MultiHead(width, heads), MultiHead(width, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Sequential(mlp([width, inner, channels], dropout=dropout), nn.Sigmoid())
        later = torch.ones(steps, steps, dtype=torch.bool).triu(diagonal=1)
        self.register_buffer("mask", later, persistent=False)

    def forward(self, window: Tensor, memory: Tensor) -> Tensor:
        x = self.norms[0](window + self.dropout(self.own(window, window, self.mask)[0]))
        x = self.norms[1](x + self.dropout(self.read(x, memory)[0]))
        told: Tensor = self.out(x)
        return told


class _Encoder(nn.Module):
    """The window beside its focus, where each step is, and what is read of it."""

    where: Tensor

    def __init__(
        self, steps: int, channels: int, width: int, heads: int, inner: int, dropout: float
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(2 * channels, width)
        self.reader = _Reader(width, heads, inner, dropout)
        self.register_buffer("where", sinusoids(steps, width), persistent=False)

    def forward(self, x: Tensor, focus: Tensor) -> tuple[Tensor, Tensor]:
        unfocused = torch.cat([x, torch.zeros_like(x)], dim=2)
        window = self.embed(unfocused) + self.where
        memory = self.reader(self.embed(torch.cat([x, focus], dim=2)) + self.where)
        return window, memory


class TranADNetwork(TwoDecoders):
    """Encoder and two decoders; the second pass is told where the first was wrong.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    width : int
        Of the transformer.
    heads : int
    inner : int
        Width of the feed-forward layers.
    alpha : float
        Share of the first phase's error in the score.
    dropout : float
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        *,
        width: int,
        heads: int,
        inner: int,
        alpha: float,
        dropout: float,
    ) -> None:
        super().__init__(alpha)
        self.encoder = _Encoder(steps, channels, width, heads, inner, dropout)
        self.first, self.second = (
            _Teller(steps, channels, width, heads, inner, dropout) for _ in range(2)
        )

    def rebuild(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        read = self.encoder(x, torch.zeros_like(x))
        one, two = self.first(*read), self.second(*read)
        return one, two, self.second(*self.encoder(x, self.focus(x, one)))

    @staticmethod
    def focus(x: Tensor, rebuilt: Tensor) -> Tensor:
        """How wrong the first phase was at each value."""
        return (rebuilt - x) ** 2
