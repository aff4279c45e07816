"""DevNet: scores that deviate from a prior for a few labelled anomalies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import real
from awry.detectors.deep import Training
from awry.detectors.tabular._few_labels import FewLabelsDetector

if TYPE_CHECKING:
    from awry.nn.few_labels import DevNetNetwork


class DevNet(FewLabelsDetector):
    """Rows that a network scores far above the rest, as it learnt to with a few anomalies.

    The network's score φ(x) is measured against draws from a standard normal prior,
    dev = (φ(x) - μ) / σ. It learns ``|dev|`` for rows not labelled anomalous and
    ``max(0, a - dev)`` for labelled anomalies, half of each batch: normal rows score like the
    prior's mean, anomalies at least a standard deviations above.

    Parameters
    ----------
    margin : float, default=5.0
        a, in standard deviations of the prior.
    hidden : list of int or None, default=(20,)
        Widths of the hidden layers.
    validation_fraction : float, default=0.0
        Share of the rows held out, which stops nothing: labels are too few to be measured by.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    A score z is read by the prior: normal rows exceed it with probability 1 - Φ(z). y is 1 for
    anomalies; all others, judged or not, are taken for normal, as in the paper. Departures: epochs
    over the data rather than 50 of 20 batches of 512; the learning rate falls.

    References
    ----------
    Pang, Shen, van den Hengel: "Deep Anomaly Detection with Deviation Networks", KDD 2019.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[:10] += [3.0, 0.0, 0.0]
    >>> y = np.repeat([1, -1], [5, 295])
    >>> scores = DevNet(epochs=20, random_state=0).fit(X, y).decision_scores_
    >>> bool(np.median(scores[5:10]) > np.quantile(scores[10:], 0.9))
    True
    """

    card = Card(
        name="devnet",
        summary="Rows like a few labelled anomalies, scored far above a prior.",
        family="supervised",
        paper="Pang, Shen & van den Hengel, Deep Anomaly Detection with Deviation Networks, KDD",
        year=2019,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="anomalies like those labelled, however few",
        misses="new kinds of anomalies",
        pyod="devnet.DevNet",
        extra="deep",
        supervision="required",
        stochastic=True,
    )
    constraints = {"margin": real(0, closed="(]")}

    def __init__(self, *, margin: float = 5.0, **training: Unpack[Training]) -> None:
        super().__init__(**training)
        self.margin = margin

    def _build(self, d: int) -> DevNetNetwork:
        from awry.nn.few_labels import DevNetNetwork

        return DevNetNetwork([d, *self._widths(d)], margin=self.margin, dropout=self.dropout)
