"""Rows of numbers and codes of categories: how networks take them in, and are judged by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.autoencoder import AutoEncoderNetwork
from awry.nn.blocks import mlp
from awry.nn.losses import squared_error

#: An embedding is half as wide as there are levels, but no wider than this.
_WIDEST = 50
#: Values in the largest tensor of a batch that is scored.
_MOST_VALUES = 1 << 24


class MixedColumns(nn.Module):
    """Codes as embeddings on the way in, as logits of their levels on the way out.

    A level that was not known when learning began is one level more, which no training row has:
    its embedding is zero, and learning makes it improbable.

    Parameters
    ----------
    d : int
        Columns of a row.
    levels : mapping of int to sequence of number
        The known codes of each column that holds codes, by its place.

    Attributes
    ----------
    width : int
        Of what ``embed`` makes of a row.
    n_logits : int
        That ``cross_entropy`` takes.
    coded : Tensor of shape (d,), bool
        Which columns hold codes.

    Examples
    --------
    >>> columns = MixedColumns(3, {1: [0, 1, 2, 3]})
    >>> columns.width, columns.n_logits
    (4, 5)
    """

    coded: Tensor
    known: Tensor
    column_of: Tensor
    plain: Tensor

    def __init__(self, d: int, levels: Mapping[int, Sequence[float]]) -> None:
        super().__init__()
        self.places = list(levels)
        self.sizes = [len(known) for known in levels.values()]
        coded = torch.zeros(d, dtype=torch.bool)
        coded[self.places] = True
        known = [torch.as_tensor(codes, dtype=torch.float32) for codes in levels.values()]
        column_of = torch.tensor(self.places).repeat_interleave(torch.tensor(self.sizes))
        self.register_buffer("coded", coded, persistent=False)
        self.register_buffer("known", torch.cat(known), persistent=False)
        self.register_buffer("column_of", column_of, persistent=False)
        self.register_buffer("plain", torch.nonzero(~coded)[:, 0], persistent=False)
        widths = [min(_WIDEST, (size + 1) // 2) for size in self.sizes]
        self.embeddings = nn.ModuleList(
            nn.Linear(size, width, bias=False)
            for size, width in zip(self.sizes, widths, strict=True)
        )
        # As wide as the standardised numbers beside them.
        for embedding in self.embeddings:
            nn.init.normal_(embedding.weight)  # type: ignore[arg-type]
        self.width = len(self.plain) + sum(widths)
        self.n_logits = sum(self.sizes) + len(self.sizes)

    def embed(self, x: Tensor) -> Tensor:
        """Rows (n, d) as numbers beside the embeddings of codes: (n, width)."""
        parts = zip(self.embeddings, self._one_hot(x), strict=True)
        return torch.cat([x[:, self.plain], *(embed(hot) for embed, hot in parts)], dim=1)

    def numbers(self, x: Tensor) -> Tensor:
        """Rows with 0 in place of codes."""
        return torch.where(self.coded, torch.zeros_like(x), x)

    def cross_entropy(self, x: Tensor, logits: Tensor) -> Tensor:
        """-log of the chance ``logits`` (n, n_logits) give each code, 0 for numbers: (n, d)."""
        columns = list(torch.zeros_like(x).unbind(dim=1))
        outputs = logits.split([size + 1 for size in self.sizes], dim=1)
        for place, hot, output in zip(self.places, self._one_hot(x), outputs, strict=True):
            unknown = 1 - hot.sum(dim=1, keepdim=True)
            chances = functional.log_softmax(output, dim=1)
            columns[place] = -(torch.cat([hot, unknown], dim=1) * chances).sum(dim=1)
        return torch.stack(columns, dim=1)

    def rows_at_once(self, draws: int = 1) -> int:
        """Rows to score at a time."""
        return max(1, min(4096, _MOST_VALUES // (draws * self.n_logits)))

    def _one_hot(self, x: Tensor) -> tuple[Tensor, ...]:
        """Of each coded column which level it has, none where that is not known: (n, levels)."""
        return (x[:, self.column_of] == self.known).to(x.dtype).split(self.sizes, dim=1)


class MixedAutoEncoderNetwork(AutoEncoderNetwork):
    """An autoencoder of numbers and codes, by squared errors and cross-entropies.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the columns to the code.
    columns : MixedColumns
    activation, batch_norm, dropout
        See :func:`~awry.nn.blocks.mlp`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        columns: MixedColumns,
        *,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        style = {"activation": activation, "batch_norm": batch_norm, "dropout": dropout}
        super().__init__([columns.width, *sizes[1:]], **style)  # type: ignore[arg-type]
        self.columns = columns
        out = sizes[0] + columns.n_logits
        self.decoder = mlp([*reversed(sizes[1:]), out], **style)  # type: ignore[arg-type]
        self.rows_at_once = columns.rows_at_once()

    def terms(self, x: Tensor) -> Tensor:
        out = self.decode(self.encode(self.columns.embed(x)))
        d = x.shape[1]
        errors = squared_error(self.columns.numbers(x), out[:, :d])
        entropies = self.columns.cross_entropy(x, out[:, d:])
        return torch.where(self.columns.coded, entropies, errors)
