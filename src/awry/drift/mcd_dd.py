"""Maximum concept discrepancy: drift seen by a network that learns along the stream (MCD-DD)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.optional import optional
from awry.core.params import integer, real
from awry.drift.online import OnlineDrift
from awry.kernels.drift_errors import DRIFT


class MCDDD(OnlineDrift):
    """Drift by the maximum concept discrepancy, in stretches of rows (d,).

    The stream is taken in stretches of ``window / n_stretches`` rows. From each of the last
    ``n_stretches``, samples of rows are drawn and their mean embeddings compared under an encoder.
    When the newest stretch lies farther from the one before it than samples of a single stretch
    from one another (at ``quantile``), that is a drift; then the encoder takes ``epochs`` steps on
    the window: samples of one stretch close together, disturbed ones apart, with a penalty on
    gradients that keeps it Lipschitz. The stream should be scaled to about unit deviations, for the
    noise is in its units. Against the authors' code, distances between stretches are over all pairs
    of samples, equal positions included, and the penalty holds each row's gradient to length one.

    Parameters
    ----------
    window : int, default=3000
        Rows looked back over.
    n_stretches : int, default=10
        Of the window; alarms come at the end of one.
    n_sets, set_size : int, default=10, 30
        Samples per stretch and rows in each (k and m).
    hidden, width : int, default=100, 100
        Of the encoder.
    small, large : float, default=1.0, 10.0
        Deviations of the noise of weak and strong negatives.
    quantile : float, default=0.95
    temperature, penalty, lr : float, default=0.1, 1.0, 0.005
    epochs : int, default=1
        Steps per window.
    random_state : int, default=0

    References
    ----------
    K. Wan, Y. Liang, S. Yoon. Online drift detection with maximum concept discrepancy. KDD (2024),
    section 4; defaults are those of the authors' code.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = np.vstack([rng.normal(size=(2000, 3)), rng.normal(3, 1, size=(1000, 3))])
    >>> found = MCDDD(window=1000, quantile=0.999).update_many(rows)
    >>> 2099 in found
    True
    """

    multivariate = True
    constraints = {
        "window": integer(20),
        "n_stretches": integer(2),
        "n_sets": integer(4),
        "set_size": integer(2),
        "hidden": integer(1),
        "width": integer(1),
        "small": real(0, None, "()"),
        "large": real(0, None, "()"),
        "quantile": real(0, 1, "()"),
        "temperature": real(0, None, "()"),
        "penalty": real(0),
        "lr": real(0, None, "()"),
        "epochs": integer(1),
        "random_state": integer(0),
    }

    def __init__(
        self,
        window: int = 3000,
        n_stretches: int = 10,
        n_sets: int = 10,
        set_size: int = 30,
        hidden: int = 100,
        width: int = 100,
        small: float = 1.0,
        large: float = 10.0,
        quantile: float = 0.95,
        temperature: float = 0.1,
        penalty: float = 1.0,
        lr: float = 0.005,
        epochs: int = 1,
        random_state: int = 0,
    ) -> None:
        self.window = window
        self.n_stretches = n_stretches
        self.n_sets = n_sets
        self.set_size = set_size
        self.hidden = hidden
        self.width = width
        self.small = small
        self.large = large
        self.quantile = quantile
        self.temperature = temperature
        self.penalty = penalty
        self.lr = lr
        self.epochs = epochs
        self.random_state = random_state

    def check_params(self) -> None:
        super().check_params()
        if self.window % self.n_stretches:
            raise ValueError(
                f"MCDDD: window must be a multiple of n_stretches ({self.n_stretches}), "
                f"got {self.window}"
            )

    def _start(self, width: int) -> tuple[Any, ...]:
        """Rows of the window, how many are held, the threshold, and windows seen."""
        module = optional("awry.nn.mcd_dd", extra="deep", needed_by="MCDDD")
        torch = optional("torch", extra="deep", needed_by="MCDDD")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self.encoder_ = module.ConceptEncoder(
                width, hidden=self.hidden, width=self.width, small=self.small, large=self.large,
                temperature=self.temperature, penalty=self.penalty,
            )  # fmt: skip
        held = np.zeros(2, dtype=np.int64)
        return np.zeros((self.window, width)), held, np.array([math.nan])

    def _run(self, values: FloatArray, status: np.ndarray) -> None:
        rows, held, threshold = self.state_
        stretch = self.window // self.n_stretches
        place = 0
        while place < len(values):
            room = self.window - int(held[0])
            part = values[place : place + room]
            rows[held[0] : held[0] + len(part)] = part
            held[0] += len(part)
            place += len(part)
            if held[0] < self.window:
                return
            if not math.isnan(threshold[0]) and self._newest() > threshold[0]:
                status[place - 1] = DRIFT
            threshold[0] = self._learn()
            held[1] += 1
            rows[:-stretch] = rows[stretch:].copy()
            held[0] -= stretch

    def _samples(self, purpose: int) -> Any:
        """Random samples of rows (n_stretches, n_sets, set_size, d) from the window's stretches."""
        import torch

        rows, held, _ = self.state_
        stretch = self.window // self.n_stretches
        rng = np.random.default_rng([self.random_state, int(held[1]), purpose])
        shape = (self.n_stretches, self.n_sets, self.set_size)
        chosen = rng.integers(0, stretch, shape)
        first = np.arange(self.n_stretches)[:, None, None] * stretch
        return torch.from_numpy(rows[first + chosen].astype(np.float32))

    def _newest(self) -> float:
        """How far the newest stretch lies from the one before it."""
        import torch

        from awry.nn.mcd_dd import between

        with torch.no_grad():
            means = self.encoder_.means(self._samples(0)[-2:])
            return float(between(means[0], means[1]).mean())

    def _learn(self) -> float:
        """Take the steps, and return how far samples of one stretch lie from one another."""
        import torch

        from awry.nn.mcd_dd import within
        from awry.nn.trainer import Trainer

        seed = self.random_state + int(self.state_[1][1])
        Trainer(
            epochs=self.epochs, batch_size=1, lr=self.lr, weight_decay=0.0, schedule=None,
            clip=None, validation_fraction=0.0, device="cpu", seed=seed, name="MCDDD",
        ).fit(self.encoder_, self._samples(1)[None].numpy())  # fmt: skip
        with torch.no_grad():
            apart = torch.cat([within(part) for part in self.encoder_.means(self._samples(2))])
        return float(torch.quantile(apart, self.quantile))
