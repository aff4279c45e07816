"""Skip-GANomaly: rows that a network with skip connections and a discriminator rebuild badly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import real
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.ganomaly import SkipGANomalyNetwork


class SkipGANomaly(AdversarialDetector):
    """Rows rebuilt badly by a network with skip connections, in values and in features.

    An autoencoder whose layers are joined to their mirror images, as in a U-net, rebuilds x as x̂,
    while a discriminator learns to tell both apart. The autoencoder learns to make
    λ_adv L_adv + λ_con L_con + λ_lat L_lat small: x̂ passing for real, ‖x - x̂‖₁, and the distance
    of the discriminator's features. The score is λ R + (1 - λ) L, R being the distance of the
    values and L that of the features; a column's contribution is its share of R.

    Parameters
    ----------
    adversarial_weight, contextual_weight, latent_weight : float, default=1.0, 50.0, 1.0
        λ_adv, λ_con and λ_lat.
    share : float, default=0.9
        λ, the share of the reconstruction in the score.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"adversarial"``, ``"contextual"``, ``"latent"``,
        ``"discriminator"``.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    Weights as in the authors' code; losses and scores are means, of absolute differences for values
    and of squared ones for features; scores are not brought to [0, 1] by those of the other rows.
    Departures: dense layers for convolutions, without batch normalisation.
    A table's columns pass the skip connections more easily than an image's details: where the first
    layer is wide, much of what is not normal is rebuilt as well.

    References
    ----------
    Akcay, Atapour-Abarghouei, Breckon: "Skip-GANomaly: Skip Connected and Adversarially Trained
    Encoder-Decoder Anomaly Detection", IJCNN 2019.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = SkipGANomaly(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="skip_ganomaly",
        summary="Rows rebuilt badly by a network with skip connections, in values and in features.",
        family="networks",
        paper="Akcay et al., Skip-GANomaly, IJCNN",
        year=2019,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows far out, and in which columns",
        misses="rows in between, which skip connections let pass",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "adversarial_weight": real(0),
        "contextual_weight": real(0),
        "latent_weight": real(0),
        "share": real(0, 1),
    }

    def __init__(
        self,
        *,
        adversarial_weight: float = 1.0,
        contextual_weight: float = 50.0,
        latent_weight: float = 1.0,
        share: float = 0.9,
        **training: Unpack[Game],
    ) -> None:
        super().__init__(**training)
        self.adversarial_weight = adversarial_weight
        self.contextual_weight = contextual_weight
        self.latent_weight = latent_weight
        self.share = share

    def _build(self, d: int) -> SkipGANomalyNetwork:
        from awry.nn.ganomaly import SkipAutoEncoder, SkipGANomalyNetwork

        return SkipGANomalyNetwork(
            SkipAutoEncoder([d, *self._widths(d), self._latent(d)]),
            self._critic(d),
            weights=(self.adversarial_weight, self.contextual_weight, self.latent_weight),
            share=self.share,
        )
