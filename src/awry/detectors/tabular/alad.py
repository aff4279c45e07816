"""ALAD: rows that a discriminator tells from what encoder and generator make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from awry.core.card import Card
from awry.core.params import boolean, option
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.bigan import ALADNetwork


class ALAD(AdversarialDetector):
    """Rows that a discriminator tells from what encoder and generator make of them.

    BiGAN's game over pairs (x, E(x)) and (G(z), z), and two more that make E and G each other's
    inverse (section 4): a discriminator D_xx learns to tell (x, x) from (x, G(E(x))), another,
    D_zz, (z, z) from (z, E(G(z))), and E and G to deceive them. The score is the L1 distance of
    the features that D_xx has of (x, x) and of (x, G(E(x))).

    Parameters
    ----------
    score_type : {"features", "logits", "l1", "l2"}, default="features"
        ``"features"``: as above. ``"logits"``: -log D_xx(x, G(E(x))). ``"l1"``, ``"l2"``: the sum
        of ``|x - G(E(x))|`` or of its squares.
    spectral_norm : bool, default=True
        Divide the weights of the encoder and the discriminators by their largest singular value.
    dropout : float, default=0.2
        Share of the discriminators' units left out at random in each step of training.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of encoder and generator, ``"discriminator"``.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    Layers and dropout after the authors' code for tables, but for the discriminators' widths, which
    are ``critic``; that code leaves spectral normalisation to images, the paper does not.
    Departures: a larger learning rate than the code's 1e-5, tables being trained in fewer steps,
    and one that falls to zero, which steadies the end of the game as the code's averages of the
    weights do.

    References
    ----------
    Zenati, Romain, Foo, Lecouat, Chandrasekhar: "Adversarially Learned Anomaly Detection", ICDM
    2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = ALAD(epochs=10, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="alad",
        summary="Rows that a discriminator tells from what encoder and generator make of them.",
        family="networks",
        paper="Zenati et al., Adversarially Learned Anomaly Detection, ICDM",
        year=2018,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows away from all that is generated",
        misses="rows a little off; it varies from seed to seed",
        pyod="alad.ALAD",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "score_type": option("features", "logits", "l1", "l2"),
        "spectral_norm": boolean(),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        score_type: str = "features",
        spectral_norm: bool = True,
        dropout: float = 0.2,
        **training: Unpack[Game],
    ) -> None:
        super().__init__(dropout=dropout, **training)
        self.score_type = score_type
        self.spectral_norm = spectral_norm

    def __getstate__(self) -> dict[str, Any]:
        """All but the network, whose normalised layers cannot be pickled, but made from weights."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in self.transient}

    def _build(self, d: int) -> ALADNetwork:
        from torch.nn.utils import parametrizations

        from awry.nn.bigan import ALADNetwork

        wrap: Any = parametrizations.spectral_norm if self.spectral_norm else None
        return ALADNetwork(
            self._encoder(d, wrap=wrap),
            self._generator(d),
            self._pair_critic(d, wrap=wrap),
            self._latent(d),
            items=self._twin_critic(d, wrap=wrap),
            codes=self._twin_critic(self._latent(d), wrap=wrap),
            score=self.score_type,
        )
