"""How odd errors are, by the Gaussian that those of the training data follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from awry.nn.losses import squared_error
from awry.nn.network import Batch, Network

#: Least variances, in units of the standardised channels' and of the largest among the errors':
#: of what is rebuilt all but exactly, rounding would otherwise be what is judged.
_LEAST, _LEAST_SHARE = 1e-6, 1e-4


class ErrorGaussian(nn.Module):
    """The Gaussian N(μ, Σ) of error vectors, by maximum likelihood.

    Called on errors (..., k) it gives terms of the same shape, >= 0, that sum to the squared
    Mahalanobis distance (e - μ)ᵀ Σ⁻¹ (e - μ). They are the squares of Σ^(-1/2) (e - μ), whose
    entries stay as close to those of e as whitened ones can, so that each still speaks of its own
    channel.

    Parameters
    ----------
    size : int
        Numbers in an error vector, k.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("whitening", torch.eye(size))

    @torch.no_grad()
    def measure(self, batches: Iterable[Tensor]) -> None:
        """Set μ and Σ from errors that come in batches (..., k)."""
        size = len(self.mean)
        count, sums, squares = 0, torch.zeros(size).double(), torch.zeros(size, size).double()
        for batch in batches:
            errors = batch.reshape(-1, size).double().cpu()
            count, sums = count + len(errors), sums + errors.sum(dim=0)
            squares += errors.T @ errors
        mean = sums / count
        variances, axes = torch.linalg.eigh(squares / count - torch.outer(mean, mean))
        least = max(_LEAST, _LEAST_SHARE * float(variances[-1]))
        scale = variances.clamp_min(least).rsqrt()
        self.mean.copy_(mean)
        self.whitening.copy_((axes * scale) @ axes.T)

    def forward(self, errors: Tensor) -> Tensor:
        return ((errors - self.mean) @ self.whitening) ** 2


class Rebuilder(Network):
    """Base of autoencoders of windows (n, L, channels) that judge errors by their Gaussian.

    A subclass writes ``rebuild``. It learns to make the mean squared error small.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.errors = ErrorGaussian(channels)

    def rebuild(self, x: Tensor) -> Tensor:
        """The windows as told from their codes, the shape of ``x``."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        return squared_error(batch[0], self.rebuild(batch[0])).mean()

    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """The Gaussian of the training data's errors."""
        self.errors.measure(x - self.rebuild(x) for x, *_ in batches())

    def terms(self, x: Tensor) -> Tensor:
        return self.errors(x - self.rebuild(x))
