"""DAGMM: rows whose code and reconstruction errors are rare together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, listing, real
from awry.detectors.tabular._bottleneck import Bottleneck, Layers

if TYPE_CHECKING:
    from awry.nn.dagmm import DAGMMNetwork


class DAGMM(Bottleneck):
    """Rows whose code and reconstruction errors are rare together.

    An autoencoder squeezes a row into a narrow code; the code, the relative distance
    ‖x - x̂‖ / ‖x‖ and the cosine of row and reconstruction are its features z (equations 1 to 3). An
    estimation network says to which of K Gaussians z belongs (equation 4), from which follow their
    shares, means and covariances (equation 5) and the energy E(z), minus the logarithm of the
    mixture's density (equation 6), which is the score. All is learnt together, making
    ‖x - x̂‖² + λ1 E(z) + λ2 Σ_k Σ_j 1/Σ_kjj small (equation 7), the last of which keeps variances
    from vanishing.

    Parameters
    ----------
    n_components : int, default=2
        K, the Gaussians.
    estimation : list of int, default=(10,)
        Widths of the estimation network's hidden layers.
    estimation_dropout : float, default=0.5
        Share of their units left out at random in each step of training.
    energy_weight, variance_weight : float, default=0.1, 0.005
        λ1 and λ2.
    latent : int or None, default=1
        Width of the code; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
    batch_norm : bool, default=False
        Normalise what goes into each activation of the autoencoder over the batch.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"reconstruction"``, ``"energy"``, ``"held_out"``.
    weights_ : dict of str to ndarray
        The networks' weights, and the mixture of the training rows, by which rows are scored:
        ``"log_share"``, ``"mean"`` and ``"whitening"``, the inverse Cholesky factors of the
        covariances.

    Notes
    -----
    Latent width, K, estimation network and dropout as the paper has them for most of its data sets.
    Departures: columns are brought to [0, 1], of which the paper is silent; a ten-thousandth of
    their mean is added to the variances, without which the covariances of a batch may have no
    inverse; AdamW at 1e-3 with early stopping, for Adam at 1e-4; widths by the columns.

    References
    ----------
    Zong, Song, Min, Cheng, Lumezanu, Cho, Chen: "Deep Autoencoding Gaussian Mixture Model for
    Unsupervised Anomaly Detection", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 9.0, -1.0]
    >>> detector = DAGMM(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="dagmm",
        summary="Rows whose code and reconstruction errors are rare together.",
        family="networks",
        paper="Zong et al., Deep Autoencoding Gaussian Mixture Model, ICLR",
        year=2018,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows rare in a projection that knows of its own errors",
        misses="what a narrow code loses and errors do not show; it varies from seed to seed",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "n_components": integer(1),
        "estimation": listing(integer(1)),
        "estimation_dropout": real(0, 1, "[)"),
        "energy_weight": real(0),
        "variance_weight": real(0),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        n_components: int = 2,
        estimation: list[int] | tuple[int, ...] = (10,),
        estimation_dropout: float = 0.5,
        energy_weight: float = 0.1,
        variance_weight: float = 0.005,
        latent: int | None = 1,
        batch_norm: bool = False,
        **layers: Unpack[Layers],
    ) -> None:
        super().__init__(latent=latent, batch_norm=batch_norm, **layers)
        self.n_components = n_components
        self.estimation = estimation
        self.estimation_dropout = estimation_dropout
        self.energy_weight = energy_weight
        self.variance_weight = variance_weight

    def _build(self, d: int) -> DAGMMNetwork:
        from awry.nn.dagmm import DAGMMNetwork

        return DAGMMNetwork(
            n_components=self.n_components,
            estimation=self.estimation,
            estimation_dropout=self.estimation_dropout,
            energy_weight=self.energy_weight,
            variance_weight=self.variance_weight,
            **self._layers(d),
        )
