"""GOAD: rows on which a network cannot tell which random map was applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, real
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from awry.nn.goad import GOADNetwork


class GOAD(DeepDetector):
    """Rows on which a network cannot tell which of many random maps was applied.

    Each row is mapped by M random affine maps. A network learns to gather what one map makes of
    all rows around a centre and to keep it from other maps' centres, by a triplet loss with a
    margin and, with less weight, the cross-entropy of naming the map. The score is
    -Σ_m log P(m | T_m(x)), where P falls with the squared distance from the centres of the maps.

    Parameters
    ----------
    n_transformations : int, default=256
        Random maps M, 2 or more.
    n_components : int, default=32
        Width of what they map to.
    width : int, default=8
        Of the network's hidden layer and embedding.
    margin : float, default=1.0
        By which another map's centre should be farther.
    weight : float, default=0.1
        Of the cross-entropy beside the triplet loss.
    epsilon : float, default=0.0
        Least squared distance that counts, which keeps far rows unsure.
    batch_size : int or None, default=64
        Rows per step; each makes M training items.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights, the random maps and the centres.

    Notes
    -----
    Departures: the maps have a shift, which the paper's have and its code leaves out, and are
    divided by the root of the columns, so that the margin means the same for all; centres are
    means over all training rows after the last epoch, where the code takes the running means of
    the last; AdamW; ``hidden`` has no say.

    References
    ----------
    Bergman & Hoshen: "Classification-Based Anomaly Detection for General Data", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = GOAD(n_transformations=32, epochs=5, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="goad",
        summary="Rows on which a network cannot tell which of many random maps was applied.",
        family="networks",
        paper="Bergman & Hoshen, Classification-Based Anomaly Detection for General Data, ICLR",
        year=2020,
        fit_cost="O(n M (d + M) e), M maps, e epochs",
        score_cost="O(n M (d + M))",
        finds="rows away from the bulk, in any direction",
        misses="rows in gaps between clusters",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "n_transformations": integer(2),
        "n_components": integer(1),
        "width": integer(1),
        "margin": real(0),
        "weight": real(0),
        "epsilon": real(0),
    }

    def __init__(  # type: ignore[misc]
        self,
        *,
        n_transformations: int = 256,
        n_components: int = 32,
        width: int = 8,
        margin: float = 1.0,
        weight: float = 0.1,
        epsilon: float = 0.0,
        batch_size: int | None = 64,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(batch_size=batch_size, **training)
        self.n_transformations = n_transformations
        self.n_components = n_components
        self.width = width
        self.margin = margin
        self.weight = weight
        self.epsilon = epsilon

    def _build(self, d: int) -> GOADNetwork:
        from awry.nn.goad import GOADNetwork

        return GOADNetwork(
            d,
            n_transformations=self.n_transformations,
            n_components=self.n_components,
            width=self.width,
            margin=self.margin,
            weight=self.weight,
            epsilon=self.epsilon,
            dropout=self.dropout,
        )
