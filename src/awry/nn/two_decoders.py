"""Two decoders of one encoder, the second of which learns to tell true windows from rebuilt ones.

USAD's networks, and how they are trained, which TranAD's are too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.losses import squared_error
from awry.nn.network import Batch, Descend, Network


class TwoDecoders(Network):
    """Base of networks whose second decoder sees what the first one rebuilt.

    A subclass has an ``encoder``, decoders ``first`` and ``second``, and writes ``rebuild``.

    Parameters
    ----------
    alpha : float
        Share of the first reconstruction's error in the score; the rest is that of the last.
    """

    encoder: nn.Module
    first: nn.Module
    second: nn.Module

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha, self.share = alpha, 1.0

    def rebuild(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """By the first decoder, by the second, and by the second after the first."""
        raise NotImplementedError

    def parts(self) -> dict[str, Iterable[nn.Parameter]]:
        """Each decoder with the encoder they share."""
        encoder = list(self.encoder.parameters())
        return {
            "first": [*encoder, *self.first.parameters()],
            "second": [*encoder, *self.second.parameters()],
        }

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Rebuilding counts for less, the contest for more, from epoch to epoch."""
        self.share = 1.0 / (epoch + 1)

    def contest(self, part: str, x: Tensor, rebuilt: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The loss of a decoder: the second's is the less the worse it rebuilds the first's."""
        one, two, again = rebuilt
        share = self.share
        if part == "first":
            return share * _mse(x, one) + (1 - share) * _mse(x, again)
        return share * _mse(x, two) - (1 - share) * _mse(x, again)

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        x = batch[0]
        losses = {}
        for part in ("first", "second"):
            losses[part] = self.contest(part, x, self.rebuild(x))
            descend(losses[part], part)
        return {"loss": losses["first"], "second": losses["second"]}

    def held_out(self, batch: Batch) -> None:
        """Of a contest no loss says when to stop."""

    def terms(self, x: Tensor) -> Tensor:
        one, _, again = self.rebuild(x)
        return self.alpha * squared_error(x, one) + (1 - self.alpha) * squared_error(x, again)


def _mse(x: Tensor, rebuilt: Tensor) -> Tensor:
    return squared_error(x, rebuilt).mean()


class USADNetwork(TwoDecoders):
    """Dense layers on whole windows.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the values of a window to the code.
    alpha : float
    dropout : float
    """

    def __init__(self, sizes: Sequence[int], *, alpha: float, dropout: float) -> None:
        super().__init__(alpha)
        self.encoder = nn.Sequential(mlp(sizes, dropout=dropout), nn.ReLU())
        self.first, self.second = (
            nn.Sequential(mlp([*reversed(sizes)], dropout=dropout), nn.Sigmoid()) for _ in range(2)
        )

    def rebuild(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat = x.flatten(1)
        code = self.encoder(flat)
        one, two = self.first(code), self.second(code)
        again = self.second(self.encoder(one))
        return one.view_as(x), two.view_as(x), again.view_as(x)
