"""SimCLR: rows that an embedding, learnt by knowing rows again, puts where no others are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from awry.core.card import Card
from awry.core.params import real
from awry.detectors.deep import Training
from awry.detectors.embedding import HEAD, head_plan, n_kept
from awry.detectors.tabular._contrastive import ContrastiveDetector

if TYPE_CHECKING:
    from awry.nn.contrastive import SimCLRNetwork


class SimCLR(ContrastiveDetector):
    """Rows that an embedding, learnt by knowing rows again, puts where no others are.

    An encoder learns without labels to know a row again after a share of its columns, drawn anew
    for each row, has got the values of other rows (SCARF: Bahri et al., algorithm 1): by NT-Xent,
    the cross-entropy of a view's likeness with its other view among all views of a batch (Chen et
    al., equation 1). It thus keeps what columns tell of one another. A head then judges embeddings
    before the projection that the loss is taken after.

    Parameters
    ----------
    head : {"mahalanobis", "knn", "svdd"}, default="mahalanobis"
        ``"mahalanobis"``: the squared distance from the mean, in terms of the spread, its
        covariance shrunk by Ledoit & Wolf's estimate. ``"knn"``: the distance from the k-th
        nearest training row. ``"svdd"``: how far out of the smallest ball around
        all but a share ν of them, in the space of a Gaussian kernel (Tax & Duin), whose width is
        that of Sohn et al.
    n_neighbors : int, default=5
        k of ``"knn"``; a training row is among its own neighbours.
    nu : float, default=0.1
        ν of ``"svdd"``, in (0, 1].
    corruption : float, default=0.6
        Share of the columns that get values of other rows, in [0, 1].
    temperature : float, default=1.0
    hidden : list of int or None, default=None
        Widths of the encoder's layers, the last of which is the embedding; None takes four of 256.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights and what the head judges by.
    n_reference_ : int
        Training rows that the head is fitted on, 2048 at most.

    Notes
    -----
    Layers, corruption and temperature are SCARF's. Rows far out in some column, a tenth at most,
    are not learnt from. Departures: NT-Xent, in which all views of a batch are rivals, where SCARF
    has the corrupted ones only; values of other rows come from the same batch; AdamW.

    References
    ----------
    Chen et al.: "A Simple Framework for Contrastive Learning of Visual Representations", ICML
    2020. Bahri et al.: "SCARF: Self-Supervised Contrastive Learning using Random Feature
    Corruption", ICLR 2022. Tax & Duin: "Support Vector Data Description", Machine Learning 54,
    2004. Sohn et al.: "Learning and Evaluating Representations for Deep One-Class Classification",
    ICLR 2021. Ledoit & Wolf, Journal of Multivariate Analysis 88, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.random.default_rng(0).normal(size=(400, 1))
    >>> X = np.hstack([t, -t, 2 * t, t])
    >>> X[5] = [2.0, 2.0, -4.0, 2.0]
    >>> detector = SimCLR(hidden=[32, 32], epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="simclr",
        summary="Rows that an embedding, learnt by knowing rows again, puts where no others are.",
        family="networks",
        paper="Chen et al., SimCLR, ICML; Bahri et al., SCARF, ICLR 2022",
        year=2020,
        fit_cost="O(n (w + b) e), w weights, batches of b rows, e epochs",
        score_cost="O(n w), with knn and svdd O(n (w + m)), m rows kept",
        finds="rows that break the relations between columns, and rows far out",
        misses="odd values of columns that say nothing of the others",
        extra="deep",
        stochastic=True,
    )
    constraints = {**HEAD, "corruption": real(0, 1)}

    def __init__(
        self,
        *,
        head: str = "mahalanobis",
        n_neighbors: int = 5,
        nu: float = 0.1,
        corruption: float = 0.6,
        temperature: float = 1.0,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.head = head
        self.n_neighbors = n_neighbors
        self.nu = nu
        self.corruption = corruption
        self.temperature = temperature

    def _train(self, X: Any, labels: Any = None, seed: int | None = None) -> None:
        self.n_reference_ = n_kept(len(X), self.validation_fraction)
        super()._train(X, labels, seed)

    def _build(self, d: int) -> SimCLRNetwork:
        from awry.nn.contrastive import SimCLRNetwork

        return SimCLRNetwork(
            [d, *(self.hidden or [256] * 4)],
            corruption=self.corruption,
            **head_plan(self),
        )
