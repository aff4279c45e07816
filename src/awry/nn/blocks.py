"""Pieces that networks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

#: Activations by the name that detectors take.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    bias: bool = True,
    linear_end: bool = True,
) -> nn.Sequential:
    """Linear layers through ``sizes``, between them normalisation, activation and dropout.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the output.
    activation : str, default="relu"
        A key of :data:`ACTIVATIONS`.
    batch_norm : bool, default=False
    dropout : float, default=0.0
        Share of the units left out while learning.
    bias : bool, default=True
        False for one-class networks, which could otherwise map all to one point.
    linear_end : bool, default=True
        Leave the last layer's output as it is; else it is treated like the others.

    Examples
    --------
    >>> [type(layer).__name__ for layer in mlp([4, 8, 2], dropout=0.1)]
    ['Linear', 'ReLU', 'Dropout', 'Linear']
    """
    layers: list[nn.Module] = []
    last = len(sizes) - 2
    for i, (wide, narrow) in enumerate(pairwise(sizes)):
        plain = linear_end and i == last
        # A bias before batch normalisation is subtracted again.
        layers.append(nn.Linear(wide, narrow, bias=bias and (plain or not batch_norm)))
        if plain:
            break
        if batch_norm:
            layers.append(nn.BatchNorm1d(narrow, affine=bias))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
