"""OmniAnomaly, ConvLSTM, F-SE-LSTM, LSTM and attention, patches, SAE-GAN: what each is for."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry.detectors.series.conv_autoencoder_series import ConvAutoEncoderSeries  # noqa: E402
from awry.detectors.series.conv_lstm import ConvLSTM  # noqa: E402
from awry.detectors.series.f_se_lstm import FSELSTM  # noqa: E402
from awry.detectors.series.lstm_transformer import LSTMTransformer  # noqa: E402
from awry.detectors.series.omni_anomaly import OmniAnomaly  # noqa: E402
from awry.detectors.series.patch_transformer import PatchTransformer  # noqa: E402
from awry.detectors.series.sae_gan import SAEGAN  # noqa: E402
from awry.nn.conv_lstm import ConvLSTMCell, ConvLSTMNetwork  # noqa: E402
from awry.nn.f_se_lstm import Spectra, SqueezeExcitation  # noqa: E402
from awry.nn.lstm_transformer import LSTMTransformerNetwork  # noqa: E402
from awry.nn.omni_anomaly import OmniAnomalyNetwork, PlanarFlow, StateSpacePrior  # noqa: E402
from awry.nn.patch_transformer import PatchTransformerNetwork  # noqa: E402
from awry.nn.recurrent import RecurrentForecasterNetwork  # noqa: E402
from awry.nn.sae_gan import SAEGANNetwork  # noqa: E402

RNG = np.random.default_rng(0)
AT = np.arange(600)
CALM = np.column_stack([np.sin(AT / 4), np.cos(AT / 4)]) + RNG.normal(0, 0.05, (600, 2))
ODD = CALM.copy()
ODD[400:406, 1] += 1.5
CHEAP = {"window": 16, "stride": 2, "epochs": 10, "lr": 0.01, "random_state": 0}
DETECTORS = {
    "omni_anomaly": OmniAnomaly(**CHEAP, hidden=[16], n_flows=3, n_draws=3),
    "conv_lstm": ConvLSTM(**CHEAP, hidden=[8]),
    "f_se_lstm": FSELSTM(**CHEAP, hidden=[16, 16]),
    "lstm_transformer": LSTMTransformer(**CHEAP, hidden=[16]),
    "patch_transformer": PatchTransformer(**CHEAP, patch=4, hidden=[16], dropout=0.0),
    "sae_gan": SAEGAN(**CHEAP, hidden=[16, 8], critic=8),
}


@pytest.fixture(scope="module", params=DETECTORS)
def fitted(request):
    return clone(DETECTORS[request.param]).fit(CALM)


def test_an_odd_shape_is_found_in_its_channel_and_scored_the_same_again(fitted):
    scores = fitted.decision_function(ODD)
    assert 392 <= scores.argmax() <= 413
    assert fitted.explain(ODD).values[scores.argmax()].argmax() == 1
    assert np.array_equal(fitted.decision_function(ODD), scores)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_export_scores_windows(name, tmp_path):
    pytest.importorskip("onnxruntime")
    short = clone(DETECTORS[name]).set_params(window=8, epochs=1, stride=6)
    assert short.fit(CALM).to_onnx(tmp_path / "m.onnx")["difference"] < 1e-4


# -- OmniAnomaly ----------------------------------------------------------------------------------


def test_the_prior_is_what_a_kalman_filter_finds():
    z = RNG.normal(size=(7, 2))
    total = 0.0
    for column in z.T:
        mean, variance = 0.0, 1.0
        for t, seen in enumerate(column):
            variance += t > 0
            of_seen = variance + 1.0
            total -= 0.5 * (np.log(2 * np.pi * of_seen) + (seen - mean) ** 2 / of_seen)
            gain = variance / of_seen
            mean, variance = mean + gain * (seen - mean), (1 - gain) * variance
    found = StateSpacePrior(7).double()(torch.tensor(z)[None])
    assert float(found) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("pull", [0.3, -4.0])
def test_a_planar_flow_stays_invertible_and_knows_its_volume(pull):
    flow = PlanarFlow(3).double()
    with torch.no_grad():
        flow.w.copy_(torch.tensor([1.0, -2.0, 0.5]))
        flow.u.copy_(pull * flow.w)
    for z in torch.tensor(RNG.normal(size=(5, 3))):
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0], z)
        sign, log_det = torch.linalg.slogdet(jacobian)
        assert sign == 1
        torch.testing.assert_close(flow(z)[1], log_det)


def test_a_state_follows_from_the_one_before():
    network = OmniAnomalyNetwork(
        6, 2, hidden=5, latent=3, n_flows=0, n_draws=2, dropout=0.0
    ).double()
    x, noise = torch.randn(2, 6, 2).double(), torch.randn(2, 6, 3).double()
    other = noise.clone()
    other[:, 2] += 1.0
    with torch.no_grad():
        states, log_q = network.draw(x, noise)
        moved, _ = network.draw(x, other)
        read = network.to_state(network.from_read(network.reader(x)[0]))
        last = torch.cat([torch.zeros(2, 1, 3).double(), states[:, :-1]], dim=1)
        mean, width = (read + network.from_last(last)).chunk(2, dim=2)
        of_normal = torch.distributions.Normal(mean, torch.nn.functional.softplus(width) + 1e-4)
    assert torch.equal(states[:, :2], moved[:, :2])
    assert (states[:, 2:] != moved[:, 2:]).all()
    torch.testing.assert_close(log_q, of_normal.log_prob(states).sum(dim=(1, 2)))


# -- ConvLSTM -------------------------------------------------------------------------------------


def test_of_a_single_point_a_convolutional_lstm_is_an_lstm():
    cell = ConvLSTMCell(2, 3, (1, 1), kernel_size=1)
    plain = torch.nn.LSTMCell(2, 3)
    with torch.no_grad():
        weights = torch.cat([plain.weight_ih, plain.weight_hh], dim=1)
        cell.gates.weight.copy_(weights[:, :, None, None])
        cell.gates.bias.copy_(plain.bias_ih + plain.bias_hh)
    x, ours, theirs = torch.randn(4, 2), None, None
    for _ in range(3):
        ours, theirs = cell(x[:, :, None, None], ours), plain(x, theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine[:, :, 0, 0], other)
    with torch.no_grad():
        cell.peepholes[1] = 100.0 * torch.sign(ours[1][0])  # Forget nothing of what is there.
        kept = cell(torch.zeros(4, 2, 1, 1), ours)[1][0]
    assert (kept.abs() > 0).all()
    assert not torch.equal(kept, cell(torch.zeros(4, 2, 1, 1), (ours[0], 0 * ours[1]))[1][0])


def test_a_frame_is_foretold_from_what_is_near_it_in_those_before():
    network = ConvLSTMNetwork(14, 6, lags=4, hidden=[3], kernel_size=3, dropout=0.0).double()
    assert (network.ahead, network.skipped) == (2, 6)
    x = torch.randn(1, 14, 6).double()
    last, first = x.clone(), x.clone()
    last[:, 10:] += 1.0
    first[:, 2:6, 0] += 1.0
    with torch.no_grad():
        told, after_last, after_first = (network.foretell(z)[0] for z in (x, last, first))
        torch.testing.assert_close(network.errors_of(x)[0, :4], x[0, 6:10] - told[0, 0].T)
        assert not network.terms(x)[:, :6].any()
    assert torch.equal(told, after_last)
    by_channel = (told != after_first).any(dim=3)[:, 0]
    # A layer sees one channel further with each frame.
    assert by_channel.tolist() == [[True] * 2 + [False] * 4, [True] * 3 + [False] * 3]


# -- F-SE-LSTM ------------------------------------------------------------------------------------


def test_the_frequency_matrix_is_that_of_the_fourier_transform():
    x = RNG.normal(size=(2, 11, 3))
    found = Spectra(6).double()(torch.tensor(x)).numpy()
    assert found.shape == (2, 3, 6, 4)
    expected = np.abs(np.fft.rfft(x[1, 2:8, 2])) / 6 * [1, 2, 2, 1]
    np.testing.assert_allclose(found[1, 2, 2], expected, rtol=1e-5)


def test_squeeze_and_excitation_weighs_maps_by_all_of_them():
    layer = SqueezeExcitation(4, 2)
    x = torch.rand(1, 4, 3, 5)
    shares = (layer(x) / x)[0]
    assert ((shares > 0) & (shares < 1)).all()
    torch.testing.assert_close(shares, shares[:, :1, :1].expand_as(shares))
    other = x.clone()
    other[:, 3] += 1.0
    assert not torch.allclose((layer(other) / other)[0, 0], shares[0])


def test_a_pure_change_of_frequency_is_found():
    """Amplitude and level stay: what looks at these, or at errors in time, does not tell it."""
    odd = np.zeros(1600, dtype=bool)
    for start in (300, 700, 1100):
        odd[start : start + 60] = True

    def wave(period):
        speed = 2 * np.pi / np.where(odd, period, 16)
        return np.sin(np.cumsum(speed)) + RNG.normal(0, 0.3, 1600)

    calm, new = wave(16), wave(12)
    cheap = {"window": 48, "stride": 4, "lr": 0.01, "epochs": 12, "random_state": 0}
    found = FSELSTM(hidden=[16, 16], dropout=0.0, **cheap).fit(calm).decision_function(new)
    rebuilt = ConvAutoEncoderSeries(**cheap).fit(calm).decision_function(new)
    energy = np.abs(np.convolve(new**2, np.ones(48) / 48, mode="same") - np.mean(calm**2))
    assert roc_auc_score(odd, found) > 0.97
    assert roc_auc_score(odd, rebuilt) < 0.8
    assert roc_auc_score(odd, energy) < 0.7


# -- LSTM and transformer -------------------------------------------------------------------------


def _forecast_error(network, steps=250):
    """Of the second half of windows of noise that is the first half over again."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(steps):
        half = torch.randn(64, 8, 1)
        error = network.errors_ahead(half.repeat(1, 2, 1))[:, 7:].square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    return error.item()


def test_attention_recalls_what_the_recurrent_state_has_lost():
    style = {"horizon": 1, "skipped": 8, "dropout": 0.0}
    torch.manual_seed(0)
    alone = RecurrentForecasterNetwork(1, [16], absolute=False, cell="lstm", **style)
    both = LSTMTransformerNetwork(16, 1, [16], n_layers=1, heads=2, positions="learnable", **style)
    assert _forecast_error(both) < 0.5 * _forecast_error(alone)


def test_no_step_sees_what_comes_after_it():
    network = LSTMTransformerNetwork(
        12, 2, [8], n_layers=2, heads=2, horizon=1, skipped=6, dropout=0.0, positions="rotary"
    ).double()
    x = torch.randn(1, 12, 2).double()
    y = x.clone()
    y[:, 7:] += 1.0
    with torch.no_grad():
        before, after = network.layers(x), network.layers(y)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


# -- patches --------------------------------------------------------------------------------------


def _patches(masked=0.4, instance_norm=True):
    return PatchTransformerNetwork(
        22, patch=4, width=8, n_layers=1, heads=2, inner=8, masked=masked,
        instance_norm=instance_norm, dropout=0.0, positions="learnable",
    ).double()  # fmt: skip


@pytest.mark.parametrize("masked", [0.4, 0.0])
def test_a_patch_is_judged_by_the_others_alone(masked):
    network = _patches(masked, instance_norm=False)
    x = torch.randn(1, 22, 1).double().requires_grad_()
    slopes = torch.autograd.grad(network.terms(x)[0, 9].sum(), x)[0][0, :, 0].abs()
    assert slopes[9] > 0
    assert slopes[:8].sum() > 0
    # Of its own patch, the steps 8 to 11, no other value has a say unless none are hidden.
    assert (slopes[[8, 10, 11]].sum() == 0) == (masked > 0)


def test_only_hidden_patches_teach():
    network = _patches()
    patches = network.patches(torch.randn(5, 22, 2).double())
    assert patches.shape == (10, 6, 4)
    assert (network.hide(patches).sum(dim=1) == 2).all()
    assert network.groups == 3
    hidden = torch.zeros(10, 6, dtype=torch.bool)
    hidden[:, 2] = True
    network.hide = lambda patches: hidden
    x = torch.randn(5, 22, 2).double()
    patches = network.patches(network.normalised(x)[0])
    error = (patches - network.rebuild(patches, hidden))[:, 2].square().mean()
    torch.testing.assert_close(network.loss((x,)), error)


def test_level_and_scale_of_a_window_do_not_matter():
    network = _patches()
    x = torch.randn(2, 22, 2).double()
    with torch.no_grad():
        here, there = network.terms(x), network.terms(1000.0 * x + 50.0)
    torch.testing.assert_close(there / 1e6, here, rtol=1e-4, atol=1e-6)


# -- SAE-GAN --------------------------------------------------------------------------------------


def test_each_side_of_the_game_moves_its_own_weights():
    network = SAEGANNetwork(
        10, 2, [8, 4], critic=4, reconstruction_weight=50.0, alpha=0.9, heads=2, dropout=0.0,
        positions="sinusoidal",
    )  # fmt: skip
    x = torch.randn(3, 10, 2)
    assert network.generator.encode(torch.randn(3, 12, 2)).shape == (3, 3, 4)
    seen = {}
    network.step((x,), 0, lambda loss, part: seen.update({part: loss}))
    parts = {name: list(members) for name, members in network.parts().items()}
    assert sum(map(len, parts.values())) == len(list(network.parameters()))
    blind = torch.autograd.grad(seen["discriminator"], parts["generator"][0], allow_unused=True)
    assert blind == (None,)
    with torch.no_grad():
        told = network.rebuild(x)
        matching = (network.look(x) - network.look(told)).square().mean()
        torch.testing.assert_close(
            seen["generator"].detach(), 50 * (x - told).square().mean() + matching
        )
        terms = network.terms(x)
        apart = (network.look(x) - network.look(told)).square().mean(dim=2)
        expected = 0.9 * (x - told).square().sum(dim=2) + 2 * 0.1 * apart
        torch.testing.assert_close(terms.sum(dim=2), expected)


def test_the_discriminator_learns_to_tell_true_steps_from_rebuilt_ones():
    torch.manual_seed(0)
    network = SAEGANNetwork(
        16, 2, [8, 4], critic=8, reconstruction_weight=50.0, alpha=0.9, heads=2, dropout=0.0,
        positions="sinusoidal",
    )  # fmt: skip
    x = torch.tensor(CALM).float().unfold(0, 16, 1).transpose(1, 2)
    optimiser = torch.optim.Adam(network.parts()["discriminator"], lr=0.01)

    def descend(loss, part):
        if part == "discriminator":
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    losses = [network.step((x[i % 8 :: 8],), i, descend)["discriminator"].item() for i in range(60)]
    assert losses[0] == pytest.approx(2 * np.log(2), abs=0.1)
    assert np.mean(losses[-5:]) < 0.5


def test_what_the_discriminator_sees_finds_by_itself():
    detector = SAEGAN(**CHEAP, hidden=[16, 8], critic=8, alpha=0.0).fit(CALM)
    assert 392 <= detector.decision_function(ODD).argmax() <= 413
