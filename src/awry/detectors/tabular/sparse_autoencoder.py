"""Sparse autoencoder: rows that a few of many units cannot rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import real
from awry.detectors.deep import Training
from awry.detectors.tabular._overcomplete import Overcomplete

if TYPE_CHECKING:
    from awry.nn.sparse_autoencoder import SparseAutoEncoderNetwork


class SparseAutoEncoder(Overcomplete):
    """Rows that a few of many units cannot rebuild.

    The code is wider than the rows, but each of its units, sigmoids, is to be silent most of the
    time: the network learns to make ½‖x - x̂‖² + β Σ_j KL(ρ ‖ ρ̂_j) small, ρ̂_j being the mean
    activation of unit j, so that what rows have in common is shared out among units that each know
    one thing. It scores by the squared error, and explains by its columns.

    Parameters
    ----------
    rho : float, default=0.05
        ρ, the target of the mean activations.
    beta : float, default=3.0
        β, the weight of the divergence from it.
    latent : int or None, default=None
        Units of the code; None takes four to eight times the columns, from 16 to 256.
    hidden : list of int or None, default=None
        Widths of layers between the rows and the code; None puts none there.
    lr : float, default=5e-3
        Learning rate of AdamW; units that are mostly silent learn slowly.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"reconstruction"``, ``"sparsity"``, ``"held_out"``.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Loss and target of Ng's section 2, whose exercise has β = 3. Departures: the mean activations
    are those of a batch, as the network learns from batches and not by L-BFGS from all rows; the
    output is linear, as for real values; AdamW's weight decay stands in for λ; the units' biases
    start where their activations are ρ.

    References
    ----------
    Ng: "Sparse Autoencoder", CS294A lecture notes, Stanford 2011. Lee, Ekanadham, Ng: "Sparse Deep
    Belief Net Model for Visual Area V2", NIPS 2007.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = SparseAutoEncoder(epochs=40, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="sparse_autoencoder",
        summary="Rows that a few of many units cannot rebuild.",
        family="networks",
        paper="Ng, Sparse Autoencoder, CS294A lecture notes",
        year=2011,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows of none of the kinds that units stand for; values far out",
        misses="mixtures of kinds that units can add up",
        extra="deep",
        stochastic=True,
    )
    constraints = {"rho": real(0, 1, "()"), "beta": real(0)}

    def __init__(  # type: ignore[misc]  # a default of its own
        self,
        *,
        rho: float = 0.05,
        beta: float = 3.0,
        latent: int | None = None,
        lr: float = 5e-3,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(latent=latent, lr=lr, **training)
        self.rho = rho
        self.beta = beta

    def _build(self, d: int) -> SparseAutoEncoderNetwork:
        from awry.nn.sparse_autoencoder import SparseAutoEncoderNetwork

        return SparseAutoEncoderNetwork(
            self.rho,
            self.beta,
            sizes=self._sizes(d),
            activation="sigmoid",
            batch_norm=False,
            dropout=self.dropout,
        )
