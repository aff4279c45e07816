"""Shapes of z-normalised sequences: their distance, their mean and their clusters (k-Shape).

Paparrizos & Gravano: "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from awry.core.inputs import FloatArray, IntArray


def z_normalize(X: FloatArray) -> FloatArray:
    """Rows of ``X`` (n, m) with mean 0 and standard deviation 1; 0 where a row is constant."""
    centred = X - X.mean(axis=1, keepdims=True)
    scale = centred.std(axis=1, keepdims=True)
    constant = scale <= 1e-12 * np.abs(X).max(axis=1, keepdims=True)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, scale))


def shape_distances(X: FloatArray, center: FloatArray) -> tuple[FloatArray, IntArray]:
    """1 less the highest normalised cross-correlation, and the shift of ``center`` it is at.

    ``X`` (n, m), ``center`` (m,); equations 8 and 9. A sequence of zeros is at distance 1 of all.
    """
    m = len(center)
    size = 1 << (2 * m - 1).bit_length()
    product = np.fft.rfft(X, size) * np.conj(np.fft.rfft(center, size))
    found = np.fft.irfft(product, size)
    found = np.concatenate([found[:, size - m + 1 :], found[:, :m]], axis=1)
    norms = np.linalg.norm(X, axis=1) * np.linalg.norm(center)
    best = found.argmax(axis=1)
    highest = found[np.arange(len(X)), best] / np.where(norms > 0, norms, np.inf)
    return np.clip(1.0 - highest, 0.0, 2.0), best - (m - 1)


def scatter(X: FloatArray, center: FloatArray) -> FloatArray:
    """Sum (m, m) of the outer products of the rows of ``X`` (n, m), shifted onto ``center``."""
    _, shift = shape_distances(X, center)
    at = np.arange(X.shape[1]) + shift[:, None]
    inside = (at >= 0) & (at < X.shape[1])
    aligned = np.where(inside, np.take_along_axis(X, np.clip(at, 0, X.shape[1] - 1), axis=1), 0.0)
    return aligned.T @ aligned


def extract_shape(S: FloatArray, like: FloatArray) -> FloatArray:
    """The sequence (m,) that maximises the squared correlations with those of scatter ``S``.

    The first eigenvector of ``Q S Q`` with ``Q = I - 1/m`` (equation 15), z-normalised; of its two
    signs that of ``like`` (m,), or the one that rises first where that is 0.
    """
    m = len(S)
    centred = S - S.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    shape = eigh(centred, subset_by_index=[m - 1, m - 1])[1][:, 0]
    sign = shape @ like if like.any() else shape[np.abs(shape).argmax()]
    return z_normalize((shape if sign >= 0 else -shape)[None])[0]


def k_shape(
    X: FloatArray, k: int, rng: np.random.Generator, n_iterations: int = 30
) -> tuple[FloatArray, IntArray]:
    """Centres (k', m) of at most ``k`` clusters of the rows of ``X`` (n, m), and their labels.

    Algorithm 3, from random labels; clusters that end up empty are left out.
    """
    labels = rng.permutation(np.arange(len(X)) % k)
    centers = np.zeros((k, X.shape[1]))
    for _ in range(n_iterations):
        for j in np.unique(labels):
            members = X[labels == j]
            # Sums of shifted members are alike in sign to their first eigenvector.
            like = centers[j] if centers[j].any() else members[0]
            centers[j] = extract_shape(scatter(members, centers[j]), like)
        before = labels
        labels = np.argmin([shape_distances(X, center)[0] for center in centers], axis=0)
        if np.array_equal(labels, before):
            break
    kept, labels = np.unique(labels, return_inverse=True)
    return centers[kept], labels
