"""What sets each kind of autoencoder apart from the plain one, and DAGMM's mixture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry import io  # noqa: E402
from awry.core import registry  # noqa: E402
from awry.core.params import ParameterError  # noqa: E402
from awry.detectors.tabular.adversarial_autoencoder import AdversarialAutoEncoder  # noqa: E402
from awry.detectors.tabular.contractive_autoencoder import ContractiveAutoEncoder  # noqa: E402
from awry.detectors.tabular.dagmm import DAGMM  # noqa: E402
from awry.detectors.tabular.denoising_autoencoder import DenoisingAutoEncoder  # noqa: E402
from awry.detectors.tabular.memory_autoencoder import MemoryAutoEncoder  # noqa: E402
from awry.detectors.tabular.residual_autoencoder import ResidualAutoEncoder  # noqa: E402
from awry.detectors.tabular.sparse_autoencoder import SparseAutoEncoder  # noqa: E402
from awry.nn.autoencoder import AutoEncoderNetwork  # noqa: E402
from awry.nn.contractive_autoencoder import ContractiveAutoEncoderNetwork  # noqa: E402
from awry.nn.dagmm import energies, mixture, whitener  # noqa: E402
from awry.nn.denoising_autoencoder import DenoisingAutoEncoderNetwork  # noqa: E402
from awry.nn.memory_autoencoder import MemoryAutoEncoderNetwork  # noqa: E402
from awry.nn.residual_autoencoder import ResidualAutoEncoderNetwork  # noqa: E402
from awry.nn.sparse_autoencoder import SparseAutoEncoderNetwork  # noqa: E402
from awry.nn.trainer import Trainer  # noqa: E402

RNG = np.random.default_rng(0)
ANGLE = RNG.uniform(0, 2 * np.pi, 600)
#: A ring, its radius and noise: its middle is what linear methods take for most normal.
RING = np.column_stack([np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE), np.sin(2 * ANGLE)])
RING += RNG.normal(0, 0.03, RING.shape)
MIDDLE = RNG.normal(0, 0.1, (30, 4))
FAR = RNG.choice([-4.0, 4.0], (30, 4))
STYLE = {"activation": "tanh", "batch_norm": False, "dropout": 0.0}
QUICK = {"epochs": 15, "lr": 5e-3, "random_state": 0}


def rows(detector, X):
    """``X`` as the detector's network sees it."""
    return torch.tensor((X - detector.center_) / detector.scale_)


def ranking(detector, odd):
    scores = detector.decision_function(np.vstack([RING, odd]))
    return roc_auc_score(np.repeat([0, 1], [len(RING), len(odd)]), scores)


# -- denoising ------------------------------------------------------------------------------------


def noisy(noise, level, shape=(4000, 3)):
    torch.manual_seed(0)
    network = DenoisingAutoEncoderNetwork(noise, level, sizes=[shape[1], 4, 2], **STYLE)
    x = torch.rand(shape) + 1.0
    network.on_start(lambda: iter([(x[:7],), (x[7:],)]))
    return network, x, network.corrupt(x)


def test_gaussian_noise_has_the_level_as_its_standard_deviation():
    _, x, seen = noisy("gaussian", 0.3)
    assert float((seen - x).std()) == pytest.approx(0.3, rel=0.03)
    assert float((seen - x).mean()) == pytest.approx(0.0, abs=0.01)


def test_masking_and_dropout_hit_their_share_and_dropout_keeps_the_mean():
    _, x, seen = noisy("masking", 0.25)
    hit = seen != x
    assert float(hit.float().mean()) == pytest.approx(0.25, abs=0.02)
    assert not seen[hit].any()
    _, x, seen = noisy("dropout", 0.25)
    assert float((seen == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    torch.testing.assert_close(seen[seen != 0], x[seen != 0] / 0.75)
    assert float(seen.mean()) == pytest.approx(float(x.mean()), rel=0.02)


def test_salt_and_pepper_are_the_ends_of_the_columns_as_often_the_one_as_the_other():
    _, x, seen = noisy("salt_and_pepper", 0.4)
    least, most = x.amin(dim=0), x.amax(dim=0)
    hit = seen != x
    assert float(hit.float().mean()) == pytest.approx(0.4, abs=0.02)
    salt = (seen == most) & hit
    assert ((seen == least) | salt)[hit].all()
    assert float(salt[hit].float().mean()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("noise", ["masking", "gaussian", "salt_and_pepper", "dropout"])
def test_the_targets_are_clean(noise):
    network, x, _ = noisy(noise, 0.5)
    torch.manual_seed(1)
    loss = network.loss((x,))
    torch.manual_seed(1)
    rebuilt = network.rebuild(network.corrupt(x))
    torch.testing.assert_close(loss, ((x - rebuilt) ** 2).mean())
    # Scores are of rows as they are.
    torch.testing.assert_close(network.terms(x), (x - network.rebuild(x)) ** 2)


def test_denoising_rebuilds_a_value_that_is_gone():
    t = RNG.normal(size=600)
    X = np.column_stack([t, -t, t, 2 * t]) + RNG.normal(0, 0.05, (600, 4))
    gone = X.copy()
    gone[:, 1] = X[:, 1].mean()
    errors = {}
    for level in (0.0, 0.5):
        detector = DenoisingAutoEncoder(
            level=level, hidden=[32], latent=4, epochs=20, lr=5e-3, random_state=0
        ).fit(X)
        rebuilt = detector.network_.rebuild(rows(detector, gone)).detach().numpy()
        errors[level] = float(np.mean((rebuilt - rows(detector, X).numpy())[:, 1] ** 2))
    assert errors[0.5] < 0.3 * errors[0.0]


# -- sparse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_mean_activations_approach_rho(rho):
    x = torch.tensor(RING).float()
    means = {}
    for beta in (30.0, 0.0):
        torch.manual_seed(0)
        network = SparseAutoEncoderNetwork(rho, beta, sizes=[4, 16], **STYLE)
        torch.nn.init.zeros_(network.encoder[-1].bias)
        Trainer(epochs=20, batch_size=32, lr=2e-2, device="cpu").fit(network, RING)
        means[beta] = network.encode(x).detach().mean(dim=0)
    assert float((means[30.0] - rho).abs().max()) < 0.3 * rho
    away = {beta: float((mean - rho).abs().mean()) for beta, mean in means.items()}
    assert away[0.0] > 3 * away[30.0]


def test_the_sparse_penalty_is_the_divergence_of_two_coins():
    from torch import distributions as dist

    torch.manual_seed(0)
    network = SparseAutoEncoderNetwork(0.1, 3.0, sizes=[4, 6], **STYLE).double()
    x = torch.randn(50, 4).double()
    coins = [dist.Bernoulli(torch.tensor(0.1).double()), dist.Bernoulli(network.encode(x).mean(0))]
    torch.testing.assert_close(network.divergence(network.encoder(x)), dist.kl_divergence(*coins))
    losses = network.loss((x,))
    torch.testing.assert_close(losses["reconstruction"], 0.5 * network.score(x).mean())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 3.0 * losses["sparsity"])
    # Silent and shouting units have a penalty, not an infinite one.
    assert network.divergence(torch.tensor([[-300.0, 300.0]])).isfinite().all()


# -- residual -------------------------------------------------------------------------------------


def residual(n_blocks):
    torch.manual_seed(0)
    return ResidualAutoEncoderNetwork(4, 16, 4, n_blocks=n_blocks, **STYLE)


def test_blocks_that_add_nothing_let_rows_pass():
    deep, shallow = residual(5), residual(1)
    for network in (deep, shallow):
        for name, parameter in network.named_parameters():
            if ".branch.4." in name:
                torch.nn.init.zeros_(parameter)
    for tower, twin in ((deep.encoder, shallow.encoder), (deep.decoder, shallow.decoder)):
        for i, j in ((0, 0), (-1, -1)):
            tower[i].load_state_dict(twin[j].state_dict())
    x = torch.randn(9, 4)
    torch.testing.assert_close(deep.rebuild(x), shallow.rebuild(x))


def test_gradients_pass_through_thirty_blocks_as_they_do_not_through_plain_layers():
    def share(network, first):
        network.loss((torch.tensor(RING).float(),)).backward()
        sizes = [float(p.grad.norm()) for p in network.parameters() if p.dim() == 2]
        return float(first(network).weight.grad.norm()) / max(sizes)

    torch.manual_seed(0)
    plain = AutoEncoderNetwork([4, *[16] * 60, 4], **STYLE)
    assert share(residual(30), lambda n: n.encoder[0]) > 1e-2
    assert share(plain, lambda n: n.encoder[0]) < 1e-4


# -- contractive ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[4, 8], [4, 7, 5]])
def test_the_jacobian_is_that_of_the_encoder(sizes):
    torch.manual_seed(0)
    network = ContractiveAutoEncoderNetwork(sizes, contraction=0.1, dropout=0.0).double()
    x = torch.randn(6, 4).double()
    found = network.jacobian(x)
    for row, mine in zip(x, found, strict=True):
        theirs = torch.autograd.functional.jacobian(lambda r: network.encode(r[None])[0], row)
        torch.testing.assert_close(mine, theirs)
    losses = network.loss((x,))
    norm = (found**2).sum() / 6
    torch.testing.assert_close(losses["contraction"], norm)
    torch.testing.assert_close(losses["loss"], network.score(x).mean() + 0.1 * norm)


def test_the_penalty_contracts_more_across_the_rows_than_along_them():
    t = RNG.normal(size=500)
    X = np.column_stack([t, t]) + RNG.normal(0, 0.05, (500, 2))
    along, across = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double() / 2**0.5
    stretch = {}
    for weight in (0.0, 0.5):
        detector = ContractiveAutoEncoder(contraction=weight, latent=8, **QUICK).fit(X)
        slopes = detector.network_.jacobian(rows(detector, X)).detach()
        stretch[weight] = [float((slopes @ way).norm(dim=1).mean()) for way in (along, across)]
    assert stretch[0.5][0] < stretch[0.0][0], "the code moves less"
    assert stretch[0.5][1] < 0.3 * stretch[0.5][0], "but along the rows it has to move"


# -- adversarial ----------------------------------------------------------------------------------


def test_codes_follow_the_prior():
    t = RNG.exponential(size=(1000, 2)) - 1
    X = np.column_stack([t, t[:, :1] + t[:, 1:], t[:, :1] - t[:, 1:]])
    detector = AdversarialAutoEncoder(latent=2, epochs=30, lr=2e-3, random_state=0).fit(X)
    codes = detector.network_.encode(rows(detector, X)).detach().numpy()
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=0.35)
    np.testing.assert_allclose(np.cov(codes.T), np.eye(2), atol=0.45)
    assert set(detector.history_) >= {"loss", "discriminator", "generator"}
    assert "held_out" not in detector.history_
    # Neither side of the game has won: 2 log 2 and log 2 are what a draw costs.
    assert detector.history_["discriminator"][-1] == pytest.approx(2 * np.log(2), rel=0.3)
    assert detector.history_["generator"][-1] == pytest.approx(np.log(2), rel=0.5)


def test_each_step_moves_its_own_part_alone():
    torch.manual_seed(0)
    network = AdversarialAutoEncoder(hidden=[8], latent=2, epochs=1, random_state=0)
    network = network.fit(RING).network_.float().train()
    moved = []

    def descend(loss, part):
        gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
        names = [n for n, _ in network.named_parameters()]
        reach = {n.split(".")[0] for n, g in zip(names, gradients, strict=True) if g is not None}
        moved.append((part, reach))

    network.step((torch.tensor(RING[:50]).float(),), 0, descend)
    assert moved == [
        ("autoencoder", {"encoder", "decoder"}),
        ("discriminator", {"discriminator"}),
        ("generator", {"encoder", "discriminator"}),
    ]
    parts = {name: list(members) for name, members in network.parts().items()}
    assert {id(p) for p in parts["generator"]} == {id(p) for p in network.encoder.parameters()}


def test_the_prior_s_score_is_the_squared_length_of_the_code():
    detector = AdversarialAutoEncoder(score_type="prior", epochs=3, random_state=0).fit(RING)
    codes = detector.network_.encode(rows(detector, FAR)).detach().numpy()
    np.testing.assert_allclose(detector.decision_function(FAR), (codes**2).sum(axis=1))
    why = detector.explain(FAR)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), detector.decision_function(FAR))


# -- memory ---------------------------------------------------------------------------------------


def test_what_is_rebuilt_is_a_mean_of_few_slots():
    detector = MemoryAutoEncoder(n_slots=20, latent=3, **QUICK).fit(RING)
    network, x = detector.network_, rows(detector, np.vstack([RING, FAR]))
    weights = network.address(network.encoder(x))
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(x)).double())
    assert float((weights == 0).double().mean()) > 0.4
    torch.testing.assert_close(network.rebuild(x), network.decoder(weights @ network.memory))
    inside = network.encode(x)
    assert (inside <= network.memory.amax(dim=0) + 1e-12).all()
    assert (inside >= network.memory.amin(dim=0) - 1e-12).all()


def test_hard_shrinkage_drops_slots_below_the_threshold():
    torch.manual_seed(0)
    sizes = {"sizes": [4, 2], **STYLE}
    network = MemoryAutoEncoderNetwork(n_slots=4, shrinkage=0.2, entropy_weight=0.5, **sizes)
    with torch.no_grad():
        network.memory.copy_(torch.tensor([[1.0, 0.0], [0.0, 3.0], [-2.0, 0.0], [0.0, -1.0]]))
    # Cosines 1, 0, -1, 0, of which the softmax leaves 0.54, 0.20, 0.07, 0.20.
    torch.testing.assert_close(
        network.address(torch.tensor([[5.0, 0.0]])), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    )
    network.shrinkage = 0.1
    plain = np.exp([1.0, 0.0, 0.0])
    expected = torch.tensor(plain / plain.sum()).float()
    found = network.address(torch.tensor([[5.0, 0.0]]))[0]
    torch.testing.assert_close(found[[0, 1, 3]], expected)
    assert found[2] == 0
    losses = network.loss((torch.randn(30, 4),))
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 0.5 * losses["entropy"])


def test_entropy_makes_rows_ask_fewer_slots():
    entropies = [
        MemoryAutoEncoder(entropy_weight=weight, **QUICK).fit(RING).history_["entropy"][-1]
        for weight in (0.0, 10.0)
    ]
    assert entropies[1] < 0.7 * entropies[0]


# -- DAGMM ----------------------------------------------------------------------------------------


def test_the_energy_is_minus_the_log_density_of_the_mixture():
    torch.manual_seed(0)
    z = torch.randn(200, 3).double() * torch.tensor([1.0, 2.0, 0.5]).double()
    member = torch.softmax(3 * torch.randn(200, 2).double(), dim=1)
    share, mean, covariance = mixture(z, member)
    density = 0.0
    for k in range(2):
        weight = member[:, k].numpy()
        np.testing.assert_allclose(share[k], weight.mean())
        np.testing.assert_allclose(mean[k], np.average(z, axis=0, weights=weight))
        plain = np.cov(z.T, aweights=weight, ddof=0)
        np.testing.assert_allclose(covariance[k], plain, atol=1e-3)
        density += float(share[k]) * multivariate_normal(mean[k], covariance[k]).pdf(z)
    found = energies(z, share.log(), mean, whitener(covariance))
    np.testing.assert_allclose(found, -np.log(density))


def test_features_are_the_code_the_relative_error_and_the_cosine():
    detector = DAGMM(latent=2, epochs=3, validation_fraction=0.0, random_state=0).fit(RING)
    network = detector.network_
    z = network.features(rows(detector, MIDDLE)).detach().numpy()
    unit = (MIDDLE - RING.min(axis=0)) / np.ptp(RING, axis=0)
    code = network.autoencoder.encode(torch.tensor(unit))
    rebuilt = network.autoencoder.decode(code).detach().numpy()
    length = np.linalg.norm(unit, axis=1)
    relative = np.linalg.norm(unit - rebuilt, axis=1) / length
    cosine = (unit * rebuilt).sum(axis=1) / length / np.linalg.norm(rebuilt, axis=1)
    # The ends of the columns are those of single precision.
    expected = np.column_stack([code.detach().numpy(), relative, cosine])
    np.testing.assert_allclose(z, expected, atol=1e-5)


def test_the_mixture_that_scores_is_that_of_all_training_rows():
    detector = DAGMM(epochs=10, validation_fraction=0.0, random_state=0).fit(RING)
    network = detector.network_
    z = network.features(rows(detector, RING)).detach()
    share, mean, covariance = mixture(z, torch.softmax(network.estimator(z), dim=1).detach())
    again = energies(z, share.log(), mean, whitener(covariance))
    np.testing.assert_allclose(detector.decision_scores_, again, rtol=1e-3, atol=1e-3)


def test_the_objective_weighs_energy_and_small_variances():
    detector = DAGMM(epochs=1, estimation_dropout=0.0, random_state=0).fit(RING)
    network = detector.network_.eval()
    x = rows(detector, RING)
    losses = network.loss((x,))
    z = network.features(x)
    _, _, covariance = mixture(z, torch.softmax(network.estimator(z), dim=1))
    smallness = (1 / covariance.diagonal(dim1=1, dim2=2)).sum()
    expected = losses["reconstruction"] + 0.1 * losses["energy"] + 0.005 * smallness
    torch.testing.assert_close(losses["loss"], expected)


# -- all ------------------------------------------------------------------------------------------

KINDS = [
    "denoising_autoencoder",
    "sparse_autoencoder",
    "residual_autoencoder",
    "contractive_autoencoder",
    "adversarial_autoencoder",
    "memory_autoencoder",
    "dagmm",
]


@pytest.mark.parametrize("name", KINDS)
def test_far_rows_are_found_and_models_load_and_export(name, tmp_path):
    detector = registry.create(name, **{**QUICK, "epochs": 8}).fit(RING)
    assert ranking(detector, FAR) > 0.97
    again = io.loads(io.dumps(detector))
    assert np.array_equal(again.decision_function(MIDDLE), detector.decision_function(MIDDLE))
    pytest.importorskip("onnxruntime")
    assert detector.to_onnx(tmp_path / "m.onnx", rows=RING)["difference"] <= 1e-4


@pytest.mark.parametrize("kind", [ResidualAutoEncoder, MemoryAutoEncoder])
def test_the_middle_of_a_ring_is_found(kind):
    assert ranking(kind(epochs=40, lr=5e-3, random_state=0).fit(RING), MIDDLE) > 0.9


def test_parameters_are_checked():
    for detector, word in (
        (DenoisingAutoEncoder(noise="salt"), "noise"),
        (DenoisingAutoEncoder(level=1.0), "level"),
        (SparseAutoEncoder(rho=0.0), "rho"),
        (MemoryAutoEncoder(n_slots=1), "n_slots"),
        (DAGMM(n_components=0), "n_components"),
        (ContractiveAutoEncoder(contraction=-1.0), "contraction"),
    ):
        with pytest.raises(ParameterError, match=word):
            detector.fit(RING)
