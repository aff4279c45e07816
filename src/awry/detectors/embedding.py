"""What detectors share that learn an embedding first and judge by where it puts an item."""

from __future__ import annotations

from typing import Any

from awry.core.params import integer, option, real

#: Training items whose embeddings are kept to judge by.
_MOST_KEPT = 2048
#: The parameters of a head, for the detectors' constraints.
HEAD = {
    "head": option("mahalanobis", "knn", "svdd"),
    "n_neighbors": integer(1),
    "nu": real(0, 1, "(]"),
    "temperature": real(0, closed="(]"),
}


def n_kept(n: int, validation_fraction: float) -> int:
    """How many of ``n`` items to judge by: those learnt from, up to a bound."""
    return max(1, min(_MOST_KEPT, n - int(n * validation_fraction)))


def head_plan(detector: Any) -> dict[str, Any]:
    """What a :class:`~awry.nn.contrastive.ContrastiveNetwork` is told of its head."""
    named = {name: getattr(detector, name) for name in (*HEAD, "dropout")}
    return {**named, "n_reference": detector.n_reference_}
