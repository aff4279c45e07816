"""NeuTraL AD: rows that learnt transformations cannot keep apart and yet alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, nothing, option, real
from awry.detectors.deep import Training
from awry.detectors.tabular._contrastive import ContrastiveDetector

if TYPE_CHECKING:
    from awry.nn.neutral_ad import NeuTraLNetwork


class NeuTraLAD(ContrastiveDetector):
    """Rows that learnt transformations cannot keep apart and yet alike.

    K small networks make views x_k of a row, an encoder maps views and row to unit vectors. All
    learn together by the deterministic contrastive loss (equation 2),
    -Σ_k log h(x_k, x) / (h(x_k, x) + Σ_{l≠k} h(x_k, x_l)), where h is the exponential of the cosine
    over a temperature (equation 1): each view stays like the row, and unlike the other views. The
    score is the loss (equation 4), in units of K log K, as in the authors' code.

    Parameters
    ----------
    n_transformations : int, default=11
        Views K, 2 or more.
    transformation : {"multiplicative", "residual", "feed_forward"}, default="multiplicative"
        How the network M_k makes a view: x times the sigmoid of M_k(x), x + M_k(x), or M_k(x).
        Without biases the latter two give a row and its multiples the same score, however far.
    latent : int or None, default=None
        Width of the embedding; None takes 2 d, 24 at least, up to 31 columns, 32 up to 300, and 64
        beyond.
    temperature : float, default=0.1
    hidden : list of int or None, default=None
        Widths of the encoder's hidden layers; None takes four of 2 d (24 at least), 64 or 256.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The weights of the transformations and the encoder.

    Notes
    -----
    Layers, widths and temperature are those of the authors' code; no layer has a bias, or views
    could be told apart without a look at the row. The authors choose the kind of transformation by
    data set: multiplicative for KDD, residual for Thyroid and Arrhythmia. Rows far out in some
    column, a tenth at most, are not learnt from, as the paper learns from normal rows only.
    Departures: AdamW, early stopping by the held-out loss.

    References
    ----------
    Qiu et al.: "Neural Transformation Learning for Deep Anomaly Detection Beyond Images", ICML
    2021.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.random.default_rng(0).normal(size=(400, 1))
    >>> X = np.hstack([t, -t, 2 * t, t])
    >>> X[5] = [2.0, 2.0, 0.0, -2.0]
    >>> detector = NeuTraLAD(epochs=20, random_state=0).fit(X)
    >>> bool(detector.decision_scores_[5] > np.quantile(detector.decision_scores_, 0.97))
    True
    """

    card = Card(
        name="neutral_ad",
        summary="Rows that learnt transformations cannot keep apart and yet alike.",
        family="networks",
        paper="Qiu et al., Neural Transformation Learning for Deep Anomaly Detection, ICML",
        year=2021,
        fit_cost="O(n K w e), w weights, e epochs",
        score_cost="O(n K w)",
        finds="rows that lie in other directions than the rest",
        misses="rows a little further out in usual directions, as length hardly counts",
        aliases=("neutral",),
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "n_transformations": integer(2),
        "transformation": option("multiplicative", "residual", "feed_forward"),
        "latent": any_of(nothing(), integer(1)),
        "temperature": real(0, closed="(]"),
    }

    def __init__(
        self,
        *,
        n_transformations: int = 11,
        transformation: str = "multiplicative",
        latent: int | None = None,
        temperature: float = 0.1,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.n_transformations = n_transformations
        self.transformation = transformation
        self.latent = latent
        self.temperature = temperature

    def _build(self, d: int) -> NeuTraLNetwork:
        from awry.nn.neutral_ad import NeuTraLNetwork

        least = max(24, 2 * d)
        wide, latent = (least, least) if d < 32 else (64, 32) if d <= 300 else (256, 64)
        return NeuTraLNetwork(
            [d, *(self.hidden or [wide] * 4), self.latent or latent],
            width=max(24, d),
            n_transformations=self.n_transformations,
            transformation=self.transformation,
            temperature=self.temperature,
            dropout=self.dropout,
        )
