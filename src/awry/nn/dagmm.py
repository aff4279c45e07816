"""A deep autoencoding Gaussian mixture: how dense codes and errors lie together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.blocks import mlp
from awry.nn.data import Moments, extremes
from awry.nn.network import Batch, Network

#: Added to variances, and kept from norms and shares of components.
_TINY = 1e-6


class DAGMMNetwork(Network):
    """An autoencoder, and a network that says to which Gaussian its code and errors belong.

    Rows are brought to [0, 1] first, where a row of nothing, whose relative error knows no bounds,
    is a corner.

    Parameters
    ----------
    n_components : int
        Gaussians of the mixture.
    estimation : sequence of int
        Widths of the estimation network's hidden layers.
    estimation_dropout : float
    energy_weight, variance_weight : float
        λ1 and λ2 of the objective.
    **layers
        See :class:`~awry.nn.autoencoder.AutoEncoderNetwork`.
    """

    least: Tensor
    most: Tensor
    log_share: Tensor
    mean: Tensor
    whitening: Tensor

    def __init__(
        self,
        *,
        n_components: int,
        estimation: Sequence[int],
        estimation_dropout: float,
        energy_weight: float,
        variance_weight: float,
        **layers: Any,
    ) -> None:
        super().__init__()
        self.energy_weight, self.variance_weight = energy_weight, variance_weight
        d, *_, latent = layers["sizes"]
        width = latent + 2
        self.autoencoder = AutoEncoderNetwork(**layers)
        self.estimator = mlp(
            [width, *estimation, n_components], activation="tanh", dropout=estimation_dropout
        )
        self.register_buffer("least", torch.zeros(d))
        self.register_buffer("most", torch.zeros(d))
        self.register_buffer("log_share", torch.zeros(n_components))
        self.register_buffer("mean", torch.zeros(n_components, width))
        self.register_buffer("whitening", torch.eye(width).repeat(n_components, 1, 1))

    def on_start(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Find the least and the greatest value of each column."""
        self.least, self.most = extremes(batches())

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = self._to_unit(batch[0])
        z, rebuilt = self._compress(x)
        # A covariance of halves of numbers has no root.
        with torch.autocast(z.device.type, enabled=False):
            z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
            share, mean, covariance = mixture(z, torch.softmax(self.estimator(z), dim=1))
            energy = energies(z, share.log(), mean, whitener(covariance)).mean()
            variance = (1 / covariance.diagonal(dim1=1, dim2=2)).sum()
        reconstruction = ((x - rebuilt) ** 2).sum(dim=1).mean()
        loss = reconstruction + self.energy_weight * energy + self.variance_weight * variance
        return {"loss": loss, "reconstruction": reconstruction, "energy": energy}

    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """The mixture of all training rows, in double precision."""
        rows = Moments()
        for x, *_ in batches():
            z = self.features(x)
            rows.add(z, torch.softmax(self.estimator(z), dim=1))
        self.log_share.copy_((rows.total.clamp_min(_TINY) / rows.n).log())
        self.mean.copy_(rows.mean)
        self.whitening.copy_(whitener(raised(rows.covariance)))

    def score(self, x: Tensor) -> Tensor:
        return energies(self.features(x), self.log_share, self.mean, self.whitening)

    def features(self, x: Tensor) -> Tensor:
        """z (n, latent + 2): the code, the relative distance and the cosine to what is rebuilt."""
        return self._compress(self._to_unit(x))[0]

    def _to_unit(self, x: Tensor) -> Tensor:
        span = self.most - self.least
        return (x - self.least) / torch.where(span > 0, span, 1.0)

    def _compress(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.autoencoder.encode(x)
        rebuilt = self.autoencoder.decode(code)
        # The root of nothing has no slope.
        distance = ((x - rebuilt).square().sum(dim=1) + _TINY**2).sqrt()
        relative = distance / (x.square().sum(dim=1) + _TINY**2).sqrt()
        cosine = functional.cosine_similarity(x, rebuilt, dim=1)
        return torch.cat([code, relative[:, None], cosine[:, None]], dim=1), rebuilt


def mixture(z: Tensor, member: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shares (k,), means (k, q) and covariances (k, q, q) of the components.

    Parameters
    ----------
    z : Tensor of shape (n, q)
    member : Tensor of shape (n, k)
        How much each row is of each component.

    Examples
    --------
    >>> z = torch.tensor([[0.0], [2.0], [10.0]])
    >>> share, mean, covariance = mixture(z, torch.tensor([[1.0, 0], [1, 0], [0, 1]]))
    >>> [round(float(v), 3) for v in (*share, *mean, covariance[0])]
    [0.667, 0.333, 1.0, 10.0, 1.0]
    """
    total = member.sum(dim=0).clamp_min(_TINY)
    mean = member.T @ z / total[:, None]
    away = z[:, None] - mean
    covariance = torch.einsum("nk,nki,nkj->kij", member, away, away) / total[:, None, None]
    return total / len(z), mean, raised(covariance)


def raised(covariance: Tensor) -> Tensor:
    """Covariances (k, q, q) with a little more variance, so that they have inverses."""
    # In proportion to the spread, so that rounding does not undo it.
    trace = covariance.diagonal(dim1=1, dim2=2).mean(dim=1)
    unit = torch.eye(covariance.shape[-1], device=covariance.device)
    return covariance + (_TINY + 1e-4 * trace)[:, None, None] * unit


def whitener(covariance: Tensor) -> Tensor:
    """The inverses of the lower Cholesky factors of covariances (k, q, q)."""
    lower = torch.linalg.cholesky(covariance)
    unit = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return torch.linalg.solve_triangular(lower, unit.expand_as(lower), upper=False)


def energies(z: Tensor, log_share: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """-log of the mixture's density at each row of z, (n,)."""
    away = torch.einsum("kij,nkj->nki", whitening, z[:, None] - mean)
    log_root = whitening.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    constant = 0.5 * z.shape[1] * math.log(2 * math.pi)
    logs = log_share + log_root - constant - 0.5 * away.square().sum(dim=2)
    return -torch.logsumexp(logs, dim=1)
