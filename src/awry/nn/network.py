"""What a network must offer to be trained, to score and to explain; most have defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

#: Tensors of one batch, rows first: the data, then labels where a detector uses them.
Batch = tuple[Tensor, ...]
#: Takes one step down a loss with the optimiser of the part named (the only one by default).
Descend = Callable[..., None]


class Network(nn.Module):
    """A network that the one :class:`~awry.nn.trainer.Trainer` trains.

    Most subclasses write ``loss`` and ``score`` (or ``terms``). One with several losses that
    alternate, such as a generator and a critic, writes ``parts`` and ``step`` instead of ``loss``,
    and ``held_out`` if early stopping is to have something to go by.
    """

    # -- learning ---------------------------------------------------------------------------------

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """The mean loss of a batch, or several by name, of which ``"loss"`` is descended."""
        raise NotImplementedError

    def parts(self) -> dict[str, Iterable[nn.Parameter]]:
        """Parameters by the name of the optimiser that owns them."""
        return {"all": self.parameters()}

    def optimiser(
        self, part: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer | None:
        """The optimiser of a part; None, as here, for AdamW."""
        return None

    def step(self, batch: Batch, i: int, descend: Descend) -> dict[str, Tensor]:
        """Learn from batch ``i`` of an epoch and return its losses by name.

        ``descend(loss, part="all")`` clears the gradients of the part, works them out, clips them
        and takes its optimiser's step; it may be called several times.
        """
        losses = by_name(self.loss(batch))
        descend(losses["loss"])
        return losses

    def held_out(self, batch: Batch) -> Tensor | None:
        """What early stopping goes by, the mean over a held-out batch; None for no early stop."""
        return by_name(self.loss(batch))["loss"]

    def on_data(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Before anything else, and anew where a training goes on: keep what is no weight."""

    def on_start(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Before the first epoch, without gradients: set what depends on the data once."""

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Before each epoch: annealing."""

    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """After the last epoch, best weights restored, evaluating: measure the training data."""

    # -- judging ----------------------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """One score per row (n,), the sum of ``terms`` by default."""
        return self.terms(x).flatten(1).sum(dim=1)

    def terms(self, x: Tensor) -> Tensor:
        """What each value of each row adds to its score, the shape of ``x``."""
        raise NotImplementedError

    def base(self, x: Tensor) -> Tensor:
        """What a row's score (n,) holds beyond the sum of its ``terms``: nothing by default."""
        return x.new_zeros(x.shape[0])

    @property
    def has_terms(self) -> bool:
        """Whether ``base + terms`` is the score; if not, it is explained by its gradients."""
        return type(self).terms is not Network.terms


def by_name(losses: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses under their names; a single one is called ``"loss"``."""
    return losses if isinstance(losses, dict) else {"loss": losses}
