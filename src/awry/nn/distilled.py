"""A small network that says what a larger detector would."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from awry.nn.blocks import mlp
from awry.nn.network import Batch, Network


class DistilledNetwork(Network):
    """Layers that lead to one number, the score, learnt by its squared error.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the last hidden layer.
    activation, dropout
        See :func:`~awry.nn.blocks.mlp`.
    """

    def __init__(self, sizes: Sequence[int], *, activation: str, dropout: float) -> None:
        super().__init__()
        self.layers = mlp([*sizes, 1], activation=activation, dropout=dropout)

    def loss(self, batch: Batch) -> Tensor:
        x, said = batch
        return ((self.score(x) - said) ** 2).mean()

    def score(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)[:, 0]
        return scores
