"""SAE-GAN: stretches that an autoencoder of attention cannot rebuild past a discriminator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing, option, real
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.sae_gan import SAEGANNetwork


class SAEGAN(DeepSeriesDetector):
    """Stretches that an autoencoder of attention cannot rebuild past a discriminator.

    Layers of self-attention, each of half the steps of the one before, make a code of the window,
    layers of twice the steps rebuild it. A discriminator of convolutions learns to tell the steps
    of true windows from those of rebuilt ones, -log D(x) - log(1 - D(x̂)); the autoencoder learns to
    make w ‖x - x̂‖² + ‖f(x) - f(x̂)‖² small, f being what the discriminator sees. The score of a
    point is α ‖x - x̂‖² + (1 - α) ‖f(x) - f(x̂)‖², a channel's contribution its squared error and
    an even share of the rest.

    Parameters
    ----------
    hidden : list of int or None, default=None
        Widths of the layers, from the input inwards; None takes 32 and 16.
    critic : int, default=32
        Width of the discriminator.
    reconstruction_weight : float, default=50.0
        w of the loss.
    alpha : float, default=0.9
        Share of the squared error in the score.
    n_heads : int, default=4
        Heads of the attention, lowered to what divides the widths.
    positions : {"sinusoidal", "learnable", "rotary"}, default="sinusoidal"
        How attention is told where in the window a point is.
    validation_fraction : float, default=0.0
        Share of the windows left out of the training; of two that contend, no loss says when to
        stop.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, the mean squared error, ``"matching"``, that of what the
        discriminator sees, and ``"discriminator"``, its own.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    No one paper has all of it: losses and their weights are those of GANomaly (equations 1 and 2,
    without its second encoder), the score and its α are AnoGAN's (equations 5 to 7, of squared in
    place of absolute differences), the layers are the encoder's of Vaswani et al. with pairs of
    steps joined and parted between them.

    References
    ----------
    Akcay, Atapour-Abarghouei & Breckon: "GANomaly: Semi-Supervised Anomaly Detection via
    Adversarial Training", ACCV 2018. Schlegl et al.: "Unsupervised Anomaly Detection with
    Generative Adversarial Networks to Guide Marker Discovery", IPMI 2017. Vaswani et al.:
    "Attention Is All You Need", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300:306] = 3.0
    >>> detector = SAEGAN(window=24, hidden=[16, 8], epochs=10, lr=0.01, random_state=0).fit(x)
    >>> bool(290 < detector.decision_scores_.argmax() < 316)
    True
    """

    card = Card(
        name="sae_gan",
        summary="Stretches that attention cannot rebuild past a discriminator.",
        modality="series",
        family="networks",
        paper="Akcay, Atapour-Abarghouei & Breckon, GANomaly, ACCV",
        year=2018,
        fit_cost="O(T L (L + w) e), windows of L points, w weights, e epochs",
        score_cost="O(T L (L + w))",
        finds="odd shapes shorter than the window, and channels that break their relation",
        misses="what is much longer than the window; small shifts that a code can carry",
        aliases=("stacked_attention_gan",),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "critic": integer(1),
        "reconstruction_weight": real(0, closed="(]"),
        "alpha": real(0, 1),
        "n_heads": integer(1),
        "positions": option("sinusoidal", "learnable", "rotary"),
    }

    def __init__(  # type: ignore[misc]  # a default of its own
        self,
        *,
        critic: int = 32,
        reconstruction_weight: float = 50.0,
        alpha: float = 0.9,
        n_heads: int = 4,
        positions: str = "sinusoidal",
        validation_fraction: float = 0.0,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(validation_fraction=validation_fraction, **training)
        self.critic = critic
        self.reconstruction_weight = reconstruction_weight
        self.alpha = alpha
        self.n_heads = n_heads
        self.positions = positions

    def _build(self, d: int) -> SAEGANNetwork:
        from awry.nn.sae_gan import SAEGANNetwork

        return SAEGANNetwork(
            self.window_,
            d,
            self.hidden or [32, 16],
            critic=self.critic,
            reconstruction_weight=self.reconstruction_weight,
            alpha=self.alpha,
            heads=self.n_heads,
            dropout=self.dropout,
            positions=self.positions,
        )
