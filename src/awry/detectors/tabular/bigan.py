"""BiGAN, with the scores of EGBAD: rows that do not go with their codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import option, real
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.bigan import BiGANNetwork


class BiGAN(AdversarialDetector):
    """Rows that do not go with their codes.

    An encoder E and a generator G are learnt together: a discriminator is shown pairs (x, E(x)) and
    (G(z), z), z drawn from N(0, 1), and has to tell them apart; E and G have to have them mistaken
    for each other (Donahue et al., section 3), at which E is G's inverse. The score is
    α L_G + (1 - α) L_D with L_G = ‖x - G(E(x))‖₁ (Zenati et al., section 3); a column's
    contribution is what it adds to L_G.

    Parameters
    ----------
    score_type : {"features", "cross_entropy"}, default="features"
        What L_D is. ``"features"``: ‖f(x, E(x)) - f(G(E(x)), E(x))‖₁, f being the features of the
        discriminator. ``"cross_entropy"``: -log D(x, E(x)).
    alpha : float, default=0.9
        α, the share of the reconstruction.
    dropout : float, default=0.2
        Share of the discriminator's units left out at random in each step of training.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of encoder and generator, ``"discriminator"``.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    Layers and dropout after EGBAD's code for tables. Departures: widths by the columns; a larger
    learning rate than its 1e-5, tables being trained in fewer steps, and one that falls to zero,
    which steadies the end of the game as the code's averages of the weights do.

    References
    ----------
    Donahue, Krähenbühl, Darrell: "Adversarial Feature Learning", ICLR 2017. Zenati, Foo, Lecouat,
    Manek, Chandrasekhar: "Efficient GAN-Based Anomaly Detection", arXiv 1802.06222, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = BiGAN(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="bigan",
        summary="Rows that do not go with their codes.",
        family="networks",
        paper="Donahue et al., Adversarial Feature Learning, ICLR; Zenati et al., arXiv",
        year=2017,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows away from all that is generated, and in which columns",
        misses="rows a little off, as the encoder inverts the generator only in part",
        aliases=("egbad",),
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "score_type": option("features", "cross_entropy"),
        "alpha": real(0, 1),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        score_type: str = "features",
        alpha: float = 0.9,
        dropout: float = 0.2,
        **training: Unpack[Game],
    ) -> None:
        super().__init__(dropout=dropout, **training)
        self.score_type = score_type
        self.alpha = alpha

    def _build(self, d: int) -> BiGANNetwork:
        from awry.nn.bigan import BiGANNetwork

        return BiGANNetwork(
            self._encoder(d),
            self._generator(d),
            self._pair_critic(d),
            self._latent(d),
            alpha=self.alpha,
            score=self.score_type,
        )
