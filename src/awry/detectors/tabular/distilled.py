"""Distilled: what a large detector knows, said by a small network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from sklearn.base import clone

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, instance, integer, option
from awry.detectors.deep import DeepDetector, Training
from awry.detectors.scale import Scale

if TYPE_CHECKING:
    from awry.nn.network import Network

#: Logarithms of the least and most noise added to rows, in standard deviations of the columns.
_NOISE = (np.log(0.03), np.log(1.0))


class Distilled(DeepDetector):
    """What a large detector knows, said by a small network.

    A teacher scores the training rows and ``augmentation`` made-up rows for each of them: rows with
    noise, rows between two others and rows that take each value from another row. The network
    learns to make the squared error of its own score small (Ba & Caruana, equation 1). What it
    learns, and its score, is log(1 - log p), p the share of training rows that the teacher scores
    as high: this keeps the teacher's order and is of a size that a network can hit.

    Parameters
    ----------
    teacher : str or Detector, default="autoencoder"
        Any inductive detector for tables; one that is fitted already is asked as it is.
    augmentation : int, default=2
        Made-up rows for each row.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="relu"
    hidden : list of int or None, default=None
        Widths of the small network's layers; None has 64 and 32.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The small network's weights. The teacher is not kept.

    Notes
    -----
    :func:`awry.detectors.compress.distil` makes one from a fitted detector in one call.

    References
    ----------
    Ba & Caruana: "Do Deep Nets Really Need to be Deep?", NeurIPS 2014. Buciluă, Caruana &
    Niculescu-Mizil: "Model Compression", KDD 2006, for made-up rows. Hinton et al.: "Distilling
    the Knowledge in a Neural Network", 2015.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = Distilled(teacher="knn", epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="distilled",
        summary="What a large detector knows, said by a small network.",
        family="networks",
        paper="Ba & Caruana, Do Deep Nets Really Need to be Deep?, NeurIPS",
        year=2014,
        fit_cost="that of its teacher, and O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="what its teacher finds, at a fraction of the cost and size",
        misses="what its teacher misses; the exact order of rows far from all it has seen",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "teacher": any_of(instance(str), instance(Detector)),
        "augmentation": integer(0),
        "activation": option("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"),
    }

    def __init__(
        self,
        teacher: str | Detector = "autoencoder",
        *,
        augmentation: int = 2,
        activation: str = "relu",
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.teacher = teacher
        self.augmentation = augmentation
        self.activation = activation

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        seed = self._seed()
        teacher = self._teach(X, seed)
        scale = Scale("tail").fit(teacher.decision_function(X))
        rows = self._with_made_up(X, seed)
        said = scale.transform(teacher.decision_function(rows))
        self._measure(X)
        self._train(rows, np.log1p(said), seed=seed)

    def _lessons(self, X: FloatArray, y: IntArray | None) -> tuple[Any, ...]:
        # The teacher is not kept: what it said, this network says.
        rows = self._with_made_up(X, self._seed())
        return rows, self.decision_function(rows)

    def _with_made_up(self, X: FloatArray, seed: int) -> FloatArray:
        rng = np.random.default_rng(seed)
        return np.vstack([X, _made_up(X, self.augmentation * len(X), rng)])

    def _teach(self, X: FloatArray, seed: int) -> Detector:
        """The fitted teacher."""
        if isinstance(self.teacher, Detector) and hasattr(self.teacher, "decision_scores_"):
            return self.teacher
        named = isinstance(self.teacher, str)
        teacher: Detector = registry.create(self.teacher) if named else clone(self.teacher)
        if not teacher.card.inductive or teacher.card.modality != "table":
            raise ValueError(
                f"Distilled: teacher must score new rows of tables, {teacher.card.name} does not"
            )
        if teacher.get_params(deep=False).get("random_state", 0) is None:
            teacher.set_params(random_state=seed)
        return teacher.fit(X)

    def _widths(self, d: int) -> list[int]:
        return [64, 32] if self.hidden is None else list(self.hidden)

    def _build(self, d: int) -> Network:
        from awry.nn.distilled import DistilledNetwork

        return DistilledNetwork(
            [d, *self._widths(d)], activation=self.activation, dropout=self.dropout
        )


def _made_up(X: FloatArray, m: int, rng: np.random.Generator) -> FloatArray:
    """``m`` rows near ``X`` (n, d), between its rows and out of their values, a third of each."""
    n, d = X.shape
    noisy, between, mixed = (len(part) for part in np.array_split(np.arange(m), 3))
    size = np.exp(rng.uniform(*_NOISE, size=(noisy, 1)))
    near = X[rng.integers(n, size=noisy)] + size * X.std(axis=0) * rng.normal(size=(noisy, d))
    one, other = X[rng.integers(n, size=(2, between))]
    return np.vstack(
        [
            near,
            one + rng.random((between, 1)) * (other - one),
            np.take_along_axis(X, rng.integers(n, size=(mixed, d)), axis=0),
        ]
    )
