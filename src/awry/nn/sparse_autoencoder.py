"""An autoencoder few of whose units answer to any one row."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.network import Batch


class SparseAutoEncoderNetwork(AutoEncoderNetwork):
    """The units of the code lie between 0 and 1 and are to be ``rho`` on average.

    Parameters
    ----------
    rho : float
        Target of each unit's mean activation.
    beta : float
        Weight of the divergence from it.
    **layers
        See :class:`~awry.nn.autoencoder.AutoEncoderNetwork`.
    """

    def __init__(self, rho: float, beta: float, **layers: Any) -> None:
        super().__init__(**layers)
        self.rho, self.beta = rho, beta
        # At the target from the start: from a half, a bias has many steps to go.
        *_, bias = self.encoder.parameters()
        nn.init.constant_(bias, math.log(rho / (1 - rho)))

    def encode(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.encoder(x))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch[0]
        before = self.encoder(x)
        reconstruction = 0.5 * ((x - self.decoder(torch.sigmoid(before))) ** 2).sum(dim=1).mean()
        sparsity = self.divergence(before).sum()
        loss = reconstruction + self.beta * sparsity
        return {"loss": loss, "reconstruction": reconstruction, "sparsity": sparsity}

    def divergence(self, before: Tensor) -> Tensor:
        """KL(ρ ‖ ρ̂_j) per unit, from what goes into its sigmoid, (n, units).

        The logarithms of the means are taken without the means, which may round to 0 or 1.
        """
        log_n, rho = torch.log(before.new_tensor(len(before))), before.new_tensor(self.rho)
        log_on = torch.logsumexp(functional.logsigmoid(before), dim=0) - log_n
        log_off = torch.logsumexp(functional.logsigmoid(-before), dim=0) - log_n
        return rho * (rho.log() - log_on) + (1 - rho) * (torch.log1p(-rho) - log_off)
