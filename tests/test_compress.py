"""Pruned and distilled detectors: near to what they come from, smaller, and whole detectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from awry import io
from awry.core.params import ParameterError
from awry.detectors import KNN, VAE, AutoEncoder, DeepSAD, DeepSVDD, DevNet, Distilled, PReNet
from awry.detectors.compress import distil, prune
from awry.nn.export import run_onnx

D = 8


@pytest.fixture(scope="module")
def rows():
    """Rows on a bent surface, new ones, some of which leave it, and their labels."""
    rng = np.random.default_rng(0)

    def surface(n):
        a, b = rng.uniform(-2, 2, size=(2, n))
        X = np.column_stack([a, b, a**2, a * b, b**2, a + b, a - b, np.sin(a)])
        # Some noisier than others, so that an order of the normal rows means something.
        return X + rng.normal(0, 1, (n, D)) * rng.uniform(0.02, 0.6, (n, 1))

    new = surface(500)
    new[:50] += rng.normal(0, 1.5, (50, D))
    return surface(1000), new, np.repeat([1, 0], [50, 450])


@pytest.fixture(scope="module")
def whole(rows):
    return AutoEncoder(hidden=[64, 32], epochs=25, lr=5e-3, random_state=0).fit(rows[0])


def near(one, other, X):
    return spearmanr(one.decision_function(X), other.decision_function(X))[0]


def weights(detector):
    return sum(w.size for w in detector.weights_.values() if w.ndim > 1)


def test_half_the_weights_go_and_the_order_stays(rows, whole):
    X, new, _ = rows
    before = {name: w.copy() for name, w in whole.weights_.items()}
    lean = prune(whole, 0.5, X=X, epochs=10)
    layers = [w for w in lean.weights_.values() if w.ndim == 2]
    zero = sum((w == 0).sum() for w in layers) / sum(w.size for w in layers)
    assert zero == pytest.approx(0.5, abs=1e-3)
    assert near(whole, lean, new) > 0.95
    # The smallest are those that went: with no learning after, the others are untouched.
    bare = prune(whole, 0.5)
    kept = [np.abs(before[k][w != 0]) for k, w in bare.weights_.items() if w.ndim == 2]
    gone = [np.abs(before[k][w == 0]) for k, w in bare.weights_.items() if w.ndim == 2]
    assert max(map(np.max, gone)) <= min(map(np.min, kept))
    assert near(whole, lean, new) > near(whole, bare, new)
    # What it came from is as it was; its file is larger, zeros taking no room.
    assert all(np.array_equal(before[name], w) for name, w in whole.weights_.items())
    assert len(io.dumps(lean)) < 0.85 * len(io.dumps(whole))


def test_the_threshold_follows_the_pruned_scores(rows, whole):
    X = rows[0]
    lean, bare = prune(whole, 0.9, X=X), prune(whole, 0.9)
    np.testing.assert_array_equal(lean.decision_scores_, lean.decision_function(X))
    assert lean.threshold_ != whole.threshold_ == bare.threshold_
    assert lean.labels_.mean() < 0.2 < bare.predict(X).mean()


@pytest.mark.parametrize("make", [AutoEncoder, DeepSVDD])
def test_units_are_taken_out_for_good(rows, whole, make, tmp_path):
    X, new, y = rows
    if make is DeepSVDD:
        whole = make(hidden=[64, 32], epochs=6, pretrain_epochs=4, random_state=0).fit(X)
    lean = prune(whole, 0.5, X=X, structured=True, epochs=8)
    assert lean.hidden == [32, 16]
    assert weights(lean) < 0.5 * weights(whole)
    assert len(io.dumps(lean)) < 0.7 * len(io.dumps(whole))
    auc = [roc_auc_score(y, detector.decision_function(new)) for detector in (whole, lean)]
    assert auc[1] > auc[0] - 0.15 > 0.7
    again = io.loads(io.dumps(lean))
    np.testing.assert_array_equal(again.decision_function(new), lean.decision_function(new))
    assert lean.to_onnx(tmp_path / "lean.onnx")["difference"] < 1e-4


def test_units_that_say_nothing_can_go_without_loss(rows, whole):
    """A unit whose output is multiplied by zero is the one that goes, whatever leads into it."""
    silent = io.loads(io.dumps(whole))
    silent.weights_ = {name: w.copy() for name, w in whole.weights_.items()}
    places = [name for name, w in silent.weights_.items() if w.ndim == 2]
    for name in places:
        units = silent.weights_[name].shape[1]
        if units in (64, 32):
            silent.weights_[name][:, : units // 2] = 0.0
    lean = prune(silent, 0.5, structured=True)
    np.testing.assert_allclose(
        lean.decision_function(rows[1]), silent.decision_function(rows[1]), rtol=1e-9
    )


def test_what_the_network_measured_is_measured_anew(rows):
    X = rows[0]
    whole = DeepSVDD(boundary="soft", nu=0.2, hidden=[16], epochs=4, random_state=0).fit(X)
    lean = prune(whole, 0.5, X=X)
    assert lean.weights_["radius"] != whole.weights_["radius"]
    assert (lean.decision_function(X) > 0).mean() == pytest.approx(0.2, abs=0.02)
    np.testing.assert_array_equal(lean.weights_["center"], whole.weights_["center"])


def test_what_cannot_be_pruned_is_said(rows, whole):
    X = rows[0]
    with pytest.raises(ValueError, match="structured pruning takes units out of an encoder"):
        prune(VAE(hidden=[8], epochs=1, random_state=0).fit(X), structured=True)
    with pytest.raises(ParameterError, match="epochs must be 0 without X"):
        prune(whole, epochs=3)
    for amount in (0, 1.0, "half"):
        with pytest.raises(ParameterError, match=r"prune: amount must be a number > 0 and < 1"):
            prune(whole, amount)


def test_a_small_network_learns_the_order_of_a_large_one(rows, tmp_path):
    X, new, y = rows
    teacher = AutoEncoder(hidden=[128, 64], epochs=15, lr=5e-3, random_state=0).fit(X)
    small = distil(teacher, X, epochs=30, lr=5e-3, random_state=0)
    assert near(teacher, small, new) > 0.9
    assert weights(small) < 0.15 * weights(teacher)
    assert len(io.dumps(small)) < 0.3 * len(io.dumps(teacher))
    auc = [roc_auc_score(y, detector.decision_function(new)) for detector in (teacher, small)]
    assert auc[1] > auc[0] - 0.05
    # Neither its file nor its parameters hold the teacher's weights.
    assert not hasattr(small.teacher, "weights_")
    again = io.loads(io.dumps(small))
    np.testing.assert_array_equal(again.decision_function(new), small.decision_function(new))
    assert small.to_onnx(tmp_path / "small.onnx")["difference"] < 1e-4
    assert (
        spearmanr(run_onnx(tmp_path / "small.onnx", new), small.decision_function(new))[0] > 0.999
    )


def test_made_up_rows_teach_what_lies_off_the_training_rows(rows):
    """Without them a network knows nothing of where no row was."""
    X, new, _ = rows
    teacher = KNN().fit(X)
    off = np.random.default_rng(1).permuted(new, axis=0)
    with_, without = (
        distil(teacher, X, augmentation=m, epochs=20, lr=5e-3, random_state=0) for m in (2, 0)
    )
    assert near(teacher, with_, off) > 0.85 > 0.75 > near(teacher, without, off)


def test_a_fitted_teacher_is_asked_as_it_is(rows):
    X = rows[0]
    teacher = KNN(n_neighbors=3).fit(X[:200])
    student = Distilled(teacher=teacher, epochs=1, random_state=0).fit(X)
    assert len(teacher.decision_scores_) == 200
    assert student.teacher is teacher
    with pytest.raises(ValueError, match="teacher must score new rows"):
        Distilled(teacher="sub_pca").fit(X)


@pytest.mark.parametrize("make", [DevNet, PReNet])
@pytest.mark.parametrize("epochs", [0, 6])
def test_detectors_that_learn_from_labels_learn_on_from_them(make, epochs):
    X, y, truth = few_labels()
    whole = make(hidden=[16], epochs=30, lr=1e-2, random_state=0).fit(X, y)
    lean = prune(whole, 0.3, X=X, y=y, epochs=epochs)
    assert roc_auc_score(truth, lean.decision_scores_) > 0.85
    np.testing.assert_array_equal(lean.decision_scores_, lean.decision_function(X))
    with pytest.raises(ParameterError, match=rf"labels of X, from which {make.__name__} learns"):
        prune(whole, 0.3, X=X, epochs=epochs)
    with pytest.raises(ValueError, match=f"{make.__name__}: y must hold at least one anomaly"):
        prune(whole, 0.3, X=X, y=np.zeros(len(X)), epochs=epochs)
    with pytest.raises(ParameterError, match="y must be None without X"):
        prune(whole, 0.3, y=y)


def test_deep_sad_learns_on_from_its_labels():
    X, y, truth = few_labels()
    whole = DeepSAD(eta=20.0, epochs=30, pretrain_epochs=5, random_state=0).fit(X, y)
    told, untold = (
        prune(whole, 0.3, X=X, y=labels, epochs=20) for labels in (y, np.full(len(y), -1))
    )
    aucs = [roc_auc_score(truth, lean.decision_scores_) for lean in (told, untold)]
    assert aucs[0] > 0.85
    assert aucs[0] > aucs[1] + 0.05
    prune(whole, 0.3, X=X)  # nothing is learnt, and nothing measured by labels
    with pytest.raises(ParameterError, match="y must hold the labels of X"):
        prune(whole, 0.3, X=X, epochs=2)


def test_a_threshold_set_by_labels_is_set_anew_by_them(rows):
    new, y = rows[1:]
    whole = AutoEncoder(hidden=[16], epochs=3, contamination="f1", random_state=0).fit(new, y)
    assert prune(whole, 0.9, X=new).threshold_ == whole.threshold_
    assert prune(whole, 0.9, X=new, y=y).threshold_ != whole.threshold_


def test_a_distilled_network_learns_on_from_what_it_said(rows):
    X, new, _ = rows
    small = distil(KNN().fit(X), X, epochs=20, lr=5e-3, random_state=0)
    bare, lean = prune(small, 0.7), prune(small, 0.7, X=X, epochs=15)
    assert near(small, lean, new) > max(0.9, near(small, bare, new))


def few_labels():
    """Rows with anomalies that lie among the rest, of which a few are labelled."""
    rng = np.random.default_rng(1)
    X = np.vstack([rng.normal(size=(400, 4)), rng.normal(size=(60, 4)) * 0.5 + [1.5, 1.5, 0, 0]])
    truth = np.repeat([0, 1], [400, 60])
    y = np.full(460, -1)
    y[400:410] = 1
    return X, y, truth
