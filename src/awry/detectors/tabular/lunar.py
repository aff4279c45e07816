"""LUNAR: rows whose distances from their neighbours look to a network like a made-up row's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import integer, option, real
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from awry.nn.lunar import LunarNetwork


class LUNAR(DeepDetector):
    """Rows whose distances from their neighbours look to a network like a made-up row's.

    A row is the vector of its distances from its k nearest training rows, the messages of a graph
    network with one layer. The network learns to give 0 to training rows and 1 to as many made-up
    ones by the squared error, and so learns what KNN and LOF lay down. It gives either the weights
    of the distances, whose weighted sum is the score, or the score itself. Made-up rows are drawn
    evenly from the data's box, or are training rows with noise in three columns of ten.

    Parameters
    ----------
    n_neighbors : int, default=5
        Neighbours k; no more than there are. The paper's tables have 100.
    output : {"weights", "score"}, default="weights"
        What the network gives: ``"weights"`` is the default of the authors' detector in PyOD,
        ``"score"`` is what the paper describes.
    negatives : {"mixed", "uniform", "subspace"}, default="mixed"
        Made-up rows, of both kinds or of one.
    epsilon : float, default=0.1
        Standard deviation of the noise, as a share of a column's range, and how much wider the box
        is than the data.
    width : int, default=256
        Of the three hidden layers.
    weight_decay : float, default=0.1
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.
    reference_ : ndarray of shape (n, d)
        The training rows, scaled.

    Notes
    -----
    With ``output="score"`` scores are the logits of the paper's sigmoid, which rank alike but do
    not all become 1 far out. Departures: made-up rows are drawn anew for each batch, as many as
    there are rows; columns are centred as well as divided by their range, which changes no
    distance; early stopping by the held-out loss rather than by the AUC against made-up rows.

    References
    ----------
    Goodge, Hooi, Ng, Ng: "LUNAR: Unifying Local Outlier Detection Methods via Graph Neural
    Networks", AAAI 2022.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = LUNAR(n_neighbors=10, epochs=10, random_state=0).fit(X)
    >>> bool(detector.decision_scores_[5] > np.quantile(detector.decision_scores_, 0.97))
    True
    """

    card = Card(
        name="lunar",
        summary="Rows whose distances from neighbours look to a network like a made-up row's.",
        family="networks",
        paper="Goodge et al., LUNAR, AAAI",
        year=2022,
        fit_cost="O(n² d e), e epochs",
        score_cost="O(n d) a row",
        finds="rows in empty space, near sparse clusters and dense ones",
        misses="small groups of anomalies; much in tables of many columns, like all neighbours",
        pyod="lunar.LUNAR",
        extra="deep",
        stochastic=True,
        max_rows=50_000,
    )
    constraints = {
        "n_neighbors": integer(1),
        "output": option("weights", "score"),
        "negatives": option("mixed", "uniform", "subspace"),
        "epsilon": real(0, closed="(]"),
        "width": integer(1),
    }

    def __init__(  # type: ignore[misc]
        self,
        *,
        n_neighbors: int = 5,
        output: str = "weights",
        negatives: str = "mixed",
        epsilon: float = 0.1,
        width: int = 256,
        weight_decay: float = 0.1,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(weight_decay=weight_decay, **training)
        self.n_neighbors = n_neighbors
        self.output = output
        self.negatives = negatives
        self.epsilon = epsilon
        self.width = width

    def _measure(self, X: FloatArray) -> None:
        super()._measure(X)
        reach = np.ptp(X, axis=0)
        self.scale_ = np.where(reach > 0, reach, self.scale_)
        self.reference_ = (X - self.center_) / self.scale_

    def _build(self, d: int) -> LunarNetwork:
        import torch

        from awry.nn.lunar import LunarNetwork

        return LunarNetwork(
            torch.tensor(self.reference_),
            n_neighbors=self.n_neighbors,
            width=self.width,
            output=self.output,
            negatives=self.negatives,
            epsilon=self.epsilon,
            dropout=self.dropout,
        )
