"""Detectors of other libraries behind one face, for comparison in the same run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from awry.core.inputs import FloatArray

#: Given training and test rows (the same object where transductive), scores of the test rows.
Scorer = Callable[[FloatArray, FloatArray, int], FloatArray]


def peers() -> dict[str, Scorer]:
    """The peers that are installed, by ``library:Name``."""
    found: dict[str, Scorer] = {
        "sklearn:IsolationForest": _sklearn("ensemble", "IsolationForest"),
        "sklearn:LocalOutlierFactor": _sklearn_lof,
    }
    if importlib.util.find_spec("pyod"):
        for module, name in _PYOD:
            found[f"pyod:{name}"] = _pyod(module, name)
    if importlib.util.find_spec("isotree"):
        found["isotree:IsolationForest"] = _isotree({})
        # The fair-cut forest of isotree's documentation.
        found["isotree:FairCutForest"] = _isotree(
            {"ndim": 2, "ntrees": 200, "prob_pick_pooled_gain": 1.0, "ntry": 1,
             "missing_action": "fail", "sample_size": 256}
        )  # fmt: skip
    return found


_PYOD = (
    ("ecod", "ECOD"), ("copod", "COPOD"), ("hbos", "HBOS"), ("knn", "KNN"), ("lof", "LOF"),
    ("pca", "PCA"), ("mcd", "MCD"), ("loda", "LODA"), ("inne", "INNE"), ("iforest", "IForest"),
    ("cblof", "CBLOF"), ("gmm", "GMM"), ("ocsvm", "OCSVM"),
)  # fmt: skip


def _pyod(module: str, name: str) -> Scorer:
    def score(train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
        cls = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        made = cls()
        if "random_state" in made.get_params():
            made.set_params(random_state=seed)
        made.fit(train)
        scores: Any = made.decision_scores_ if test is train else made.decision_function(test)
        return np.nan_to_num(np.asarray(scores, dtype=float))

    return score


def _sklearn(module: str, name: str) -> Scorer:
    def score(train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
        cls = getattr(importlib.import_module(f"sklearn.{module}"), name)
        return -cls(random_state=seed).fit(train).score_samples(test)

    return score


def _sklearn_lof(train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
    from sklearn.neighbors import LocalOutlierFactor

    if test is train:
        return -LocalOutlierFactor().fit(train).negative_outlier_factor_
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def _isotree(settings: dict[str, Any]) -> Scorer:
    def score(train: FloatArray, test: FloatArray, seed: int) -> FloatArray:
        from isotree import IsolationForest

        forest = IsolationForest(**settings, random_seed=seed, nthreads=1)
        return np.asarray(forest.fit(train).predict(test))

    return score
