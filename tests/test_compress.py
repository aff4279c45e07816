"""Pruned and distilled detectors: near to what they come from, smaller, and whole detectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from awry import io
from awry.core.params import ParameterError
from awry.detectors import KNN, VAE, AutoEncoder, DeepSVDD, Distilled
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
