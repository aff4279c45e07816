"""Variational autoencoder: rows that a learnt distribution would hardly bring forth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, boolean, integer, nothing, option, real
from awry.detectors._rows import parts
from awry.detectors.deep import DeepDetector, Training
from awry.detectors.tabular._categories import CATEGORIES, learn_levels, mixed_columns

if TYPE_CHECKING:
    from awry.nn.vae import VAENetwork


class VAE(DeepDetector):
    """Rows that a learnt distribution would hardly bring forth.

    An encoder gives each row x a Gaussian q(z | x), a decoder each z a distribution p(x | z) of
    rows: Gaussian with a variance of its own for each column, Bernoulli for columns of 0 and 1,
    categorical for columns that hold codes of categories. The networks learn to make
    -E_q log p(x | z) + β KL(q(z | x) ‖ N(0, 1)) small (Kingma & Welling, equation 10, one draw per
    row; β of Higgins et al., equation 4), β rising from 0 at first (Bowman et al., section 3.1).

    Parameters
    ----------
    score_type : str, default="reconstruction_probability"
        ``"reconstruction_probability"``: -E_q log p(x | z), a Monte Carlo mean over ``n_draws``
        (An & Cho, algorithm 4): rows that cannot be rebuilt, in terms of how well each column can.
        ``"elbo"``: that plus the KL term, a bound on -log p(x): also what is rare.
        ``"kl"``: the KL term alone: rows whose place in the latent space is far from the middle or
        is known too well or too little.
        ``"mahalanobis"``: the squared distance of that place from those of the training rows, in
        terms of their spread.
    latent : int or None, default=None
        Width of z; None takes the square root of the columns.
    likelihood : {"auto", "gaussian", "bernoulli"}, default="auto"
        Of the columns; "auto" takes Bernoulli for those that hold 0 and 1 and nothing else.
        "bernoulli" brings all columns to [0, 1] by their least and greatest value first.
    categories : list of int or str, or None, default=None
        Places or names of columns that hold codes of categories, whole numbers in no order: a
        level becomes an embedding of half as many values as there are levels, 50 at most, and its
        likelihood is categorical, with one level more for any that was never seen. None takes all
        columns for numbers; :func:`awry.detect` names those of a table's categories. The "kl" and
        "mahalanobis" scores are explained by gradients, which do not reach codes.
    beta : float, default=1.0
        Weight of the KL term in learning.
    warm_up : float, default=0.2
        Share of the epochs over which that weight rises from 0.
    n_draws : int, default=10
        Draws of z for the score. They are the same for every row, so scores are repeatable.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
    batch_norm : bool, default=False
        Normalise what goes into each activation over the batch.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"reconstruction"``, ``"kl"``, ``"held_out"``.
    weights_ : dict of str to ndarray
        The network's weights.
    binary_ : ndarray of shape (d,)
        Columns with a Bernoulli likelihood.
    categories_ : ndarray of int
        Places of the columns of codes.
    levels_ : list of ndarray
        The codes each of them holds.

    Notes
    -----
    Departures: log-variances are kept between -6 and 6; a value beyond [0, 1] of a Bernoulli column
    adds its squared distance to the score. The held-out loss always weighs the KL term in full.

    References
    ----------
    Kingma & Welling: "Auto-Encoding Variational Bayes", ICLR 2014. An & Cho: "Variational
    Autoencoder based Anomaly Detection using Reconstruction Probability", SNU 2015. Higgins et al.:
    "β-VAE", ICLR 2017. Bowman et al.: "Generating Sentences from a Continuous Space", CoNLL 2016.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.5, -1.0]
    >>> detector = VAE(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="vae",
        summary="Rows that a learnt distribution would hardly bring forth.",
        family="networks",
        paper="Kingma & Welling, Auto-Encoding Variational Bayes, ICLR; An & Cho, SNU 2015",
        year=2014,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w L), L draws",
        finds="rows that break the relations between columns; with elbo also rare ones",
        misses="small clusters of anomalies in the training data",
        pyod="vae.VAE",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "score_type": option("reconstruction_probability", "elbo", "kl", "mahalanobis"),
        "latent": any_of(nothing(), integer(1)),
        "likelihood": option("auto", "gaussian", "bernoulli"),
        "categories": CATEGORIES,
        "beta": real(0),
        "warm_up": real(0, 1),
        "n_draws": integer(1),
        "activation": option("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"),
        "batch_norm": boolean(),
    }

    def __init__(
        self,
        *,
        score_type: str = "reconstruction_probability",
        latent: int | None = None,
        likelihood: str = "auto",
        categories: list[int | str] | None = None,
        beta: float = 1.0,
        warm_up: float = 0.2,
        n_draws: int = 10,
        activation: str = "tanh",
        batch_norm: bool = False,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.score_type = score_type
        self.latent = latent
        self.likelihood = likelihood
        self.categories = categories
        self.beta = beta
        self.warm_up = warm_up
        self.n_draws = n_draws
        self.activation = activation
        self.batch_norm = batch_norm

    def _measure(self, X: FloatArray) -> None:
        super()._measure(X)
        least, most = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
        if self.likelihood == "bernoulli":
            self.binary_ = np.ones(X.shape[1], dtype=bool)
            self.center_, self.scale_ = least, np.where(most > least, most - least, self.scale_)
        else:
            two = (least == 0) & (most == 1)
            for part in parts(X):
                two &= ((part == 0) | (part == 1)).all(axis=0)
            self.binary_ = two & (self.likelihood == "auto")
            self.center_ = np.where(self.binary_, 0.0, self.center_)
            self.scale_ = np.where(self.binary_, 1.0, self.scale_)
        learn_levels(self, X)

    def _build(self, d: int) -> VAENetwork:
        from awry.nn.vae import VAENetwork

        return VAENetwork(
            [d, *self._widths(d), self.latent or self._narrow(d)],
            self.binary_.tolist(),
            columns=mixed_columns(self, d),
            score=self.score_type,
            beta=self.beta,
            warm_up=self.warm_up,
            n_draws=self.n_draws,
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
        )
