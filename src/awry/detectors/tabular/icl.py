"""ICL: rows whose columns do not tell of one another as those of other rows do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, real
from awry.detectors.deep import Training
from awry.detectors.tabular._contrastive import ContrastiveDetector

if TYPE_CHECKING:
    from awry.nn.icl import ICLNetwork


class ICL(ContrastiveDetector):
    """Rows whose columns do not tell of one another as those of other rows do.

    Each run of k neighbouring columns is one view of a row, the columns it leaves another. Two
    networks map runs and rests to unit vectors and learn to make a run more like its own rest than
    the other runs of the same row are: -log exp(⟨F(b_j), G(a_j)⟩/τ) / Σ_l exp(⟨F(b_j), G(a_l)⟩/τ).
    The score of a row is this loss, the mean over its runs. As it depends on which columns are
    neighbours, this is done for several orders of the columns, with networks of their own.

    Parameters
    ----------
    window : int or None, default=None
        Columns k in a run; None takes 2 up to 40 columns, 10 up to 160, and d - 150 beyond, as in
        the paper.
    n_permutations : int or None, default=None
        Orders of the columns; None takes 1 + ⌊100 / (ln n + d)⌋, as in the authors' code.
    units : int, default=200
        Width of the embeddings, 4 or more; the hidden layers are a quarter, half and twice of it.
    temperature : float, default=0.01
        τ.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The networks' weights, and the orders of the columns.
    n_permutations_ : int

    Notes
    -----
    The layers, with batch normalisation over runs, and the normalisation over runs before that to
    unit length, are those of the authors' code. A table of one column gets equal scores. Rows far
    out in some column, a tenth at most, are not learnt from, as the paper learns from normal rows
    only. Departures: AdamW; early stopping by the held-out loss where the authors stop at a small
    training loss; the orders learn together, and the first is the given one; ``hidden`` has no say.

    References
    ----------
    Shenkar & Wolf: "Anomaly Detection for Tabular Data with Internal Contrastive Learning", ICLR
    2022.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> t = rng.normal(size=(400, 1))
    >>> X = np.hstack([t, -t, t, t**2, 2 * t, t]) + rng.normal(0, 0.05, (400, 6))
    >>> X[5, 2] += 3
    >>> brief = {"n_permutations": 2, "units": 32, "epochs": 15, "lr": 1e-2, "batch_size": 64}
    >>> detector = ICL(**brief, random_state=0).fit(X)
    >>> bool(detector.decision_scores_[5] > np.quantile(detector.decision_scores_, 0.9))
    True
    """

    card = Card(
        name="icl",
        summary="Rows whose columns do not tell of one another as those of other rows do.",
        family="networks",
        paper="Shenkar & Wolf, Internal Contrastive Learning, ICLR",
        year=2022,
        fit_cost="O(n d w e), w weights, e epochs",
        score_cost="O(n d w)",
        finds="rows that break the relations between columns, also where each value is usual",
        misses="rows of tables with few or unrelated columns; small clusters of far rows",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "window": any_of(nothing(), integer(1)),
        "n_permutations": any_of(nothing(), integer(1)),
        "units": integer(4),
        "temperature": real(0, closed="(]"),
    }

    def __init__(
        self,
        *,
        window: int | None = None,
        n_permutations: int | None = None,
        units: int = 200,
        temperature: float = 0.01,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.window = window
        self.n_permutations = n_permutations
        self.units = units
        self.temperature = temperature

    def _measure(self, X: FloatArray) -> None:
        super()._measure(X)
        n, d = X.shape
        self.n_permutations_ = self.n_permutations or 1 + int(100 / (np.log(n) + d))

    def _build(self, d: int) -> ICLNetwork:
        from awry.nn.icl import ICLNetwork

        usual = 2 if d <= 40 else 10 if d <= 160 else d - 150
        return ICLNetwork(
            d,
            # Two runs are the fewest that can be told apart.
            max(1, min(self.window or usual, d - 1)),
            n_permutations=self.n_permutations_,
            units=self.units,
            temperature=self.temperature,
            dropout=self.dropout,
        )
