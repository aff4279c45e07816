"""SO-GAAL: rows like the outliers that a generator makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Unpack

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import real
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from awry.nn.gaal import GAALNetwork


class SOGAAL(DeepDetector):
    """Rows like the outliers that a generator makes up.

    A generator turns noise, spread evenly over the range of the data, into potential outliers, and
    learns to have a discriminator take them for real; the discriminator learns to tell them from
    the rows. What is made up comes nearer to the rows, and the boundary around these becomes tight.
    Once the generator is about as near as it gets, it stops, for outliers that are like the rows
    say nothing; the discriminator goes on. The score is the logit of its chance that a row is made
    up.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the discriminator's hidden layers; None takes one, the square root of the rows.
    lr, lr_generator : float, default=0.01, 1e-4
        Learning rates of the discriminator and the generator.
    generator_share : float, default=0.3333
        Share of the epochs, the first, in which the generator learns.
    epochs : int or None, default=None
        Passes over the rows; None makes some 600 steps, in 30 to 600 passes.
    batch_size : int, default=500
        Rows per step.
    schedule : {"cosine", "plateau", None}, default=None
        How the learning rate falls.
    validation_fraction : float, default=0.0
        Share of the rows set aside, of no use here: no loss of a game says when to stop.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of the discriminator, ``"generator"`` while it learns.
    weights_ : dict of str to ndarray
        The networks' weights, and the ends of the columns, by which these are brought to [0, 1].
    width_ : int
        The square root of the rows.

    Notes
    -----
    Layers, optimiser, rates and shares are those of the authors' code, whose scripts have 18 to 600
    epochs for the tables of the paper. As there, no rows are made up far outside the range of the
    training data, and nothing says that such score high, although they mostly do.

    References
    ----------
    Liu, Li, Zhou, Jiang, Sun, Wang, He: "Generative Adversarial Active Learning for Unsupervised
    Outlier Detection", IEEE TKDE 2019.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = SOGAAL(random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="so_gaal",
        summary="Rows like the outliers that a generator makes up.",
        family="networks",
        paper="Liu et al., Generative Adversarial Active Learning, IEEE TKDE",
        year=2019,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows outside a boundary around the data",
        misses="gaps between clusters, as a single generator ends in one place",
        pyod="so_gaal.SO_GAAL",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "lr_generator": real(0, closed="(]"),
        "generator_share": real(0, 1),
    }
    _steps: ClassVar[int] = 600
    _passes: ClassVar[tuple[int, int]] = (30, 600)

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        lr: float = 0.01,
        lr_generator: float = 1e-4,
        generator_share: float = 0.3333,
        batch_size: int | None = 500,
        schedule: str | None = None,
        validation_fraction: float = 0.0,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(
            lr=lr,
            batch_size=batch_size,
            schedule=schedule,
            validation_fraction=validation_fraction,
            **training,
        )
        self.lr_generator = lr_generator
        self.generator_share = generator_share

    def _measure(self, X: FloatArray) -> None:
        super()._measure(X)
        self.width_ = int(np.ceil(np.sqrt(len(X))))

    def _build(self, d: int) -> GAALNetwork:
        return self._network_of(d, n_generators=1)

    def _network_of(self, d: int, n_generators: int) -> GAALNetwork:
        from awry.nn.gaal import GAALNetwork, identity_generator, outlier_critic

        return GAALNetwork(
            [identity_generator(d) for _ in range(n_generators)],
            outlier_critic([d, *(self.hidden or [self.width_])], dropout=self.dropout),
            (d,),
            lr_generator=self.lr_generator,
            generator_share=self.generator_share,
        )
