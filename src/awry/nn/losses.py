"""Losses per value, not averaged: what learns takes their mean, what scores their sum."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_LOG_2PI = math.log(2 * math.pi)


def squared_error(x: Tensor, mean: Tensor) -> Tensor:
    """(x - mean)²."""
    return (x - mean) ** 2


def gaussian_nll(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """-log N(x; mean, variance), constants included.

    Examples
    --------
    >>> zero = torch.zeros(1)
    >>> round(float(gaussian_nll(zero, zero, zero)), 4)
    0.9189
    """
    return 0.5 * (_LOG_2PI + log_variance + (x - mean) ** 2 * torch.exp(-log_variance))


def bernoulli_nll(x: Tensor, logit: Tensor) -> Tensor:
    """-log of the chance of x in [0, 1] where sigmoid(logit) is that of a 1."""
    return functional.softplus(logit) - x * logit


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) ‖ N(0, 1)) per dimension: Kingma & Welling, appendix B.

    Examples
    --------
    >>> float(kl_to_standard_normal(torch.ones(1), torch.zeros(1)))
    0.5
    """
    return 0.5 * (torch.exp(log_variance) + mean**2 - 1.0 - log_variance)
