"""Scores and reasons of a trained network, batch by batch in flat memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from awry.core.inputs import FloatArray
from awry.nn.device import few_threads, out_of_memory

log = logging.getLogger(__name__)
#: Nodes of the quadrature along the path of integrated gradients.
_NODES = 32


@torch.no_grad()
def score_batches(
    function: Callable[[Tensor], Tensor],
    X: Any,
    *,
    network: nn.Module,
    batch_size: int | None = None,
) -> FloatArray:
    """Apply ``function`` to ``X`` (n, ...) a batch at a time.

    Let the network be in double precision where its device has it: the order of a sum, and so a
    score in single precision, depends on how many rows are multiplied at once.

    Parameters
    ----------
    function : callable
        Takes a tensor (m, ...) and returns one of m rows, such as ``network.score``.
    X : array-like of shape (n, ...)
        Anything with a length that takes slices.
    network : Module
        Where the batches go: to its device, in its precision.
    batch_size : int, optional
        By default the network's ``rows_at_once``, or 4096. Halved where a batch does not fit in
        memory.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    if batch_size is None:
        batch_size = int(getattr(network, "rows_at_once", 4096))
    weight = next(network.parameters())
    start, out = 0, None
    while start < len(X):
        x = torch.from_numpy(np.array(X[start : start + batch_size], dtype=np.float64))
        try:
            with few_threads(network, x):
                part = function(x.to(weight.device, weight.dtype)).double().cpu().numpy()
        except RuntimeError as error:
            if not out_of_memory(error) or batch_size == 1:
                raise
            batch_size = max(1, batch_size // 2)
            log.warning("out of memory while scoring; going on with %d rows at once", batch_size)
            continue
        if out is None:
            out = np.empty((len(X), *part.shape[1:]))
        out[start : start + len(part)] = part
        start += len(part)
    return np.empty(0) if out is None else out


def integrated_gradients(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What each value adds to the score between the row of zeros, the typical one, and ``x``.

    The gradients along the straight path are integrated by Gauss-Legendre quadrature. What is
    missing to a sum of exactly ``score(x) - score(0)``, where the path crosses kinks, is shared
    out in proportion.

    Parameters
    ----------
    score : callable
        Takes a tensor (m, ...) and returns (m,), differentiable.
    x : Tensor of shape (m, ...)

    References
    ----------
    Sundararajan, Taly, Yan: "Axiomatic Attribution for Deep Networks", ICML 2017, equation 1.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    gradients = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (node * x).requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(score(point).sum(), point)
        gradients += weight * slope
    values = x * gradients
    flat = values.flatten(1)
    missing = score(x) - score(torch.zeros_like(x[:1])) - flat.sum(dim=1)
    size = flat.abs().sum(dim=1)
    even = torch.full_like(flat, 1 / flat.shape[1])
    share = torch.where(size[:, None] > 0, flat.abs() / size.clamp_min(1e-300)[:, None], even)
    return (flat + missing[:, None] * share).reshape(x.shape)
