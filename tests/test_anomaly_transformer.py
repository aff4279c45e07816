"""Anomaly Transformer: associations, minimax with stop-gradients, the weighted error."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry.detectors.series.anomaly_transformer import AnomalyTransformer  # noqa: E402
from awry.nn.anomaly_transformer import Associations, discrepancy  # noqa: E402

RNG = np.random.default_rng(0)
AT = np.arange(900)
CALM = np.column_stack([np.sin(AT / 4), np.cos(AT / 4)]) + RNG.normal(0, 0.05, (900, 2))
PLANTED = np.r_[300:310, 450:460, 600:610, 750:760]
ODD = CALM.copy()
ODD[PLANTED] = [2.5, -2.5]
CHEAP = {"window": 50, "stride": 3, "hidden": [16], "n_heads": 2, "lr": 3e-3, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return AnomalyTransformer(epochs=4, **CHEAP).fit(CALM)


def _windows(detector, X):
    z = torch.tensor((X - detector.center_) / detector.scale_)
    return z.unfold(0, detector.window_, 1).transpose(1, 2).contiguous()


def test_the_prior_is_a_gaussian_around_each_step(fitted):
    with torch.no_grad():
        _, (found,) = fitted.network_.rebuild(_windows(fitted, CALM)[:3])
    for part in found:
        assert part.shape == (3, 2, 50, 50)
        torch.testing.assert_close(part.sum(dim=3), torch.ones(3, 2, 50, dtype=torch.float64))
    middle = found.prior[0, 0, 25]
    assert middle.argmax() == 25
    # log p(k) - log p(0) = -k²/2σ², so four times as low at twice the distance.
    fall = torch.log(middle[25]) - torch.log(middle[26:28])
    assert float(fall[1] / fall[0]) == pytest.approx(4.0)


def test_discrepancy_is_the_symmetric_divergence():
    prior, series = (torch.rand(2, 3, 6, 6).double().softmax(dim=3) for _ in range(2))
    kl = (prior * (prior / series).log()).sum(3) + (series * (series / prior).log()).sum(3)
    found = discrepancy([Associations(prior, series)] * 2)
    torch.testing.assert_close(found, kl.mean(dim=1), rtol=1e-2, atol=1e-4)
    assert not discrepancy([Associations(prior, prior)]).any()


def test_each_phase_moves_one_association_and_holds_the_other(fitted):
    network = fitted.bare_network()
    x = _windows(fitted, CALM)[:4].float()
    attention = network.layers[0].attention
    sigma, query = attention.sigma.weight, attention.attention.query.weight

    def slopes(side):
        _, found = network.rebuild(x)
        held = [Associations(*(p if i == side else p.detach() for i, p in enumerate(a)))
                for a in found]  # fmt: skip
        return torch.autograd.grad(discrepancy(held).mean(), (sigma, query), allow_unused=True)

    towards, away = slopes(0), slopes(1)
    assert towards[0] is not None
    assert towards[1] is None
    assert away[0] is None
    assert away[1] is not None
    seen = []
    network.weight = 3.0
    network.step((x,), 0, lambda loss: seen.append(torch.autograd.grad(loss, (sigma, query))))
    error = ((x - network.rebuild(x)[0]) ** 2).mean()
    of_error = torch.autograd.grad(2 * error, query)[0]
    torch.testing.assert_close(seen[0][0], 3 * towards[0])
    torch.testing.assert_close(seen[0][1], of_error - 3 * away[1], rtol=1e-3, atol=1e-5)


def test_the_contest_drives_the_associations_apart(fitted):
    free = AnomalyTransformer(epochs=4, discrepancy_weight=0.0, **CHEAP).fit(CALM)
    assert fitted.history_["discrepancy"][-1] > 1.2 * free.history_["discrepancy"][-1]


def test_the_score_is_the_error_weighted_by_the_discrepancy(fitted):
    x = _windows(fitted, ODD)[280:283]
    with torch.no_grad():
        rebuilt, found = fitted.network_.rebuild(x)
        weights = torch.softmax(-discrepancy(found), dim=1)
        expected = weights[:, :, None] * (x - rebuilt) ** 2
        torch.testing.assert_close(fitted.network_.terms(x), expected)


def _separated(detector, X, planted):
    """The AUROC of points' discrepancies, the larger the odder."""
    with torch.no_grad():
        found = discrepancy(detector.network_.rebuild(_windows(detector, X))[1]).numpy()
    first = np.arange(len(found))
    by_point = np.array(
        [found[first[max(0, p - 49) : p + 1], p - first[max(0, p - 49) : p + 1]].mean()
         for p in range(100, 800)]
    )  # fmt: skip
    return roc_auc_score(np.isin(np.arange(100, 800), planted), by_point)


def test_the_discrepancy_separates_planted_stretches(fitted):
    """It does, whichever way: theirs is the larger, where the paper expects the smaller."""
    assert _separated(fitted, ODD, PLANTED) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_after_more_epochs_what_breaks_the_wave_has_the_smaller_discrepancy(seed):
    """As the paper has it: values that are usual in themselves, in a row or single."""
    rng = np.random.default_rng(seed)
    train, test = (CALM + rng.normal(0, 0.02, CALM.shape) for _ in range(2))
    longer = {**CHEAP, "epochs": 20, "lr": 0.01, "random_state": seed}
    detector = AnomalyTransformer(**longer).fit(train)
    flat, turned, single = test.copy(), test.copy(), np.arange(120, 800, 70)
    flat[PLANTED] = 0.0
    turned[single] *= -1
    assert _separated(detector, flat, PLANTED) < 0.1
    assert _separated(detector, turned, single) < 0.3


def test_planted_points_are_found_in_their_channel(fitted):
    odd = CALM.copy()
    odd[500:512, 1] += 8.0
    scores = fitted.decision_function(odd)
    assert 490 <= scores.argmax() <= 522
    assert fitted.explain(odd).values[scores.argmax()].argmax() == 1
    with pytest.raises(ValueError, match="same width for each layer"):
        AnomalyTransformer(hidden=[8, 16], window=20).fit(CALM)


def test_the_export_scores_windows(fitted, tmp_path):
    pytest.importorskip("onnxruntime")
    assert fitted.to_onnx(tmp_path / "m.onnx")["difference"] < 1e-4
