"""Why a score is what it is: contributions of the features that sum to something stated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from awry.core.inputs import FloatArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Explanation:
    """Contributions of features to scores.

    Attributes
    ----------
    values : ndarray of shape (n, d)
        Contribution of each feature; positive pushes towards anomalous.
    base : ndarray of shape (n,)
        Where the sum starts: ``base + values.sum(axis=1)`` equals ``total``.
    total : ndarray of shape (n,)
        What the contributions add up to; ``meaning`` says what it is.
    names : list of str
        The features.
    meaning : str
        What ``total`` is, such as ``"score"``.
    """

    values: FloatArray
    base: FloatArray
    total: FloatArray
    names: list[str]
    meaning: str = "score"

    def top(self, k: int = 3) -> list[list[tuple[str, float]]]:
        """For each row the ``k`` features that pushed most towards anomalous, largest first."""
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :k]
        return [
            [(self.names[j], float(row[j])) for j in picks if row[j] > 0]
            for row, picks in zip(self.values, order, strict=True)
        ]

    def grouped(self, sources: Sequence[str]) -> Explanation:
        """Sum the contributions of the columns that stem from one source column.

        Parameters
        ----------
        sources : sequence of str, length d
            The source of each feature.
        """
        names = list(dict.fromkeys(sources))
        member = np.equal.outer(np.asarray(sources), np.asarray(names)).astype(np.float64)
        return Explanation(self.values @ member, self.base, self.total, names, self.meaning)

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame of shape (n, d + 2): a column per feature, ``base`` and ``total``."""
        import pandas as pd

        frame = pd.DataFrame(self.values, columns=self.names)
        return frame.assign(base=self.base, total=self.total)


def shapley(
    score: Callable[[FloatArray], FloatArray],
    X: FloatArray,
    background: FloatArray,
    *,
    n_permutations: int = 32,
    seed: int = 0,
) -> tuple[FloatArray, float]:
    """Model-agnostic contributions by sampled Shapley values.

    Features of a background row are replaced one after the other, in random order, by those of the
    row to explain; what a replacement adds to the score is credited to its feature (Štrumbelj &
    Kononenko, "Explaining prediction models and individual predictions with feature
    contributions", KAIS 2014, algorithm 1, with each order also run backwards, which halves the
    variance). The same orders and background rows serve every row, so the base is one number.

    Parameters
    ----------
    score : function (m, d) -> (m,)
    X : ndarray of shape (n, d)
        Rows to explain.
    background : ndarray of shape (b, d)
        Rows that look normal.
    n_permutations : int, default=32
        Orders sampled, rounded up to an even number. One feature more costs ``n_permutations``
        scores a row.
    seed : int, default=0

    Returns
    -------
    values : ndarray of shape (n, d)
    base : float
        Mean score of the background rows used; ``base + values.sum(axis=1) == score(X)``.
    """
    rng = np.random.default_rng(seed)
    n, d = X.shape
    half = -(-n_permutations // 2)
    orders = [rng.permutation(d) for _ in range(half)]
    orders += [order[::-1] for order in orders]
    picks = np.resize(rng.permutation(len(background)), half)
    starts = background[np.concatenate([picks, picks])]
    values = np.zeros((n, d))
    for row in range(n):
        steps = np.repeat(starts[:, None, :], d + 1, axis=1)
        for p, order in enumerate(orders):
            for step, feature in enumerate(order):
                steps[p, step + 1 :, feature] = X[row, feature]
        scores = score(steps.reshape(-1, d)).reshape(len(orders), d + 1)
        gains = np.diff(scores, axis=1)
        for order, gain in zip(orders, gains, strict=True):
            values[row, order] += gain / len(orders)
    base = float(score(starts).mean())
    return values, base
