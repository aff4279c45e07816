"""SimCLR for series: windows that a learnt embedding puts by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, listing, nothing, option
from awry.core.series import Series
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining
from awry.detectors.embedding import HEAD, head_plan, n_kept

if TYPE_CHECKING:
    from awry.nn.contrastive import SimCLRSeriesNetwork


class SimCLRSeries(DeepSeriesDetector):
    """Windows that an embedding, learnt by knowing windows again, puts where no others are.

    Convolutions along time learn to know a window again from two views of it that were noised,
    scaled, cropped or cut up, by NT-Xent: the cross-entropy of a view's likeness with its other
    view among all views of a batch (Chen et al., equation 1). What the views change the embedding
    learns to overlook. A head then judges embeddings before the projection that the loss is taken
    after. The score of a point is what the windows that cover it say of it; a channel's
    contribution is its share of how far the score falls where a channel is flat at its mean.

    Parameters
    ----------
    views : list of {"jitter", "scaling", "crop", "permutation"}
        default=("jitter", "scaling", "crop"). Noise of 0.05 deviations, a factor for each channel
        of 1 ± 0.1, a part of half the window or more drawn out to its length, four pieces in
        random order.
    head : {"mahalanobis", "knn", "svdd"}, default="mahalanobis"
        ``"mahalanobis"``: the squared distance from the mean, in terms of the spread, its
        covariance shrunk by Ledoit & Wolf's estimate. ``"knn"``: the distance from the k-th
        nearest training window. ``"svdd"``: how far out of the smallest ball around
        all but a share ν of them, in the space of a Gaussian kernel (Tax & Duin), whose width is
        that of Sohn et al.
    n_neighbors : int, default=5
        k of ``"knn"``; a training window is among its own neighbours.
    nu : float, default=0.1
        ν of ``"svdd"``, in (0, 1].
    temperature : float, default=0.5
    kernel_size : int, default=7
        Steps that a convolution sees; an even number counts as the odd one above it.
    hidden : list of int or None, default=None
        Channels of the convolutions, the last of which is the embedding; None takes 32 and 64.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights and what the head judges by.
    n_reference_ : int
        Training windows that the head is fitted on, 2048 at most.

    Notes
    -----
    The views are those of Um et al., with their strengths; the crop is wider, after Chen et al. The
    encoder, short and with the maximum over time, is ours: residual networks of images have no
    counterpart in windows of tens of points. Overlapping windows in a batch are rivals like any
    others.

    References
    ----------
    Chen et al.: "A Simple Framework for Contrastive Learning of Visual Representations", ICML
    2020. Um et al.: "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring
    using Convolutional Neural Networks", ICMI 2017. Tax & Duin: "Support Vector Data Description",
    Machine Learning 54, 2004. Sohn et al.: "Learning and Evaluating Representations for Deep
    One-Class Classification", ICLR 2021. Ledoit & Wolf, Journal of Multivariate Analysis 88, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300:310] = 0.0
    >>> detector = SimCLRSeries(window=32, epochs=5, random_state=0).fit(x)
    >>> bool(285 < detector.decision_scores_.argmax() < 325)
    True
    """

    card = Card(
        name="simclr_series",
        summary="Windows that an embedding, learnt by knowing them again, puts by themselves.",
        modality="series",
        family="networks",
        paper="Chen et al., SimCLR, ICML; Um et al., Data Augmentation of Sensor Data, ICMI 2017",
        year=2020,
        fit_cost="O(T (L w + b) e), windows of L points, w weights, batches of b, e epochs",
        score_cost="O(T L w), with knn and svdd O(T (L w + m)), m windows kept",
        finds="odd shapes within a window, and windows far out",
        misses="what the views change: small noise, small shifts of level and of phase",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        **HEAD,
        "views": listing(option("jitter", "scaling", "crop", "permutation")),
        "kernel_size": integer(1),
        "hidden": any_of(nothing(), listing(integer(1))),
    }

    def __init__(
        self,
        *,
        views: list[str] | tuple[str, ...] = ("jitter", "scaling", "crop"),
        head: str = "mahalanobis",
        n_neighbors: int = 5,
        nu: float = 0.1,
        temperature: float = 0.5,
        kernel_size: int = 7,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.views = views
        self.head = head
        self.n_neighbors = n_neighbors
        self.nu = nu
        self.temperature = temperature
        self.kernel_size = kernel_size

    def _train(self, X: Any, labels: Any = None, seed: int | None = None) -> None:
        self.n_reference_ = n_kept(len(X), self.validation_fraction)
        super()._train(X, labels, seed)

    def _build(self, d: int) -> SimCLRSeriesNetwork:
        from awry.nn.contrastive import SimCLRSeriesNetwork

        return SimCLRSeriesNetwork(
            d,
            self.hidden or [32, 64],
            kernel_size=self.kernel_size | 1,
            kinds=self.views,
            **head_plan(self),
        )

    def _score(self, X: Series) -> FloatArray:  # type: ignore[override]
        # Who is to blame costs as many scores as there are channels, so it is asked only by those
        # who want to know.
        return self._terms(X, self.network_.evenly).sum(axis=1)
