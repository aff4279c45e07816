"""MO-GAAL: rows like the outliers that several generators make up all around the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from awry.core.card import Card
from awry.core.params import integer
from awry.detectors.tabular.so_gaal import SOGAAL

if TYPE_CHECKING:
    from awry.nn.gaal import GAALNetwork


class MOGAAL(SOGAAL):
    """Rows like the outliers that several generators make up all around the data.

    A single generator ends where it deceives the discriminator best, and its outliers leave the
    rest of the space open. Here there are k: the i-th learns to make what is taken for real with
    the chance that is the quantile (i - 1) / k of the rows' own chances, so that each comes near to
    other rows; the less real its aim, the more of the outliers it makes up, as they have the more
    room to fill. The score is the logit of the discriminator's chance that a row is made up.

    Parameters
    ----------
    n_generators : int, default=10
        k.
    lr, lr_generator : float, default=0.01, 1e-4
        Learning rates of the discriminator and the generators.
    generator_share : float, default=0.3333
        Share of the epochs, the first, in which the generators learn.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of the discriminator, ``"generator"``, the sum over the
        generators, as long as they learn.
    weights_ : dict of str to ndarray
        The networks' weights, and the ends of the columns, by which these are brought to [0, 1].
    width_ : int
        The square root of the rows.

    Notes
    -----
    As :class:`~awry.detectors.tabular.so_gaal.SOGAAL`. Departure: quantiles are those of the batch,
    which are those of all rows where there are no more than 500.

    References
    ----------
    Liu, Li, Zhou, Jiang, Sun, Wang, He: "Generative Adversarial Active Learning for Unsupervised
    Outlier Detection", IEEE TKDE 2019.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = MOGAAL(n_generators=4, epochs=200, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="mo_gaal",
        summary="Rows like the outliers that several generators make up all around the data.",
        family="networks",
        paper="Liu et al., Generative Adversarial Active Learning, IEEE TKDE",
        year=2019,
        fit_cost="O(n w e k), w weights, e epochs, k generators",
        score_cost="O(n w)",
        finds="rows outside a boundary around the data",
        misses="anomalies close to normal rows",
        pyod="mo_gaal.MO_GAAL",
        extra="deep",
        stochastic=True,
    )
    constraints = {"n_generators": integer(2)}

    def __init__(self, *, n_generators: int = 10, **training: Any) -> None:
        super().__init__(**training)
        self.n_generators = n_generators

    def _build(self, d: int) -> GAALNetwork:
        return self._network_of(d, self.n_generators)
