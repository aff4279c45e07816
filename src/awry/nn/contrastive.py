"""Encoders that learn to know two views of one item again, and what judges by their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.data import fair_sample
from awry.nn.network import Batch, Network

#: Values in the largest tensor of a batch that is scored.
_MOST_VALUES = 1 << 24
#: Steps towards the centre of the smallest ball.
_BALL_STEPS = 300
#: Of its kernel, over the variance of all dimensions together: Sohn et al., section 4.1.
_NARROWNESS = 10.0
#: Usual deviations of the noise and of the factors that views of windows have; least share of a
#: window that a view keeps; pieces that it is cut into.
_JITTER, _SCALING, _LEAST_KEPT, _PIECES = 0.05, 0.1, 0.5, 4


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The normalised temperature-scaled cross-entropy of n pairs of views, (n, p) each.

    Each view is to be more like its other than the remaining 2 n - 2 views are, by the cosine:
    Chen et al., equation 1.
    """
    z = functional.normalize(torch.cat([first, second]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    likeness = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    other = torch.arange(len(z), device=z.device).roll(len(first))
    return functional.cross_entropy(likeness, other)


class ContrastiveNetwork(Network):
    """Learns an encoder by NT-Xent, through a projection that is of use in learning only.

    A subclass sets ``encoder`` and writes ``views``.

    Parameters
    ----------
    width : int
        Of the embedding.
    head : {"svdd", "mahalanobis", "knn"}
        What judges embeddings.
    n_reference : int
        Training items whose embeddings the head is fitted on, no more than there are.
    n_neighbors : int
    nu : float
        Share of them that the ball of ``"svdd"`` may leave outside.
    temperature : float
    dropout : float
    """

    encoder: nn.Module
    reference: Tensor
    weight: Tensor
    narrowness: Tensor
    middle: Tensor
    whitening: Tensor

    def __init__(
        self,
        width: int,
        *,
        head: str,
        n_reference: int,
        n_neighbors: int,
        nu: float,
        temperature: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.head, self.n_reference, self.nu = head, n_reference, nu
        self.n_neighbors, self.temperature = min(n_neighbors, n_reference), temperature
        self.projection = mlp([width, width, width], dropout=dropout)
        if head == "mahalanobis":
            self.register_buffer("middle", torch.zeros(width))
            self.register_buffer("whitening", torch.eye(width))
            return
        self.register_buffer("reference", torch.zeros(n_reference, width))
        self.rows_at_once = max(1, min(4096, _MOST_VALUES // n_reference))
        if head == "svdd":
            self.register_buffer("weight", torch.zeros(n_reference))
            self.register_buffer("narrowness", torch.ones(()))

    def views(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two views of each item, the shape of ``x``."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        first, second = (self.projection(self.encoder(view)) for view in self.views(batch[0]))
        return nt_xent(first, second, self.temperature)

    @torch.no_grad()
    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Fit the head on the embeddings of a fair sample of the training items."""
        z = fair_sample((self.encoder(x) for x, *_ in batches()), self.n_reference)
        if self.head == "mahalanobis":
            self.middle.copy_(z.mean(dim=0))
            self.whitening.copy_(whitening_of(z))
            return
        self.reference.copy_(z)
        if self.head == "svdd":
            spread = z.shape[1] * z.var(correction=0)
            self.narrowness.copy_(_NARROWNESS / spread.clamp_min(1e-12))
            self.weight.copy_(ball_weights(self._kernel(z), self.nu))

    def score(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        if self.head == "mahalanobis":
            return (((z - self.middle) @ self.whitening) ** 2).sum(dim=1)
        if self.head == "svdd":
            # The squared distance from the centre less what is the same for all.
            return 1 - self._kernel(z) @ self.weight
        last = self._squares(z).topk(self.n_neighbors, dim=1, largest=False).indices[:, -1]
        # By differences, which are exact where sums of squares cancel.
        return ((z - self.reference[last]) ** 2).sum(dim=1).sqrt()

    def _kernel(self, z: Tensor) -> Tensor:
        """The Gaussian kernel of embeddings (n, w) and those kept: (n, m)."""
        return torch.exp(-self.narrowness * self._squares(z))

    def _squares(self, z: Tensor) -> Tensor:
        kept = self.reference
        squares = (z**2).sum(dim=1, keepdim=True) + (kept**2).sum(dim=1) - 2 * z @ kept.T
        return squares.clamp_min(0.0)


def ball_weights(kernel: Tensor, nu: float) -> Tensor:
    """Weights of m points in the centre of the smallest ball around all but ``nu`` m of them.

    Given by their kernel (m, m). The dual of Tax & Duin's SVDD by the method of Frank & Wolfe: of
    all feasible weights the best to move to is an even weight of the ``nu`` m points that are
    farthest from the centre.
    """
    outside = max(1, int(nu * len(kernel)))
    weight = torch.full_like(kernel[0], 1 / len(kernel))
    near = kernel @ weight
    for step in range(_BALL_STEPS):
        farthest = near.topk(outside, largest=False).indices
        stride = 2 / (step + 3)
        weight = (1 - stride) * weight
        weight[farthest] += stride / outside
        near = near + stride * (kernel[:, farthest].mean(dim=1) - near)
    return weight


def whitening_of(z: Tensor) -> Tensor:
    """What makes the spread of ``z`` (n, w) one in all directions, the covariance shrunk."""
    rows = (z - z.mean(dim=0)).double().cpu()
    shrinkage = ledoit_wolf_shrinkage(rows.numpy(), assume_centered=True) if len(z) > 1 else 1.0
    variances, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.mean()
    return axes * shrunk.clamp_min(1e-12).rsqrt()


class SimCLRNetwork(ContrastiveNetwork):
    """For rows: a row and itself with some columns drawn anew are the two views.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the embedding.
    corruption : float
        Share of the columns drawn anew.
    **plan
        See :class:`ContrastiveNetwork`.
    """

    def __init__(self, sizes: Sequence[int], *, corruption: float, **plan: object) -> None:
        super().__init__(sizes[-1], **plan)  # type: ignore[arg-type]
        self.corruption = corruption
        self.encoder = mlp(sizes, linear_end=False, dropout=plan["dropout"])  # type: ignore[arg-type]

    def views(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, corrupted(x, self.corruption)


def corrupted(x: Tensor, share: float) -> Tensor:
    """``x`` (n, d) with a share of each row's columns, rounded down, taken from random rows."""
    places = torch.rand_like(x).argsort(dim=1).argsort(dim=1)
    donors = torch.randint(len(x), x.shape, device=x.device)
    return torch.where(places < int(share * x.shape[1]), x.gather(0, donors), x)


class SimCLRSeriesNetwork(ContrastiveNetwork):
    """For windows (n, L, d): convolutions along time and the greatest of what each of them finds.

    Parameters
    ----------
    channels : int
    hidden : sequence of int
        Channels of the convolutions, each of half the length of the one before.
    kernel_size : int
        Odd.
    kinds : sequence of str
        How views are made: keys of :data:`VIEWS`, applied in their order.
    **plan
        See :class:`ContrastiveNetwork`.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        *,
        kernel_size: int,
        kinds: Sequence[str],
        **plan: object,
    ) -> None:
        super().__init__(hidden[-1], **plan)  # type: ignore[arg-type]
        self.kinds = [kind for kind in VIEWS if kind in kinds]
        layers: list[nn.Module] = [_TimeLast()]
        for wide, narrow in pairwise([channels, *hidden]):
            layers += [nn.Conv1d(wide, narrow, kernel_size, 2, kernel_size // 2), nn.ReLU()]
            layers += [nn.Dropout(plan["dropout"])]  # type: ignore[arg-type]
        self.encoder = nn.Sequential(*layers, _Greatest())

    def views(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.view(x), self.view(x)

    def view(self, x: Tensor) -> Tensor:
        """One view of each window."""
        for kind in self.kinds:
            x = VIEWS[kind](x)
        return x

    def evenly(self, x: Tensor) -> Tensor:
        """The score of each window, spread over its channels, at each of its steps."""
        return (self.score(x) / x.shape[2])[:, None, None].expand(x.shape)

    def terms(self, x: Tensor) -> Tensor:
        """The same, by how far the score falls where a channel is flat at its mean."""
        score = self.score(x)
        drops = []
        for j in range(x.shape[2]):
            flat = x.clone()
            flat[:, :, j] = 0.0
            drops.append((score - self.score(flat)).clamp_min(0.0))
        drop = torch.stack(drops, dim=1)
        total = drop.sum(dim=1, keepdim=True)
        share = torch.where(total > 0, drop / total.clamp_min(1e-30), 1 / x.shape[2])
        return (score[:, None] * share)[:, None, :].expand(x.shape)


class _TimeLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _Greatest(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.amax(dim=2)


# -- views of windows (n, L, d) -------------------------------------------------------------------


def permuted(x: Tensor) -> Tensor:
    """Pieces of each window in random order."""
    length = x.shape[1]
    at = torch.arange(length, device=x.device)
    rank = torch.rand(len(x), _PIECES, device=x.device).argsort(dim=1)
    order = (rank[:, at * _PIECES // length] * length + at).argsort(dim=1)
    return _steps(x, order)


def cropped(x: Tensor) -> Tensor:
    """A random part of each window, half of it at least, drawn out to its length."""
    last = x.shape[1] - 1
    kept = _LEAST_KEPT + (1 - _LEAST_KEPT) * torch.rand(len(x), 1, device=x.device)
    start = torch.rand_like(kept) * (1 - kept) * last
    at = start + kept * torch.arange(last + 1, device=x.device)
    left = at.floor().long().clamp(0, last)
    right, share = (left + 1).clamp_max(last), (at - left)[:, :, None].to(x)
    return (1 - share) * _steps(x, left) + share * _steps(x, right)


def scaled(x: Tensor) -> Tensor:
    """Each channel times a factor near one."""
    return x * (1 + _SCALING * torch.randn_like(x[:, :1]))


def jittered(x: Tensor) -> Tensor:
    """With noise."""
    return x + _JITTER * torch.randn_like(x)


def _steps(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[:, :, None].expand(x.shape))


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "permutation": permuted, "crop": cropped, "scaling": scaled, "jitter": jittered,
}  # fmt: skip
