"""f-AnoGAN: rows that come back changed from a generator of normal rows and its inverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, real
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.f_anogan import FAnoGANNetwork


class FAnoGAN(AdversarialDetector):
    """Rows that come back changed from a generator of normal rows and its inverse.

    A Wasserstein GAN with gradient penalty learns to generate rows (Gulrajani et al., equation 3).
    Then, with generator G and critic fixed, an encoder E learns to invert G: it makes
    ‖x - G(E(x))‖² / d + κ ‖f(x) - f(G(E(x)))‖² / d_f small, f being the features of the critic (the
    paper's izi_f encoder). The score is that same sum, A_R + κ A_D, without any search; a column's
    contribution is its squared residual.

    Parameters
    ----------
    kappa : float, default=1.0
        κ.
    penalty : float, default=10.0
        Weight of the gradient penalty.
    n_critic : int, default=5
        Steps of the critic for one of the generator.
    encoder_share : float, default=0.4
        Share of the epochs, the last, in which the encoder learns.
    schedule : {"cosine", "plateau", None}, default=None
        How the learning rate falls over all the epochs; None, as in the paper, keeps it, for the
        encoder begins late.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, in the game the distance between the critic's means of
        rows and generated rows, then the encoder's; ``"penalty"``, as long as the game lasts.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    Departures: dense layers for residual convolutions; a larger learning rate than the paper's
    1e-4 in the game and 5e-5 for the encoder, tables being trained in fewer steps.

    References
    ----------
    Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth: "f-AnoGAN: Fast unsupervised anomaly
    detection with generative adversarial networks", Medical Image Analysis 54, 2019. Gulrajani,
    Ahmed, Arjovsky, Dumoulin, Courville: "Improved Training of Wasserstein GANs", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = FAnoGAN(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="f_anogan",
        summary="Rows that come back changed from a generator of normal rows and its inverse.",
        family="networks",
        paper="Schlegl et al., f-AnoGAN, Medical Image Analysis",
        year=2019,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows away from all that is generated, and in which columns",
        misses="rows a little off in many columns, where normal rows come back no better",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "kappa": real(0),
        "penalty": real(0),
        "n_critic": integer(1),
        "encoder_share": real(0, 1, "()"),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        kappa: float = 1.0,
        penalty: float = 10.0,
        n_critic: int = 5,
        encoder_share: float = 0.4,
        schedule: str | None = None,
        **training: Unpack[Game],
    ) -> None:
        super().__init__(schedule=schedule, **training)
        self.kappa = kappa
        self.penalty = penalty
        self.n_critic = n_critic
        self.encoder_share = encoder_share

    def _build(self, d: int) -> FAnoGANNetwork:
        from awry.nn.f_anogan import FAnoGANNetwork

        return FAnoGANNetwork(
            self._encoder(d),
            self._generator(d),
            self._critic(d),
            self._latent(d),
            kappa=self.kappa,
            penalty=self.penalty,
            n_critic=self.n_critic,
            encoder_share=self.encoder_share,
        )
