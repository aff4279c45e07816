"""Network detectors by their settings: going on, devices, precision, data left on disk."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from awry.core import progress  # noqa: E402
from awry.core.params import ParameterError  # noqa: E402
from awry.detectors import (  # noqa: E402
    DAGMM,
    VAE,
    AutoEncoder,
    DeepSAD,
    DeepSVDD,
    DevNet,
    Distilled,
    PReNet,
)
from awry.detectors._rows import moments, standards  # noqa: E402
from awry.nn.checkpoint import seed_of  # noqa: E402
from awry.nn.data import Moments, fair_sample  # noqa: E402
from awry.nn.device import best_device, out_of_memory  # noqa: E402

X = np.random.default_rng(0).normal(size=(200, 4))
Y = np.repeat([1, -1], [8, 192])
QUICK = {"hidden": [6], "epochs": 5, "device": "cpu"}


def killed(detector, words, epoch):
    """``detector`` stopped after an epoch of what progress names by ``words``."""

    def listen(what, done, total):
        if what.startswith(words) and done == epoch:
            raise KeyboardInterrupt

    with progress.listening(listen), pytest.raises(KeyboardInterrupt):
        detector.fit(X, Y)


def assert_same_weights(one, other):
    assert one.weights_.keys() == other.weights_.keys()
    for name, weight in one.weights_.items():
        np.testing.assert_array_equal(weight, other.weights_[name])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda **k: AutoEncoder(dropout=0.2, **k), "autoencoder: train ·"),
        (DeepSVDD, "deep_svdd: autoencoder: train ·"),
        (DeepSAD, "deep_sad: train ·"),
        (DevNet, "devnet: train ·"),
        (PReNet, "prenet: train ·"),
        (lambda **k: Distilled("knn", **k), "distilled: train ·"),
    ],
)
def test_a_detector_without_a_seed_goes_on_from_its_checkpoint(make, words, tmp_path):
    path = tmp_path / "run.ckpt"
    settings = {**QUICK, "checkpoint": str(path)}
    killed(make(**settings), words, 2)
    seed = seed_of(path)
    assert path.exists() != ("autoencoder: " in words and "svdd" in words)
    told = []
    with progress.listening(lambda what, done, total: told.append((what, done))):
        resumed = make(**settings).fit(X, Y)
    # It did go on: what was learnt is not learnt again.
    assert min(done for what, done in told if what.startswith(words)) == 3
    assert_same_weights(resumed, make(**QUICK, random_state=seed).fit(X, Y))
    assert not list(tmp_path.iterdir())


def test_pretraining_has_the_settings_of_the_training(monkeypatch):
    from awry.nn.trainer import Trainer

    plans, fit = [], Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda self, *a: plans.append(self) or fit(self, *a))
    given = {
        "lr": 2e-3, "weight_decay": 0.0, "schedule": "plateau", "clip": 1.0, "patience": 3,
        "validation_fraction": 0.2, "precision": "bf16", "device": "cpu",
    }  # fmt: skip
    DeepSVDD(hidden=[4], epochs=1, pretrain_epochs=2, random_state=7, **given).fit(X)
    first, second = plans
    assert (first.epochs, second.epochs) == (2, 1)
    for name, value in {**given, "seed": 7}.items():
        assert getattr(first, name) == getattr(second, name) == value


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:0", "nonsense", "tpu", "mps", ""):
        words = f"autoencoder: device must be one of 'auto', 'cpu', got '{name}'; torch finds no"
        with pytest.raises(ParameterError, match=words):
            AutoEncoder(**{**QUICK, "device": name}).fit(X)
    assert best_device().type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert best_device() == torch.device("cuda")
    assert best_device("cuda:1") == torch.device("cuda:1")
    known = "device must be one of 'auto', 'cuda', 'cuda:0', 'cuda:1', 'cpu', got 'cuda:2'$"
    with pytest.raises(ParameterError, match=known):
        best_device("cuda:2")


def test_a_lack_of_memory_is_known_on_every_device():
    for words in (
        "MPS backend out of memory (MPS allocated: 17.9 GB, other allocations: 1.2 GB)",
        "CUDA error: out of memory",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
    ):
        assert out_of_memory(RuntimeError(words))
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_precision_may_be_a_number_of_bits():
    one, other = (AutoEncoder(precision=p, random_state=0, **QUICK).fit(X) for p in (32, "32"))
    assert_same_weights(one, other)
    AutoEncoder(precision=16).check_params()
    for wrong in (64, 32.0, "64", True):
        with pytest.raises(ParameterError, match="precision must be one of '32', '16', 'bf16'"):
            AutoEncoder(precision=wrong).check_params()


# -- data that stays on disk ----------------------------------------------------------------------

N, D = 101_000, 50


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """Files of 40 and 20 MB by type, which are mapped into memory and not written to."""
    rng, where = np.random.default_rng(0), tmp_path_factory.mktemp("rows")
    files = {}
    for kind in (np.float64, np.float32):
        path = where / f"{np.dtype(kind)}.npy"
        written = np.lib.format.open_memmap(path, "w+", kind, (N, D))
        for start in range(0, N, 1000):
            written[start : start + 1000] = rng.normal(3.0, 2.0, size=(1000, D))
        written.flush()
        files[kind] = np.load(path, mmap_mode="r")
    return files


class Largest(TorchDispatchMode):
    """Notes the numbers in the largest tensor that is made inside."""

    most = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.most = max(self.most, out.numel())
        return out


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (np.float32, AutoEncoder),
        (np.float64, lambda **k: VAE(n_draws=1, **k)),
        (np.float64, DAGMM),
        (np.float64, lambda **k: DeepSVDD(boundary="soft", pretrain_epochs=1, **k)),
    ],
)
def test_rows_on_disk_are_not_copied_whole(on_disk, kind, make):
    rows = on_disk[kind]
    detector = make(hidden=[4], epochs=1, batch_size=2048, device="cpu", random_state=0)
    tracemalloc.start()
    try:
        with Largest() as seen:
            detector.fit(rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12e6 < N * D * 4
    assert seen.most < N * D / 10
    np.testing.assert_allclose(detector.center_, rows.mean(axis=0, dtype=np.float64), rtol=1e-9)
    part = np.array(rows[:500], dtype=np.float64)
    np.testing.assert_allclose(
        detector.decision_function(part), detector.decision_scores_[:500], rtol=1e-9
    )


def test_means_and_spreads_join_over_parts():
    rows = np.random.default_rng(1).normal(1e6, [1.0, 5.0, 0.0], size=(200_000, 3))
    mean, spread = moments(rows)
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(spread, rows.std(axis=0), rtol=1e-9, atol=1e-8)
    assert standards(rows)[1][2] == 1e6
    few = rows[:1000]
    np.testing.assert_array_equal(moments(few), (few.mean(axis=0), few.std(axis=0)))


def test_weighed_moments_join_over_parts():
    rng = np.random.default_rng(2)
    z, w = rng.normal(1e3, 1.0, size=(500, 3)), rng.random((500, 2))
    found = Moments()
    for part in np.array_split(np.arange(500), 7):
        found.add(torch.tensor(z[part]), torch.tensor(w[part]))
    for k in range(2):
        np.testing.assert_allclose(found.mean[k], np.average(z, axis=0, weights=w[:, k]))
        expected = np.cov(z.T, aweights=w[:, k], ddof=0)
        np.testing.assert_allclose(found.covariance[k], expected, rtol=1e-8, atol=1e-10)
    assert found.n == 500


def test_a_sample_of_rows_is_fair():
    torch.manual_seed(0)
    drawn = torch.stack([fair_sample(torch.arange(60).split(7), 12) for _ in range(2000)])
    assert all(len(set(draw.tolist())) == 12 for draw in drawn[:50])
    counts = torch.bincount(drawn.flatten(), minlength=60).double()
    # Each of 60 rows in one of five draws: 400, with a standard deviation of 18.
    assert (counts - 400).abs().max() < 90
