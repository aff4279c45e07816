"""Contractive autoencoder: rows that a code with little room to move cannot rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import real
from awry.detectors.deep import Training
from awry.detectors.tabular._overcomplete import Overcomplete

if TYPE_CHECKING:
    from awry.nn.contractive_autoencoder import ContractiveAutoEncoderNetwork


class ContractiveAutoEncoder(Overcomplete):
    """Rows that a code with little room to move cannot rebuild.

    The code h = σ(W x + b) is wider than the rows, but the network learns to make
    ‖x - x̂‖² + λ ‖∂h/∂x‖_F² small, the second being the squared Frobenius norm of the encoder's
    Jacobian: the code moves only along the directions in which rows differ, and what departs in
    others is drawn back. It scores by the squared error, and explains by its columns.

    Parameters
    ----------
    contraction : float, default=0.1
        λ, the weight of the Jacobian.
    latent : int or None, default=None
        Units of the code; None takes four to eight times the columns, from 16 to 256.
    hidden : list of int or None, default=None
        Widths of layers between the rows and the code; None puts none there.
    dropout : float, default=0.0
        Share of the code left out at random in each step of training.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"reconstruction"``, ``"contraction"``, ``"held_out"``.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Sigmoids and tied weights, x̂ = Wᵀ h + c, as in the paper, which chooses λ by validation and has
    none to start from. Departures: with ``hidden``, the Jacobian is that of the whole encoder,
    where the paper stacks layers trained one by one; the output is linear, as for real values.

    References
    ----------
    Rifai, Vincent, Muller, Glorot, Bengio: "Contractive Auto-Encoders: Explicit Invariance During
    Feature Extraction", ICML 2011.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = ContractiveAutoEncoder(epochs=40, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="contractive_autoencoder",
        summary="Rows that a code with little room to move cannot rebuild.",
        family="networks",
        paper="Rifai et al., Contractive Auto-Encoders, ICML",
        year=2011,
        fit_cost="O(n w d e), w weights, e epochs; O(n w e) without hidden layers",
        score_cost="O(n w)",
        finds="rows off the directions in which most rows differ; values far out",
        misses="rows between those of normal kinds",
        extra="deep",
        stochastic=True,
    )
    constraints = {"contraction": real(0)}

    def __init__(
        self,
        *,
        contraction: float = 0.1,
        latent: int | None = None,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(latent=latent, **training)
        self.contraction = contraction

    def _build(self, d: int) -> ContractiveAutoEncoderNetwork:
        from awry.nn.contractive_autoencoder import ContractiveAutoEncoderNetwork

        return ContractiveAutoEncoderNetwork(
            self._sizes(d), contraction=self.contraction, dropout=self.dropout
        )
