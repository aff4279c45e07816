"""LUNAR: distances from neighbours, made-up rows, local and global anomalies."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry.detectors.tabular._neighbors import NeighborSearch  # noqa: E402
from awry.detectors.tabular.lunar import LUNAR  # noqa: E402
from awry.nn.lunar import LunarNetwork  # noqa: E402

RNG = np.random.default_rng(0)
#: A dense cluster and a sparse one.
X = np.vstack([RNG.normal(0, 0.2, (300, 2)), RNG.normal(8, 1.5, (300, 2))])


def network(rows=X, **settings):
    plan = {"n_neighbors": 5, "width": 8, "output": "weights", "negatives": "mixed"}
    return LunarNetwork(torch.tensor(rows), epsilon=0.1, dropout=0.0, **{**plan, **settings})


@pytest.fixture(scope="module", params=["weights", "score"])
def fitted(request):
    settings = {"n_neighbors": 10, "width": 32, "weight_decay": 1e-3, "lr": 5e-3}
    settings["output"] = request.param
    return LUNAR(epochs=30, random_state=0, **settings).fit(X)


def test_distances_are_those_of_the_exact_search_without_the_row_itself():
    rows = np.vstack([X, X[:3]])  # three rows come twice
    new = np.vstack([rows, RNG.normal(3, 4, (50, 2))])
    found, _ = NeighborSearch(5).fit(rows).query(new)
    got = network(rows).distances(torch.tensor(new)).numpy()
    np.testing.assert_allclose(got, np.maximum(found, 1e-6), rtol=1e-9, atol=1e-9)


def test_no_more_neighbours_than_there_are():
    few = network(X[:4], n_neighbors=100)
    assert few.distances(torch.tensor(X)).shape == (600, 3)


def test_made_up_rows_are_of_their_kind():
    torch.manual_seed(0)
    rows = torch.tensor(X).repeat(20, 1)
    span = X.max(axis=0) - X.min(axis=0)
    uniform = network(negatives="uniform").made_up(rows).numpy()
    assert (uniform >= X.min(axis=0) - 0.1 * span).all()
    np.testing.assert_allclose(np.ptp(uniform, axis=0), 1.2 * span, rtol=0.01)
    moved = (network(negatives="subspace").made_up(rows) - rows).numpy()
    assert (moved != 0).mean() == pytest.approx(0.3, abs=0.02)
    assert moved[moved != 0].std() == pytest.approx(0.1, rel=0.05)
    mixed = (network().made_up(rows) - rows).numpy()
    far = (np.abs(mixed) > 0.6).all(axis=1)
    assert 0.3 < far.mean() < 0.5


def test_what_is_far_from_both_clusters_is_found(fitted):
    empty = RNG.uniform([3, -2], [5, 0], (40, 2))
    y = np.repeat([0, 1], [600, 40])
    assert roc_auc_score(y, fitted.decision_function(np.vstack([X, empty]))) > 0.95


def test_scores_rise_with_the_distances(fitted):
    steps = np.column_stack([np.linspace(0.001, 4, 9), np.zeros(9)])
    scores = fitted.decision_function(steps)
    assert (np.diff(scores[:7]) > 0).all(), scores


def test_a_weighted_distance_lies_between_the_nearest_and_the_farthest():
    net = network().eval()
    distances = net.distances(torch.tensor(X, dtype=torch.float32))
    with torch.no_grad():
        weights = net.net(distances)
        # Running means of 0 and variances of 1: the normalisation has learnt nothing yet.
        far = net.score(torch.tensor(X, dtype=torch.float32)) * (1 + net.norm.eps) ** 0.5
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(X)))
    assert (far >= distances[:, 0] - 1e-6).all()
    assert (far <= distances[:, -1] + 1e-6).all()


def test_training_rows_are_judged_by_the_others(fitted):
    near = fitted.decision_function(X + 1e-9)
    # A row beside itself has a neighbour more at no distance, and looks more normal.
    assert np.median(fitted.decision_scores_ - near) > 0


def test_the_training_rows_are_kept_once(fitted):
    assert "reference" not in fitted.weights_
    assert fitted.reference_.shape == X.shape


def test_scores_are_equal_in_onnxruntime(fitted, tmp_path):
    pytest.importorskip("onnxscript")
    fitted.to_onnx(tmp_path / "m.onnx")
