"""PReNet: how many of a pair of rows are anomalies, learnt from a few labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import integer, listing, real
from awry.detectors.deep import Training
from awry.detectors.tabular._few_labels import FewLabelsDetector

if TYPE_CHECKING:
    from awry.nn.few_labels import PReNetNetwork


class PReNet(FewLabelsDetector):
    """Rows that, paired with others, look to a network like one anomaly more in the pair.

    Pairs are drawn from the few labelled anomalies and the other rows; the network learns to give
    pairs of two anomalies 8, of one anomaly 4 and of none 0, by the absolute error. A row is paired
    with anomalies and with others, and its score is the mean of φ(a, x) + φ(x, u).

    Parameters
    ----------
    targets : list of 3 floats, default=(8.0, 4.0, 0.0)
        What pairs with two anomalies, with one and with none should get.
    n_pairs : int, default=30
        Partners of each kind to score with, the same for all rows.
    hidden : list of int or None, default=(20,)
        Widths of the layers that both rows of a pair pass through.
    weight_decay : float, default=0.01
        Weight of the L2 penalty.
    validation_fraction : float, default=0.0
        Share of the rows held out, which stops nothing: labels are too few to be measured by.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights and the partners.

    Notes
    -----
    y is 1 for anomalies; all others, judged or not, are taken for normal, as in the paper.
    Departures: partners are drawn once, so that scores repeat; the learning rate falls.

    References
    ----------
    Pang, Shen, Jin, van den Hengel: "Deep Weakly-supervised Anomaly Detection", KDD 2023.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> X[:10] += [3.0, 0.0, 0.0]
    >>> y = np.repeat([1, -1], [5, 295])
    >>> scores = PReNet(epochs=20, random_state=0).fit(X, y).decision_scores_
    >>> bool(np.median(scores[5:10]) > np.quantile(scores[10:], 0.9))
    True
    """

    card = Card(
        name="prenet",
        summary="Rows that make a pair look like one with an anomaly more.",
        family="supervised",
        paper="Pang et al., Deep Weakly-supervised Anomaly Detection, KDD",
        year=2023,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="anomalies like those labelled, and some unlike them",
        misses="new kinds of anomalies that lie among normal rows",
        extra="deep",
        supervision="required",
        stochastic=True,
    )
    constraints = {"targets": listing(real()), "n_pairs": integer(1)}

    def __init__(  # type: ignore[misc]
        self,
        *,
        targets: list[float] | tuple[float, ...] = (8.0, 4.0, 0.0),
        n_pairs: int = 30,
        weight_decay: float = 0.01,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(weight_decay=weight_decay, **training)
        self.targets = targets
        self.n_pairs = n_pairs

    def _build(self, d: int) -> PReNetNetwork:
        from awry.nn.few_labels import PReNetNetwork

        return PReNetNetwork(
            [d, *self._widths(d)],
            targets=self.targets,
            n_pairs=self.n_pairs,
            dropout=self.dropout,
        )
