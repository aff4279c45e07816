"""A transformer over patches of single channels, which rebuilds those that are hidden from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from awry.nn.attention import EncoderLayer
from awry.nn.conv_autoencoder_series import pad_to_multiple
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Network
from awry.nn.positions import Positions, rotary_steps

#: Added to variances of windows, so that a constant one can be divided by its spread.
_LEAST_VARIANCE = 1e-5


class PatchTransformerNetwork(Network):
    """Cuts every channel into patches and tells the hidden ones from the others.

    Parameters
    ----------
    steps : int
        Of a window.
    patch : int
        Steps of a patch.
    width, n_layers, heads, inner : int
        Of the transformer.
    masked : float
        Share of the patches that are hidden; 0: none, all are rebuilt from all.
    instance_norm : bool
        Take mean and spread off each channel of each window, and give them back at the end.
    dropout : float
    positions : {"sinusoidal", "learnable", "rotary"}
    """

    def __init__(
        self,
        steps: int,
        *,
        patch: int,
        width: int,
        n_layers: int,
        heads: int,
        inner: int,
        masked: float,
        instance_norm: bool,
        dropout: float,
        positions: str,
    ) -> None:
        super().__init__()
        self.patch, self.masked, self.instance_norm = patch, masked, instance_norm
        self.count = -(-steps // patch)
        #: Groups of patches that are hidden in turn for the score.
        self.groups = min(math.ceil(1 / masked), self.count) if masked else 1
        self.embed = nn.Linear(patch, width)
        self.positions = Positions(positions, self.count, width)
        self.dropout = nn.Dropout(dropout)
        turned = rotary_steps(positions, self.count)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, inner, dropout, activation="gelu", rotary=turned)
            for _ in range(n_layers)
        )
        self.to_patch = nn.Linear(width, patch)

    def patches(self, x: Tensor) -> Tensor:
        """Windows (n, L, d) as patches (n d, count, patch) of their channels."""
        padded = pad_to_multiple(x.transpose(1, 2), self.patch)
        return padded.flatten(0, 1).unflatten(1, (self.count, self.patch))

    def rebuild(self, patches: Tensor, hidden: Tensor) -> Tensor:
        """All patches as told from those that are not ``hidden`` (n d, count)."""
        seen = patches.masked_fill(hidden[:, :, None], 0.0)
        h = self.dropout(self.positions(self.embed(seen)))
        for layer in self.layers:
            h = layer(h)
        told: Tensor = self.to_patch(h)
        return told

    def normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The windows, and what their channels were divided by, (n, 1, d)."""
        if not self.instance_norm:
            return x, torch.ones_like(x[:, :1])
        centred = x - x.mean(dim=1, keepdim=True)
        scale = (centred.square().mean(dim=1, keepdim=True) + _LEAST_VARIANCE).sqrt()
        return centred / scale, scale

    def loss(self, batch: Batch) -> Tensor:
        """The mean squared error of the hidden patches, of all where none are."""
        patches = self.patches(self.normalised(batch[0])[0])
        hidden = self.hide(patches)
        error = squared_error(patches, self.rebuild(patches, hidden)).mean(dim=2)
        return error[hidden].mean() if self.masked else error.mean()

    def hide(self, patches: Tensor) -> Tensor:
        """Patches drawn to be hidden, the same number of each channel of each window."""
        drawn = torch.rand(patches.shape[:2], device=patches.device)
        most = max(round(self.masked * self.count), 1) if self.masked else 0
        return drawn.argsort(dim=1).argsort(dim=1) < most

    def terms(self, x: Tensor) -> Tensor:
        """Squared errors of the values, each rebuilt with its own patch hidden."""
        normal, scale = self.normalised(x)
        patches = self.patches(normal)
        told = torch.zeros_like(patches)
        group = torch.arange(self.count, device=x.device) % self.groups
        for i in range(self.groups):
            own = (group == i).expand(patches.shape[0], -1)
            hidden = own if self.masked else torch.zeros_like(own)
            told = told + self.rebuild(patches, hidden) * own[:, :, None]
        steps, channels = x.shape[1:]
        back = told.flatten(1)[:, :steps].unflatten(0, (-1, channels)).transpose(1, 2)
        return squared_error(normal, back) * scale**2
