"""VAE-GAN: rows that a discriminator finds unlike their reconstruction from a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import option, real
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.vae_gan import VAEGANNetwork


class VAEGAN(AdversarialDetector):
    """Rows that a discriminator finds unlike their reconstruction from a code.

    A variational autoencoder whose decoder is a GAN's generator, and whose error is measured in the
    discriminator's features f (algorithm 1). The encoder learns to make
    KL(q(z | x) ‖ N(0, 1)) - E log p(f(x) | z) small, p being N(f(x̃), 1) and x̃ the reconstruction;
    the decoder that error, γ times, and to have x̃ and rows from drawn codes taken for real; the
    discriminator to tell both from x.

    Parameters
    ----------
    score_type : {"features", "elbo", "reconstruction"}, default="features"
        ``"features"``: ½ ‖f(x) - f(x̃)‖², x̃ being decoded from the mean of q(z | x). ``"elbo"``:
        that and the KL term. ``"reconstruction"``: ‖x - x̃‖², explained by its columns.
    gamma : float, default=1.0
        γ. A small one leaves the decoder to the game, and reconstructions are of other rows.
    lr : float, default=3e-4
        Learning rate.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of the encoder, ``"kl"``, ``"decoder"``,
        ``"discriminator"``.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    The optimiser and its learning rate are the paper's, as are the passes through the networks and
    who learns from what. Departures: dense layers for convolutions, without batch normalisation;
    log-variances are kept between -6 and 6. The paper has no score.

    References
    ----------
    Larsen, Sønderby, Larochelle, Winther: "Autoencoding beyond pixels using a learned similarity
    metric", ICML 2016.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = VAEGAN(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="vae_gan",
        summary="Rows that a discriminator finds unlike their reconstruction from a code.",
        family="networks",
        paper="Larsen et al., Autoencoding beyond pixels, ICML",
        year=2016,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows away from all that is generated",
        misses="what the discriminator's features say nothing about",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "score_type": option("features", "elbo", "reconstruction"),
        "gamma": real(0),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        score_type: str = "features",
        gamma: float = 1.0,
        lr: float = 3e-4,
        **training: Unpack[Game],
    ) -> None:
        super().__init__(lr=lr, **training)
        self.score_type = score_type
        self.gamma = gamma

    def _build(self, d: int) -> VAEGANNetwork:
        from awry.nn.vae_gan import VAEGANNetwork

        return VAEGANNetwork(
            self._encoder(d, outputs=2),
            self._generator(d),
            self._critic(d),
            self._latent(d),
            gamma=self.gamma,
            score=self.score_type,
        )
