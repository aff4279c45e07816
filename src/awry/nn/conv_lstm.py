"""Convolutional LSTM: a window as a film of frames, channels by lags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.errors import ErrorGaussian
from awry.nn.network import Batch, Network

#: Hidden state and cell of a layer, each (n, hidden, height, width).
State = tuple[Tensor, Tensor]


class ConvLSTMCell(nn.Module):
    """An LSTM's cell with convolutions for products and a view of the cell itself (equation 3).

    Parameters
    ----------
    inputs, hidden : int
        Maps of what comes in and of the state.
    shape : tuple of int
        Height and width of a frame.
    kernel_size : int
        Odd.
    """

    def __init__(self, inputs: int, hidden: int, shape: tuple[int, int], kernel_size: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(inputs + hidden, 4 * hidden, kernel_size, padding="same")
        # Of input, forget and output gate, W_ci, W_cf and W_co.
        self.peepholes = nn.Parameter(torch.zeros(3, hidden, *shape))

    def forward(self, x: Tensor, state: State | None) -> State:
        """The next state; None stands for that before the first frame, which is 0."""
        blank = x.new_zeros(x.shape[0], *self.peepholes.shape[1:])
        hidden, cell = state or (blank, blank)
        take, keep, new, give = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        take = torch.sigmoid(take + self.peepholes[0] * cell)
        keep = torch.sigmoid(keep + self.peepholes[1] * cell)
        cell = keep * cell + take * torch.tanh(new)
        return torch.sigmoid(give + self.peepholes[2] * cell) * torch.tanh(cell), cell


class ConvLSTMNetwork(Network):
    """Says of each frame of a window, from those before it, what the next one will be.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    lags : int
        Steps in a frame, at most half a window.
    hidden : sequence of int
        Maps of the layers' states.
    kernel_size : int
        Odd.
    dropout : float
        Between the layers.
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        *,
        lags: int,
        hidden: Sequence[int],
        kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.lags = lags
        #: Steps before the first whole frame, which are not looked at.
        self.ahead = steps % lags
        #: Steps that are not judged, for want of a past: half the frames.
        self.skipped = self.ahead + steps // lags // 2 * lags
        cells = [
            ConvLSTMCell(wide, narrow, (channels, lags), kernel_size)
            for wide, narrow in pairwise([1, *hidden])
        ]
        self.cells = nn.ModuleList(cells)
        self.dropout = nn.Dropout(dropout)
        # As in section 3.2: all states together make the forecast.
        self.to_frame = nn.Conv2d(sum(hidden), 1, 1)
        self.errors = ErrorGaussian(channels)

    def frames(self, x: Tensor) -> Tensor:
        """Windows (n, L, channels) as frames (n, frames, 1, channels, lags)."""
        whole = x[:, self.ahead :].unflatten(1, (-1, self.lags))
        return whole.transpose(2, 3)[:, :, None]

    def foretell(self, x: Tensor) -> Tensor:
        """All frames but the first as told from those before them."""
        frames = self.frames(x)
        states: list[State | None] = [None] * len(self.cells)
        told = []
        for t in range(frames.shape[1] - 1):
            seen = frames[:, t]
            hidden = []
            for i, cell in enumerate(self.cells):
                states[i] = state = cell(self.dropout(seen) if i else seen, states[i])
                seen = state[0]
                hidden.append(seen)
            told.append(self.to_frame(torch.cat(hidden, dim=1)))
        return torch.stack(told, dim=1)

    def errors_of(self, x: Tensor) -> Tensor:
        """Of the steps after the first frame, (n, steps, channels)."""
        errors = self.frames(x)[:, 1:] - self.foretell(x)
        return errors[:, :, 0].transpose(2, 3).flatten(1, 2)

    def loss(self, batch: Batch) -> Tensor:
        return self.errors_of(batch[0]).square().mean()

    def judged_errors(self, x: Tensor) -> Tensor:
        """Of the steps that are judged, (n, L - skipped, channels)."""
        return self.errors_of(x)[:, self.skipped - self.ahead - self.lags :]

    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """The Gaussian of the training data's errors."""
        self.errors.measure(self.judged_errors(x) for x, *_ in batches())

    def terms(self, x: Tensor) -> Tensor:
        return functional.pad(self.errors(self.judged_errors(x)), (0, 0, self.skipped, 0))
