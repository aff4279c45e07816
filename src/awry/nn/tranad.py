"""TranAD's transformer, which looks again where it was wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from awry.nn.attention import EncoderLayer, MultiHead, causal_mask
from awry.nn.blocks import mlp
from awry.nn.network import Batch, Descend
from awry.nn.positions import Positions, rotary_steps
from awry.nn.two_decoders import TwoDecoders


class _Teller(nn.Module):
    """Masked attention to the window, attention to what was read, and a way out (5, 6)."""

    mask: Tensor

    def __init__(
        self,
        steps: int,
        channels: int,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__()
        turned = rotary_steps(positions, steps)
        self.own, self.read = (MultiHead(width, heads, turned) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Sequential(mlp([width, inner, channels], dropout=dropout), nn.Sigmoid())
        self.register_buffer("mask", causal_mask(steps), persistent=False)

    def forward(self, window: Tensor, memory: Tensor) -> Tensor:
        x = self.norms[0](window + self.dropout(self.own(window, window, self.mask)[0]))
        x = self.norms[1](x + self.dropout(self.read(x, memory)[0]))
        told: Tensor = self.out(x)
        return told


class _Encoder(nn.Module):
    """The window beside its focus, where each step is, and what is read of it (equation 4)."""

    def __init__(
        self,
        steps: int,
        channels: int,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(2 * channels, width)
        self.reader = EncoderLayer(
            width, heads, inner, dropout, rotary=rotary_steps(positions, steps)
        )
        self.positions = Positions(positions, steps, width)

    def forward(self, x: Tensor, focus: Tensor) -> tuple[Tensor, Tensor]:
        unfocused = torch.cat([x, torch.zeros_like(x)], dim=2)
        window = self.positions(self.embed(unfocused))
        memory = self.reader(self.positions(self.embed(torch.cat([x, focus], dim=2))))
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
    positions : {"sinusoidal", "learnable", "rotary"}
    meta_step : float
        Length of the trial step of the meta-learning; 0 for none.
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
        positions: str = "sinusoidal",
        meta_step: float = 0.0,
    ) -> None:
        super().__init__(alpha)
        self.meta_step = meta_step
        size = (steps, channels, width, heads, inner, dropout, positions)
        self.encoder = _Encoder(*size)
        self.first, self.second = (_Teller(*size) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.rebuild(x)

    def rebuild(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        read = self.encoder(x, torch.zeros_like(x))
        one, two = self.first(*read), self.second(*read)
        return one, two, self.second(*self.encoder(x, self.focus(x, one)))

    @staticmethod
    def focus(x: Tensor, rebuilt: Tensor) -> Tensor:
        """How wrong the first phase was at each value."""
        return (rebuilt - x) ** 2

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        # Algorithm 1 has it at an epoch's end, which is where the next one begins.
        if i == 0 and self.share < 1 and self.meta_step:
            for part in ("first", "second"):
                self._meta_learn(part, batch[0], descend)
        return super().step(batch, i, descend)

    def _meta_learn(self, part: str, x: Tensor, descend: Descend) -> None:
        """Down the slope at θ of the loss at θ' = θ - α ∇L(θ): MAML's two steps (section 3.4)."""
        own = {
            name: weight
            for name, weight in self.named_parameters()
            if name.partition(".")[0] in ("encoder", part)
        }
        loss = self.contest(part, x, self(x))
        slopes = torch.autograd.grad(loss, list(own.values()), create_graph=True)
        tried = {
            name: weight - self.meta_step * slope
            for (name, weight), slope in zip(own.items(), slopes, strict=True)
        }
        descend(self.contest(part, x, functional_call(self, tried, (x,))), part)
