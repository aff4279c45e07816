"""An autoencoder that rebuilds rows from what it remembers, not from what it sees."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.network import Batch

#: Keeps 0 / 0 and log 0 from arising.
_TINY = 1e-12


class MemoryAutoEncoderNetwork(AutoEncoderNetwork):
    """The code asks a memory; what is decoded is a mean of the slots most like it.

    Parameters
    ----------
    n_slots : int
        Slots of the memory.
    shrinkage : float
        Weights below it become nothing.
    entropy_weight : float
        Of the entropy of the weights in the loss.
    **layers
        See :class:`~awry.nn.autoencoder.AutoEncoderNetwork`.
    """

    def __init__(
        self, *, n_slots: int, shrinkage: float, entropy_weight: float, **layers: Any
    ) -> None:
        super().__init__(**layers)
        self.shrinkage, self.entropy_weight = shrinkage, entropy_weight
        latent = layers["sizes"][-1]
        bound = latent**-0.5
        self.memory = nn.Parameter(torch.empty(n_slots, latent).uniform_(-bound, bound))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch[0]
        weights = self.address(self.encoder(x))
        rebuilt = self.decoder(weights @ self.memory)
        reconstruction = ((x - rebuilt) ** 2).sum(dim=1).mean()
        entropy = -(weights * torch.log(weights + _TINY)).sum(dim=1).mean()
        loss = reconstruction + self.entropy_weight * entropy
        return {"loss": loss, "reconstruction": reconstruction, "entropy": entropy}

    def encode(self, x: Tensor) -> Tensor:
        return self.address(self.encoder(x)) @ self.memory

    def address(self, query: Tensor) -> Tensor:
        """Weights of the slots, (n, slots): none negative, most zero, their sum 1."""
        likeness = functional.normalize(query, dim=1) @ functional.normalize(self.memory, dim=1).T
        weights = torch.softmax(likeness, dim=1)
        over = weights - self.shrinkage
        kept = functional.relu(over) * weights / (over.abs() + _TINY)
        return kept / kept.sum(dim=1, keepdim=True).clamp_min(_TINY)
