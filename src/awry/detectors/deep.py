"""What all network detectors for tables share; torch is imported when one is first used."""

from __future__ import annotations

import inspect
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import numpy as np
from scipy.stats import rankdata
from sklearn.utils.validation import check_is_fitted

from awry.core.detector import Detector
from awry.core.errors import ModelError
from awry.core.inputs import FloatArray, IntArray
from awry.core.optional import optional
from awry.core.params import (
    any_of,
    instance,
    integer,
    listing,
    nothing,
    option,
    random_state,
    real,
)
from awry.core.threshold import Threshold
from awry.detectors._rows import Scaled, standards

if TYPE_CHECKING:
    from awry.nn.network import Network
    from awry.nn.trainer import Trainer

#: Fewer rows than this, or than two per column, are few for a network.
ENOUGH_ROWS = 100
#: What scores may differ by between onnxruntime and awry, and the rows it is tried on.
_EXPORT_TOLERANCE, _TRIED = 1e-4, 256


class FewRowsWarning(UserWarning):
    """There are too few rows for what is to be learnt from them."""


class Training(TypedDict, total=False):
    """The parameters that every network detector has, see :class:`DeepDetector`."""

    hidden: list[int] | tuple[int, ...] | None
    dropout: float
    epochs: int | None
    batch_size: int | None
    lr: float
    weight_decay: float
    schedule: str | None
    clip: float | None
    validation_fraction: float
    patience: int
    device: str
    devices: int
    precision: str | int
    checkpoint: str | None
    random_state: int | np.random.Generator | np.random.RandomState | None
    contamination: float | str | Threshold | None


class DeepDetector(Detector):
    """Base of the network detectors for tables.

    A subclass writes ``_build(d)``, which returns a :class:`~awry.nn.network.Network` for rows of d
    standardised columns: its ``loss`` learns, its ``score`` judges, its ``terms``, if it has any,
    explain. Its constructor names its own parameters and passes ``**training`` on.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the hidden layers, from the input inwards; None sets two by the columns.
    dropout : float, default=0.0
        Share of the units left out at random in each step of training.
    epochs : int or None, default=None
        Passes over the rows at most; None makes some 10,000 steps, in 10 to 100 passes.
    batch_size : int or None, default=None
        Rows per step; None takes a thirtieth of them, between 32 and 1024.
    lr, weight_decay : float, default=1e-3, 1e-5
        Learning rate and weight decay of AdamW.
    schedule : {"cosine", "plateau", None}, default="cosine"
        How the learning rate falls, see :class:`~awry.nn.trainer.Trainer`.
    clip : float or None, default=5.0
        Norm that gradients are cut to.
    validation_fraction : float, default=0.1
        Share of the rows held out, by which training stops early; 0 for none.
    patience : int, default=10
        Epochs without a lower held-out loss after which training stops.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` takes a GPU where there is one.
    devices : int, default=1
        How many of them train; a batch that does not fit in the memory of several is not halved.
    precision : {"32", "16", "bf16"}, or 32 or 16, default="32"
        Bits of the arithmetic in training; scores are worked out in double precision.
    checkpoint : str or None, default=None
        File from which a training that was killed goes on, with the seed it had.
    random_state : int, Generator, RandomState or None, default=None
        Seed of weights, batches and noise.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    history_ : dict of str to list
        Losses, learning rate and batch size, epoch by epoch: :func:`awry.report.losses.loss_chart`
        draws them.
    weights_ : dict of str to ndarray
        The weights of the network.
    center_, scale_ : ndarray of shape (d,)
        What standardises the columns.
    """

    transient = ("_network",)
    in_place = True
    #: Where the epochs are not given: steps that a training aims at, fewest and most passes.
    _steps: ClassVar[int] = 10_000
    _passes: ClassVar[tuple[int, int]] = (10, 100)
    #: What the network takes one of, and a detector that needs fewer of them.
    _items: ClassVar[str] = "rows of {d} columns"
    _instead: ClassVar[str] = "knn"

    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "dropout": real(0, 1, "[)"),
        "epochs": any_of(nothing(), integer(1)),
        "batch_size": any_of(nothing(), integer(2)),
        "lr": real(0, closed="(]"),
        "weight_decay": real(0),
        "schedule": option("cosine", "plateau", None),
        "clip": any_of(nothing(), real(0, closed="(]")),
        "validation_fraction": real(0, 1, "[)"),
        "patience": integer(1),
        "device": instance(str),
        "devices": integer(1),
        "precision": option("32", "16", "bf16", 32, 16),
        "checkpoint": any_of(nothing(), instance(str, os.PathLike)),
        "random_state": random_state(),
    }

    def __init__(
        self,
        *,
        hidden: list[int] | tuple[int, ...] | None = None,
        dropout: float = 0.0,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-5,
        schedule: str | None = "cosine",
        clip: float | None = 5.0,
        validation_fraction: float = 0.1,
        patience: int = 10,
        device: str = "auto",
        devices: int = 1,
        precision: str | int = "32",
        checkpoint: str | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip = clip
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.devices = devices
        self.precision = precision
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.contamination = contamination

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Spell out ``**training``: in the signature, the constraints and the docstring."""
        base: Any = cls.__mro__[1]
        cls.constraints = {**base.constraints, **cls.__dict__.get("constraints", {})}
        if "__init__" in cls.__dict__:
            init: Any = cls.__init__
            own = inspect.signature(init).parameters.values()
            named = {p.name: p for p in own if p.kind is not p.VAR_KEYWORD}
            for name, parameter in inspect.signature(base.__init__).parameters.items():
                named.setdefault(name, parameter)
            init.__signature__ = inspect.Signature(list(named.values()))
        if cls.__doc__:
            own_words = [line for line in cls.__doc__.splitlines() if " : " in line]
            words = (str(parent.__doc__) for parent in cls.__mro__[1:])
            shared = _shared_words(next(w for w in words if "contamination : " in w), own_words)
            cls.__doc__ = cls.__doc__.replace("    **training\n", shared)
        super().__init_subclass__(**kwargs)

    # -- what a subclass writes -------------------------------------------------------------------

    def _build(self, d: int) -> Network:
        """The network, by the parameters and what ``_measure`` set; weights are set later."""
        raise NotImplementedError

    def _measure(self, X: FloatArray) -> None:
        """Set what ``_build`` needs to know of the data: here what standardises the columns."""
        self.center_, self.scale_ = standards(X)

    # -- fitting ----------------------------------------------------------------------------------

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self._measure(X)
        supervised = self.card.supervision != "none"
        self._train(X, self._known_labels(y, len(X)) if supervised else None)

    def _train(self, X: Any, labels: Any = None, seed: int | None = None) -> None:
        """Train on the items of ``X`` (n, ...), which are standardised as they are taken."""
        n, d = len(X), self.n_features_in_
        enough = max(ENOUGH_ROWS, 2 * d)
        if n < enough:
            warnings.warn(
                f"{type(self).__name__}: {n} {self._items.format(d=d)} are few for a network; give "
                f"at least {enough}, or use another detector, such as {self._instead}",
                FewRowsWarning,
                stacklevel=4,
            )
        seed = self._seed() if seed is None else seed
        with self._torch_side("device").seeded(seed):
            network = self._build(d)
        batch_size = self.batch_size or int(np.clip(2 ** round(np.log2(n / 30 + 1)), 32, 1024))
        epochs = self.epochs or int(np.clip(self._steps * batch_size / n, *self._passes))
        trainer = self._trainer(epochs=epochs, batch_size=batch_size, seed=seed)
        rows = Scaled(X, self.center_, self.scale_)
        data = (rows,) if labels is None else (rows, labels)
        self._pretrain(network, trainer, data)
        self.history_ = trainer.fit(network, data)
        self.weights_ = {k: v.numpy().copy() for k, v in network.state_dict().items()}
        self.__dict__.pop("_network", None)

    def _trainer(self, **plan: Any) -> Trainer:
        """The trainer with this detector's settings, but for those given."""
        settings = {name: getattr(self, name) for name in _PASSED_ON}
        made: Trainer = self._torch_side("trainer").Trainer(
            **{"name": self.card.name, **settings, **plan}
        )
        return made

    def _pretrain(self, network: Network, trainer: Trainer, data: tuple[Any, ...]) -> None:
        """What is learnt before the network itself learns by ``trainer``: nothing, by default."""

    def _seed(self) -> int:
        # A training that drew its seed goes on with the one it drew.
        if self.random_state is None and self.checkpoint is not None:
            drawn: int | None = self._torch_side("checkpoint").seed_of(self.checkpoint)
            return super()._seed() if drawn is None else drawn
        return super()._seed()

    def _lessons(self, X: FloatArray, y: IntArray | None) -> tuple[Any, ...]:
        """What a network that is fitted learns on from: rows, and labels where it takes them."""
        return (X,) if self.card.supervision == "none" else (X, self._known_labels(y, len(X)))

    def _known_labels(self, y: IntArray | None, n: int) -> IntArray:
        return np.full(n, -1) if y is None else y

    def _widths(self, d: int) -> list[int]:
        """Widths of the hidden layers for ``d`` columns."""
        if self.hidden is not None:
            return list(self.hidden)
        first = int(np.clip(2 ** np.ceil(np.log2(4 * d)), 64, 512))
        return [first, first // 2]

    @staticmethod
    def _narrow(d: int) -> int:
        """Width of a bottleneck for ``d`` columns: their square root."""
        return max(1, round(d**0.5))

    # -- scoring ----------------------------------------------------------------------------------

    def to_onnx(
        self, path: str | os.PathLike[str], *, int8: bool = False, rows: Any = None
    ) -> dict[str, Any]:
        """Write the whole path from a row to its score as an ONNX model, and try it.

        The input is ``rows`` (n, d), float64, the output ``scores`` (n,).

        Parameters
        ----------
        path : path-like
        int8 : bool, default=False
            Keep weights in 8 bits, see :func:`awry.nn.export.to_onnx`.
        rows : array-like of shape (n, d), optional
            What to try it on; rows drawn with the training data's means and spreads by default.

        Returns
        -------
        dict
            ``"bytes"``, the size of the file; ``"difference"``, the largest between onnxruntime's
            scores and awry's, as a share of one more than awry's; ``"rank_correlation"`` of both.
            Of series also ``"window"``, its points, and ``"left_out"``, what the file does not do.

        Raises
        ------
        ModelError
            Where that difference is above 1e-4 although weights are kept in 32 bits.
        """
        check_is_fitted(self)
        export = self._torch_side("export")
        if rows is None:
            noise = np.random.default_rng(0).normal(size=(_TRIED, *self._item_shape()))
            rows = self.center_ + self.scale_ * noise
        rows = self._check_items(rows)
        center, scale = (np.broadcast_to(a, rows.shape[1:]) for a in (self.center_, self.scale_))
        export.to_onnx(self.bare_network(), center, scale, path, int8=int8)
        mine, theirs = self._apply(self.network_.score, rows), export.run_onnx(path, rows)
        difference = float((np.abs(mine - theirs) / (1 + np.abs(mine))).max())
        if not int8 and not difference <= _EXPORT_TOLERANCE:
            raise ModelError(
                f"{path}: onnxruntime's scores differ from awry's by {difference:.2g}; "
                "do not use the file"
            )
        ranks = rankdata(mine), rankdata(theirs)
        facts = {
            "bytes": Path(path).stat().st_size,
            "difference": difference,
            "rank_correlation": float(np.corrcoef(*ranks)[0, 1]),
        }
        return facts | self._export_facts()

    @property
    def network_(self) -> Network:
        """The trained network, in double precision, on the device that scores."""
        if "_network" not in self.__dict__:
            device = self._torch_side("device")
            where = device.best_device(self.device)
            self._network = self.bare_network().to(where, dtype=device.finest(where))
        return self._network

    def bare_network(self) -> Network:
        """A new network with the trained weights, in single precision, on the CPU."""
        torch = optional("torch", extra="deep", needed_by=type(self).__name__)
        with self._torch_side("device").seeded(0):
            network = self._build(self.n_features_in_)
        # A copy: weights read from a file are read-only, which torch does not know.
        network.load_state_dict({k: torch.tensor(v) for k, v in self.weights_.items()})
        return network.eval()

    def _item_shape(self) -> tuple[int, ...]:
        """The shape of what the network takes one of."""
        return (self.n_features_in_,)

    def _export_facts(self) -> dict[str, Any]:
        """What an exported file takes and leaves out, where that is not one row and nothing."""
        return {}

    def _check_items(self, rows: Any) -> FloatArray:
        """What the network takes, as an array (n, ...)."""
        return np.asarray(self._check_input(rows, reset=False))

    def _score(self, X: FloatArray) -> FloatArray:
        return self._apply(self.network_.score, X)

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        network, scoring = self.network_, self._torch_side("scoring")
        if network.has_terms:
            return self._apply(network.terms, X), self._apply(network.base, X)
        values = self._apply(lambda x: scoring.integrated_gradients(network.score, x), X)
        return values, self._score(X) - values.sum(axis=1)

    def _apply(self, function: Any, X: Any) -> FloatArray:
        scoring = self._torch_side("scoring")
        rows = Scaled(X, self.center_, self.scale_)
        done: FloatArray = scoring.score_batches(function, rows, network=self.network_)
        return done

    def _torch_side(self, module: str) -> Any:
        """A module of :mod:`awry.nn`, or the word on how to install torch."""
        for needed in ("torch", "lightning_fabric"):
            optional(needed, extra="deep", needed_by=type(self).__name__)
        return optional(f"awry.nn.{module}", extra="deep", needed_by=type(self).__name__)


#: Parameters that go to the trainer as they are.
_PASSED_ON = (
    "lr", "weight_decay", "schedule", "clip", "validation_fraction", "patience", "device",
    "devices", "precision", "checkpoint",
)  # fmt: skip


def _shared_words(base: str, own: list[str]) -> str:
    """The base's documentation of the parameters that a subclass does not document itself."""
    section = base.partition("    ----------\n")[2].partition("\n    Attributes\n")[0]
    named = {line.strip().partition(" : ")[0] for line in own}
    kept, keep = [], True
    for line in section.splitlines():
        if " : " in line and not line.startswith("     "):
            keep = line.strip().partition(" : ")[0] not in named
        if keep and line.strip():
            kept.append(line)
    return "\n".join(kept) + "\n"
