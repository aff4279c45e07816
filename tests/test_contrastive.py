"""ICL, NeuTraL AD and SimCLR: the losses, the views, the heads, and what each of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import OneClassSVM

torch = pytest.importorskip("torch")

from awry.detectors.series.simclr_series import SimCLRSeries  # noqa: E402
from awry.detectors.tabular._contrastive import near  # noqa: E402
from awry.detectors.tabular.icl import ICL  # noqa: E402
from awry.detectors.tabular.neutral_ad import NeuTraLAD  # noqa: E402
from awry.detectors.tabular.simclr import SimCLR  # noqa: E402
from awry.nn.contrastive import (  # noqa: E402
    VIEWS,
    ball_weights,
    corrupted,
    nt_xent,
    whitening_of,
)
from awry.nn.icl import ICLNetwork  # noqa: E402
from awry.nn.neutral_ad import NeuTraLNetwork  # noqa: E402

RNG = np.random.default_rng(0)
T = RNG.normal(size=(400, 1))
#: One hidden cause seen in six columns, and rows of it with a column that is of a row unlike them.
X = np.hstack([T, -T, T, T**2, 2 * T, T]) + RNG.normal(0, 0.05, (400, 6))
BROKEN = X[:100].copy()
BROKEN[:, 2] = np.roll(BROKEN[:, 2], 37)
BROKEN = BROKEN[np.abs(BROKEN[:, 2] - X[:100, 2]) > 1.5]
HEADS = ("mahalanobis", "knn", "svdd")


def auc(usual, odd):
    return roc_auc_score(np.repeat([0, 1], [len(usual), len(odd)]), np.concatenate([usual, odd]))


# -- NT-Xent and its views ------------------------------------------------------------------------


def test_nt_xent_is_that_of_the_paper_written_out():
    first, second = (torch.tensor(RNG.normal(size=(7, 3))) for _ in range(2))
    z = [v / np.linalg.norm(v) for v in np.vstack([first, second])]
    losses = []
    for i in range(14):
        j = (i + 7) % 14
        rivals = sum(np.exp(z[i] @ z[k] / 0.3) for k in range(14) if k != i)
        losses.append(-np.log(np.exp(z[i] @ z[j] / 0.3) / rivals))
    assert float(nt_xent(first, second, 0.3)) == pytest.approx(np.mean(losses))


def test_corruption_takes_just_so_many_columns_from_the_marginals():
    torch.manual_seed(0)
    x = torch.arange(20_000.0).reshape(4000, 5)
    view = corrupted(x, 0.6)
    changed = view != x
    assert changed.sum(dim=1).max() == 3
    assert changed.float().mean() == pytest.approx(0.6, abs=0.01), "a row may be its own donor"
    assert (view % 5 == torch.arange(5.0)).all(), "a value stays in its column"
    # Columns are drawn apart from one another, or relations between them would be kept.
    rows = view // 5
    both = changed[:, 0] & changed[:, 1]
    assert (rows[both][:, 0] != rows[both][:, 1]).float().mean() > 0.99
    assert float(rows[changed].mean()) == pytest.approx(2000, rel=0.03)
    assert torch.equal(corrupted(x, 0.0), x)


def test_views_of_windows_change_what_they_are_for_and_no_more():
    torch.manual_seed(0)
    ramp = torch.arange(40.0)[None, :, None].expand(200, 40, 2).clone()
    ramp[:, :, 1] += 100.0
    pieces = VIEWS["permutation"](ramp)
    assert torch.equal(pieces.sort(dim=1).values, ramp), "no step is lost or doubled"
    assert (pieces[:, :, 1] - pieces[:, :, 0] == 100.0).all(), "channels stay together"
    assert ((pieces[:, 1:, 0] - pieces[:, :-1, 0]) != 1).sum(dim=1).max() == 3
    assert (pieces != ramp).any(dim=2).any(dim=1).float().mean() > 0.9
    part = VIEWS["crop"](ramp)[:, :, 0]
    slope = part.diff(dim=1)
    torch.testing.assert_close(slope, slope[:, :1].expand_as(slope), atol=1e-4, rtol=0)
    assert slope.min() >= 0.5 - 1e-4
    assert slope.max() <= 1.0 + 1e-4
    assert part.min() >= 0.0
    assert part.max() <= 39.0
    factor = VIEWS["scaling"](ramp)[:, 1:] / ramp[:, 1:]
    assert float(factor.std(dim=1).max()) < 1e-5
    assert float(factor[:, 0, 0].std()) == pytest.approx(0.1, rel=0.2)
    noise = VIEWS["jitter"](ramp) - ramp
    assert float(noise.std()) == pytest.approx(0.05, rel=0.05)


def test_the_embedding_comes_to_know_rows_again():
    """A view ranks its own row above most others, which before learning it does not."""
    shares = []
    for lr in (1e-9, 5e-3):
        net = SimCLR(epochs=20, lr=lr, hidden=[64, 32], random_state=0).fit(X).network_
        x = torch.tensor((X - X.mean(axis=0)) / X.std(axis=0))
        torch.manual_seed(0)
        with torch.no_grad():
            embedded = [net.projection(net.encoder(v)) for v in (x, corrupted(x, 0.6))]
            row, view = (torch.nn.functional.normalize(z, dim=1) for z in embedded)
        own = (row * view).sum(dim=1, keepdim=True)
        shares.append(float(((view @ row.T) > own).double().mean()))
    assert shares[1] < 0.8 * shares[0], shares


# -- heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nu", [0.1, 0.5])
def test_the_ball_is_that_of_a_one_class_svm(nu):
    """With a kernel of constant norm both problems are one (Schölkopf et al., 2001)."""
    z = RNG.normal(size=(200, 3)) * [1.0, 1.0, 0.2]
    kernel = rbf_kernel(z, gamma=0.5)
    weight = ball_weights(torch.tensor(kernel), nu).numpy()
    peer = OneClassSVM(gamma=0.5, nu=nu, tol=1e-8).fit(z)
    theirs = np.zeros(200)
    theirs[peer.support_] = peer.dual_coef_[0] / peer.dual_coef_.sum()
    assert weight.sum() == pytest.approx(1.0)
    assert weight.max() <= 1 / (nu * 200) + 1e-9
    assert weight @ kernel @ weight == pytest.approx(theirs @ kernel @ theirs, rel=5e-3)
    assert spearmanr(kernel @ weight, kernel @ theirs).statistic > 0.995


def test_whitening_makes_the_spread_even():
    mix = np.array([[3.0, 0.0], [2.0, 1.0]])
    white = torch.tensor(RNG.normal(size=(5000, 2)) @ mix)
    white = white @ whitening_of(white)
    torch.testing.assert_close(torch.cov(white.T), torch.eye(2).double(), atol=0.05, rtol=0)
    few = whitening_of(torch.tensor(RNG.normal(size=(5, 40))))
    assert torch.linalg.cond(few) < 100, "with fewer rows than dimensions it is held in"


@pytest.fixture(scope="module", params=HEADS)
def simclr(request):
    return SimCLR(head=request.param, epochs=15, lr=5e-3, hidden=[64, 32], random_state=0).fit(X)


def test_each_head_finds_rows_that_break_a_relation(simclr):
    assert auc(simclr.decision_function(X[100:]), simclr.decision_function(BROKEN)) > 0.9, (
        simclr.head
    )


def test_each_head_scores_as_it_says(simclr):
    net = simclr.network_
    x = torch.tensor((X[:20] - simclr.center_) / simclr.scale_)
    with torch.no_grad():
        z = net.encoder(x).numpy()
    if simclr.head == "mahalanobis":
        inverse = net.whitening.numpy() @ net.whitening.numpy().T
        away = z - net.middle.numpy()
        expected = np.einsum("ni,ij,nj->n", away, inverse, away)
    else:
        learnt = int(near(X).sum())
        kept = np.unique(net.reference.numpy(), axis=0)
        assert simclr.n_reference_ == len(kept) == learnt - int(0.1 * learnt)
        away = np.linalg.norm(z[:, None] - net.reference.numpy()[None], axis=2)
        expected = np.sort(away, axis=1)[:, 4]
        if simclr.head == "svdd":
            kernel = np.exp(-10 * away**2 / (32 * net.reference.numpy().var()))
            expected = 1 - kernel @ net.weight.numpy()
    np.testing.assert_allclose(simclr.decision_function(X[:20]), expected, rtol=1e-6)


def test_each_head_is_exported(simclr, tmp_path):
    pytest.importorskip("onnxscript")
    if simclr.head == "knn":
        pytest.skip("exported with windows below")
    assert simclr.to_onnx(tmp_path / "m.onnx", rows=X[:50])["difference"] < 1e-4


# -- series ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
def test_a_change_of_shape_in_one_channel_is_found_and_placed(head, tmp_path):
    t = np.arange(900)
    series = np.column_stack([np.sin(t / 4), np.cos(t / 5)]) + RNG.normal(0, 0.05, (900, 2))
    plan = {"window": 24, "epochs": 4, "lr": 5e-3, "stride": 2, "random_state": 0}
    detector = SimCLRSeries(head=head, **plan).fit(series)
    odd = series.copy()
    odd[500:524, 1] = np.sign(np.sin(t[500:524] * 1.5))
    scores = detector.decision_function(odd)
    assert 480 < scores.argmax() < 544
    why = detector.explain(odd)
    assert (why.values[505:520].argmax(axis=1) == 1).all()
    np.testing.assert_allclose(why.values.sum(axis=1), why.total, rtol=1e-9)
    if head == "knn":
        pytest.importorskip("onnxscript")
        windows = np.stack([series[i : i + 24] for i in range(30)])
        assert detector.to_onnx(tmp_path / "m.onnx", rows=windows)["difference"] < 1e-4


# -- ICL ------------------------------------------------------------------------------------------


def icl(d=6, window=2, n_permutations=2):
    torch.manual_seed(0)
    plan = {"units": 8, "temperature": 0.1, "dropout": 0.0, "n_permutations": n_permutations}
    return ICLNetwork(d, window, **plan).double().eval()


@torch.no_grad()
def test_icl_is_the_loss_of_the_paper_written_out():
    net, row = icl(), torch.tensor(X[:1])
    total = 0.0
    for pair, order in zip(net.pairs, net.orders.tolist(), strict=True):
        assert sorted(order) == list(range(6))
        x = X[0, order]
        runs = [x[j : j + 2] for j in range(5)]
        rests = [np.delete(x, [j, j + 1]) for j in range(5)]
        g = pair.of_run(torch.tensor(np.array([runs])))[0].numpy()
        f = pair.of_rest(torch.tensor(np.array([rests])))[0].numpy()
        g, f = (v / np.linalg.norm(v, axis=0) for v in (g, f))
        g, f = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (g, f))
        for j in range(5):
            likeness = np.exp(f[j] @ g.T / 0.1)
            total -= np.log(likeness[j] / likeness.sum())
    assert float(net.score(row)) == pytest.approx(total / 10)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_runs_and_rests_share_out_the_columns(window):
    pair = icl(6, window, 1).pairs[0]
    assert len(pair.runs) == 6 - window + 1
    for run, rest in zip(pair.runs.tolist(), pair.rests.tolist(), strict=True):
        assert sorted(run + rest) == list(range(6))
        assert run == list(range(run[0], run[0] + window))


def test_icl_finds_rows_that_break_a_relation_between_columns():
    plan = {"n_permutations": 2, "units": 32, "epochs": 15, "lr": 1e-2, "batch_size": 64}
    detector = ICL(**plan, random_state=0).fit(X)
    assert auc(detector.decision_function(X[100:]), detector.decision_function(BROKEN)) > 0.95
    free = RNG.permuted(X, axis=0)
    lone = ICL(**plan, random_state=0).fit(free)
    assert lone.history_["held_out"][-1] > 1.5 * detector.history_["held_out"][-1], "no relation"


def test_orders_of_columns_are_as_many_as_the_authors_take():
    assert ICL(epochs=1, units=4, batch_size=400, random_state=0).fit(X).n_permutations_ == 9
    wide = np.tile(X, 5)[:60]
    with pytest.warns(UserWarning, match="few for a network"):
        assert ICL(epochs=1, units=4, random_state=0).fit(wide).n_permutations_ == 3


def test_a_single_column_says_nothing_to_icl():
    scores = ICL(epochs=1, random_state=0).fit(X[:, :1]).decision_scores_
    np.testing.assert_allclose(scores, np.log(2))


# -- NeuTraL AD -----------------------------------------------------------------------------------


def neutral(transformation="multiplicative", k=4):
    torch.manual_seed(0)
    plan = {"width": 8, "n_transformations": k, "temperature": 0.2, "dropout": 0.0}
    return NeuTraLNetwork([6, 12, 5], transformation=transformation, **plan).double()


@torch.no_grad()
@pytest.mark.parametrize("transformation", ["multiplicative", "residual", "feed_forward"])
def test_neutral_ad_is_the_loss_of_the_paper_written_out(transformation):
    net, x = neutral(transformation), torch.tensor(X[:3])
    scores = []
    for row in x:
        views = []
        for k in range(4):
            mask = torch.relu(row @ net.inner[k]) @ net.outer[k]
            made = {"multiplicative": row * torch.sigmoid(mask), "residual": row + mask}
            views.append(made.get(transformation, mask))
        z = [net.encoder(v).numpy() for v in (row, *views)]
        z = [v / np.linalg.norm(v) for v in z]
        total = 0.0
        for k in range(1, 5):
            h = [np.exp(z[k] @ z[other] / 0.2) for other in range(5)]
            total -= np.log(h[0] / (sum(h) - h[k]))
        scores.append(total / (4 * np.log(4)))
    np.testing.assert_allclose(net.score(x), scores, rtol=1e-9)


def test_views_become_diverse_and_stay_like_the_row():
    detector = NeuTraLAD(epochs=15, lr=5e-3, random_state=0).fit(X)
    torch.manual_seed(0)
    fresh = detector.bare_network().double()
    for parameter in fresh.parameters():
        torch.nn.init.kaiming_uniform_(parameter.data, a=5**0.5)
    x = torch.tensor((X - detector.center_) / detector.scale_)
    among, to_row = {}, {}
    for name, net in (("fresh", fresh), ("learnt", detector.network_)):
        with torch.no_grad():
            z = torch.nn.functional.normalize(net.encoder(net.views(x)), dim=2)
            row = torch.nn.functional.normalize(net.encoder(x), dim=1)
        cosines = (z @ z.transpose(1, 2))[:, ~torch.eye(11, dtype=torch.bool)]
        among[name], to_row[name] = float(cosines.mean()), float((z @ row[:, :, None]).mean())
    assert among["learnt"] < among["fresh"] - 0.2, "views are kept apart"
    assert to_row["learnt"] > among["learnt"] + 0.2, "views are nearer to the row than to others"
    # All alike the loss is log K a view and more, which is one in the units of the score.
    assert np.median(detector.decision_scores_) < 0.95


def test_neutral_ad_finds_rows_that_break_a_relation_between_columns():
    detector = NeuTraLAD(epochs=20, lr=5e-3, random_state=0).fit(X)
    assert auc(detector.decision_function(X[100:]), detector.decision_function(BROKEN)) > 0.95


def test_residual_views_are_blind_to_length_and_multiplicative_ones_are_not():
    rows = torch.tensor(X[:10])
    with torch.no_grad():
        for kind in ("residual", "feed_forward"):
            net = neutral(kind)
            torch.testing.assert_close(net.score(3 * rows), net.score(rows))
        net = neutral("multiplicative")
        assert not torch.allclose(net.score(3 * rows), net.score(rows))


@pytest.mark.parametrize(
    "detector", [ICL(n_permutations=1, units=8, epochs=1), NeuTraLAD(n_transformations=3, epochs=1)]
)
def test_scores_are_equal_in_onnxruntime(detector, tmp_path):
    pytest.importorskip("onnxscript")
    detector.set_params(random_state=0).fit(X).to_onnx(tmp_path / "m.onnx", rows=X[:50])


# -- what is learnt from --------------------------------------------------------------------------


def test_far_rows_are_not_learnt_from_but_a_tenth_at_most():
    rows = np.random.default_rng(0).normal(size=(500, 3))
    assert near(rows).all(), "usual tails are not far out"
    rows[:20, 1] = 30.0
    assert not near(rows)[:20].any()
    assert near(rows)[20:].all()
    rows[:200, 2] = RNG.normal(0, 1e6, 200)
    assert near(rows).mean() >= 0.9
    flags = np.zeros((500, 1))
    flags[:5] = 1.0
    assert near(flags).all(), "of a column that hardly varies no value is far out"
