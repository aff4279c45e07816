"""Every registered detector keeps the promises all detectors make, and scikit-learn's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from awry.checks import check_detector, detector_checks, planted
from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.detectors import ECOD

DETECTORS = registry.detectors("table")
SERIES = registry.detectors("series")
STREAM = registry.detectors("stream")
# Some checks fit on a handful of rows, of which a network detector warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*are few for a network")
#: What lets a network learn a short, easy series in seconds.
BRIEF = {"epochs": 4, "lr": 0.02, "window": 16, "stride": 3}
#: Detectors made of others, with cheap members, and networks, with few epochs.
CHEAP = {
    "autoencoder": {"epochs": 20},
    "vae": {"epochs": 20},
    "denoising_autoencoder": {"epochs": 8, "lr": 5e-3},
    "sparse_autoencoder": {"epochs": 8, "lr": 5e-3},
    "residual_autoencoder": {"epochs": 8, "lr": 5e-3, "n_blocks": 1},
    "contractive_autoencoder": {"epochs": 8, "lr": 5e-3},
    "adversarial_autoencoder": {"epochs": 6, "lr": 5e-3, "critic": [16]},
    "memory_autoencoder": {"epochs": 8, "lr": 5e-3},
    "dagmm": {"epochs": 6, "lr": 5e-3},
    "anogan": {"epochs": 3, "lr": 5e-3, "n_steps": 10, "search_lr": 0.1, "critic": [16]},
    "f_anogan": {"epochs": 8, "lr": 5e-3, "critic": [16]},
    "bigan": {"epochs": 3, "lr": 5e-3, "critic": [16]},
    "alad": {"epochs": 3, "lr": 5e-3, "critic": [16], "hidden": [16]},
    "ganomaly": {"epochs": 4, "lr": 5e-3, "critic": [16]},
    "skip_ganomaly": {"epochs": 4, "lr": 5e-3, "critic": [16], "hidden": [4]},
    "vae_gan": {"epochs": 4, "lr": 5e-3, "critic": [16]},
    "so_gaal": {"epochs": 40, "lr": 0.1},
    "mo_gaal": {"epochs": 40, "lr": 0.1, "n_generators": 3},
    "deep_svdd": {"epochs": 10, "pretrain_epochs": 3},
    "deep_sad": {"epochs": 10, "pretrain_epochs": 3},
    "lunar": {"epochs": 15, "n_neighbors": 5, "width": 16, "lr": 5e-3},
    "deep_isolation_forest": {"n_representations": 6, "hidden": [32, 16], "latent": 8},
    "devnet": {"epochs": 20, "lr": 1e-2},
    "dte": {"epochs": 5},
    "prenet": {"epochs": 20, "lr": 1e-2},
    "goad": {"epochs": 5, "n_transformations": 16, "n_components": 8},
    "cascade": {"judge": "hbos", "keep": 0.2},
    "distilled": {"teacher": "gaussian", "epochs": 8, "lr": 5e-3},
    "icl": {"epochs": 8, "lr": 1e-2, "n_permutations": 3, "units": 16, "batch_size": 128},
    "neutral_ad": {"epochs": 12, "lr": 5e-3, "batch_size": 32},
    "flow_cascade": {"screen": "hbos", "sequence": "sub_pca", "epochs": 2},
    "simclr": {"epochs": 6, "hidden": [32, 16], "batch_size": 64, "lr": 5e-3},
    "simclr_series": {**BRIEF, "epochs": 2, "hidden": [8, 16]},
    "ensemble": {"detectors": ["ecod", "hbos"]},
    "voting": {"detectors": ["ecod", "hbos", "modified_zscore"]},
    "feature_bagging": {"detector": "hbos", "n_estimators": 4},
    "lscp": {"detectors": ["ecod", "hbos"]},
    "xgbod": {"detectors": ["ecod"], "n_estimators": 20},
    "windowed": {"detector": "pca"},
    "conv_autoencoder_series": {**BRIEF, "hidden": [8, 4], "window": 24, "stride": 2},
    "lstm_autoencoder": {**BRIEF, "hidden": [8]},
    "lstm_forecaster": {**BRIEF, "hidden": [8]},
    "tcn_autoencoder": {**BRIEF, "epochs": 2, "hidden": [8, 8]},
    "usad": {**BRIEF, "epochs": 6, "lr": 0.005, "window": 12},
    "tranad": {**BRIEF, "epochs": 2, "lr": 0.005, "window": 8, "hidden": [16]},
    "anomaly_transformer": {**BRIEF, "epochs": 2, "hidden": [16], "lr": 0.005},
    "omni_anomaly": {**BRIEF, "window": 10, "hidden": [8], "n_flows": 2, "n_draws": 2},
    "conv_lstm": {**BRIEF, "hidden": [4]},
    "f_se_lstm": {**BRIEF, "hidden": [8, 8], "maps": 4, "stretch": 8},
    "lstm_transformer": {**BRIEF, "hidden": [8]},
    "patch_transformer": {**BRIEF, "patch": 4, "hidden": [16], "n_heads": 2},
    "online_autoencoder": {"epochs": 6, "lr": 5e-3},
    "sliding_window": {"detector": "hbos", "late": "wait"},
    "sae_gan": {**BRIEF, "hidden": [8, 4], "critic": 8, "lr": 0.005},
}


#: Networks share a base class, which meets scikit-learn through these; AWRY_ALL_CHECKS=1 tries all.
REPRESENTATIVES = {"autoencoder", "vae", "deep_svdd", "prenet", "bigan", "simclr", "alad"}


def _tried(name: str) -> bool:
    card = DETECTORS[name].card
    represented = card.extra == "deep" and name not in REPRESENTATIVES
    return card.inductive and (not represented or bool(os.environ.get("AWRY_ALL_CHECKS")))


def made(name: str) -> Detector:
    return registry.create(name, **CHEAP.get(name, {}))


CASES = [
    pytest.param(made(name), check, id=f"{name}-{check}")
    for name in (*DETECTORS, *SERIES, *STREAM)
    for check, _ in detector_checks(made(name))
]


@pytest.mark.parametrize(("detector", "check"), CASES)
def test_conformance(detector: Detector, check: str) -> None:
    dict(detector_checks(detector))[check]()


def _cannot(estimator: Detector) -> dict[str, str]:
    if estimator.card.supervision != "required":
        return {}
    one_class = "gives labels of one class only, from which nothing can be learnt"
    return {"check_estimators_dtypes": one_class, "check_fit2d_1feature": one_class}


@parametrize_with_checks(
    [made(name) for name in DETECTORS if _tried(name)],
    expected_failed_checks=_cannot,
    xfail_strict=True,
)
def test_scikit_learns_checks(estimator, check) -> None:
    check(estimator)


def test_cards_are_complete_and_names_unique() -> None:
    known = [*DETECTORS.values(), *SERIES.values(), *STREAM.values()]
    names = [name for cls in known for name in (cls.card.name, *cls.card.aliases)]
    assert len(names) == len(set(names))
    for cls in known:
        assert isinstance(cls.card, Card)
        assert 1900 <= cls.card.year <= 2026
        module = cls.__module__.rpartition(".")[2]
        assert module in (cls.card.name, "compose"), f"{cls.__name__} lives in {module}.py"


def test_pyod_classes_on_the_cards_exist() -> None:
    pyod = pytest.importorskip("pyod")
    folder = Path(pyod.__file__).parent / "models"
    for cls in DETECTORS.values():
        if cls.card.pyod:
            module, _, name = cls.card.pyod.partition(".")
            # Read, not imported: some of PyOD's modules need packages of their own.
            assert f"class {name}(" in (folder / f"{module}.py").read_text(), cls.card.pyod


def test_grid_search_and_cross_validation_work() -> None:
    X, y = planted(n=200, n_odd=20)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    pipe = make_pipeline(StandardScaler(), registry.create("hbos"))
    assert cross_val_score(pipe, X, y, scoring="roc_auc", cv=3).mean() > 0.9
    search = GridSearchCV(pipe, {"hbos__n_bins": [5, 10]}, scoring="average_precision", cv=3)
    assert search.fit(X, y).best_score_ > 0.8


def test_the_sklearn_view_turns_signs() -> None:
    X, _ = planted()
    view = ECOD().fit(X).as_sklearn()
    assert set(np.unique(view.predict(X))) == {-1, 1}
    np.testing.assert_array_equal(view.predict(X) == -1, view.decision_function(X) < 0)
    np.testing.assert_array_equal(clone(view).fit(X).predict(X), view.predict(X))


def test_a_name_is_found_by_alias_class_and_case() -> None:
    assert registry.get("ECOD") is registry.get("ecod") is ECOD
    with pytest.raises(registry.UnknownDetectorError, match="did you mean"):
        registry.get("eccod")
    with pytest.raises(ValueError, match="no parameter 'k'"):
        registry.create("ecod", k=3)


class _Broken(ECOD):
    """Forgets that scores must not depend on what else is scored."""

    card = Card(
        name="broken_for_the_test", summary="Broken.", family="none", paper="None", year=2000,
        fit_cost="O(1)", score_cost="O(1)", finds="nothing", misses="all",
    )  # fmt: skip

    def _score(self, X):
        scores = super()._score(X)
        return scores - scores.mean()


def test_the_checks_catch_a_broken_detector() -> None:
    try:
        with pytest.raises(AssertionError, match="_Broken fails"):
            check_detector(_Broken())
    finally:
        registry._by_name.pop("broken_for_the_test")


def test_two_detectors_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="'ecod' is taken"):

        class Other(Detector):
            card = ECOD.card


def test_plugins_enter_by_entry_point(monkeypatch) -> None:
    class Point:
        def load(self):
            loaded.append(True)

    loaded: list[bool] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()])
    registry.discover.cache_clear()
    registry.discover()
    assert loaded
