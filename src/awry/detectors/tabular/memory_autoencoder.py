"""MemAE: rows that cannot be put together from a few remembered ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, real
from awry.detectors.tabular._bottleneck import Bottleneck, Layers

if TYPE_CHECKING:
    from awry.nn.memory_autoencoder import MemoryAutoEncoderNetwork


class MemoryAutoEncoder(Bottleneck):
    """Rows that cannot be put together from a few remembered ones.

    An autoencoder may rebuild anomalies well. Here the code of a row only asks a memory of N slots:
    the softmax of its cosines to them (equations 4 and 5), less a threshold λ (hard shrinkage,
    equations 6 and 7) and brought to a sum of 1, weighs the slots, and their mean ẑ = Σ w_i m_i
    (equation 3) is decoded. Slots hold what normal rows are like, so an anomaly comes out as
    something normal. The network learns to make ‖x - x̂‖² + α Σ_i -w_i log w_i small (equations 8
    to 10); the score is the squared error.

    Parameters
    ----------
    n_slots : int, default=50
        N, the slots of the memory.
    shrinkage : float, default=1.0
        λ in terms of the mean weight 1/N. For narrow codes hardly any weight is twice the mean.
    entropy_weight : float, default=0.0002
        α, the weight of the entropy, which makes rows ask few slots.
    latent : int or None, default=None
        Width of the code and the slots; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
    batch_norm : bool, default=False
        Normalise what goes into each activation over the batch.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch: ``"loss"``, ``"reconstruction"``, ``"entropy"``, ``"held_out"``.
    weights_ : dict of str to ndarray
        The network's weights; ``"memory"`` is that of the slots (N, latent).

    Notes
    -----
    N and tanh as the paper has them for KDDCUP, α and the range of λ, from 1/N to 3/N, as it has
    them for all data. Departures: AdamW and early stopping; widths by the columns.

    References
    ----------
    Gong, Liu, Le, Saha, Mansour, Venkatesh, van den Hengel: "Memorizing Normality to Detect
    Anomaly: Memory-augmented Deep Autoencoder for Unsupervised Anomaly Detection", ICCV 2019.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = MemoryAutoEncoder(epochs=40, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="memory_autoencoder",
        summary="Rows that cannot be put together from a few remembered ones.",
        family="networks",
        paper="Gong et al., Memorizing Normality to Detect Anomaly (MemAE), ICCV",
        year=2019,
        fit_cost="O(n (w + N) e), w weights, N slots, e epochs",
        score_cost="O(n (w + N))",
        finds="rows of no remembered kind, such that a plain autoencoder would rebuild",
        misses="anomalies common enough to be remembered",
        aliases=("memae",),
        extra="deep",
        stochastic=True,
    )
    constraints = {"n_slots": integer(2), "shrinkage": real(0), "entropy_weight": real(0)}

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        n_slots: int = 50,
        shrinkage: float = 1.0,
        entropy_weight: float = 0.0002,
        batch_norm: bool = False,
        **layers: Unpack[Layers],
    ) -> None:
        super().__init__(batch_norm=batch_norm, **layers)
        self.n_slots = n_slots
        self.shrinkage = shrinkage
        self.entropy_weight = entropy_weight

    def _build(self, d: int) -> MemoryAutoEncoderNetwork:
        from awry.nn.memory_autoencoder import MemoryAutoEncoderNetwork

        return MemoryAutoEncoderNetwork(
            n_slots=self.n_slots,
            shrinkage=self.shrinkage / self.n_slots,
            entropy_weight=self.entropy_weight,
            **self._layers(d),
        )
