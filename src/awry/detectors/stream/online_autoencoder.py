"""Online autoencoder: rows that a network cannot rebuild which has learnt from the latest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.online import StreamDetector
from awry.core.optional import optional
from awry.core.params import any_of, integer, listing, nothing, option, random_state, real
from awry.core.series import robust_moments
from awry.core.threshold import Threshold

#: Standardised values are cut off here; their squares must fit in single precision.
_FAR = 1e15


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    weights: FloatArray
    moments: FloatArray
    batch: FloatArray
    seen: NDArray[np.int64]


class OnlineAutoEncoder(StreamDetector):
    """Rows that a network with a bottleneck cannot rebuild, which goes on learning.

    The columns are standardised, squeezed through ever narrower layers and rebuilt; the score of a
    row is its squared error ‖x - x̂‖² by the weights of the moment (Sakurada & Yairi, equation 5).
    Rows are gathered, and after every ``batch_size`` of them the network takes one step of Adam
    down their mean squared error; each row is seen once, as in Kitsune, and no row is kept after
    its batch. The training rows, or the warm-up, are learnt first, in several passes.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the hidden layers, from the input inwards; None takes one of four times the
        columns, between 16 and 256.
    latent : int or None, default=None
        Width of the bottleneck; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
        tanh keeps what is far out from being carried on in a straight line.
    epochs : int, default=20
        Passes over the rows from which it begins.
    batch_size : int, default=32
        Rows of a step.
    lr : float, default=1e-3
        Learning rate of Adam.
    trim : float, default=0.1
        Share of each batch, the rows with the largest errors, that is not learnt from, so that
        anomalies among others do not become normal.
    random_state : int, Generator or None, default=None
        Seed of the weights.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) that standardise the rows, the ``weights`` (p,) of the
        network, the ``moments`` (2, p) of Adam, the ``batch`` (batch_size, d) that is being filled
        and the rows ``seen``.

    Notes
    -----
    A column's contribution is its own squared error. Scores are worked out in double precision
    and rounded to single, as the last bits depend on how many rows are multiplied at once.

    Departures: mini-batches, Adam and ``trim``, where Kitsune has single rows and gradient
    descent, and one network of all columns where it has a small one for each group of them.

    References
    ----------
    Mirsky, Doitshman, Elovici & Shabtai: "Kitsune: An Ensemble of Autoencoders for Online Network
    Intrusion Detection", NDSS 2018. Sakurada & Yairi: "Anomaly Detection Using Autoencoders with
    Nonlinear Dimensionality Reduction", MLSDA 2014.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(600, 1))
    >>> X = np.hstack([x, -x, 2 * x])
    >>> detector = OnlineAutoEncoder(random_state=0).fit(X)
    >>> detector.score_one([1.0, 1.0, 2.0]) > 10 * detector.score_one([1.0, -1.0, 2.0])
    True
    """

    card = Card(
        name="online_autoencoder",
        summary="Rows that a network cannot rebuild which goes on learning.",
        modality="stream",
        family="networks",
        paper="Mirsky et al., Kitsune: Autoencoders for Online Network Intrusion Detection, NDSS",
        year=2018,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(w)",
        finds="rows that break the relations between columns as they are of late, curved or not",
        misses="rows far out along these relations; anomalies that last for many batches",
        extra="deep",
        online=True,
        stochastic=True,
    )

    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "latent": any_of(nothing(), integer(1)),
        "activation": option("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"),
        "epochs": integer(1),
        "batch_size": integer(2),
        "lr": real(0, closed="(]"),
        "trim": real(0, 1, "[)"),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }
    transient = ("_learner",)

    def __init__(
        self,
        hidden: list[int] | tuple[int, ...] | None = None,
        latent: int | None = None,
        activation: str = "tanh",
        epochs: int = 20,
        batch_size: int = 32,
        lr: float = 1e-3,
        trim: float = 0.1,
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.hidden = hidden
        self.latent = latent
        self.activation = activation
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.trim = trim
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        center, scale = robust_moments(X)
        seed, d = self._seed(), X.shape[1]
        network = self._build(d, seed)
        trainer = _torch_side("trainer").Trainer(
            epochs=self.epochs, batch_size=self.batch_size, lr=self.lr, schedule=None,
            validation_fraction=0.0, device="cpu", seed=seed, name=self.card.name,
        )  # fmt: skip
        trainer.fit(network, ((X - center) / scale,))
        self._learner = _torch_side("online").OnlineLearner(network)
        weights = self._learner.weights
        return _State(
            center,
            scale,
            weights,
            np.zeros((2, len(weights))),
            np.zeros((self.batch_size, d)),
            np.zeros(1, dtype=np.int64),
        )

    def _build(self, d: int, seed: int) -> Any:
        hidden = [int(np.clip(4 * d, 16, 256))] if self.hidden is None else list(self.hidden)
        sizes = [d, *hidden, self.latent or max(1, round(d**0.5))]
        with _torch_side("device").seeded(seed):
            return _torch_side("autoencoder").AutoEncoderNetwork(
                sizes, activation=self.activation, batch_norm=False, dropout=0.0
            )

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        rows = np.clip((X - state.center) / state.scale, -_FAR, _FAR)
        if not learn:
            return self._errors(state, rows).sum(axis=1).astype(np.float32).astype(np.float64)
        out, at, size = np.empty(len(X)), 0, len(state.batch)
        while at < len(rows):
            filled = int(state.seen[0] % size)
            part = slice(at, at + size - filled)
            out[part] = self._run(state, X[part], False)
            new = rows[part]
            state.batch[filled : filled + len(new)] = new
            state.seen[0] += len(new)
            at += len(new)
            if state.seen[0] % size == 0:
                self._step(state)
        return out

    def _step(self, state: _State) -> None:
        size = len(state.batch)
        self._of(state).step(
            state.weights, state.moments, state.batch, lr=self.lr,
            keep=max(1, round(size * (1.0 - self.trim))), step=int(state.seen[0]) // size,
        )  # fmt: skip

    def _errors(self, state: _State, rows: FloatArray) -> FloatArray:
        errors: FloatArray = self._of(state).terms(state.weights, rows)
        return errors

    def _of(self, state: _State) -> Any:
        """What learns; made anew after loading, its weights being those of the state."""
        if "_learner" not in self.__dict__:
            network = self._build(state.batch.shape[1], 0)
            self._learner = _torch_side("online").OnlineLearner(network)
        return self._learner

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        state = self.state_
        rows = np.clip((X - state.center) / state.scale, -_FAR, _FAR)
        return self._errors(state, rows), 0.0


def _torch_side(module: str) -> Any:
    """A module of :mod:`awry.nn`, or the word on how to install torch."""
    for needed in ("torch", "lightning_fabric", f"awry.nn.{module}"):
        found = optional(needed, extra="deep", needed_by="OnlineAutoEncoder")
    return found
