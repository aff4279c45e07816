"""Deep SAD: Deep SVDD that is told of a few anomalies and of a few normal rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import real
from awry.detectors.deep import Training
from awry.detectors.tabular.deep_svdd import OneClassDetector

if TYPE_CHECKING:
    from awry.nn.one_class import OneClassNetwork


class DeepSAD(OneClassDetector):
    """Rows that a network leaves far from where it draws unlabelled and normal ones.

    The loss of an unlabelled row is its squared distance from the centre, ‖φ(x) - c‖², that of a
    row labelled normal η times this, and that of a labelled anomaly η / ‖φ(x) - c‖², which drives
    it away. The score is the distance. Without labels this is Deep SVDD.

    Parameters
    ----------
    eta : float, default=1.0
        Weight η of labelled rows against unlabelled ones.
    latent : int or None, default=None
        Width of the embedding; None takes half the last hidden layer.
    pretrain_epochs : int, default=20
        Passes in which an autoencoder is trained, whose encoder is the start; 0 for a random one.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu"}, default="leaky_relu"
    batch_norm : bool, default=False
        Normalise what goes into each activation.
    validation_fraction : float, default=0.0
        Share of the rows held out for early stopping; labels are too few to be held out.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights and its centre.

    Notes
    -----
    y is 1 for anomalies, 0 for rows known to be normal and -1 for the others, and may be left
    out. Departures: AdamW; the centre is the mean over all rows, as in the authors' code, labelled
    anomalies being few; no batch normalisation unless asked for; widths by the columns.

    References
    ----------
    Ruff et al.: "Deep Semi-Supervised Anomaly Detection", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[:10] += [3.0, 0.0, 0.0]
    >>> y = np.r_[np.ones(5), np.full(295, -1)]
    >>> detector = DeepSAD(epochs=30, random_state=0).fit(X, y)
    >>> scores = detector.decision_scores_
    >>> bool(np.median(scores[5:10]) > np.median(scores[10:]))
    True
    """

    card = Card(
        name="deep_sad",
        summary="Rows far from where a network draws the normal ones, near labelled anomalies.",
        family="supervised",
        paper="Ruff et al., Deep Semi-Supervised Anomaly Detection, ICLR",
        year=2020,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="anomalies like those labelled, and rows unlike the bulk",
        misses="new kinds of anomalies that lie among normal rows",
        extra="deep",
        supervision="optional",
        stochastic=True,
    )
    constraints = {"eta": real(0)}

    def __init__(  # type: ignore[misc]
        self,
        *,
        eta: float = 1.0,
        latent: int | None = None,
        pretrain_epochs: int = 20,
        activation: str = "leaky_relu",
        batch_norm: bool = False,
        validation_fraction: float = 0.0,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(
            latent=latent,
            pretrain_epochs=pretrain_epochs,
            activation=activation,
            batch_norm=batch_norm,
            validation_fraction=validation_fraction,
            **training,
        )
        self.eta = eta

    def _build(self, d: int) -> OneClassNetwork:
        return self._one_class(d, eta=self.eta)
