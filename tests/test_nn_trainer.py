"""The trainer: repeatable, resumable, careful with memory, and clear about what goes wrong."""

from __future__ import annotations

import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from awry.core import progress  # noqa: E402
from awry.core.errors import ModelError  # noqa: E402
from awry.nn.autoencoder import AutoEncoderNetwork  # noqa: E402
from awry.nn.data import make_source  # noqa: E402
from awry.nn.device import few_threads, seeded  # noqa: E402
from awry.nn.network import Network  # noqa: E402
from awry.nn.scoring import integrated_gradients, score_batches  # noqa: E402
from awry.nn.trainer import NonFiniteLossError, Trainer  # noqa: E402
from awry.report.losses import loss_chart  # noqa: E402

X = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
PLAN = {"epochs": 4, "batch_size": 16, "device": "cpu"}


class Line(Network):
    """y = w x by least squares, with dropout so that randomness matters."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(3))
        self.drop = torch.nn.Dropout(0.3)

    def loss(self, batch):
        return ((self.drop(batch[0]) @ self.w - batch[0].sum(dim=1)) ** 2).mean()


class Walker(Network):
    """One weight that walks a step a batch, whatever the data."""

    def __init__(self, target=3.0, steps=1.0):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(()))
        self.target, self.steps = target, steps

    def optimiser(self, part, parameters, lr, weight_decay):
        return torch.optim.SGD(parameters, lr=1.0)

    def loss(self, batch):
        return -self.steps * self.w

    def held_out(self, batch):
        return (self.w - self.target) ** 2


def train(network, data=X, **plan):
    return Trainer(**{**PLAN, **plan}).fit(network, data)


def small_autoencoder():
    with seeded(0):
        return AutoEncoderNetwork([3, 8, 2], activation="relu", batch_norm=True, dropout=0.2)


def weights(network):
    return [v.clone() for v in network.state_dict().values()]


def assert_same(first, second):
    for a, b in zip(weights(first), weights(second), strict=True):
        assert torch.equal(a, b)


def test_it_learns_and_keeps_a_history():
    network = Line()
    history = train(network, epochs=40, lr=0.1)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert network.w.detach().min() > 0.5
    assert len(history["held_out"]) == len(history["loss"]) == len(history["lr"])
    page = loss_chart(history).html()
    assert "weights kept" in page
    assert "held-out rows" in page


def test_the_same_seed_gives_the_same_bits_and_leaves_the_callers_random_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = (small_autoencoder() for _ in range(3))
    train(first)
    train(second)
    train(other, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first, second)
    assert not torch.equal(weights(first)[0], weights(other)[0])


def test_early_stopping_restores_the_best_weights():
    network = Walker(target=7.0)
    # 81 rows learn in batches of 81: one step of 1 an epoch; held-out loss is least at 7.
    history = train(network, batch_size=100, epochs=50, patience=3, schedule=None)
    assert network.w.item() == 7.0
    assert len(history["loss"]) == 10
    chart_epoch = int(np.argmin(history["held_out"])) + 1
    assert chart_epoch == 7


def test_without_a_held_out_part_all_epochs_run_on_all_rows():
    network = Walker(target=-100.0)
    plan = {"patience": 2, "validation_fraction": 0.0, "schedule": None}
    history = train(network, batch_size=90, epochs=12, **plan)
    assert network.w.item() == 12.0
    assert "held_out" not in history


def test_gradients_are_clipped():
    network = Walker(steps=1e6)
    train(network, batch_size=100, epochs=1, clip=0.25, validation_fraction=0.0)
    assert network.w.item() == pytest.approx(0.25)


def test_schedules():
    cosine = train(Line(), lr=0.1, patience=99)["lr"]
    np.testing.assert_allclose(cosine, 0.05 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    worse = Walker(target=-1.0)
    rates = train(worse, batch_size=100, epochs=9, patience=8, schedule="plateau")["lr"]
    # The first epoch is the best; after 4 that are no better the rate halves.
    assert rates == [1.0] * 5 + [0.5] * 4


def test_a_killed_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    class Killed(AutoEncoderNetwork):
        def on_epoch(self, epoch, epochs):
            if epoch == 4:
                raise KeyboardInterrupt

    style = {"activation": "relu", "batch_norm": True, "dropout": 0.2}
    plan = {"epochs": 7, "checkpoint": str(tmp_path / "run.ckpt"), "schedule": "plateau"}
    whole, resumed = small_autoencoder(), small_autoencoder()
    history = train(whole, **{**plan, "checkpoint": None})
    with seeded(0):
        killed = Killed([3, 8, 2], **style)
    with pytest.raises(KeyboardInterrupt):
        train(killed, **plan)
    assert (tmp_path / "run.ckpt").exists()
    with pytest.raises(ModelError, match="other data or settings"):
        train(small_autoencoder(), X + 1, **plan)
    with pytest.raises(ModelError, match="other data or settings"):
        train(small_autoencoder(), **{**plan, "lr": 0.5})
    with seeded(9):  # another start: all must come from the file
        resumed = AutoEncoderNetwork([3, 8, 2], **style)
    assert train(resumed, **plan) == history
    assert_same(whole, resumed)
    assert not (tmp_path / "run.ckpt").exists()
    (tmp_path / "run.ckpt").write_bytes(b"not one")
    with pytest.raises(ModelError, match="damaged"):
        train(small_autoencoder(), **plan)


def test_a_batch_that_does_not_fit_is_halved(caplog):
    class Hungry(Walker):
        rows = 0

        def step(self, batch, i, descend):
            if len(batch[0]) > 9:
                raise torch.OutOfMemoryError("CUDA out of memory")
            self.rows += len(batch[0])
            return super().step(batch, i, descend)

    network = Hungry()
    with caplog.at_level(logging.WARNING):
        history = train(network, batch_size=30, epochs=2, validation_fraction=0.0)
    assert network.rows == 180
    assert history["batch_size"] == [8.0, 8.0]
    assert "out of memory with batches of 30 rows; going on with 15" in caplog.text


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    class Wrong(Walker):
        def step(self, batch, i, descend):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(Wrong())


def test_a_loss_that_is_not_finite_stops_with_where_and_what_to_do():
    class Breaks(Walker):
        calls = 0

        def step(self, batch, i, descend):
            self.calls += 1
            loss = super().step(batch, i, descend)["loss"]
            return {"loss": loss * (torch.nan if self.calls == 9 else 1.0)}

    words = r"loss became nan in epoch 2, batch 3; try a lower lr \(now 0.001\)"
    with pytest.raises(NonFiniteLossError, match=words):
        train(Breaks(), batch_size=15, validation_fraction=0.0)


def test_parts_learn_in_turn_each_with_its_own_optimiser():
    class Pair(Network):
        """A plays down to B's place, B runs away from A: a generator and a critic in small."""

        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.zeros(()))
            self.b = torch.nn.Parameter(torch.zeros(()))
            self.seen = []

        def parts(self):
            return {"a": [self.a], "b": [self.b]}

        def optimiser(self, part, parameters, lr, weight_decay):
            return torch.optim.SGD(parameters, lr={"a": 1.0, "b": 0.5}[part])

        def step(self, batch, i, descend):
            descend(self.a + self.b, "a")
            self.seen.append((self.a.item(), self.b.item()))
            descend(self.a + self.b, "b")
            self.seen.append((self.a.item(), self.b.item()))
            return {"a": self.a, "b": self.b}

        def held_out(self, batch):
            return None

    network = Pair()
    history = train(network, batch_size=90, epochs=1, validation_fraction=0.2, clip=None)
    assert network.seen == [(-1.0, 0.0), (-1.0, -0.5)]
    assert {"a", "b"} <= set(history)
    assert "held_out" not in history


class Blocks:
    """Batches of 13 rows, as if they came from a file."""

    def __iter__(self):
        return (X[start : start + 13] for start in range(0, len(X), 13))


def test_data_larger_than_memory_comes_in_batches(tmp_path):
    source = make_source(Blocks(), 0.1, seed=0)
    learnt = torch.cat([b[0] for b in source.batches(8, 0)]).numpy()
    aside = torch.cat([b[0] for b in source.held_out(8)]).numpy()
    assert len(aside) == 9
    both = np.vstack([learnt, aside])
    assert np.array_equal(both[np.lexsort(both.T)], X[np.lexsort(X.T)])
    network = Line()
    train(network, Blocks(), epochs=30, lr=0.1)
    assert network.w.detach().min() > 0.5
    with pytest.raises(ValueError, match="generator, which gives them once"):
        train(Line(), (x for x in [X]))
    on_disk = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, X.shape)
    on_disk[:] = X
    first, second = Line(), Line()
    train(first, np.load(tmp_path / "x.npy", mmap_mode="r"))
    train(second, X)
    assert_same(first, second)


def test_held_out_rows_are_not_learnt_from_and_labels_stay_beside_their_rows():
    source = make_source((X, np.arange(90)), 0.2, seed=3)
    learnt = np.concatenate([b[1] for b in source.batches(16, 1)])
    aside = np.concatenate([b[1] for b in source.held_out(16)])
    assert sorted([*learnt, *aside]) == [*range(90)]
    assert len(aside) == 18
    for x, number in source.batches(16, 2):
        assert np.array_equal(x, X[number])
    assert not np.array_equal(learnt, np.concatenate([b[1] for b in source.batches(16, 2)]))


def test_progress_names_the_loss():
    told = []
    with progress.listening(lambda *step: told.append(step)):
        train(Line(), name="line")
    assert [done for _, done, _ in told] == [1, 2, 3, 4, 4]
    assert told[0][0].startswith("line: train · loss ")
    assert "held out" in told[0][0]


def test_half_precision_learns_and_keeps_whole_weights():
    network = small_autoencoder()
    history = train(network, epochs=20, lr=0.01, precision="bf16")
    assert history["loss"][-1] < history["loss"][0]
    assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.slow
def test_two_processes_learn_what_one_does():
    # Without dropout and batch norm, halves of a batch average to the whole.
    networks = []
    for devices in (1, 2):
        with seeded(0):
            network = AutoEncoderNetwork([3, 4, 2], activation="tanh", batch_norm=False, dropout=0)
        history = train(network, X[:80], epochs=2, devices=devices, validation_fraction=0.2)
        networks.append(network)
    for one, two in zip(*map(weights, networks), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    assert len(history["loss"]) == 2


def test_scoring_in_batches_equals_scoring_at_once_and_survives_a_lack_of_memory():
    network = small_autoencoder().double().eval()
    whole = score_batches(network.score, X, network=network)
    sizes = []

    def hungry(x):
        sizes.append(len(x))
        if len(x) > 11:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        return network.score(x)

    parts = score_batches(hungry, X, network=network, batch_size=40)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    assert sizes[:3] == [40, 20, 10]
    np.testing.assert_allclose(network.terms(torch.tensor(X).double()).sum(1).detach(), whole)


def test_integrated_gradients_are_exact_for_sums_of_columns_and_complete():
    x = torch.tensor(X[:5], dtype=torch.float64)
    slopes = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    values = integrated_gradients(lambda x: (slopes * x**3).sum(dim=1), x)
    torch.testing.assert_close(values, slopes * x**3)
    network = small_autoencoder().double().eval()
    values = integrated_gradients(network.score, x)
    zero = network.score(torch.zeros_like(x[:1]))
    torch.testing.assert_close(values.sum(dim=1), (network.score(x) - zero).detach())


def test_small_work_takes_one_thread_and_gives_the_others_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with few_threads(Line(), torch.zeros(10, 3)):
            assert torch.get_num_threads() == 1
        with few_threads(Line(), torch.zeros(1, 1).expand(10**9, 1)):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
