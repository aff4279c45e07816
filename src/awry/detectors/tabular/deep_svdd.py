"""Deep SVDD: rows that a network trained to draw all to one point leaves far from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from awry.core.card import Card
from awry.core.params import any_of, boolean, integer, nothing, option, real
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from awry.nn.one_class import OneClassNetwork
    from awry.nn.trainer import Trainer


class OneClassDetector(DeepDetector):
    """Base of detectors whose network draws normal rows to a centre."""

    constraints = {
        "latent": any_of(nothing(), integer(1)),
        "pretrain_epochs": integer(0),
        "activation": option("relu", "leaky_relu", "elu", "gelu", "silu"),
        "batch_norm": boolean(),
    }

    def __init__(
        self,
        *,
        latent: int | None = None,
        pretrain_epochs: int = 20,
        activation: str = "leaky_relu",
        batch_norm: bool = False,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.pretrain_epochs = pretrain_epochs
        self.activation = activation
        self.batch_norm = batch_norm

    def _one_class(self, d: int, **own: Any) -> OneClassNetwork:
        from awry.nn.one_class import OneClassNetwork

        widths = self._widths(d)
        return OneClassNetwork(
            [d, *widths, self.latent or max(1, widths[-1] // 2)],
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
            **own,
        )

    def _pretrain(self, network: Any, trainer: Trainer, data: tuple[Any, ...]) -> None:
        """Train an autoencoder of which the network has the encoder, by the same settings."""
        from awry.nn.checkpoint import before

        path = trainer.checkpoint
        # Where the training itself has begun, the start lies behind it.
        if self.pretrain_epochs and not (path and Path(path).exists()):
            replace(
                trainer,
                epochs=self.pretrain_epochs,
                batch_size=self.batch_size or 128,
                checkpoint=path and before(path),
                name=f"{self.card.name}: autoencoder",
            ).fit(network.start[0], data)


class DeepSVDD(OneClassDetector):
    """Rows that a network trained to draw all to one point leaves far from it.

    With the hard boundary the network learns to make the mean squared distance ‖φ(x) - c‖² of the
    embedded rows from a fixed centre small (equation 4), which is then the score (equation 5).
    With the soft one it learns R² + mean max(0, ‖φ(x) - c‖² - R²) / ν (equation 3) and scores by
    ‖φ(x) - c‖² - R², above zero outside the ball.

    That it does not map everything to the centre is owed to three things: layers have no biases,
    activations no upper bound, and the centre, the mean of a first pass, is kept away from zero.

    Parameters
    ----------
    boundary : {"hard", "soft"}, default="hard"
    nu : float, default=0.1
        Share of the rows that may lie outside the soft boundary, in (0, 1].
    latent : int or None, default=None
        Width of the embedding; None takes half the last hidden layer.
    pretrain_epochs : int, default=20
        Passes in which an autoencoder is trained, whose encoder is the start; 0 for a random one.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu"}, default="leaky_relu"
        Bounded ones would let the network map all to one point.
    batch_norm : bool, default=False
        Normalise what goes into each activation. The means this takes off are biases by another
        name.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights, its centre and radius.

    Notes
    -----
    R is set after a tenth of the epochs, by the quantile 1 - ν of the distances in each batch, as
    in the authors' code, and at last by all rows. Departures: AdamW with its decoupled weight
    decay, early stopping, widths by the columns, leaky slopes of 0.01 where the authors have 0.1.

    References
    ----------
    Ruff et al.: "Deep One-Class Classification", ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = DeepSVDD(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="deep_svdd",
        summary="Rows that a network trained to draw all to one point leaves far from it.",
        family="networks",
        paper="Ruff et al., Deep One-Class Classification, ICML",
        year=2018,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows unlike the bulk in features that the bulk shares",
        misses="rows in gaps between clusters, which are drawn to the centre with them",
        pyod="deep_svdd.DeepSVDD",
        extra="deep",
        stochastic=True,
    )
    constraints = {"boundary": option("hard", "soft"), "nu": real(0, 1, "(]")}

    def __init__(
        self,
        *,
        boundary: str = "hard",
        nu: float = 0.1,
        latent: int | None = None,
        pretrain_epochs: int = 20,
        activation: str = "leaky_relu",
        batch_norm: bool = False,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(
            latent=latent,
            pretrain_epochs=pretrain_epochs,
            activation=activation,
            batch_norm=batch_norm,
            **training,
        )
        self.boundary = boundary
        self.nu = nu

    def _build(self, d: int) -> OneClassNetwork:
        return self._one_class(d, soft=self.boundary == "soft", nu=self.nu)
