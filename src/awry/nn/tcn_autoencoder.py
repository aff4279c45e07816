"""An autoencoder of temporal convolutional networks for the windows of series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from awry.nn.conv_autoencoder_series import pad_to_multiple
from awry.nn.errors import Rebuilder


class _Block(nn.Module):
    """Two dilated convolutions beside a way past them: (n, wide, L) to (n, narrow, L)."""

    def __init__(self, wide: int, narrow: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        around = dilation * (kernel // 2)
        layers: list[nn.Module] = []
        for width in (wide, narrow):
            conv = nn.Conv1d(width, narrow, kernel, dilation=dilation, padding=around)
            layers += [conv, nn.ReLU(), nn.Dropout(dropout)]
        self.convolutions = nn.Sequential(*layers)
        self.past = nn.Conv1d(wide, narrow, 1) if wide != narrow else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.convolutions(x) + self.past(x))


def tcn(sizes: Sequence[int], *, kernel_size: int, dropout: float) -> nn.Sequential:
    """Blocks through ``sizes`` channels, each dilated twice as far as the one before."""
    blocks = [
        _Block(wide, narrow, kernel_size, 2**i, dropout)
        for i, (wide, narrow) in enumerate(pairwise(sizes))
    ]
    return nn.Sequential(*blocks)


class TCNAutoEncoderNetwork(Rebuilder):
    """A TCN, few channels averaged over ``pool`` steps, and a TCN that tells the window from them.

    Parameters
    ----------
    channels : int
    hidden : sequence of int
        Channels of the blocks.
    latent : int
        Channels of the code.
    pool : int
        Steps that share a code.
    kernel_size : int
        Odd.
    dropout : float
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        *,
        latent: int,
        pool: int,
        kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__(channels)
        self.pool = pool
        self.encoder = tcn([channels, *hidden], kernel_size=kernel_size, dropout=dropout)
        self.to_code = nn.Conv1d(hidden[-1], latent, 1)
        self.decoder = tcn([latent, *hidden], kernel_size=kernel_size, dropout=dropout)
        self.to_x = nn.Conv1d(hidden[-1], channels, 1)

    def rebuild(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x.transpose(1, 2), self.pool)
        codes = functional.avg_pool1d(self.to_code(self.encoder(padded)), self.pool)
        told = self.to_x(self.decoder(codes.repeat_interleave(self.pool, dim=2)))
        return told.transpose(1, 2)[:, : x.shape[1]]
