"""An LSTM for what is near, attention for what is far."""

from __future__ import annotations

from torch import Tensor, nn

from awry.nn.attention import EncoderLayer, causal_mask
from awry.nn.positions import Positions, rotary_steps
from awry.nn.recurrent import RecurrentForecasterNetwork


class _Hybrid(nn.Module):
    """Recurrent layers, and attention to the past among what they say: (n, L, ·) to (n, L, width).

    Parameters
    ----------
    recurrent : Module
    steps, width : int
        Of what it gives.
    n_layers, heads, dropout, positions
        Of the layers of attention.
    """

    mask: Tensor

    def __init__(
        self,
        recurrent: nn.Module,
        steps: int,
        width: int,
        *,
        n_layers: int,
        heads: int,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.positions = Positions(positions, steps, width)
        turned = rotary_steps(positions, steps)
        self.attention = nn.ModuleList(
            EncoderLayer(width, heads, 2 * width, dropout, rotary=turned) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mask", causal_mask(steps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        near = self.recurrent(x)
        far = self.positions(near)
        for layer in self.attention:
            far = layer(far, self.mask)
        joined: Tensor = self.norm(near + far)
        return joined


class LSTMTransformerNetwork(RecurrentForecasterNetwork):
    """Says at each step what the next one will be, having read what came before in both ways.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    hidden : sequence of int
        Widths of the recurrent layers.
    n_layers, heads : int
        Of the attention.
    horizon, skipped, dropout
        See :class:`~awry.nn.recurrent.RecurrentForecasterNetwork`.
    positions : {"sinusoidal", "learnable", "rotary"}
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        hidden: list[int],
        *,
        n_layers: int,
        heads: int,
        horizon: int,
        skipped: int,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__(
            channels, hidden, horizon=horizon, skipped=skipped, absolute=False, cell="lstm",
            dropout=dropout,
        )  # fmt: skip
        self.layers: nn.Module = _Hybrid(
            self.layers, steps, hidden[-1], n_layers=n_layers, heads=heads, dropout=dropout,
            positions=positions,
        )  # fmt: skip
