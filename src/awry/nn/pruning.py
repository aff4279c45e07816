"""Smaller networks out of large ones: weights set to zero, or units taken out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import prune

from awry.nn.network import Network
from awry.nn.trainer import Trainer

#: Layers whose weights can be set to zero.
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


@contextmanager
def masked(network: Network, amount: float) -> Iterator[None]:
    """Keep the smallest of all weights of layers at zero inside; outside they stay zero.

    Parameters
    ----------
    network : Network
    amount : float in (0, 1)
        Share of the weights of all layers taken together.

    References
    ----------
    Han et al.: "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015.
    """
    layers = [(layer, "weight") for layer in network.modules() if isinstance(layer, _LAYERS)]
    if not layers:
        raise ValueError(f"{type(network).__name__} has no layers whose weights can be pruned")
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=amount)
    try:
        yield
    finally:
        for layer, name in layers:
            prune.remove(layer, name)


def narrowed(network: Network, amount: float) -> tuple[list[int], int, dict[str, Tensor]]:
    """Take the units that weigh least out of the hidden layers of an encoder and its decoder.

    A unit weighs what the weights that lead on from it do, by their 2-norm.

    Returns
    -------
    hidden : list of int
        Widths of the encoder's hidden layers.
    latent : int
        Width of the code, which stays.
    weights : dict of str to Tensor

    References
    ----------
    Li et al.: "Pruning Filters for Efficient ConvNets", ICLR 2017, by what comes after a unit
    rather than before it, which batch normalisation would take out again.
    """
    halves = [name for name, _ in network.named_children()]
    weights = dict(network.state_dict())
    plain = all(isinstance(half, nn.Sequential) for half in network.children())
    if "encoder" not in halves or not plain or not set(halves) <= {"encoder", "decoder"}:
        raise ValueError(
            f"structured pruning takes units out of an encoder and its mirror image; "
            f"{type(network).__name__} is made otherwise, prune its weights instead"
        )
    widths: list[list[int]] = []
    for half in halves:
        layers = network.get_submodule(half)
        assert isinstance(layers, nn.Sequential)
        widths.append(_narrow(layers, amount, half, weights))
    *hidden, latent = widths[halves.index("encoder")]
    return hidden, latent, weights


def _narrow(
    layers: nn.Sequential, amount: float, name: str, weights: dict[str, Tensor]
) -> list[int]:
    """Cut ``weights`` to the units that stay; return the widths from the first layer on."""
    places = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    widths = []
    for here, after in pairwise(places):
        follower: Any = layers[after]
        units = follower.in_features
        gone = min(round(amount * units), units - 1)
        if gone:
            prune.ln_structured(follower, "weight", amount=gone, n=2, dim=1)
        kept = follower.weight_mask.any(dim=0) if gone else slice(None)
        # The layer itself, and what normalises its output.
        prefixes = tuple(f"{name}.{i}." for i in range(here, after))
        for entry, value in weights.items():
            if entry.startswith(prefixes) and value.ndim:
                weights[entry] = value[kept]
        entry = f"{name}.{after}.weight"
        weights[entry] = weights[entry][:, kept]
        widths.append(units - gone)
    last: Any = layers[places[-1]]
    return [*widths, last.out_features]


def refine(network: Network, data: tuple[Any, ...], trainer: Trainer) -> None:
    """Train on, and measure the rows anew, without what a network does before it first learns."""
    # A centre is not put elsewhere, nor a weight raised from 0 once more.
    network.on_start = lambda batches: None  # type: ignore[method-assign]
    network.on_epoch = lambda epoch, epochs: None  # type: ignore[method-assign]
    trainer.fit(network, data)
