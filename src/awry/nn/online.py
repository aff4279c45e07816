"""A network that goes on learning a mini-batch at a time, its weights kept in plain arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from awry.core.inputs import FloatArray
from awry.nn.device import few_threads
from awry.nn.network import Network

#: Adam's: how fast the moments of the gradient follow, and what keeps steps finite.
_FADE, _FADE_SQUARES, _TINY = 0.9, 0.999, 1e-8
#: Norm that a gradient is cut to, as in the trainer.
_CLIP = 5.0


class OnlineLearner:
    """Scores and steps of a network in double precision, for whatever weights are handed over.

    Parameters
    ----------
    network : Network
        With ``terms``; what it learns is to make their mean small.
    """

    def __init__(self, network: Network) -> None:
        self.network = network.double().eval()

    @property
    def weights(self) -> FloatArray:
        """The network's weights as one array."""
        with torch.no_grad():
            flat: FloatArray = parameters_to_vector(self.network.parameters()).numpy().copy()
        return flat

    def terms(self, weights: FloatArray, rows: FloatArray) -> FloatArray:
        """What each value of ``rows`` (n, d) adds to its row's score."""
        with torch.no_grad(), few_threads(self.network, torch.from_numpy(rows)):
            return self._terms(weights, rows).numpy()

    def step(
        self,
        weights: FloatArray,
        moments: FloatArray,
        rows: FloatArray,
        *,
        keep: int,
        step: int,
        lr: float,
    ) -> None:
        """Take a step of Adam down the mean error of the ``keep`` rows it is smallest of.

        Parameters
        ----------
        weights : ndarray of shape (p,)
            Changed in place, as are
        moments : ndarray of shape (2, p)
            means of the gradient and of its square.
        rows : ndarray of shape (n, d)
        step : int
            Number of this step, from 1.
        """
        with few_threads(self.network, torch.from_numpy(rows)):
            self.network.zero_grad()
            errors = self._terms(weights, rows).mean(dim=1)
            errors.topk(keep, largest=False).values.mean().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
            parts = [p.grad for p in self.network.parameters() if p.grad is not None]
            gradient = parameters_to_vector(parts).numpy()
        for moment, value, fade in zip(
            moments, (gradient, gradient**2), (_FADE, _FADE_SQUARES), strict=True
        ):
            moment *= fade
            moment += (1.0 - fade) * value
        mean = moments[0] / (1.0 - _FADE**step)
        square = moments[1] / (1.0 - _FADE_SQUARES**step)
        weights -= lr * mean / (np.sqrt(square) + _TINY)

    def _terms(self, weights: FloatArray, rows: FloatArray) -> Tensor:
        with torch.no_grad():
            # A copy: weights read from a file are read-only, which torch does not know.
            vector_to_parameters(torch.tensor(weights), self.network.parameters())
        return self.network.terms(torch.from_numpy(rows))
