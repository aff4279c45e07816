"""F-SE-LSTM: how the spectrum goes on from one stretch of a window to the next."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from awry.nn.network import Batch, Network

#: Frequencies that a filter of the convolution sees, and the maps that a squeeze leaves one of.
_BAND, _RATIO = 4, 4


class Spectra(nn.Module):
    """Amplitudes of the frequencies in all stretches of a window: the frequency matrix.

    The Fourier transform is a product with fixed waves, which any format of networks can hold.

    Parameters
    ----------
    length : int
        Steps of a stretch.
    """

    waves: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        frequencies = torch.arange(length // 2 + 1, dtype=torch.float64)
        angles = 2 * math.pi * torch.arange(length)[:, None] * frequencies / length
        # A wave of amplitude 1 is to have a 1 at its frequency.
        scale = torch.where((frequencies > 0) & (2 * frequencies < length), 2.0, 1.0) / length
        waves = torch.cat([torch.cos(angles) * scale, torch.sin(angles) * scale], dim=1)
        self.register_buffer("waves", waves.float(), persistent=False)

    @property
    def count(self) -> int:
        """Frequencies, from none to half a turn a step."""
        return self.waves.shape[1] // 2

    def forward(self, x: Tensor) -> Tensor:
        """Of windows (n, L, d) the amplitudes (n, d, L - length + 1, count)."""
        length = self.waves.shape[0]
        starts = x.shape[1] - length + 1
        cut = torch.stack([x[:, i : i + length] for i in range(starts)], dim=1).transpose(2, 3)
        cosine, sine = (cut @ self.waves).chunk(2, dim=3)
        # At 0 the root has no slope.
        return (cosine**2 + sine**2 + 1e-12).sqrt().transpose(1, 2)


class SqueezeExcitation(nn.Module):
    """Weighs maps (n, maps, ., .) by what all their means say: Hu, Shen & Sun, CVPR 2018."""

    def __init__(self, maps: int, ratio: int) -> None:
        super().__init__()
        few = max(maps // ratio, 1)
        self.weigh = nn.Sequential(
            nn.Linear(maps, few), nn.Tanh(), nn.Linear(few, maps), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.weigh(x.mean(dim=(2, 3)))
        return x * weights[:, :, None, None]


class FSELSTMNetwork(Network):
    """Rebuilds the frequency matrix from the last state of an LSTM that read its rows in turn.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    length : int
        Steps of a stretch.
    maps : int
        Filters of the convolution over neighbouring frequencies.
    hidden, dense : int
        Widths of the LSTM and of the layer after it.
    dropout : float
    """

    covers: Tensor

    def __init__(
        self,
        steps: int,
        channels: int,
        *,
        length: int,
        maps: int,
        hidden: int,
        dense: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.spectra = Spectra(length)
        rows, count = steps - length + 1, self.spectra.count
        self.shape = (channels, rows, count)
        band = min(_BAND, count)
        self.convolution = nn.Conv2d(channels, maps, (1, band), stride=(1, band))
        self.excitation = SqueezeExcitation(maps, _RATIO)
        self.lstm = nn.LSTM(maps * (count // band), hidden, batch_first=True)
        self.dense = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(hidden, dense), nn.Tanh(),
            nn.Linear(dense, math.prod(self.shape)),
        )  # fmt: skip
        at, start = torch.arange(steps)[:, None], torch.arange(rows)
        covers = ((start <= at) & (at < start + length)).float()
        self.register_buffer("covers", covers / covers.sum(dim=1, keepdim=True), persistent=False)

    def rebuild(self, matrix: Tensor) -> Tensor:
        """The frequency matrix (n, channels, rows, frequencies) as told from one state."""
        maps = torch.tanh(self.excitation(self.convolution(matrix)))
        states = self.lstm(maps.transpose(1, 2).flatten(2))[0]
        told: Tensor = self.dense(states[:, -1])
        return told.unflatten(1, self.shape)

    def error(self, x: Tensor) -> Tensor:
        """Squared errors of the amplitudes, (n, channels, rows, frequencies)."""
        matrix = self.spectra(x)
        return (matrix - self.rebuild(matrix)) ** 2

    def loss(self, batch: Batch) -> Tensor:
        return self.error(batch[0]).mean()

    def terms(self, x: Tensor) -> Tensor:
        """Of each step the mean over the stretches that hold it."""
        return self.covers @ self.error(x).sum(dim=3).transpose(1, 2)
