"""A convolutional autoencoder for the windows of series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import ACTIVATIONS
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Network


def pad_to_multiple(x: Tensor, of: int) -> Tensor:
    """``x`` (n, d, L) with its last step repeated until L is a multiple of ``of``."""
    missing = -x.shape[2] % of
    return functional.pad(x, (0, missing), mode="replicate") if missing else x


class ConvAutoEncoderNetwork(Network):
    """Convolutions that halve the window and transposed ones that double it again.

    Parameters
    ----------
    channels : int
        Of the series.
    hidden : sequence of int
        Channels of the layers, each of half the length of the one before.
    kernel_size : int
        Odd.
    activation : str
    dropout : float
        Between the layers.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        *,
        kernel_size: int,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.shrinkage = 2 ** len(hidden)
        side = kernel_size // 2
        act = ACTIVATIONS[activation]
        down: list[nn.Module] = []
        for wide, narrow in pairwise([channels, *hidden]):
            down += [nn.Conv1d(wide, narrow, kernel_size, 2, side), act(), nn.Dropout(dropout)]
        up: list[nn.Module] = []
        for narrow, wide in pairwise([*reversed(hidden), hidden[0]]):
            grow = nn.ConvTranspose1d(narrow, wide, kernel_size, 2, side, output_padding=1)
            up += [grow, act(), nn.Dropout(dropout)]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.Sequential(*up, nn.Conv1d(hidden[0], channels, kernel_size, 1, side))

    def loss(self, batch: Batch) -> Tensor:
        return self.terms(batch[0]).mean()

    def terms(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x.transpose(1, 2), self.shrinkage)
        rebuilt = self.decoder(self.encoder(padded)).transpose(1, 2)
        return squared_error(x, rebuilt[:, : x.shape[1]])
