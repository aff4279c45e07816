"""USAD and TranAD: the contest of two decoders, and what it does; the TCN autoencoder."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from awry.detectors.series.tcn_autoencoder import TCNAutoEncoder  # noqa: E402
from awry.detectors.series.tranad import TranAD  # noqa: E402
from awry.detectors.series.usad import USAD  # noqa: E402
from awry.nn.attention import MultiHead, fitting_heads  # noqa: E402
from awry.nn.positions import sinusoids  # noqa: E402
from awry.nn.tcn_autoencoder import tcn  # noqa: E402
from awry.nn.tranad import TranADNetwork  # noqa: E402

RNG = np.random.default_rng(0)
AT = np.arange(600)
CALM = np.column_stack([np.sin(AT / 4), np.cos(AT / 4)]) + RNG.normal(0, 0.05, (600, 2))
ODD = CALM.copy()
ODD[400:406, 1] += 1.5
CHEAP = {"stride": 2, "lr": 5e-3, "random_state": 0}


@pytest.fixture(scope="module")
def usad():
    return USAD(epochs=15, **CHEAP).fit(CALM)


@pytest.fixture(scope="module")
def tranad():
    return TranAD(epochs=6, **CHEAP).fit(CALM)


def _rebuilt(detector, X):
    """Windows of ``X`` as the network takes them, and the three things it makes of them."""
    z = (X - detector.center_) / detector.scale_
    x = torch.tensor(z).unfold(0, detector.window_, 1).transpose(1, 2).contiguous()
    with torch.no_grad():
        return x, *detector.network_.rebuild(x)


@pytest.mark.parametrize("name", ["usad", "tranad"])
def test_an_odd_shape_is_found_in_its_channel(name, request):
    detector = request.getfixturevalue(name)
    scores = detector.decision_function(ODD)
    assert 395 <= scores.argmax() <= 411
    assert detector.explain(ODD).values[scores.argmax()].argmax() == 1


@pytest.mark.parametrize("name", ["usad", "tranad"])
def test_the_second_phase_amplifies_the_error(name, request):
    """What the first phase gets wrong the second gets wronger, more so than what is normal."""
    detector = request.getfixturevalue(name)
    x, one, _, again = _rebuilt(detector, ODD)
    first, second = ((x - o).square().sum(dim=(1, 2)).numpy() for o in (one, again))
    odd = np.zeros(len(first), dtype=bool)
    odd[402 - detector.window_ : 404] = True
    assert np.median(second[odd]) > np.median(first[odd])
    assert np.median(second[odd] - first[odd]) > np.median(second[~odd] - first[~odd])


def test_the_score_is_the_weighted_errors_of_both(usad):
    x, one, _, again = _rebuilt(usad, ODD)
    terms = 0.5 * (x - one) ** 2 + 0.5 * (x - again) ** 2
    with torch.no_grad():
        torch.testing.assert_close(usad.network_.terms(x), terms)
    alone = USAD(epochs=2, alpha=1.0, **CHEAP).fit(CALM)
    x, one, *_ = _rebuilt(alone, ODD)
    with torch.no_grad():
        torch.testing.assert_close(alone.network_.terms(x), (x - one) ** 2)


def test_each_decoder_descends_its_own_loss(usad):
    network = usad.bare_network()
    network.on_epoch(3, 10)
    x = torch.rand(8, 12, 2)
    seen = {}
    network.step((x,), 0, lambda loss, part: seen.update({part: loss.item()}))
    one, two, again = network.rebuild(x)
    a, b, c = (((x - o) ** 2).mean().item() for o in (one, two, again))
    assert seen["first"] == pytest.approx(a / 4 + 0.75 * c)
    assert seen["second"] == pytest.approx(b / 4 - 0.75 * c)
    parts = network.parts()
    shared = set(map(id, parts["first"])) & set(map(id, parts["second"]))
    assert shared == set(map(id, network.encoder.parameters()))


def test_the_focus_is_what_the_second_phase_sees(tranad):
    network = tranad.network_
    x, one, two, again = _rebuilt(tranad, ODD)
    assert not torch.allclose(two, again)
    with torch.no_grad():
        no_focus = network.second(*network.encoder(x, torch.zeros_like(x)))
        focused = network.second(*network.encoder(x, (one - x) ** 2))
    torch.testing.assert_close(two, no_focus)
    torch.testing.assert_close(again, focused)


def test_a_window_is_read_by_what_comes_before_alone():
    attention = MultiHead(8, 2)
    x = torch.randn(1, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(diagonal=1)
    y = x.clone()
    y[:, 3:] += 1.0
    torch.testing.assert_close(attention(x, x, mask)[0][:, :3], attention(y, y, mask)[0][:, :3])
    weights = attention(x, x, mask)[1]
    torch.testing.assert_close(weights.sum(dim=3), torch.ones(1, 2, 5))
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(
            layer(x).unflatten(2, (2, 4)).transpose(1, 2)
            for layer in (attention.query, attention.key, attention.value)
        ),
        attn_mask=~mask,
    )
    torch.testing.assert_close(
        attention(x, x, mask)[0], attention.out(theirs.transpose(1, 2).flatten(2))
    )
    assert (fitting_heads(16, 5), fitting_heads(7, 4), fitting_heads(2, 8)) == (4, 1, 2)
    assert sinusoids(4, 5).shape == (4, 5)


def test_dilated_convolutions_see_twice_as_far_with_each_block():
    blocks = tcn([1, 4, 4, 4], kernel_size=3, dropout=0.0).double()
    x = torch.rand(1, 1, 101, dtype=torch.float64)
    with torch.no_grad():
        before = blocks(x)[0, :, 50]
        # Two convolutions a block, 1, 2 and 4 steps apart.
        for away, seen in ((14, True), (15, False)):
            changed = x.clone()
            changed[0, 0, [50 - away, 50 + away]] += 100.0
            assert torch.equal(blocks(changed)[0, :, 50], before) != seen
    assert tuple(b.convolutions[0].dilation[0] for b in blocks) == (1, 2, 4)


def test_a_tcn_tells_the_window_from_a_code_of_few_steps():
    detector = TCNAutoEncoder(window=18, hidden=[8, 8], epochs=15, **CHEAP).fit(CALM)
    scores = detector.decision_function(ODD)
    assert 395 <= scores.argmax() <= 411
    codes = []
    network = detector.network_
    network.decoder.register_forward_pre_hook(lambda module, given: codes.append(given[0]))
    with torch.no_grad():
        network.rebuild(torch.randn(2, 18, 2, dtype=torch.float64))
    assert codes[0].shape == (2, 4, 24)
    assert torch.equal(codes[0][:, :, 0::8], codes[0][:, :, 7::8])


@pytest.mark.parametrize("name", ["usad", "tranad"])
def test_the_export_scores_windows(name, request, tmp_path):
    pytest.importorskip("onnxruntime")
    detector = request.getfixturevalue(name)
    assert detector.to_onnx(tmp_path / "m.onnx")["difference"] < 1e-4


def _meta_loss(network, part, x):
    """L(θ - α ∇L(θ)), the slow, obvious way: weights are moved, and put back."""
    own = [p for n, p in network.named_parameters() if n.partition(".")[0] in ("encoder", part)]
    slopes = torch.autograd.grad(network.contest(part, x, network(x)), own)
    with torch.no_grad():
        for weight, slope in zip(own, slopes, strict=True):
            weight -= network.meta_step * slope
        loss = float(network.contest(part, x, network(x)))
        for weight, slope in zip(own, slopes, strict=True):
            weight += network.meta_step * slope
    return loss


def test_meta_learning_descends_the_loss_after_a_trial_step():
    network = TranADNetwork(
        6, 2, width=4, heads=2, inner=4, alpha=0.5, dropout=0.0, meta_step=0.3
    ).double()
    network.on_epoch(2, 5)
    x = torch.rand(5, 6, 2).double()
    weight = network.encoder.embed.weight
    seen = []
    network.step(
        (x,), 0, lambda loss, part: seen.append((part, torch.autograd.grad(loss, weight)[0][0, 0]))
    )
    assert [part for part, _ in seen] == ["first", "second", "first", "second"]
    for part, slope in seen[:2]:
        ends = []
        for move in (1e-5, -2e-5):
            with torch.no_grad():
                weight[0, 0] += move
            ends.append(_meta_loss(network, part, x))
        with torch.no_grad():
            weight[0, 0] += 1e-5
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-9)
    assert not torch.allclose(seen[0][1], seen[2][1], rtol=1e-3)
    for epoch, i in ((2, 1), (0, 0)):
        seen.clear()
        network.on_epoch(epoch, 5)
        network.step((x,), i, lambda loss, part: seen.append(part))
        assert seen == ["first", "second"]
