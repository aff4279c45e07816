"""Deep SVDD and Deep SAD: no collapse, the two boundaries, the centre, what labels change."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry.checks import check_detector  # noqa: E402
from awry.detectors.tabular.deep_sad import DeepSAD  # noqa: E402
from awry.detectors.tabular.deep_svdd import DeepSVDD  # noqa: E402
from awry.nn.blocks import mlp  # noqa: E402
from awry.nn.one_class import OneClassNetwork  # noqa: E402
from awry.nn.trainer import Trainer  # noqa: E402

RNG = np.random.default_rng(0)
#: A ring with noise, and rows off it.
ANGLE = RNG.uniform(0, 2 * np.pi, 500)
X = np.column_stack([np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE), np.sin(2 * ANGLE)])
X += RNG.normal(0, 0.05, X.shape)
STYLE = {"activation": "leaky_relu", "batch_norm": False, "dropout": 0.0}


def test_the_embedding_does_not_collapse_but_with_biases_it_does():
    # Without biases φ(t x) = t φ(x): the embedding spreads at least as the rows' lengths do.
    rows = np.random.default_rng(2).normal(size=(400, 4)).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    ratios = []
    for biased in (False, True):
        torch.manual_seed(0)
        network = OneClassNetwork([4, 16, 4], **STYLE)
        if biased:
            network.encoder = mlp([4, 16, 4], activation="leaky_relu")
        plan = Trainer(epochs=60, batch_size=32, lr=1e-2, weight_decay=0.0, device="cpu")
        plan.fit(network, rows)
        with torch.no_grad():
            spread = network.encoder(torch.tensor(rows)).std(dim=0).norm()
        ratios.append(float(spread / network.center.norm()))
    assert ratios[0] > 0.8 * lengths.std() / lengths.mean()
    assert ratios[1] < 0.1 * ratios[0]


def test_no_layer_has_a_bias_and_the_centre_keeps_away_from_zero():
    detector = DeepSVDD(epochs=1, pretrain_epochs=1, random_state=0).fit(X)
    assert not [name for name in detector.weights_ if name.endswith("bias")]
    assert np.abs(detector.weights_["center"]).min() >= 0.1 - 1e-6
    network = OneClassNetwork([2, 3, 2], **STYLE)
    network.encoder = torch.nn.Identity()
    network.on_start(lambda: iter([(torch.tensor([[0.02, -0.02], [0.02, -0.02]]),)]))
    np.testing.assert_allclose(network.center, [0.1, -0.1])


def test_the_soft_boundary_leaves_its_share_outside():
    for nu in (0.05, 0.3):
        detector = DeepSVDD(
            boundary="soft", nu=nu, epochs=10, pretrain_epochs=2, random_state=0
        ).fit(X)
        assert (detector.decision_scores_ > 0).mean() == pytest.approx(nu, abs=0.03)


def test_losses_are_those_of_the_papers():
    network = OneClassNetwork([2, 3, 2], soft=True, nu=0.5, eta=3.0, **STYLE).eval()
    network.encoder = torch.nn.Identity()
    network.radius.fill_(1.0)
    rows = torch.tensor([[0.5, 0.0], [2.0, 0.0]])  # squared distances 0.25 and 4
    torch.testing.assert_close(network.loss((rows,)), torch.tensor(1.0 + (4 - 1) / 2 / 0.5))
    labels = torch.tensor([[-1, -1], [0, -1], [-1, 1]])
    expected = [(0.25 + 4) / 2, (3 * 0.25 + 4) / 2, (0.25 + 3 / 4) / 2]
    got = [float(network.loss((rows, y))) for y in labels]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_pretraining_is_the_start():
    kwargs = {"epochs": 1, "lr": 1e-3, "random_state": 0}
    raw, begun = (DeepSVDD(pretrain_epochs=e, **kwargs).fit(X) for e in (0, 10))
    assert not np.allclose(raw.weights_["center"], begun.weights_["center"])


def test_few_labels_help_and_more_weight_helps_more():
    rng = np.random.default_rng(1)
    normal = rng.normal(size=(400, 4))
    odd = rng.normal(size=(60, 4)) * 0.5 + [1.5, 1.5, 0, 0]
    data = np.vstack([normal, odd])
    truth = np.repeat([0, 1], [400, 60])
    y = np.full(460, -1)
    y[400:410] = 1
    held = np.r_[:400, 410:460]
    fits = {
        name: DeepSAD(eta=eta, epochs=30, pretrain_epochs=5, random_state=0).fit(data, labels)
        for name, eta, labels in (("none", 1.0, None), ("some", 1.0, y), ("much", 20.0, y))
    }
    auc = {k: roc_auc_score(truth[held], f.decision_scores_[held]) for k, f in fits.items()}
    assert auc["some"] > auc["none"]
    assert auc["much"] > max(0.85, auc["none"] + 0.1)


def test_without_labels_deep_sad_is_deep_svdd():
    same = {"epochs": 3, "pretrain_epochs": 2, "validation_fraction": 0.0, "random_state": 0}
    one, two = DeepSVDD(**same).fit(X), DeepSAD(**same).fit(X)
    np.testing.assert_allclose(one.decision_scores_, two.decision_scores_, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*are few for a network")
def test_conformance_of_the_soft_boundary():
    check_detector(DeepSVDD(boundary="soft", epochs=8, pretrain_epochs=3))


def test_scores_are_equal_in_onnxruntime(tmp_path):
    pytest.importorskip("onnxscript")
    DeepSVDD(boundary="soft", epochs=1, random_state=0).fit(X).to_onnx(tmp_path / "m.onnx")
