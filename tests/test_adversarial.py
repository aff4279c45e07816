"""What sets each adversarial detector apart, and the pieces their games are made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.functional import binary_cross_entropy_with_logits as bce  # noqa: E402

from awry import io  # noqa: E402
from awry.checks import planted  # noqa: E402
from awry.core import registry  # noqa: E402
from awry.core.errors import ModelError  # noqa: E402
from awry.core.params import ParameterError  # noqa: E402
from awry.nn.anogan import AnoGANNetwork  # noqa: E402
from awry.nn.bigan import ALADNetwork, BiGANNetwork  # noqa: E402
from awry.nn.f_anogan import FAnoGANNetwork  # noqa: E402
from awry.nn.gaal import GAALNetwork, identity_generator, outlier_critic  # noqa: E402
from awry.nn.gan import (  # noqa: E402
    Critic,
    Pair,
    as_fake,
    as_real,
    dense_critic,
    gradient_penalty,
    leaky,
)
from awry.nn.ganomaly import GANomalyNetwork, SkipAutoEncoder, SkipGANomalyNetwork  # noqa: E402
from awry.nn.trainer import Trainer  # noqa: E402
from awry.nn.vae_gan import VAEGANNetwork  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 4))
SEARCH = {"weight": 0.1, "n_starts": 4, "search_lr": 0.1}
GAME = {"kappa": 1.0, "penalty": 10.0, "n_critic": 5, "encoder_share": 0.4}
#: What lets each learn the rows above in a second or so.
QUICK = {
    "anogan": {"epochs": 3, "lr": 5e-3, "n_steps": 10, "search_lr": 0.1},
    **{name: {"epochs": 6, "lr": 5e-3} for name in ("f_anogan", "bigan", "alad")},
    "ganomaly": {"epochs": 4, "lr": 5e-3, "critic": [16]},
    **{name: {"epochs": 6, "lr": 5e-3} for name in ("skip_ganomaly", "vae_gan")},
    "so_gaal": {"epochs": 60, "lr": 0.1},
    "mo_gaal": {"epochs": 60, "lr": 0.1, "n_generators": 4},
}


def image_networks():
    """One of each, of convolutions where a table's have dense layers: for items (1, 4, 4)."""

    def seen(channels):
        return nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.LeakyReLU(0.2))

    def encoder(width=2):
        return nn.Sequential(seen(1), nn.Flatten(), nn.Linear(48, width))

    def generator():
        return nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4)))

    def critic():
        return Critic(seen(1), nn.Linear(48, 1))

    flat = nn.Sequential(seen(1), nn.Flatten())
    pairs = Critic(Pair(flat, nn.Identity(), leaky([50, 8], linear_end=False)), nn.Linear(8, 1))
    same = nn.Identity()
    items, codes = (
        Critic(Pair(same, same, seen(2)), nn.Linear(48, 1)),
        Critic(Pair(same, same, leaky([4, 8], linear_end=False)), nn.Linear(8, 1)),
    )
    e, g = encoder(), generator()
    blank = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(3)]
    pace = {"lr_generator": 1e-3, "generator_share": 1.0}
    return {
        "anogan": AnoGANNetwork(g, critic(), 2, n_steps=5, **SEARCH),
        "f_anogan": FAnoGANNetwork(e, g, critic(), 2, **{**GAME, "n_critic": 1}),
        "bigan": BiGANNetwork(e, g, pairs, 2, alpha=0.9, score="features"),
        "alad": ALADNetwork(e, g, pairs, 2, items=items, codes=codes, score="features"),
        "ganomaly": GANomalyNetwork(e, g, encoder(), critic(), weights=(1, 50, 1), score="l1"),
        "skip_ganomaly": SkipGANomalyNetwork(blank[0], critic(), weights=(1, 50, 1), share=0.9),
        "vae_gan": VAEGANNetwork(encoder(4), g, critic(), 2, gamma=1.0, score="features"),
        "gaal": GAALNetwork(blank, critic(), (1, 4, 4), **pace),
    }


def reach(network, x):
    """For each step down: whose optimiser takes it, and the loss."""
    taken = []
    network.step((x,), 0, lambda loss, part="all": taken.append((part, loss)))
    return taken


@pytest.mark.parametrize("name", ["anogan", "f_anogan", "bigan", "alad", "ganomaly",
                                  "skip_ganomaly", "vae_gan", "gaal"])  # fmt: skip
def test_the_same_networks_serve_images(name):
    torch.manual_seed(0)
    network, x = image_networks()[name], torch.randn(6, 1, 4, 4)
    parts = {part: list(members) for part, members in network.parts().items()}
    assert len({id(p) for members in parts.values() for p in members}) == sum(
        map(len, parts.values())
    )
    for part, loss in reach(network, x):
        gradients = torch.autograd.grad(loss, parts[part], allow_unused=True, retain_graph=True)
        assert all(g is not None and g.isfinite().all() for g in gradients), part
    before = {k: v.clone() for k, v in network.state_dict().items()}
    history = Trainer(epochs=2, batch_size=3, validation_fraction=0.0, device="cpu").fit(
        network, x.numpy()
    )
    assert "held_out" not in history
    moved = {k.split(".")[0] for k, v in network.state_dict().items() if not v.equal(before[k])}
    assert {n for n, _ in network.named_children()} <= moved
    assert network.score(x).shape == (6,)
    if network.has_terms:
        terms = network.terms(x)
        assert terms.shape == x.shape
        torch.testing.assert_close(terms.flatten(1).sum(1) + network.base(x), network.score(x))


# -- pieces ---------------------------------------------------------------------------------------


def test_the_losses_are_cross_entropies():
    verdict = 5 * torch.randn(50)
    torch.testing.assert_close(as_real(verdict), bce(verdict, torch.ones(50)))
    torch.testing.assert_close(as_fake(verdict), bce(verdict, torch.zeros(50)))


def test_the_penalty_is_of_the_slope_s_length():
    for shape in ((30, 8), (30, 2, 2, 2)):
        linear = nn.Linear(8, 1)
        with torch.no_grad():
            linear.weight.fill_(3 / 8**0.5)
        critic, a, b = Critic(nn.Flatten(), linear), torch.randn(shape), torch.randn(shape)
        torch.testing.assert_close(gradient_penalty(critic, a, b), torch.tensor(4.0))


def test_the_penalty_pulls_the_critic_s_slope_to_one():
    def slope_after(penalty):
        torch.manual_seed(0)
        critic = dense_critic([2, 32, 32])
        adam = torch.optim.Adam(critic.parameters(), 5e-3)
        for _ in range(200):
            real, fake = torch.randn(64, 2) + 2, torch.randn(64, 2) - 2
            loss = critic(fake).mean() - critic(real).mean()
            loss = loss + penalty * gradient_penalty(critic, real, fake)
            adam.zero_grad()
            loss.backward()
            adam.step()
        x = (torch.randn(200, 2)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x)
        return float(slope.norm(dim=1).mean())

    assert slope_after(100.0) == pytest.approx(1.0, abs=0.15)
    assert slope_after(0.0) > 5


# -- AnoGAN ---------------------------------------------------------------------------------------


def searcher(n_steps, weight=0.1):
    """A generator whose items are their codes, the other way round: what to find is known."""
    torch.manual_seed(0)
    generator = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        generator.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    settings = {**SEARCH, "weight": weight}
    return AnoGANNetwork(generator, dense_critic([2, 8]), 2, n_steps=n_steps, **settings).double()


def test_the_search_finds_the_code_and_lowers_the_residual():
    x = torch.randn(40, 2).double()
    network = searcher(100)
    with torch.no_grad():
        found, scores = network.search(x), network.score(x)
        torch.testing.assert_close(found, x.flip(1), atol=0.05, rtol=0)
        assert scores.max() < 0.1 * searcher(1).score(x).mean()
        # No start is nearer than what was found, and what is left is the score.
        terms, beyond = network.judge(x)
        torch.testing.assert_close(terms, 0.9 * (x - found.flip(1)).abs())
        seen = network.discriminator.features
        apart = (seen(x) - seen(found.flip(1))).abs().sum(dim=1)
        torch.testing.assert_close(beyond, 0.1 * apart)
        torch.testing.assert_close(terms.sum(1) + beyond, scores)


def test_the_search_of_a_row_is_its_own():
    x, network = torch.randn(9, 2).double(), searcher(30)
    whole = network.score(x)
    torch.testing.assert_close(torch.cat([network.score(r[None]) for r in x]), whole)
    assert network.score(x).equal(whole)
    assert x.grad is None
    assert all(p.grad is None for p in network.parameters())


# -- f-AnoGAN -------------------------------------------------------------------------------------


def test_the_encoder_inverts_a_generator_that_stays_as_it_is():
    torch.manual_seed(0)
    generator = leaky([2, 16, 6])
    critic, encoder = dense_critic([6, 16]), leaky([6, 32, 2])
    network = FAnoGANNetwork(encoder, generator, critic, 2, **{**GAME, "encoder_share": 0.99})
    rows = generator(torch.randn(400, 2)).detach()
    kept = [p.clone() for p in (*generator.parameters(), *critic.parameters())]
    before = float(network.score(rows).mean().detach())
    Trainer(epochs=15, batch_size=20, lr=5e-3, device="cpu", validation_fraction=0.0).fit(
        network, rows.numpy()
    )
    assert float(network.score(rows).mean().detach()) < 0.1 * before
    for now, then in zip((*generator.parameters(), *critic.parameters()), kept, strict=True):
        assert now.equal(then)
    made = generator(encoder(rows))
    error = ((rows - made) ** 2).mean(1)
    features = ((critic.features(rows) - critic.features(made)) ** 2).mean(1)
    torch.testing.assert_close(network.score(rows), error + features)


def test_the_generator_moves_once_in_five_turns_and_the_encoder_last():
    network = image_networks()["f_anogan"]
    network.n_critic, x = 5, torch.randn(4, 1, 4, 4)
    parts = [part for _ in range(10) for part, _ in reach(network, x)]
    assert parts == [*["critic"] * 5, "generator"] * 2
    shares = []
    for epoch in range(10):
        network.on_epoch(epoch, 10)
        shares.append(network.encoding)
    assert shares == [False] * 6 + [True] * 4
    assert [part for part, _ in reach(network, x)] == ["encoder"]


# -- BiGAN and ALAD -------------------------------------------------------------------------------


def pair_critic():
    sides = (leaky([2, 16], linear_end=False) for _ in range(2))
    return Critic(Pair(*sides, leaky([32, 16], linear_end=False)), nn.Linear(16, 1))


def test_the_pairs_discriminator_sees_what_goes_together():
    torch.manual_seed(0)
    critic = pair_critic()
    adam = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(150):
        x = torch.randn(64, 2)
        # Either side has the same distribution; only together do they differ.
        loss = as_real(critic(x, -x)) + as_fake(critic(x, -x[torch.randperm(64)]))
        adam.zero_grad()
        loss.backward()
        adam.step()
    x = torch.randn(500, 2)
    verdicts = torch.cat([critic(x, -x), critic(x, -x[torch.randperm(500)])])
    assert roc_auc_score(np.repeat([1, 0], 500), verdicts.detach()) > 0.9


def test_bigan_swaps_the_labels_and_scores_as_egbad():
    torch.manual_seed(0)
    encoder, generator, pairs = leaky([2, 8, 2]), leaky([2, 8, 2]), pair_critic()
    network = BiGANNetwork(encoder, generator, pairs, 2, alpha=0.7, score="features")
    x, z = torch.randn(2, 30, 2)
    code, made = encoder(x), generator(z)
    ones, zeros = torch.ones(30), torch.zeros(30)
    telling = bce(pairs(x, code), ones) + bce(pairs(made, z), zeros)
    passing = bce(pairs(x, code), zeros) + bce(pairs(made, z), ones)
    torch.testing.assert_close(network.telling(x, z, made, code), telling)
    torch.testing.assert_close(network.passing(x, z, made, code), passing)
    again = generator(code)
    away = (x - again).abs().sum(1)
    features = (pairs.features(x, code) - pairs.features(again, code)).abs().sum(1)
    torch.testing.assert_close(network.score(x), 0.7 * away + 0.3 * features)
    network.which = "cross_entropy"
    expected = 0.7 * away + 0.3 * bce(pairs(x, code), ones, reduction="none")
    torch.testing.assert_close(network.score(x), expected)


def alad(encoder, generator, score="features"):
    items, codes = (
        Critic(Pair(nn.Identity(), nn.Identity(), leaky([4, 8], linear_end=False)), nn.Linear(8, 1))
        for _ in range(2)
    )
    return ALADNetwork(encoder, generator, pair_critic(), 2, items=items, codes=codes, score=score)


def test_alad_s_cycles_close():
    torch.manual_seed(0)
    flip = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        flip.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    x, z = torch.randn(2, 20, 2)
    closed, open_ = alad(flip, flip), alad(flip, nn.Identity())
    torch.testing.assert_close(closed.score(x), torch.zeros(20))
    assert (open_.score(x) > 0).all()
    # Of cycles that close the discriminators know nothing, whatever they have learnt.
    for network, away in ((closed, 0.0), (open_, (x - x.flip(1)).abs().sum(1))):
        network.which = "l1"
        torch.testing.assert_close(network.score(x), away + torch.zeros(20))
    parts = {p for p, _ in reach(open_, x)}
    assert parts == {"discriminator", "generator"}
    plain = BiGANNetwork(flip, nn.Identity(), open_.pairs, 2, alpha=0.9, score="features")
    code, made = open_.encoder(x), open_.generator(z)
    more = open_.passing(x, z, made, code) - plain.passing(x, z, made, code)
    ones = torch.ones(20)
    cycles = bce(open_.items(x, code), ones) + bce(open_.codes(z, flip(made)), ones)
    torch.testing.assert_close(more, cycles)


def test_alad_normalises_by_the_largest_singular_value():
    detector = registry.create("alad", random_state=0, **QUICK["alad"]).fit(X)
    network = detector.network_
    for module in (network.encoder, network.pairs, network.items, network.codes):
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                size = float(torch.linalg.matrix_norm(layer.weight.detach(), 2))
                assert size == pytest.approx(1.0, abs=0.1)
    free = [float(torch.linalg.matrix_norm(m.weight.detach(), 2)) for m in network.generator[::2]]
    assert max(free) > 1.2


# -- GANomaly and Skip-GANomaly -------------------------------------------------------------------


def test_ganomaly_weighs_three_losses_and_scores_by_the_codes():
    torch.manual_seed(0)
    networks = leaky([3, 8, 2]), leaky([2, 8, 3]), leaky([3, 8, 2])
    critic = dense_critic([3, 8])
    network = GANomalyNetwork(*networks, critic, weights=(1.0, 50.0, 2.0), score="l1")
    x = torch.randn(20, 3)
    code = networks[0](x)
    made = networks[1](code)
    apart = code - networks[2](made)
    losses = network.passing(x, network.rebuild(x))
    features = ((critic.features(x) - critic.features(made)) ** 2).mean()
    expected = features + 50 * (x - made).abs().mean() + 2 * (apart**2).mean()
    torch.testing.assert_close(losses["loss"], expected)
    torch.testing.assert_close(network.score(x), apart.abs().mean(1))
    network.which = "l2"
    torch.testing.assert_close(network.score(x), (apart**2).mean(1))


def test_skip_connections_carry_what_the_bottleneck_loses():
    torch.manual_seed(0)
    net, x = SkipAutoEncoder([5, 8, 4, 1]), torch.randn(30, 5)
    with torch.no_grad():
        for parameter in net.down[-1].parameters():
            parameter.zero_()
        assert net(x).std(dim=0).min() > 0.01
        whole = net(x)
        # What comes by the skips alone: without them nothing would be left of a row.
        net.out.weight[:, :8].zero_()
        assert not net(x).allclose(whole)
        net.out.weight.zero_()
        assert net(x).std(dim=0).max() < 1e-6


def test_skip_ganomaly_s_score_is_of_values_and_features():
    torch.manual_seed(0)
    net, critic = SkipAutoEncoder([3, 8, 2]), dense_critic([3, 8])
    network = SkipGANomalyNetwork(net, critic, weights=(2.0, 40.0, 3.0), share=0.8)
    x = torch.randn(20, 3)
    made = net(x)
    features = (critic.features(x) - critic.features(made)) ** 2
    expected = 0.8 * (x - made).abs().mean(1) + 0.2 * features.mean(1)
    torch.testing.assert_close(network.score(x), expected)
    loss = 2 * bce(critic(made), torch.ones(20)) + 40 * (x - made).abs().mean()
    torch.testing.assert_close(network.passing(x, made)["loss"], loss + 3 * features.mean())


# -- VAE-GAN --------------------------------------------------------------------------------------


def test_vae_gan_measures_its_error_in_features():
    torch.manual_seed(0)
    encoder, decoder, critic = leaky([3, 8, 4]), leaky([2, 8, 3]), dense_critic([3, 8])
    network = VAEGANNetwork(encoder, decoder, critic, 2, gamma=0.5, score="features")
    x = torch.randn(20, 3)
    mean, log_variance = encoder(x)[:, :2], encoder(x)[:, 2:]
    made = decoder(mean)
    error = 0.5 * ((critic.features(x) - critic.features(made)) ** 2).sum(1)
    torch.testing.assert_close(network.score(x), error)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()),
        torch.distributions.Normal(0.0, 1.0),
    ).sum(1)
    network.which = "elbo"
    torch.testing.assert_close(network.score(x), error + kl)
    network.which = "reconstruction"
    torch.testing.assert_close(network.score(x), ((x - made) ** 2).sum(1))
    assert [part for part, _ in reach(network, x)] == ["encoder", "decoder", "discriminator"]
    # Only the decoder passes for real; the encoder learns by the error and the divergence alone.
    critic.head[0].bias.data += 3.0
    torch.manual_seed(1)
    lifted = dict(reach(network, x))
    critic.head[0].bias.data -= 3.0
    torch.manual_seed(1)
    plain = dict(reach(network, x))
    torch.testing.assert_close(lifted["encoder"], plain["encoder"])
    assert lifted["decoder"] < plain["decoder"] - 1.0


# -- SO-GAAL and MO-GAAL --------------------------------------------------------------------------


def gaal(k, share=1.0, lr=1e-3):
    torch.manual_seed(0)
    generators = [identity_generator(2) for _ in range(k)]
    pace = {"lr_generator": lr, "generator_share": share}
    return GAALNetwork(generators, outlier_critic([2, 16]), (2,), **pace)


def test_generators_start_all_over_the_data_and_make_the_more_the_lower_their_aim():
    network, x = gaal(4), torch.rand(100, 2)
    made = network.make_up(x)
    assert made.shape == x.shape
    assert 0 <= made.min() < 0.05 < 0.95 < made.max() <= 1
    marks = torch.arange(4.0)
    for i, generator in enumerate(network.generators):
        nn.init.zeros_(generator[2].weight)
        nn.init.constant_(generator[2].bias, float(marks[i]))
    counts = [int((network.make_up(x)[:, 0] == mark).sum()) for mark in marks]
    assert counts == [40, 30, 20, 10]


def test_one_generator_aims_at_real_several_at_the_quantiles():
    x = torch.rand(50, 2)
    assert gaal(1).targets(x).tolist() == [1.0]
    network = gaal(4)
    chances = torch.sigmoid(network.discriminator(x)).detach()
    expected = np.quantile(chances.numpy(), [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(network.targets(x), expected, rtol=1e-5)
    torch.manual_seed(0)
    loss = network.passing(x)
    torch.manual_seed(0)
    noise = torch.rand_like(x)
    singles = [
        bce(network.discriminator(g(noise)), torch.full((50,), t))
        for g, t in zip(network.generators, network.targets(x).tolist(), strict=True)
    ]
    torch.testing.assert_close(loss, torch.stack(singles).sum())


def test_several_generators_spread_each_to_its_aim():
    torch.manual_seed(0)
    sure = nn.Linear(2, 1)
    with torch.no_grad():
        sure.weight.copy_(torch.tensor([[8.0, 0.0]]))
        sure.bias.fill_(-4.0)
    generators, pace = [identity_generator(2) for _ in range(4)], {"lr_generator": 0.01}
    network = GAALNetwork(
        generators, Critic(nn.Identity(), sure), (2,), generator_share=0.5, **pace
    )
    rows, kept = RNG.uniform(size=(400, 2)), {}

    def watch(epoch, epochs, plain=network.on_epoch):
        plain(epoch, epochs)
        kept[epoch] = [p.detach().clone() for p in network.generators.parameters()]

    network.on_epoch = watch
    # A discriminator that hardly learns: what they aim at stays.
    history = Trainer(
        epochs=100, batch_size=100, lr=1e-9, schedule=None, device="cpu", validation_fraction=0.0
    ).fit(network, rows)
    assert {k: len(history[k]) for k in ("generator", "loss")} == {"generator": 50, "loss": 100}
    for then, now in zip(kept[50], network.generators.parameters(), strict=True):
        assert now.equal(then)
    noise = torch.rand(500, 2)
    with torch.no_grad():
        chances = [float(torch.sigmoid(network.discriminator(g(noise))).mean()) for g in generators]
    # All began as the same; the rows' own chances have these quantiles.
    np.testing.assert_allclose(chances, [0.02, 0.12, 0.5, 0.88], atol=0.12)
    x = torch.tensor(rows[:20]).float()
    torch.testing.assert_close(network.score(x), 4 - 8 * x[:, 0], atol=0.1, rtol=0)


# -- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUICK)
def test_far_rows_are_found_and_models_load_and_export(name, tmp_path):
    # Among the rows that are learnt from: of what is far beyond them a GAAL need not know.
    rows, odd = planted()
    detector = registry.create(name, random_state=0, **QUICK[name]).fit(rows)
    assert roc_auc_score(odd, detector.decision_scores_) > 0.95
    again = io.loads(io.dumps(detector))
    assert np.array_equal(again.decision_function(X), detector.decision_function(X))
    pytest.importorskip("onnxruntime")
    if name == "anogan":
        with pytest.raises(ModelError, match="f_anogan"):
            detector.to_onnx(tmp_path / "m.onnx")
    else:
        assert detector.to_onnx(tmp_path / "m.onnx", rows=rows)["difference"] <= 1e-4


def test_parameters_are_checked():
    for name, wrong in (
        ("anogan", {"feature_weight": 2.0}),
        ("f_anogan", {"encoder_share": 1.0}),
        ("bigan", {"score_type": "l3"}),
        ("alad", {"critic": [0]}),
        ("ganomaly", {"contextual_weight": -1.0}),
        ("mo_gaal", {"n_generators": 1}),
    ):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            registry.create(name, **wrong).fit(X)
