"""DevNet and PReNet: their losses, few labels among many rows, pairs, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry.detectors.tabular.devnet import DevNet  # noqa: E402
from awry.detectors.tabular.prenet import PReNet  # noqa: E402
from awry.nn.few_labels import DevNetNetwork, PReNetNetwork  # noqa: E402

RNG = np.random.default_rng(0)
#: Anomalies that lie among the rest: only labels tell of them.
X = np.vstack([RNG.normal(size=(500, 4)), RNG.normal(size=(60, 4)) * 0.3 + [1.5, 1.5, 0, 0]])
TRUTH = np.repeat([0, 1], [500, 60])
Y = np.full(560, -1)
Y[500:510] = 1
HELD = np.r_[:500, 510:560]
QUICK = {"epochs": 20, "lr": 1e-2, "random_state": 0}


@pytest.mark.parametrize("cls", [DevNet, PReNet])
def test_ten_labels_find_fifty_others(cls):
    detector = cls(**QUICK).fit(X, Y)
    assert roc_auc_score(TRUTH[HELD], detector.decision_scores_[HELD]) > 0.9


@pytest.mark.parametrize("cls", [DevNet, PReNet])
def test_labels_of_one_class_are_refused(cls):
    for y in (np.zeros(560), np.ones(560)):
        with pytest.raises(ValueError, match=f"{cls.__name__}: y must hold at least one anomaly"):
            cls(**QUICK).fit(X, y)
    alone = np.r_[1, np.zeros(559)]
    with pytest.raises(ValueError, match="held out"):
        cls(validation_fraction=0.9, **QUICK).fit(X, alone)


def test_devnet_s_scores_are_deviations_from_its_prior():
    scores = DevNet(**{**QUICK, "epochs": 60}).fit(X, Y).decision_scores_
    assert abs(np.median(scores[:500])) < 1.0
    assert np.median(scores[500:510]) > 3.5
    wide = DevNet(margin=20.0, **{**QUICK, "epochs": 60}).fit(X, Y).decision_scores_
    assert np.median(wide[500:510]) > 2 * np.median(scores[500:510])


def test_devnet_s_loss_is_that_of_the_paper():
    network = DevNetNetwork([2, 3], margin=5.0, dropout=0.0)
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    network.on_data(lambda: iter([(rows, torch.tensor([0, 1]))]))
    for normal, odd, expected in ((0.0, 5.0, 0.0), (-2.0, 9.0, 1.0), (0.0, 1.0, 2.0)):
        network.score = lambda x, a=normal, b=odd: a + (b - a) * x[:, 0]
        torch.manual_seed(0)
        assert float(network.loss((rows.repeat(50, 1),))) == pytest.approx(expected, abs=0.1)


def test_every_batch_holds_as_many_anomalies_as_other_rows():
    network = DevNetNetwork([4, 3], margin=5.0, dropout=0.0)
    data = torch.tensor(X).float()
    network.on_data(lambda: iter([(data, torch.tensor(Y))]))
    seen = []
    network.score = lambda x: seen.append(x) or x.sum(dim=1)
    network.loss((data[:64],))
    known = {tuple(row) for row in data[500:510].tolist()}
    assert [tuple(row) in known for row in seen[0].tolist()] == [False] * 32 + [True] * 32


def test_prenet_gives_pairs_what_their_kind_should_get():
    detector = PReNet(**{**QUICK, "epochs": 60, "hidden": [32]}).fit(X, Y)
    network = detector.network_
    z = torch.tensor((X - detector.center_) / detector.scale_)
    odd, other = z[500:510], z[:10]
    with torch.no_grad():
        kinds = [
            network.pairs(a, b).median() for a, b in ((odd, odd), (odd, other), (other, other))
        ]
    np.testing.assert_allclose(kinds, [8, 4, 0], atol=2.0)


@torch.no_grad()
def test_prenet_s_score_is_the_mean_over_pairs_with_its_partners():
    torch.manual_seed(0)
    network = PReNetNetwork([4, 6], targets=(8, 4, 0), n_pairs=5, dropout=0.0).double()
    network.odd_partners.normal_()
    network.partners.normal_()
    for row, score in zip(torch.tensor(X[:4]), network.score(torch.tensor(X[:4])), strict=True):
        same = row.expand(5, -1)
        pairs = network.pairs(network.odd_partners, same) + network.pairs(same, network.partners)
        torch.testing.assert_close(score, pairs.mean())


@pytest.mark.parametrize("cls", [DevNet, PReNet])
def test_scores_are_equal_in_onnxruntime(cls, tmp_path):
    pytest.importorskip("onnxscript")
    cls(epochs=1, random_state=0).fit(X, Y).to_onnx(tmp_path / "m.onnx")
