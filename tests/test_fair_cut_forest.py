"""Fair-cut forest."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from awry import io
from awry.checks import check_detector
from awry.core.errors import ModelError
from awry.detectors.tabular.fair_cut_forest import FairCutForest
from awry.detectors.tabular.isolation_forest import IsolationForest


@pytest.mark.parametrize("ndim", [1, 3])
def test_it_keeps_the_promises_of_a_detector(ndim):
    check_detector(FairCutForest(ndim=ndim))


def small_cluster(rng):
    X = rng.normal(size=(2000, 3))
    X[:30] = 2.2 + 0.2 * rng.normal(size=(30, 3))
    return X, np.arange(2000) < 30


def rows_between_clusters(rng):
    places = np.array([(a, b) for a in (0, 10, 20) for b in (0, 10, 20)])
    X = np.repeat(places, 220, axis=0) + rng.normal(size=(1980, 2))
    X[:20] = rng.choice([5.0, 15.0], size=(20, 2)) + 0.3 * rng.normal(size=(20, 2))
    return X, np.arange(1980) < 20


@pytest.mark.parametrize("scene", [small_cluster, rows_between_clusters])
def test_what_an_isolation_forest_half_sees_is_found(scene):
    X, y = scene(np.random.default_rng(0))
    fair, plain = (
        roc_auc_score(y, cls(random_state=0).fit(X).decision_scores_)
        for cls in (FairCutForest, IsolationForest)
    )
    assert fair > 0.999 > 0.997 > plain


def test_units_of_columns_do_not_matter():
    X = np.random.default_rng(0).normal(size=(500, 4))
    scores = FairCutForest(random_state=0).fit(X).decision_scores_
    other = FairCutForest(random_state=0).fit(X * [1e-6, 1.0, 1e3, 1e6] + 3.0).decision_scores_
    np.testing.assert_allclose(scores, other, rtol=1e-9)


def test_contributions_name_the_planted_column():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 10))
    X[:30, 4] += 8.0
    why = FairCutForest(random_state=0).fit(X).explain(X[:30])
    assert (why.values.argmax(axis=1) == 4).all()


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("origin", lambda a: a[:-1]),
        ("weight", lambda a: a[:, :1]),
        ("feature", lambda a: a + np.uint32(2)),
        ("left", lambda a: a + np.uint32(1)),
    ],
)
def test_a_model_whose_planes_lead_astray_is_refused(field, change):
    detector = FairCutForest(n_estimators=3, random_state=0).fit(np.eye(8)[:, :3])
    array = change(getattr(detector.forest_, field))
    detector.forest_ = detector.forest_._replace(**{field: array})
    with pytest.raises(ModelError, match="trees"):
        io.loads(io.dumps(detector))
