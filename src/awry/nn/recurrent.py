"""Recurrent networks for the windows of series: an autoencoder and a forecaster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.errors import ErrorGaussian, Rebuilder
from awry.nn.network import Batch, Network

#: Recurrent layers by the name that detectors take.
CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Recurrent layers one upon the other: (n, L, sizes[0]) to (n, L, sizes[-1]).

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the last layer.
    cell : {"lstm", "gru"}
    dropout : float
        Between the layers.
    """

    def __init__(self, sizes: Sequence[int], *, cell: str, dropout: float) -> None:
        super().__init__()
        layers = [CELLS[cell](wide, narrow, batch_first=True) for wide, narrow in pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(self.dropout(x) if i else x)[0]
        return x


class RecurrentAutoEncoderNetwork(Rebuilder):
    """Reads a window into a code and tells it anew from that.

    Parameters
    ----------
    channels : int
    hidden : sequence of int
        Widths of the recurrent layers.
    latent : int or None
        Width of a code; None leaves the state as it is.
    every : int or None
        Steps for which there is one code; None: one code, the last state, for the whole window.
    cell, dropout
        See :class:`Recurrent`.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        *,
        latent: int | None,
        every: int | None,
        cell: str,
        dropout: float,
    ) -> None:
        super().__init__(channels)
        self.every = every
        self.encoder = Recurrent([channels, *hidden], cell=cell, dropout=dropout)
        width = latent or hidden[-1]
        self.to_code = nn.Linear(hidden[-1], latent) if latent else nn.Identity()
        self.decoder = Recurrent([width, *reversed(hidden)], cell=cell, dropout=dropout)
        self.to_x = nn.Linear(hidden[0], channels)

    def rebuild(self, x: Tensor) -> Tensor:
        """The windows (n, L, channels) as told from their codes."""
        steps, states = x.shape[1], self.encoder(x)
        if self.every is None:
            codes = self.to_code(states[:, -1:]).expand(-1, steps, -1)
            # Backwards: what was read last is told first.
            return self.to_x(self.decoder(codes)).flip(1)
        ends = [min(i + self.every, steps) - 1 for i in range(0, steps, self.every)]
        codes = self.to_code(states[:, ends]).repeat_interleave(self.every, dim=1)
        return self.to_x(self.decoder(codes[:, :steps]))


class RecurrentForecasterNetwork(Network):
    """Says at each step what the next ones will be.

    Parameters
    ----------
    channels : int
    hidden : sequence of int
        Widths of the recurrent layers.
    horizon : int
        Steps said ahead.
    skipped : int
        Steps at the start of a window that are not judged, for want of a past; >= horizon.
    absolute : bool
        Judge by the absolute errors of what was said one step before, not by the Gaussian that all
        errors follow.
    cell, dropout
        See :class:`Recurrent`.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        *,
        horizon: int,
        skipped: int,
        absolute: bool,
        cell: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.channels, self.horizon, self.skipped = channels, horizon, skipped
        self.absolute = absolute
        self.layers: nn.Module = Recurrent([channels, *hidden], cell=cell, dropout=dropout)
        self.to_next = nn.Linear(hidden[-1], horizon * channels)
        self.errors = ErrorGaussian(horizon * channels)

    def errors_ahead(self, x: Tensor) -> Tensor:
        """What was said of each step 1, 2, ... steps before, off by how much.

        Shape (n, L - horizon, horizon, channels), of the steps from ``horizon`` on.
        """
        steps = x.shape[1]
        said = self.to_next(self.layers(x)).unflatten(2, (self.horizon, self.channels))
        of = [said[:, self.horizon - k : steps - k, k - 1] for k in range(1, self.horizon + 1)]
        return x[:, self.horizon :, None] - torch.stack(of, dim=2)

    def loss(self, batch: Batch) -> Tensor:
        return (self.errors_ahead(batch[0]) ** 2).mean()

    def judged_errors(self, x: Tensor) -> Tensor:
        """Of the steps that are judged, (n, L - skipped, horizon * channels)."""
        return self.errors_ahead(x)[:, self.skipped - self.horizon :].flatten(2)

    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """The Gaussian of the training data's errors."""
        self.errors.measure(self.judged_errors(x) for x, *_ in batches())

    def terms(self, x: Tensor) -> Tensor:
        errors = self.judged_errors(x)
        if self.absolute:
            terms = errors[:, :, : self.channels].abs()
        else:
            terms = self.errors(errors).unflatten(2, (self.horizon, self.channels)).sum(dim=2)
        return functional.pad(terms, (0, 0, self.skipped, 0))
