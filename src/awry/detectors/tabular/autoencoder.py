"""Autoencoder: rows that a network with a bottleneck cannot rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.detectors.tabular._bottleneck import Bottleneck, Layers
from awry.detectors.tabular._categories import CATEGORIES, learn_levels, mixed_columns

if TYPE_CHECKING:
    from awry.nn.autoencoder import AutoEncoderNetwork


class AutoEncoder(Bottleneck):
    """Rows that a network with a bottleneck cannot rebuild.

    The columns are standardised, squeezed through ever narrower layers and rebuilt by their mirror
    image; the network learns to make the mean squared error ‖x - x̂‖² small (equation 2), and the
    score of a row is that error, summed over its columns (equation 5). A column's contribution is
    its own squared error. Of columns that hold codes of categories the error is the cross-entropy.

    Parameters
    ----------
    latent : int or None, default=None
        Width of the bottleneck; None takes the square root of the columns.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default="tanh"
        tanh keeps what is far out from being carried on in a straight line.
    batch_norm : bool, default=True
        Normalise what goes into each activation over the batch.
    categories : list of int or str, or None, default=None
        Places or names of columns that hold codes of categories, whole numbers in no order: a
        level becomes an embedding of half as many values as there are levels, 50 at most, and is
        rebuilt as the chances of all levels, of which one is for any that was never seen. None
        takes all columns for numbers; :func:`awry.detect` names those of a table's categories.
    **training

    Attributes
    ----------
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.
    categories_ : ndarray of int
        Places of the columns of codes.
    levels_ : list of ndarray
        The codes each of them holds.

    Notes
    -----
    Departures: batch normalisation and AdamW, after PyOD, and tanh, where the paper has sigmoids
    and gradient descent; early stopping; no dropout unless asked for, PyOD's 0.2 being much for
    narrow layers; widths by the columns, where PyOD has 64 and 32 even for fewer columns, which a
    network so wide can copy.

    References
    ----------
    Sakurada & Yairi: "Anomaly Detection Using Autoencoders with Nonlinear Dimensionality
    Reduction", MLSDA 2014.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    >>> X = np.hstack([x, x**2, np.sin(x)])
    >>> X[5] = [1.0, 3.0, -1.0]
    >>> detector = AutoEncoder(epochs=20, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    5
    """

    card = Card(
        name="autoencoder",
        summary="Rows that a network with a bottleneck cannot rebuild.",
        family="networks",
        paper="Sakurada & Yairi, Anomaly Detection Using Autoencoders, MLSDA",
        year=2014,
        fit_cost="O(n w e), w weights, e epochs",
        score_cost="O(n w)",
        finds="rows that break the relations between columns, curved ones included",
        misses="rows far out along the relations it learnt; small clusters of anomalies",
        pyod="auto_encoder.AutoEncoder",
        aliases=("auto_encoder",),
        extra="deep",
        stochastic=True,
    )
    constraints = {"categories": CATEGORIES}

    def __init__(
        self, *, categories: list[int | str] | None = None, **layers: Unpack[Layers]
    ) -> None:
        super().__init__(**layers)
        self.categories = categories

    def _measure(self, X: FloatArray) -> None:
        super()._measure(X)
        learn_levels(self, X)

    def _build(self, d: int) -> AutoEncoderNetwork:
        columns = mixed_columns(self, d)
        if columns is not None:
            from awry.nn.mixed import MixedAutoEncoderNetwork

            return MixedAutoEncoderNetwork(columns=columns, **self._layers(d))
        from awry.nn.autoencoder import AutoEncoderNetwork

        return AutoEncoderNetwork(**self._layers(d))
