"""DTE: rows that look as if a diffusion had carried them far from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, option
from awry.detectors.deep import DeepDetector, Training

if TYPE_CHECKING:
    from awry.nn.diffusion_time import DiffusionTimeNetwork


class DTE(DeepDetector):
    """Rows that look as if a diffusion had carried them far from the data.

    Training rows are diffused, x_t = √ᾱ_t x + √(1 - ᾱ_t) ε, to times drawn evenly from the T steps,
    and a network learns to tell the time from x_t alone. A row that was not diffused at all, but
    lies away from the data, is taken for a row at a late time; the expected time is its score.

    Parameters
    ----------
    form : {"categorical", "inverse_gamma"}, default="inverse_gamma"
        What the network says of the time: probabilities of bins of time, learnt by cross-entropy
        (the score is the expected time as a share of T); or the scale of an inverse gamma
        distribution of the variance 1 - ᾱ_t, learnt by likelihood (the score is that variance,
        the scale over the shape).
    n_steps : int, default=300
        Steps T of the diffusion, with variances that rise evenly from 0.0001 to 0.01.
    n_bins : int, default=7
        Bins of time of the categorical form.
    hidden : list of int or None, default=(256, 512, 256)
        Widths of the hidden layers.
    lr : float, default=1e-4
        Learning rate.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    The shape of the inverse gamma is d / 2 - 1, which the distance from data that hardly spreads
    has; for three columns and fewer it is 1/2, where the paper's has no use. The inverse gamma is
    the default although the paper's categorical form does better on average: probabilities of bins
    have a largest expected time, and far from all training rows they can be anything. Departures:
    AdamW,
    early stopping, a falling learning rate, no dropout unless asked for.

    References
    ----------
    Livernoche, Jain, Hezaveh, Ravanbakhsh: "On Diffusion Modeling for Anomaly Detection", ICLR
    2024.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[5] = [6.0, -6.0, 6.0]
    >>> detector = DTE(epochs=10, random_state=0).fit(X)
    >>> bool(detector.decision_scores_[5] > np.quantile(detector.decision_scores_, 0.97))
    True
    """

    card = Card(
        name="dte",
        summary="Rows that look as if a diffusion had carried them far from the data.",
        family="networks",
        paper="Livernoche et al., On Diffusion Modeling for Anomaly Detection, ICLR",
        year=2024,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows away from where the data is dense, as nearest neighbours do, at a fixed cost",
        misses="small clusters of anomalies; isolated rows that it learns by heart",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "form": option("categorical", "inverse_gamma"),
        "n_steps": integer(2),
        "n_bins": integer(2),
    }

    def __init__(  # type: ignore[misc]
        self,
        *,
        form: str = "inverse_gamma",
        n_steps: int = 300,
        n_bins: int = 7,
        hidden: list[int] | tuple[int, ...] | None = (256, 512, 256),
        lr: float = 1e-4,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(hidden=hidden, lr=lr, **training)
        self.form = form
        self.n_steps = n_steps
        self.n_bins = n_bins

    def _build(self, d: int) -> DiffusionTimeNetwork:
        from awry.nn.diffusion_time import DiffusionTimeNetwork

        return DiffusionTimeNetwork(
            [d, *self._widths(d)],
            form=self.form,
            n_steps=self.n_steps,
            n_bins=self.n_bins,
            dropout=self.dropout,
        )
