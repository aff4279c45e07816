"""Autoencoders with a code wider than the rows, held down by what the loss says of it."""

from __future__ import annotations

from typing import Unpack

from awry.core.params import any_of, integer, nothing
from awry.detectors.deep import DeepDetector, Training


class Overcomplete(DeepDetector):
    """Base of detectors whose code is one wide layer, with no others before it unless asked for.

    Parameters
    ----------
    latent : int or None, default=None
        Units of the code; None takes four to eight times the columns, from 16 to 256.
    **training
    """

    constraints = {"latent": any_of(nothing(), integer(1))}

    def __init__(self, *, latent: int | None = None, **training: Unpack[Training]) -> None:
        super().__init__(**training)
        self.latent = latent

    def _sizes(self, d: int) -> list[int]:
        """Widths from ``d`` columns to the code."""
        return [d, *(self.hidden or []), self.latent or self._widths(d)[0]]
