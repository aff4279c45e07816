"""Fitted network detectors made smaller: pruned, or distilled into a small network."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from awry.core.detector import Detector
from awry.core.inputs import IntArray, check_labels
from awry.core.params import ParameterError, integer, real
from awry.detectors._rows import Scaled
from awry.detectors.deep import DeepDetector
from awry.detectors.tabular.distilled import Distilled

D = TypeVar("D", bound=DeepDetector)


def prune(
    detector: D,
    amount: float = 0.5,
    *,
    X: Any = None,
    y: Any = None,
    structured: bool = False,
    epochs: int = 0,
) -> D:
    """A copy of a fitted network detector without the weights, or units, that count least.

    Parameters
    ----------
    detector : DeepDetector
        Fitted; left as it is.
    amount : float in (0, 1), default=0.5
        Share of the weights of all layers together that become zero, or of the units of each hidden
        layer that are taken out.
    X : array-like of shape (n, d), optional
        Training rows, by which ``decision_scores_``, the threshold and what else the network
        measures of its data are set anew. Without them all that stays as it was, and fits the
        pruned network less well.
    y : array-like of shape (n,), optional
        Labels of those rows as in ``fit``: for detectors that learn from labels, and for a
        threshold set by labels, which else stays.
    structured : bool, default=False
        Take whole units out: the network is then smaller and quicker by itself, where weights of
        zero only make the file smaller (and need a runtime that skips them). For networks that are
        an encoder, with or without a decoder that mirrors it.
    epochs : int, default=0
        Passes over ``X`` in which what is left learns to make up for what is gone; only for
        detectors of tables.

    Returns
    -------
    DeepDetector
        Saves, loads and exports like any other.

    References
    ----------
    Han et al.: "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015.
    Li et al.: "Pruning Filters for Efficient ConvNets", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from awry.detectors import AutoEncoder
    >>> X = np.random.default_rng(0).normal(size=(300, 6))
    >>> detector = AutoEncoder(hidden=[32, 16], epochs=5, random_state=0).fit(X)
    >>> layers = [w for w in prune(detector, 0.5).weights_.values() if w.ndim == 2]
    >>> sum(int((w == 0).sum()) for w in layers) / sum(w.size for w in layers)
    0.5
    >>> prune(detector, 0.5, X=X, structured=True, epochs=5).hidden
    [16, 8]
    """
    check_is_fitted(detector)
    _require("amount", real(0, 1, "()"), amount)
    _require("epochs", integer(0), epochs)
    if epochs and (X is None or detector.card.modality != "table"):
        raise ParameterError("prune: epochs must be 0 without X, and for what is not a table")
    labels = _labels(detector, X, y, epochs)
    pruning = detector._torch_side("pruning")
    lean = copy.deepcopy(detector)
    if structured:
        hidden, latent, weights = pruning.narrowed(detector.bare_network(), amount)
        lean.set_params(hidden=hidden, latent=latent)
        _take_over(lean, weights)
        network = lean.bare_network()
        _refine(detector, network, X, labels, epochs)
    else:
        network = lean.bare_network()
        with pruning.masked(network, amount):
            _refine(detector, network, X, labels, epochs)
    _take_over(lean, network.state_dict())
    if X is not None:
        lean.decision_scores_ = lean.decision_function(X)
        rule = lean._rule(lean.contamination)
        if labels is not None or not rule.needs_labels:
            lean.rethreshold(lean.contamination, y=labels)
    return lean


def distil(
    detector: Detector, X: Any, hidden: Sequence[int] | None = None, **params: Any
) -> Distilled:
    """A small network that says of rows what a fitted detector does.

    Parameters
    ----------
    detector : Detector
        Fitted, of any kind that scores new rows of tables; left as it is.
    X : array-like of shape (n, d)
        Rows it was fitted on, or others like them.
    hidden : sequence of int, optional
        Widths of the small network's layers; 64 and 32 by default.
    **params
        Others of :class:`~awry.detectors.tabular.distilled.Distilled`.

    Returns
    -------
    Distilled
        Needs the detector no longer.

    Examples
    --------
    >>> import numpy as np
    >>> from awry.detectors import KNN
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> small = distil(KNN().fit(X), X, hidden=[8], epochs=10, random_state=0)
    >>> small.card.name, sorted(w.shape for w in small.weights_.values())
    ('distilled', [(1,), (1, 8), (8,), (8, 3)])
    """
    check_is_fitted(detector)
    widths = None if hidden is None else list(hidden)
    small = Distilled(teacher=detector, hidden=widths, **params).fit(X)
    # The teacher's settings are worth keeping, its weights are not.
    return small.set_params(teacher=clone(detector))


def _labels(detector: DeepDetector, X: Any, y: Any, epochs: int) -> IntArray | None:
    """The labels to learn on from, or the word that they are needed."""
    if y is not None and X is not None:
        return check_labels(y, len(X), "prune")
    if y is not None:
        raise ParameterError("prune: y must be None without X, whose labels it holds")
    supervision = detector.card.supervision
    if X is not None and (supervision == "required" or (supervision == "optional" and epochs)):
        raise ParameterError(
            f"prune: y must hold the labels of X, from which {type(detector).__name__} learns: "
            "1 (anomaly), 0 (normal) or -1 (not judged), got None"
        )
    return None


def _refine(
    detector: DeepDetector, network: Any, X: Any, labels: IntArray | None, epochs: int
) -> None:
    if X is None or detector.card.modality != "table":
        return
    trainer = detector._trainer(
        epochs=epochs,
        batch_size=detector.batch_size or 128,
        name=f"{detector.card.name}: pruned",
        devices=1,
        checkpoint=None,
    )
    rows, *beside = detector._lessons(detector._check_items(X), labels)
    data = (Scaled(rows, detector.center_, detector.scale_), *beside)
    detector._torch_side("pruning").refine(network, data, trainer)


def _take_over(detector: DeepDetector, weights: Any) -> None:
    """Let ``detector`` judge by ``weights``."""
    detector.weights_ = {name: w.detach().cpu().numpy().copy() for name, w in weights.items()}
    detector.__dict__.pop("_network", None)


def _require(name: str, constraint: Any, value: Any) -> None:
    words, holds = constraint
    if not holds(value):
        raise ParameterError(f"prune: {name} must be {words}, got {value!r}")
