"""Networks that learn scores from a few labelled anomalies: DevNet and PReNet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.data import fair_sample
from awry.nn.network import Batch, Network

#: Draws of the normal prior that DevNet's scores are measured against.
_DRAWS = 5000
#: Rows of a class that are kept to be drawn from.
_KEPT = 100_000


class FewLabelsNetwork(Network):
    """Sees as many anomalies as other rows in every batch, although there are only a few.

    Rows that are not labelled as anomalies are taken for normal, as in both papers.
    """

    def on_data(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Keep the rows of both classes, or a fair sample where they are many."""
        self.anomalies = fair_sample((x[y == 1] for x, y in batches()), _KEPT)
        self.others = fair_sample((x[y != 1] for x, y in batches()), _KEPT)
        if not len(self.anomalies) or not len(self.others):
            raise ValueError("y: all rows of a class were held out; set validation_fraction=0")

    @staticmethod
    def some(rows: Tensor, n: int) -> Tensor:
        """``n`` of the rows, drawn with replacement."""
        return rows[torch.randint(len(rows), (n,), device=rows.device)]

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """RMSprop with an L2 penalty, as in both papers."""
        return torch.optim.RMSprop(parameters, lr=lr, weight_decay=weight_decay)

    def held_out(self, batch: Batch) -> None:
        """Labels are too few to be measured by."""


class DevNetNetwork(FewLabelsNetwork):
    """Scores near a normal prior's mean for normal rows, far above it for anomalies.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the last hidden layer.
    margin : float
        Standard deviations of the prior by which anomalies should lie above.
    dropout : float
    """

    def __init__(self, sizes: Sequence[int], *, margin: float, dropout: float) -> None:
        super().__init__()
        self.margin = margin
        self.scorer = mlp([*sizes, 1], dropout=dropout)

    def loss(self, batch: Batch) -> Tensor:
        half = max(1, len(batch[0]) // 2)
        draws = torch.randn(_DRAWS, device=batch[0].device)
        x = torch.cat([self.some(self.others, half), self.some(self.anomalies, half)])
        deviation = (self.score(x) - draws.mean()) / draws.std()
        normal, odd = deviation.split(half)
        return (normal.abs().mean() + (self.margin - odd).clamp_min(0.0).mean()) / 2

    def score(self, x: Tensor) -> Tensor:
        return self.scorer(x)[:, 0]


class PReNetNetwork(FewLabelsNetwork):
    """Tells of a pair of rows how many of them are anomalies.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the network that both rows of a pair pass through.
    targets : sequence of 3 floats
        What pairs of two anomalies, of an anomaly and another row, and of two others should get.
    n_pairs : int
        Partners of each kind a row is scored with, the same for all rows.
    dropout : float
    """

    odd_partners: Tensor
    partners: Tensor

    def __init__(
        self, sizes: Sequence[int], *, targets: Sequence[float], n_pairs: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = mlp(sizes, linear_end=False, dropout=dropout)
        self.relation = nn.Linear(2 * sizes[-1], 1)
        self.targets = list(targets)
        self.register_buffer("odd_partners", torch.zeros(n_pairs, sizes[0]))
        self.register_buffer("partners", torch.zeros(n_pairs, sizes[0]))

    def loss(self, batch: Batch) -> Tensor:
        n = len(batch[0])
        quarter, half = max(1, n // 4), max(1, n // 2)
        # Half of the pairs without an anomaly, a quarter of each other kind.
        kinds = [
            (self.anomalies, self.anomalies, quarter),
            (self.anomalies, self.others, quarter),
            (self.others, self.others, half),
        ]
        errors = [
            (self.pairs(self.some(a, m), self.some(b, m)) - target).abs()
            for (a, b, m), target in zip(kinds, self.targets, strict=True)
        ]
        return torch.cat(errors).mean()

    def pairs(self, a: Tensor, b: Tensor) -> Tensor:
        """How anomalous each pair of rows is, (n,)."""
        return self.relation(torch.cat([self.encoder(a), self.encoder(b)], dim=-1))[..., 0]

    @torch.no_grad()
    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Draw the partners that rows are scored with."""
        n = len(self.partners)
        self.odd_partners.copy_(self.some(self.anomalies, n))
        self.partners.copy_(self.some(self.others, n))

    def score(self, x: Tensor) -> Tensor:
        """Mean over the partners of φ(anomaly, x) + φ(x, other)."""
        # The relation is linear in the two codes, so the mean over pairs is that of mean codes.
        code, weight = self.encoder(x), self.relation.weight[0]
        first, second = weight.chunk(2)
        odd, other = (self.encoder(rows).mean(dim=0) for rows in (self.odd_partners, self.partners))
        constant = odd @ first + other @ second + 2 * self.relation.bias[0]
        return code @ (first + second) + constant
