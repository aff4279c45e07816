"""VAE: the four scores, likelihoods, annealing, and draws that repeat."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry.checks import check_detector, detector_checks  # noqa: E402
from awry.detectors.tabular.vae import VAE  # noqa: E402
from awry.nn.losses import bernoulli_nll, gaussian_nll, kl_to_standard_normal  # noqa: E402
from awry.nn.trainer import Trainer  # noqa: E402
from awry.nn.vae import VAENetwork  # noqa: E402

SCORES = ("reconstruction_probability", "elbo", "kl", "mahalanobis")
RNG = np.random.default_rng(0)
T = RNG.normal(size=500)
#: One hidden cause seen in four columns.
X = np.column_stack([T, -T, 2 * T, T]) + RNG.normal(0, [0.1, 0.1, 0.2, 0.1], (500, 4))


def network(score="elbo", binary=(False,) * 4, sizes=(4, 8, 2), **params):
    style = {"activation": "tanh", "batch_norm": False, "dropout": 0.0}
    plan = {"beta": 1.0, "warm_up": 0.0, "n_draws": 4}
    torch.manual_seed(0)
    return VAENetwork(sizes, binary, score=score, **style, **{**plan, **params})


class Transparent(VAENetwork):
    """Rows say themselves where they lie (2), how surely (1), and how badly they are rebuilt."""

    def encode(self, x):
        return x[:, :2], x[:, 2:3].expand(-1, 2)

    def nll(self, x, z):
        return torch.cat([torch.zeros_like(x[:, :3]), x[:, 3:] ** 2], dim=1)


def test_each_score_ranks_a_case_that_the_others_miss():
    rng = np.random.default_rng(0)
    n = 2000
    # Both parts of the ELBO are spread evenly over 100 nats; both latent dimensions say the same.
    place = rng.choice([-1, 1], n) * np.sqrt(rng.uniform(0, 100, n))
    sure, rebuilt = rng.normal(-4, 0.02, n), np.sqrt(rng.uniform(50, 150, n))
    rows = np.column_stack([place, place + rng.normal(0, 0.05, n), sure, rebuilt])
    cases = {
        # Hardly rebuilt, but in the very middle: to be expected as a whole.
        "reconstruction_probability": [0.0, 0.0, -4.0, 160**0.5],
        # Much, yet not too much, of both parts.
        "elbo": [98.5**0.5, 98.5**0.5, -4.0, 148.5**0.5],
        # Known far too surely, but rebuilt well.
        "kl": [0.0, 0.0, -116.0, 40**0.5],
        # In no place too far from the middle, but where the two dimensions differ.
        "mahalanobis": [7.0, -7.0, -4.0, 10.0],
    }
    for score in SCORES:
        torch.manual_seed(0)
        model = Transparent(
            (4, 8, 2), (False,) * 4, score=score, beta=1.0, warm_up=0.0, n_draws=3,
            activation="tanh", batch_norm=False, dropout=0.0,
        ).double()  # fmt: skip
        data = torch.tensor(rows)
        model.on_end(lambda data=data: iter([(data,)]))
        usual = model.score(data).detach().numpy()
        for case, row in cases.items():
            rank = float((usual < float(model.score(torch.tensor([row]).double()))).mean())
            assert (rank > 0.998) if case == score else (rank < 0.99), (score, case, rank)


def test_trained_scores_see_broken_relations_and_far_places():
    broken = np.column_stack([T, T, 2 * T, T])[np.abs(T) > 1][:40]
    far = np.outer(RNG.choice([-1, 1], 40) * RNG.uniform(2.5, 3.5, 40), [1.0, -1.0, 2.0, 1.0])
    kinds = {}
    for score in ("reconstruction_probability", "mahalanobis"):
        detector = VAE(score_type=score, latent=1, epochs=40, lr=5e-3, random_state=0).fit(X)
        y = np.repeat([0, 1], [500, 40])
        kinds[score] = [
            roc_auc_score(y, detector.decision_function(np.vstack([X, odd])))
            for odd in (broken, far)
        ]
    assert kinds["reconstruction_probability"][0] > 0.98
    assert kinds["mahalanobis"][1] > 0.9
    assert kinds["mahalanobis"][0] < 0.8


def test_of_one_trained_network_latent_scores_miss_what_likelihoods_see():
    """A relation broken in the middle; far places all four see, as they are rebuilt worse, too."""
    detector = VAE(score_type="elbo", latent=1, epochs=40, lr=5e-3, random_state=0).fit(X)
    middle, far = RNG.normal(0, 0.3, 40), np.repeat([-3.0, 3.0], 20)
    broken = np.column_stack([middle + 0.5, -middle, 2 * middle, middle - 0.5])
    cases = {"broken": broken, "far": np.outer(far, [1.0, -1.0, 2.0, 1.0])}
    found = {}
    for case, odd in cases.items():
        rows = torch.tensor((np.vstack([X, odd]) - detector.center_) / detector.scale_)
        for score in SCORES:
            detector.network_.which = score
            scores = detector.network_.score(rows).detach().numpy()
            found[case, score] = roc_auc_score(np.repeat([0, 1], [500, 40]), scores)
    for score in SCORES:
        assert found["far", score] > 0.95
        likelihood = score in ("reconstruction_probability", "elbo")
        assert found["broken", score] > 0.99 if likelihood else found["broken", score] < 0.5


@pytest.mark.filterwarnings("ignore:.*are few for a network")
def test_conformance_of_other_scores():
    check_detector(VAE(score_type="mahalanobis", epochs=15, lr=3e-3))
    dict(detector_checks(VAE(score_type="elbo", epochs=15, lr=3e-3)))["check_explanations"]()


def test_losses_are_those_of_torch_s_distributions():
    from torch import distributions as dist

    torch.manual_seed(0)
    x, mean, log_variance = torch.randn(3, 50).double()
    normal = dist.Normal(mean, torch.exp(log_variance / 2))
    torch.testing.assert_close(gaussian_nll(x, mean, log_variance), -normal.log_prob(x))
    torch.testing.assert_close(
        kl_to_standard_normal(mean, log_variance),
        dist.kl_divergence(normal, dist.Normal(torch.zeros(50).double(), 1.0)),
    )
    bits = (x > 0).double()
    torch.testing.assert_close(
        bernoulli_nll(bits, mean), -dist.Bernoulli(logits=mean).log_prob(bits)
    )


def test_the_score_is_the_mean_over_the_draws():
    model = network("reconstruction_probability").double().eval()
    x = torch.tensor(X[:5])
    mean, log_variance = model.encode(x)
    draws = [model.nll(x, mean + torch.exp(log_variance / 2) * e).sum(dim=1) for e in model.noise]
    torch.testing.assert_close(model.score(x), torch.stack(draws).mean(dim=0))
    elbo = network("elbo").double().eval()
    torch.testing.assert_close(elbo.score(x), model.score(x) + model.kl(x))


def test_mahalanobis_is_that_of_the_training_rows_places():
    detector = VAE(score_type="mahalanobis", latent=2, epochs=10, random_state=0).fit(X)
    z = torch.tensor((X - detector.center_) / detector.scale_)
    rows = np.asarray(detector.network_.encode(z)[0].detach())
    learnt = detector.decision_scores_
    # Nine tenths of the rows were learnt from; their mean squared distance is the dimension.
    assert learnt.mean() == pytest.approx(2.0, rel=0.1)
    away = rows - rows.mean(axis=0)
    whole = np.einsum("ij,jk,ik->i", away, np.linalg.inv(np.cov(away.T)), away)
    assert np.corrcoef(whole, learnt)[0, 1] > 0.99


def test_kl_weighs_more_from_epoch_to_epoch_until_the_warm_up_ends():
    model = network(warm_up=0.5)
    seen = []
    for epoch in range(8):
        model.on_epoch(epoch, 8)
        seen.append(model.warmth)
    assert seen == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    batch = (torch.tensor(X[:50]).float(),)
    model.on_epoch(0, 8)
    learning = model.train().loss(batch)
    expected = learning["reconstruction"] + 0.25 * learning["kl"]
    torch.testing.assert_close(learning["loss"], expected)
    judging = model.eval().loss(batch)
    torch.testing.assert_close(judging["loss"], judging["reconstruction"] + judging["kl"])


def test_beta_presses_the_latent_space_towards_the_prior():
    kl = {}
    for beta in (0.1, 8.0):
        model = network(beta=beta)
        z = (X / X.std(axis=0)).astype(np.float32)
        kl[beta] = Trainer(epochs=30, batch_size=32, lr=5e-3, device="cpu").fit(model, z)["kl"][-1]
    assert kl[8.0] < 0.5 * kl[0.1]


def test_columns_of_zeros_and_ones_get_a_bernoulli_likelihood():
    bit = (T > 0).astype(float)
    mixed = np.column_stack([X, bit, np.ones(500)])
    detector = VAE(epochs=40, lr=5e-3, random_state=0).fit(mixed)
    assert detector.binary_.tolist() == [False] * 4 + [True, False]
    wrong = mixed.copy()
    wrong[:, 4] = 1 - bit
    sure = np.abs(T) > 0.8
    terms = [detector.explain(rows[sure]).values[:, 4] for rows in (mixed, wrong)]
    assert terms[0].min() >= 0, "a probability's logarithm is not positive"
    assert np.median(terms[1]) > 10 * np.median(terms[0])
    assert not VAE(likelihood="gaussian", epochs=1, random_state=0).fit(mixed).binary_.any()
    scaled = VAE(likelihood="bernoulli", epochs=5, random_state=0).fit(X)
    assert scaled.binary_.all()
    beyond = np.vstack([X.max(axis=0), 3 * X.max(axis=0)])
    assert np.diff(scaled.decision_function(beyond)) > 0


def test_scores_repeat_although_they_are_drawn():
    detector = VAE(epochs=2, random_state=0).fit(X)
    assert np.array_equal(detector.decision_function(X), detector.decision_function(X))
    other = VAE(epochs=2, random_state=1).fit(X)
    assert not np.array_equal(other.decision_scores_, detector.decision_scores_)
