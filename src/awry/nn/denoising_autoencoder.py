"""An autoencoder that learns to undo noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.data import extremes
from awry.nn.losses import squared_error
from awry.nn.network import Batch


class DenoisingAutoEncoderNetwork(AutoEncoderNetwork):
    """Sees rows with noise, and learns to rebuild them without.

    Parameters
    ----------
    noise : {"masking", "gaussian", "salt_and_pepper", "dropout"}
    level : float
        Share of the values hit, or the noise's standard deviation.
    **layers
        See :class:`~awry.nn.autoencoder.AutoEncoderNetwork`.
    """

    least: Tensor
    most: Tensor

    def __init__(self, noise: str, level: float, **layers: Any) -> None:
        super().__init__(**layers)
        self.noise, self.level = noise, level
        d = layers["sizes"][0]
        self.register_buffer("least", torch.zeros(d))
        self.register_buffer("most", torch.zeros(d))

    def on_start(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Find the least and the greatest value of each column, which are salt and pepper."""
        self.least, self.most = extremes(batches())

    def loss(self, batch: Batch) -> Tensor:
        x = batch[0]
        return squared_error(x, self.rebuild(self.corrupt(x))).mean()

    def corrupt(self, x: Tensor) -> Tensor:
        """``x`` with noise."""
        noisy: Tensor = getattr(self, f"_{self.noise}")(x)
        return noisy

    def _hit(self, x: Tensor) -> Tensor:
        return torch.rand_like(x) < self.level

    def _gaussian(self, x: Tensor) -> Tensor:
        return x + self.level * torch.randn_like(x)

    def _masking(self, x: Tensor) -> Tensor:
        return x.masked_fill(self._hit(x), 0.0)

    def _dropout(self, x: Tensor) -> Tensor:
        return self._masking(x) / (1 - self.level)

    def _salt_and_pepper(self, x: Tensor) -> Tensor:
        extreme = torch.where(torch.rand_like(x) < 0.5, self.least, self.most)
        return torch.where(self._hit(x), extreme, x)
