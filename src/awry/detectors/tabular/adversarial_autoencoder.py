"""Adversarial autoencoder: rows that codes drawn from a Gaussian cannot rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, listing, option
from awry.detectors.tabular._bottleneck import Bottleneck, Layers

if TYPE_CHECKING:
    from awry.nn.adversarial_autoencoder import AdversarialAutoEncoderNetwork


class AdversarialAutoEncoder(Bottleneck):
    """Rows that codes drawn from a Gaussian cannot rebuild.

    An autoencoder whose codes, taken together, follow the prior N(0, 1). Every batch is learnt from
    in two phases (section 2): encoder and decoder make the squared error small; then a
    discriminator learns to tell codes from draws of the prior, and the encoder to pass its codes
    off as such draws. With no gaps between the codes, what lies between normal rows is normal too,
    and codes far out are rare.

    Parameters
    ----------
    score_type : {"reconstruction", "prior"}, default="reconstruction"
        ``"reconstruction"``: the squared error, explained by its columns. ``"prior"``: ‖z‖², which
        is -2 log of the prior's density but for a constant: rows whose codes are far out.
    latent : int or None, default=None
        Width of the code; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
    critic : list of int, default=(128, 128)
        Widths of the discriminator's hidden layers. A narrow one is soon deceived, and codes then
        do not follow the prior.
    batch_norm : bool, default=True
        Normalise what goes into each activation of encoder and decoder over the batch.
    validation_fraction : float, default=0.0
        Share of the rows set aside, of no use here: no loss of a game says when to stop.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of the reconstruction, ``"discriminator"``,
        ``"generator"``.
    weights_ : dict of str to ndarray
        The networks' weights.

    Notes
    -----
    The encoder is the paper's deterministic one, the generator's loss the non-saturating one that
    its code uses. Departures: the discriminator has narrower layers than the
    paper's of 1000 units, and Adam (in the game with β1 = 0.5) stands in for gradient descent with
    momentum; the paper has no score.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow, Frey: "Adversarial Autoencoders", arXiv 1511.05644, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = AdversarialAutoEncoder(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="adversarial_autoencoder",
        summary="Rows that codes drawn from a Gaussian cannot rebuild.",
        family="networks",
        paper="Makhzani et al., Adversarial Autoencoders, arXiv",
        year=2015,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows that break the relations between columns; with prior, rare ones",
        misses="small clusters of anomalies in the training data",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "score_type": option("reconstruction", "prior"),
        "critic": listing(integer(1)),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        score_type: str = "reconstruction",
        critic: list[int] | tuple[int, ...] = (128, 128),
        validation_fraction: float = 0.0,
        **layers: Unpack[Layers],
    ) -> None:
        super().__init__(validation_fraction=validation_fraction, **layers)
        self.score_type = score_type
        self.critic = critic

    def _build(self, d: int) -> AdversarialAutoEncoderNetwork:
        from awry.nn.adversarial_autoencoder import AdversarialAutoEncoderNetwork

        return AdversarialAutoEncoderNetwork(
            critic=self.critic, score=self.score_type, **self._layers(d)
        )
