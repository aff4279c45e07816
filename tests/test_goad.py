"""GOAD: the map that was applied is recognised for normal rows, the loss, the centres."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from awry.detectors.tabular.goad import GOAD  # noqa: E402
from awry.nn.goad import GOADNetwork  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)) @ RNG.normal(size=(3, 5)) + RNG.normal(0, 0.1, (400, 5))
SETTINGS = {
    "n_transformations": 6, "n_components": 8, "width": 4, "margin": 1.0, "weight": 0.1,
    "epsilon": 0.0, "dropout": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    settings = {"n_transformations": 16, "n_components": 8, "lr": 5e-3, "random_state": 0}
    return GOAD(epochs=20, **settings).fit(X)


def share_recognised(detector, rows):
    network = detector.network_
    z = torch.tensor((rows - detector.center_) / detector.scale_)
    with torch.no_grad():
        away = network.distances(network.embed(z), network.centers)
    return float((away.argmin(dim=2) == torch.arange(16)).double().mean())


def test_maps_are_recognised_on_normal_rows_and_not_on_odd_ones(fitted):
    odd = RNG.normal(size=(100, 5)) * 3 * X.std(axis=0)
    assert share_recognised(fitted, X) > 0.6, "chance is one in sixteen"
    assert share_recognised(fitted, odd) < share_recognised(fitted, X) - 0.1
    scores = fitted.decision_function(odd)
    assert np.median(scores) > np.quantile(fitted.decision_scores_, 0.95)


@torch.no_grad()
def test_the_score_is_the_log_probability_of_the_maps(fitted):
    network = fitted.network_
    z = torch.tensor((X[:5] - fitted.center_) / fitted.scale_)
    expected = []
    for row in z:
        total = 0.0
        for m in range(16):
            point = network.encoder(row @ network.maps[m] + network.shifts[m, 0])
            away = ((point - network.centers) ** 2).sum(dim=1)
            total -= float(torch.log_softmax(-away, dim=0)[m])
        expected.append(total)
    np.testing.assert_allclose(fitted.decision_function(X[:5]), expected, rtol=1e-8)


def test_the_triplet_loss_compares_with_the_nearest_other_centre():
    network = GOADNetwork(5, **SETTINGS).double()
    x = torch.tensor(X[:20])
    z = network.embed(x).detach()
    centers, losses = z.mean(dim=0), []
    for row in z:
        for m in range(6):
            away = ((row[m] - centers) ** 2).sum(dim=1)
            nearest = min(float(away[k]) for k in range(6) if k != m)
            losses.append(max(0.0, float(away[m]) + 1.0 - nearest))
    torch.testing.assert_close(
        network.loss((x,))["triplet"], torch.tensor(np.mean(losses)), check_dtype=False
    )


def test_centres_are_the_means_of_all_rows_whatever_the_batches():
    centers = []
    for parts in (1, 7):
        torch.manual_seed(0)
        network = GOADNetwork(5, **SETTINGS).double()
        network.on_end(lambda p=parts: ((b,) for b in torch.tensor(X).tensor_split(p)))
        centers.append(network.centers)
    torch.testing.assert_close(centers[0], centers[1])


def test_scores_are_equal_in_onnxruntime(tmp_path):
    pytest.importorskip("onnxscript")
    GOAD(n_transformations=4, epochs=1, random_state=0).fit(X).to_onnx(tmp_path / "m.onnx")
