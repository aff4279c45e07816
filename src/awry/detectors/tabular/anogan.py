"""AnoGAN: rows that a generator of normal rows cannot come near to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Unpack

from awry.core.card import Card
from awry.core.errors import ModelError
from awry.core.params import integer, real
from awry.detectors.tabular._adversarial import AdversarialDetector, Game

if TYPE_CHECKING:
    from awry.nn.anogan import AnoGANNetwork


class AnoGAN(AdversarialDetector):
    """Rows that a generator of normal rows cannot come near to.

    A generator G learns to turn draws z of N(0, 1) into rows that a discriminator takes for real
    (equation 1). To judge a row x, the code z is searched for, step by step down the gradient, from
    which the nearest row is generated: nearest by the residual loss R = Σ ``|x - G(z)|``
    (equation 2) and by the discriminator's features f, D = Σ ``|f(x) - f(G(z))|`` (equation 4). The
    score is what is left of (1 - λ) R + λ D (equations 5 and 6); a column's contribution is its
    residual.

    Parameters
    ----------
    feature_weight : float, default=0.1
        λ, between 0 and 1.
    n_steps : int, default=500
        Steps Γ of the search. Scoring takes that many passes through the networks and back, in the
        end of fit as well.
    search_lr : float, default=0.01
        Learning rate of the search.
    n_starts : int, default=16
        Draws of z, the same for every row, of which each row starts from the nearest; 1 starts all
        rows from the same.
    dropout : float, default=0.2
        Share of the discriminator's units left out at random in each step of training.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"`` of the generator, ``"discriminator"``.
    weights_ : dict of str to ndarray
        The networks' weights, and the starts of the search.

    Notes
    -----
    Departures: dense layers for the paper's convolutions, with dropout and without batch
    normalisation, like those that Zenati et al. (2018) have for tables; the search is Adam's, its
    learning rate falling to zero, and keeps the best place it comes by, where the paper keeps the
    last; the generator's loss is the usual non-saturating one. As scores are searched for, there is
    no export to ONNX.

    References
    ----------
    Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs: "Unsupervised Anomaly Detection with
    Generative Adversarial Networks to Guide Marker Discovery", IPMI 2017.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = AnoGAN(epochs=5, n_steps=20, search_lr=0.1, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="anogan",
        summary="Rows that a generator of normal rows cannot come near to.",
        family="networks",
        paper="Schlegl et al., Unsupervised Anomaly Detection with GANs, IPMI",
        year=2017,
        fit_cost="O(n w (e + s)), w weights, e epochs, s steps of the search",
        score_cost="O(n w s)",
        finds="rows away from all that is generated, and in which columns",
        misses="what a generator that forgets rare normal rows makes no difference of",
        pyod="anogan.AnoGAN",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "feature_weight": real(0, 1),
        "n_steps": integer(1),
        "search_lr": real(0, closed="(]"),
        "n_starts": integer(1),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        feature_weight: float = 0.1,
        n_steps: int = 500,
        search_lr: float = 0.01,
        n_starts: int = 16,
        dropout: float = 0.2,
        **training: Unpack[Game],
    ) -> None:
        super().__init__(dropout=dropout, **training)
        self.feature_weight = feature_weight
        self.n_steps = n_steps
        self.search_lr = search_lr
        self.n_starts = n_starts

    def to_onnx(
        self, path: str | os.PathLike[str], *, int8: bool = False, rows: Any = None
    ) -> dict[str, Any]:
        """Raise ModelError: a search by gradients cannot be written as an ONNX model."""
        raise ModelError(
            "AnoGAN: a score that is searched for by gradients cannot be exported; f_anogan, whose "
            "encoder does without the search, can"
        )

    def _build(self, d: int) -> AnoGANNetwork:
        from awry.nn.anogan import AnoGANNetwork

        return AnoGANNetwork(
            self._generator(d),
            self._critic(d),
            self._latent(d),
            weight=self.feature_weight,
            n_steps=self.n_steps,
            n_starts=self.n_starts,
            search_lr=self.search_lr,
        )
