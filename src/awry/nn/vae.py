"""A variational autoencoder for the rows of tables, and the scores drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from awry.nn.blocks import mlp
from awry.nn.data import Moments
from awry.nn.losses import bernoulli_nll, gaussian_nll, kl_to_standard_normal
from awry.nn.mixed import MixedColumns
from awry.nn.network import Batch, Network

#: Bounds of log-variances: a constant column's would fall without end, a far row's explode.
_LEAST, _MOST = -6.0, 6.0


class VAENetwork(Network):
    """Encoder q(z | x), decoder p(x | z), both Gaussian, or p Bernoulli for columns of 0 and 1.

    Of columns that hold codes of categories p is categorical.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the latent variable.
    binary : sequence of bool, length d
        Columns with a Bernoulli likelihood.
    columns : MixedColumns or None
        Which columns hold codes, and how they are taken in.
    score : {"reconstruction_probability", "elbo", "kl", "mahalanobis"}
    beta : float
        Weight of the KL term.
    warm_up : float
        Share of the epochs over which that weight rises from 0.
    n_draws : int
        Draws of z for the score, the same for every row.
    activation, batch_norm, dropout
        See :func:`~awry.nn.blocks.mlp`.
    """

    noise: Tensor
    binary: Tensor
    latent_mean: Tensor
    latent_whitening: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        binary: Sequence[bool],
        *,
        columns: MixedColumns | None = None,
        score: str,
        beta: float,
        warm_up: float,
        n_draws: int,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.which, self.beta, self.warm_up, self.warmth = score, beta, warm_up, 1.0
        *hidden, latent = sizes
        style = {"activation": activation, "batch_norm": batch_norm, "dropout": dropout}
        self.columns = columns
        taken = hidden[0] if columns is None else columns.width
        self.encoder = mlp([taken, *hidden[1:]], linear_end=False, **style)  # type: ignore[arg-type]
        self.to_mean = nn.Linear(hidden[-1], latent)
        self.to_log_variance = nn.Linear(hidden[-1], latent)
        self.decoder = mlp([latent, *hidden[:0:-1]], linear_end=False, **style)  # type: ignore[arg-type]
        self.to_x = nn.Linear(hidden[1], hidden[0])
        self.to_x_log_variance = nn.Linear(hidden[1], hidden[0])
        if columns is not None:
            self.to_levels = nn.Linear(hidden[1], columns.n_logits)
            self.rows_at_once = columns.rows_at_once(n_draws)
        self.register_buffer("noise", torch.randn(n_draws, latent))
        self.register_buffer("binary", torch.tensor(list(binary)))
        self.register_buffer("latent_mean", torch.zeros(latent))
        self.register_buffer("latent_whitening", torch.eye(latent))

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Raise the weight of the KL term in a straight line."""
        span = self.warm_up * epochs
        self.warmth = min(1.0, (epoch + 1) / span) if span else 1.0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch[0]
        mean, log_variance = self.encode(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        reconstruction = self.nll(x, z).sum(dim=1).mean()
        kl = kl_to_standard_normal(mean, log_variance).sum(dim=1).mean()
        warmth = self.warmth if self.training else 1.0
        loss = reconstruction + warmth * self.beta * kl
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    @torch.no_grad()
    def on_end(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Mean and covariance of where the training rows lie in the latent space."""
        places = Moments()
        for x, *_ in batches():
            places.add(self.encode(x)[0])
        self.latent_mean.copy_(places.mean[0])
        variances, axes = torch.linalg.eigh(places.covariance[0])
        # A direction the encoder leaves unused has no variance to be measured by.
        scale = variances.clamp_min(1e-6 * float(variances[-1]) + 1e-12).rsqrt()
        self.latent_whitening.copy_(axes * scale)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (n, latent)."""
        h = self.encoder(x if self.columns is None else self.columns.embed(x))
        return self.to_mean(h), self.to_log_variance(h).clamp(_LEAST, _MOST)

    def nll(self, x: Tensor, z: Tensor) -> Tensor:
        """-log p(x_j | z) for each column, the shape of ``x``."""
        h = self.decoder(z)
        out, log_variance = self.to_x(h), self.to_x_log_variance(h).clamp(_LEAST, _MOST)
        numbers = x if self.columns is None else self.columns.numbers(x)
        inside = numbers.clamp(0.0, 1.0)
        # Beyond 0 and 1 a Bernoulli variable has no likelihood; the distance is charged.
        bernoulli = bernoulli_nll(inside, out) + (numbers - inside) ** 2
        found = torch.where(self.binary, bernoulli, gaussian_nll(numbers, out, log_variance))
        if self.columns is None:
            return found
        entropies = self.columns.cross_entropy(x, self.to_levels(h))
        return torch.where(self.columns.coded, entropies, found)

    # -- scores -----------------------------------------------------------------------------------

    @property
    def has_terms(self) -> bool:
        return self.which in ("reconstruction_probability", "elbo")

    def terms(self, x: Tensor) -> Tensor:
        """-E log p(x_j | z) by column, the mean over the draws of z."""
        mean, log_variance = self.encode(x)
        draws = len(self.noise)
        z = mean + torch.exp(0.5 * log_variance) * self.noise[:, None, :]
        nll = self.nll(x.expand(draws, *x.shape).flatten(0, 1), z.flatten(0, 1))
        return nll.unflatten(0, (draws, -1)).mean(dim=0)

    def base(self, x: Tensor) -> Tensor:
        if self.which == "elbo":
            return self.kl(x)
        return x.new_zeros(x.shape[0])

    def kl(self, x: Tensor) -> Tensor:
        """KL(q(z | x) ‖ N(0, 1)) of each row."""
        return kl_to_standard_normal(*self.encode(x)).sum(dim=1)

    def score(self, x: Tensor) -> Tensor:
        if self.which == "kl":
            return self.kl(x)
        if self.which == "mahalanobis":
            away = (self.encode(x)[0] - self.latent_mean) @ self.latent_whitening
            return (away**2).sum(dim=1)
        return self.terms(x).sum(dim=1) + self.base(x)
