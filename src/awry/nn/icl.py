"""Networks that match each run of neighbouring columns with the rest of its row: ICL."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.network import Batch, Network

#: Values in the largest tensor of a batch that is scored.
_MOST_VALUES = 1 << 24
#: Slope of the activations below zero, as in the authors' code.
_SLOPE = 0.2


class ICLNetwork(Network):
    """A pair of encoders for each of several orders of the columns.

    Parameters
    ----------
    d : int
        Columns.
    window : int
        Columns in a run, fewer than d unless d is 1.
    n_permutations : int
        Orders of the columns; the first is the one they come in.
    units : int
        Width of the embeddings.
    temperature : float
    dropout : float
    """

    orders: Tensor

    def __init__(
        self,
        d: int,
        window: int,
        *,
        n_permutations: int,
        units: int,
        temperature: float,
        dropout: float,
    ) -> None:
        super().__init__()
        given = torch.arange(d)
        orders = [given, *(torch.randperm(d) for _ in range(n_permutations - 1))]
        self.register_buffer("orders", torch.stack(orders))
        self.pairs = nn.ModuleList(
            _Pair(d, window, units=units, temperature=temperature, dropout=dropout) for _ in orders
        )
        runs = d - window + 1
        self.rows_at_once = max(1, min(4096, _MOST_VALUES // (runs * max(runs, 2 * units, d))))

    def loss(self, batch: Batch) -> Tensor:
        return self.score(batch[0]).mean()

    def score(self, x: Tensor) -> Tensor:
        """The mean over orders and runs of a run's cross-entropy among all runs, given its rest."""
        of_orders = [p(x[:, o]).mean(dim=1) for p, o in zip(self.pairs, self.orders, strict=True)]
        return torch.stack(of_orders).mean(dim=0)


class _Pair(nn.Module):
    """The encoders G of runs and F of rests, for one order of the columns."""

    runs: Tensor
    rests: Tensor

    def __init__(
        self, d: int, window: int, *, units: int, temperature: float, dropout: float
    ) -> None:
        super().__init__()
        self.temperature = temperature
        # A single column is its own rest, which says nothing; as it should.
        columns = torch.arange(max(d, 2)) % d
        runs = torch.arange(len(columns)).unfold(0, window, 1)
        rests = [[j for j in range(len(columns)) if j not in set(run)] for run in runs.tolist()]
        self.register_buffer("runs", columns[runs], persistent=False)
        self.register_buffer("rests", columns[torch.tensor(rests)], persistent=False)
        u, m = units, len(runs)
        leaky, drop = nn.LeakyReLU(_SLOPE), nn.Dropout(dropout)
        self.of_run = nn.Sequential(
            nn.Linear(window, u // 4), leaky, nn.BatchNorm1d(m), drop,
            nn.Linear(u // 4, u // 2), leaky, drop,
            nn.Linear(u // 2, u), leaky,
        )  # fmt: skip
        self.of_rest = nn.Sequential(
            nn.Linear(len(columns) - window, u), nn.Tanh(), nn.BatchNorm1d(m), drop,
            nn.Linear(u, 2 * u), leaky, nn.BatchNorm1d(m), drop,
            nn.Linear(2 * u, u), leaky,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Cross-entropy of each run, (n, m)."""
        runs, rests = _units(self.of_run(x[:, self.runs])), _units(self.of_rest(x[:, self.rests]))
        likeness = rests @ runs.transpose(1, 2) / self.temperature
        own = (rests * runs).sum(dim=2) / self.temperature
        return torch.logsumexp(likeness, dim=2) - own


def _units(embedded: Tensor) -> Tensor:
    """Unit vectors, each dimension made comparable over the runs of the row first."""
    return functional.normalize(functional.normalize(embedded, dim=1), dim=2)
