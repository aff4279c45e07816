"""GANomaly: rows whose code is not found again in their reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import option, real
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.ganomaly import GANomalyNetwork


class GANomaly(AdversarialDetector):
    """Rows whose code is not found again in their reconstruction.

    An encoder, a decoder and a second encoder in a row: x, z = G_E(x), x̂ = G_D(z), ẑ = E(x̂). They
    learn to make w_adv L_adv + w_con L_con + w_enc L_enc small: the adversarial loss, the distance
    of the features that a discriminator, who learns to tell x from x̂, has of both; the contextual
    one, ‖x - x̂‖₁; and the encoder's, the distance of the codes. The score is ‖G_E(x) - E(x̂)‖₁: of
    what is not normal the second encoder, who never saw its like, does not find the code again.

    Parameters
    ----------
    adversarial_weight, contextual_weight, encoder_weight : float, default=1.0, 50.0, 1.0
        w_adv, w_con and w_enc.
    score_type : {"l1", "l2"}, default="l1"
        Mean of the codes' absolute differences, or, as in the authors' code, of their squares.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"adversarial"``, ``"contextual"``, ``"encoding"``,
        ``"discriminator"``.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    Losses are means over values, as in the authors' code; scores are not brought to [0, 1] by those
    of the other rows. Departures: dense layers for convolutions, without batch
    normalisation.

    References
    ----------
    Akcay, Atapour-Abarghouei, Breckon: "GANomaly: Semi-supervised Anomaly Detection via Adversarial
    Training", ACCV 2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = GANomaly(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="ganomaly",
        summary="Rows whose code is not found again in their reconstruction.",
        family="networks",
        paper="Akcay et al., GANomaly, ACCV",
        year=2018,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows whose reconstruction is that of other rows",
        misses="rows rebuilt badly, but into rows with the same code",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "adversarial_weight": real(0),
        "contextual_weight": real(0),
        "encoder_weight": real(0),
        "score_type": option("l1", "l2"),
    }

    def __init__(
        self,
        *,
        adversarial_weight: float = 1.0,
        contextual_weight: float = 50.0,
        encoder_weight: float = 1.0,
        score_type: str = "l1",
        **training: Unpack[Game],
    ) -> None:
        super().__init__(**training)
        self.adversarial_weight = adversarial_weight
        self.contextual_weight = contextual_weight
        self.encoder_weight = encoder_weight
        self.score_type = score_type

    def _build(self, d: int) -> GANomalyNetwork:
        from awry.nn.ganomaly import GANomalyNetwork

        return GANomalyNetwork(
            self._encoder(d),
            self._generator(d),
            self._encoder(d),
            self._critic(d),
            weights=(self.adversarial_weight, self.contextual_weight, self.encoder_weight),
            score=self.score_type,
        )
