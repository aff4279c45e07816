"""Networks that draw normal rows to one point: Deep SVDD, and Deep SAD with a few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.data import fair_sample
from awry.nn.device import finest
from awry.nn.network import Batch, Network

#: A centre this near to zero in a dimension could be reached by weights of zero.
_NEAR_ZERO = 0.1
#: Added to a labelled row's distance before its reciprocal is taken.
_TINY = 1e-6
#: Distances that the soft boundary's radius is set by at last: torch sorts no more than 2²⁴.
_DISTANCES = 1 << 22


class OneClassNetwork(Network):
    """An encoder without biases, a centre it draws normal rows to, and a radius around it.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the embedding.
    soft : bool
        Draw rows into a ball of a radius that is learnt too, rather than to its centre.
    nu : float
        Share of the rows that may lie outside the ball.
    warm_up : float
        Share of the epochs before the radius is set for the first time.
    eta : float
        Weight of labelled rows.
    activation, batch_norm, dropout
        See :func:`~awry.nn.blocks.mlp`.
    """

    center: Tensor
    radius: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        soft: bool = False,
        nu: float = 0.1,
        warm_up: float = 0.1,
        eta: float = 1.0,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.soft, self.nu, self.warm_up, self.eta = soft, nu, warm_up, eta
        self.cold = False
        style = {"activation": activation, "batch_norm": batch_norm, "dropout": dropout}
        whole = AutoEncoderNetwork(sizes, bias=False, **style)  # type: ignore[arg-type]
        self.encoder = whole.encoder
        # The encoder's start may be learnt with it: no part of this network, nor a weight of its.
        self.start = (whole,)
        self.register_buffer("center", torch.zeros(sizes[-1]))
        self.register_buffer("radius", torch.zeros(()))

    def on_start(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Put the centre where the rows lie at first on average."""
        self.encoder.eval()
        n, total = 0, torch.zeros_like(self.center, dtype=finest(self.center.device))
        for x, *_ in batches():
            n, total = n + len(x), total + self.encoder(x).sum(dim=0)
        mean = (total / n).to(self.center)
        away = torch.where(mean < 0, -_NEAR_ZERO, _NEAR_ZERO)
        self.center.copy_(torch.where(mean.abs() < _NEAR_ZERO, away, mean))

    def on_epoch(self, epoch: int, epochs: int) -> None:
        self.cold = epoch < self.warm_up * epochs

    def loss(self, batch: Batch) -> Tensor:
        distance = self.distance(batch[0])
        if len(batch) > 1:
            return self.weighed(distance, batch[1]).mean()
        if not self.soft:
            return distance.mean()
        if self.training and not self.cold:
            self.set_radius(distance.detach())
        beyond = (distance - self.radius**2).clamp_min(0.0)
        return self.radius**2 + beyond.mean() / self.nu

    def weighed(self, distance: Tensor, y: Tensor) -> Tensor:
        """Distances as they are, of labelled rows η times; of anomalies their reciprocals."""
        labelled = torch.where(y == 1, 1.0 / (distance + _TINY), distance)
        return torch.where(y < 0, distance, self.eta * labelled)

    def held_out(self, batch: Batch) -> Tensor:
        """Without the radius, which rises and falls with what it is compared with."""
        return self.distance(batch[0]).mean() if self.soft else self.loss(batch)

    @torch.no_grad()
    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        if self.soft:
            distances = fair_sample((self.distance(batch[0]) for batch in batches()), _DISTANCES)
            self.set_radius(distances)

    def set_radius(self, distance: Tensor) -> None:
        """The radius that leaves a share ν of the squared distances outside."""
        self.radius.copy_(torch.quantile(distance.sqrt().float(), 1 - self.nu))

    def distance(self, x: Tensor) -> Tensor:
        """Squared distance of each embedded row from the centre, (n,)."""
        return ((self.encoder(x) - self.center) ** 2).sum(dim=1)

    def score(self, x: Tensor) -> Tensor:
        distance = self.distance(x)
        return distance - self.radius**2 if self.soft else distance
