"""What detectors that learn from a game of networks share, and the layers they play with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from awry.core.params import any_of, integer, listing, nothing
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from torch import nn

    from awry.nn.gan import Critic


class Game(Training, total=False):
    """The parameters that every :class:`AdversarialDetector` has."""

    latent: int | None
    critic: list[int] | tuple[int, ...]


class AdversarialDetector(DeepDetector):
    """Base of the detectors with a generator and a critic of the rows that it makes.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the encoder's hidden layers, from the rows inwards, and of the generator's,
        outwards; None sets two by the columns.
    latent : int or None, default=None
        Width of the codes that rows are generated from; None takes the square root of the columns.
    critic : list of int, default=(128, 128)
        Widths of a discriminator's hidden layers, of which the last holds its features.
    dropout : float, default=0.0
        Share of a discriminator's units left out at random in each step of training.
    validation_fraction : float, default=0.0
        Share of the rows set aside, of no use here: no loss of a game says when to stop, and
        training lasts all its epochs.
    **training
    """

    constraints = {
        "latent": any_of(nothing(), integer(1)),
        "critic": listing(integer(1)),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        latent: int | None = None,
        critic: list[int] | tuple[int, ...] = (128, 128),
        validation_fraction: float = 0.0,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(validation_fraction=validation_fraction, **training)
        self.latent = latent
        self.critic = critic

    def _latent(self, d: int) -> int:
        """Width of the codes for ``d`` columns."""
        return self.latent or self._narrow(d)

    def _encoder(self, d: int, *, outputs: int = 1, wrap: Any = None) -> nn.Sequential:
        """From rows to codes, or to ``outputs`` times as many values."""
        from awry.nn.gan import leaky

        return leaky([d, *self._widths(d), outputs * self._latent(d)], wrap=wrap)

    def _generator(self, d: int) -> nn.Sequential:
        """From codes to rows."""
        from awry.nn.blocks import mlp

        return mlp([self._latent(d), *reversed(self._widths(d)), d])

    def _critic(self, d: int, *, wrap: Callable[[nn.Module], nn.Module] | None = None) -> Critic:
        """Of ``d`` columns; ``wrap`` is applied to its layers."""
        from awry.nn.gan import dense_critic

        return dense_critic([d, *self.critic], dropout=self.dropout, wrap=wrap)

    def _pair_critic(
        self, d: int, *, wrap: Callable[[nn.Module], nn.Module] | None = None
    ) -> Critic:
        """Of rows and codes: a layer for each, and the others for both."""
        from awry.nn.gan import Critic, Pair, leaky

        style: Any = {"dropout": self.dropout, "wrap": wrap, "linear_end": False}
        first, *others = self.critic
        joint = [2 * first, *(others or [first])]
        rows, codes = (leaky([width, first], **style) for width in (d, self._latent(d)))
        body = Pair(rows, codes, leaky(joint, **style))
        return Critic(body, leaky([joint[-1], 1], wrap=wrap))

    def _twin_critic(
        self, width: int, *, wrap: Callable[[nn.Module], nn.Module] | None = None
    ) -> Critic:
        """Of two items of the same ``width``, looked at side by side in one hidden layer."""
        from torch import nn

        from awry.nn.gan import Critic, Pair, leaky

        features = self.critic[-1]
        body = leaky([2 * width, features], dropout=self.dropout, wrap=wrap, linear_end=False)
        same = nn.Identity()
        return Critic(Pair(same, same, body), leaky([features, 1], wrap=wrap))
