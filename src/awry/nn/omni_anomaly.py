"""OmniAnomaly's stochastic recurrent network: a state that is drawn step by step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from awry.nn.blocks import mlp
from awry.nn.losses import gaussian_nll
from awry.nn.network import Batch, Network

_LOG_2PI = math.log(2 * math.pi)
#: Least standard deviation of what is drawn and of what is observed, as in the authors' code.
_LEAST = 1e-4


class StateSpacePrior(nn.Module):
    """The density of states (..., steps, k) observed of a random walk (equation 5).

    In each dimension s_1 ~ N(0, 1), s_t = s_(t-1) + v_t and z_t = s_t + e_t with v, e ~ N(0, 1), so
    that z is Gaussian with the covariances min(i, j) + [i = j]: what a Kalman filter would find.
    """

    whitening: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        at = torch.arange(1, steps + 1, dtype=torch.float64)
        covariance = torch.minimum(at[:, None], at[None, :]) + torch.eye(steps).double()
        lower = torch.linalg.cholesky(covariance)
        whitening = torch.linalg.solve_triangular(lower, torch.eye(steps).double(), upper=False)
        self.register_buffer("whitening", whitening.float(), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """log p(z) of each sequence, (...)."""
        white = self.whitening @ z
        steps, width = z.shape[-2:]
        log_volume = width * self.whitening.diagonal().log().sum()
        return log_volume - 0.5 * (white.square().sum(dim=(-2, -1)) + steps * width * _LOG_2PI)


class PlanarFlow(nn.Module):
    """z + û tanh(wᵀz + b), invertible as wᵀû > -1: Rezende & Mohamed 2015, equation 10, A.1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w, self.u = (nn.Parameter(0.1 * torch.randn(width)) for _ in range(2))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """What became of z (..., width), and log |det| of the change, (...)."""
        along = self.w @ self.u
        u = self.u + (functional.softplus(along) - 1 - along) * self.w / (self.w @ self.w + 1e-12)
        bend = torch.tanh(z @ self.w + self.b)
        log_det = torch.log1p((1 - bend**2) * (self.w @ u))
        return z + bend[..., None] * u, log_det


class OmniAnomalyNetwork(Network):
    """Reads a window, draws a state for each step given the one before, tells the window from them.

    Parameters
    ----------
    steps, channels : int
        Of a window.
    hidden : int
        Width of the recurrent and of the dense layers.
    latent : int
        Width of a state.
    n_flows : int
        Planar flows that a drawn state goes through.
    n_draws : int
        Draws of the states for the score, the same for every window.
    dropout : float
    """

    noise: Tensor

    def __init__(
        self,
        steps: int,
        channels: int,
        *,
        hidden: int,
        latent: int,
        n_flows: int,
        n_draws: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.reader = nn.GRU(channels, hidden, batch_first=True)
        self.from_read = mlp([hidden, hidden, hidden], dropout=dropout, linear_end=False)
        self.to_state = nn.Linear(hidden, 2 * latent)
        self.from_last = nn.Linear(latent, 2 * latent, bias=False)
        self.flows = nn.ModuleList(PlanarFlow(latent) for _ in range(n_flows))
        self.teller = nn.GRU(latent, hidden, batch_first=True)
        self.from_told = mlp([hidden, hidden, hidden], dropout=dropout, linear_end=False)
        self.to_x = nn.Linear(hidden, 2 * channels)
        self.prior = StateSpacePrior(steps)
        self.register_buffer("noise", torch.randn(n_draws, steps, latent))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The negative ELBO of a step, by one draw (equation 8)."""
        x = batch[0]
        states, log_q = self.draw(x, torch.randn(*x.shape[:2], self.latent).to(x))
        reconstruction = self.nll(x, states).sum(dim=(1, 2)).mean()
        kl = (log_q - self.prior(states)).mean()
        steps = x.shape[1]
        return {"loss": (reconstruction + kl) / steps, "reconstruction": reconstruction / steps}

    def draw(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, L, latent) made of noise of that shape, and their log-density q(z | x), (n,).

        Each is drawn around what was read and the draw before it (equations 2 and 3), all are then
        bent by the flows (equation 4).
        """
        read = self.to_state(self.from_read(self.reader(x)[0]))
        drawn, spreads, last = [], [], torch.zeros_like(noise[:, 0])
        for t in range(x.shape[1]):
            mean, width = (read[:, t] + self.from_last(last)).chunk(2, dim=1)
            spread = functional.softplus(width) + _LEAST
            last = mean + spread * noise[:, t]
            drawn.append(last)
            spreads.append(spread)
        states = torch.stack(drawn, dim=1)
        log_spread = torch.stack(spreads, dim=1).log()
        log_q = -(log_spread + 0.5 * (noise**2 + _LOG_2PI)).sum(dim=(1, 2))
        for flow in self.flows:
            states, log_det = flow(states)
            log_q = log_q - log_det.sum(dim=1)
        return states, log_q

    def nll(self, x: Tensor, states: Tensor) -> Tensor:
        """-log p(x_t | z_1..t) of each value, the shape of ``x``."""
        mean, width = self.to_x(self.from_told(self.teller(states)[0])).chunk(2, dim=2)
        return gaussian_nll(x, mean, 2 * torch.log(functional.softplus(width) + _LEAST))

    def terms(self, x: Tensor) -> Tensor:
        """-E log p(x_t | z_1..t), the mean over the draws."""
        draws = len(self.noise)
        many = x.expand(draws, *x.shape).flatten(0, 1)
        noise = self.noise[:, None].expand(-1, x.shape[0], -1, -1).flatten(0, 1)
        return self.nll(many, self.draw(many, noise)[0]).unflatten(0, (draws, -1)).mean(dim=0)
