"""DTE: the time is told from the noise, both forms, and what distance does to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

torch = pytest.importorskip("torch")

from awry.detectors.tabular.dte import DTE  # noqa: E402
from awry.nn.diffusion_time import DiffusionTimeNetwork  # noqa: E402

RNG = np.random.default_rng(0)
#: A line in eight dimensions: whatever is off it is noise.
X = np.outer(RNG.normal(size=800), np.ones(8)) * [1, -1, 1, -1, 2, 2, 1, 1]
SIZES = [8, 32, 32]


@pytest.fixture(scope="module", params=["categorical", "inverse_gamma"])
def fitted(request):
    return DTE(form=request.param, hidden=[64, 64], epochs=40, lr=3e-3, random_state=0).fit(X)


def test_the_time_is_told_from_the_noise(fitted):
    network = fitted.network_
    torch.manual_seed(0)
    x, t = network.noisy(torch.tensor((X - fitted.center_) / fitted.scale_))
    with torch.no_grad():
        told = network.score(x)
    # Seven dimensions of noise allow for a correlation of some 0.87.
    assert spearmanr(told, t).statistic > 0.8
    if fitted.form == "categorical":
        assert float((told - (t + 0.5) / 300).abs().mean()) < 0.13
    else:
        true = (1 - network.kept[t]).double()
        assert float((told.log() - true.log())[t > 50].abs().median()) < 0.5


def test_scores_rise_with_the_distance_from_the_data(fitted):
    away = RNG.normal(size=X.shape) * X.std(axis=0)
    medians = [np.median(fitted.decision_function(X + r * away)) for r in (0.0, 0.2, 0.4, 0.8)]
    assert (np.diff(medians) > 0).all(), medians


def test_diffused_rows_have_the_variance_of_their_time():
    network = DiffusionTimeNetwork(SIZES, form="categorical", n_steps=300, n_bins=7, dropout=0.0)
    betas = np.linspace(1e-4, 0.01, 300)
    np.testing.assert_allclose(network.kept, np.cumprod(1 - betas), rtol=1e-4)
    torch.manual_seed(0)
    x, t = network.noisy(torch.full((200_000, 8), 3.0))
    late = t == 299
    kept = float(network.kept[299])
    assert float(x[late].mean()) == pytest.approx(3 * kept**0.5, abs=0.05)
    assert float(x[late].var()) == pytest.approx(1 - kept, rel=0.05)
    assert t.min() == 0
    assert t.max() == 299


def test_the_inverse_gamma_likelihood_is_largest_at_the_true_variance():
    network = DiffusionTimeNetwork(SIZES, form="inverse_gamma", n_steps=2, n_bins=7, dropout=0.0)
    network.kept.fill_(0.6)
    losses = []
    variances = np.linspace(0.1, 0.9, 81)
    for variance in variances:
        network.scale = lambda x, v=variance: torch.full((len(x),), float(v * network.shape))
        losses.append(float(network.loss((torch.zeros(4, 8),))))
    assert variances[np.argmin(losses)] == pytest.approx(0.4)
    assert float(network.score(torch.zeros(1, 8))[0]) == pytest.approx(0.9)


@pytest.mark.parametrize("form", ["categorical", "inverse_gamma"])
def test_scores_are_equal_in_onnxruntime(form, tmp_path):
    pytest.importorskip("onnxscript")
    DTE(form=form, hidden=[16], epochs=1, random_state=0).fit(X).to_onnx(tmp_path / "m.onnx")
