"""The ADBench runner on small sets: protocols, resuming, and what it says of failures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from awry.bench import adbench
from awry.bench.peers import peers
from awry.checks import planted
from awry.core.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for i in range(2):
        X, y = planted(n=120, n_odd=6, seed=i)
        np.savez(tmp_path / f"{i}_set.npz", X=X, y=y)
    return tmp_path


def test_both_protocols_run_beside_a_peer_and_resume(folder, tmp_path):
    out = tmp_path / "scores.json"
    rival = ["sklearn:IsolationForest"]
    scores = adbench.run(folder, ["ecod", "hbos"], rivals=rival, seeds=2, out=out)
    assert len(scores) == 2 * 3 * 2 * 2
    assert all(0.9 < s.auroc <= 1 for s in scores)
    before = json.loads(out.read_text())
    again = adbench.run(folder, ["ecod", "pca"], seeds=2, out=out)
    kept = [s for s in again if s.detector == "awry:ecod"]
    assert [vars(s) for s in kept] == [r for r in before if r["detector"] == "awry:ecod"]
    rows = adbench.summarise(again, "transductive")
    assert {r.detector for r in rows} == {"awry:ecod", "awry:hbos", "awry:pca", *rival}
    assert sum(r.rank for r in rows) == pytest.approx(1 + 2 + 3 + 4)


def test_train_on_normal_leaks_no_copy():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(200, 2)).astype(float)
    y = (np.arange(200) < 10).astype(int)
    train, test, truth = adbench.split(X, y, "train_on_normal", 0)
    normal = test[truth == 0]
    assert truth.sum() == 10
    assert not {tuple(r) for r in train.round(9)} & {tuple(r) for r in normal.round(9)}
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-9)


def test_large_sets_are_sampled_by_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(adbench, "MAX_ROWS", 50)
    np.savez(tmp_path / "a.npz", X=np.arange(200.0)[:, None], y=np.zeros(200))
    X, y = adbench.sample(tmp_path / "a.npz", 0)
    assert X.shape == (50, 1)
    assert len(y) == 50
    assert not np.array_equal(X, adbench.sample(tmp_path / "a.npz", 1)[0])
    np.testing.assert_array_equal(X, adbench.sample(tmp_path / "a.npz", 0)[0])


def test_wrong_folders_are_said(tmp_path, folder):
    with pytest.raises(DataError, match=r"no \.npz file"):
        adbench.run(tmp_path / "none", ["ecod"])
    with pytest.raises(DataError, match="holds none of nope"):
        adbench.run(folder, ["ecod"], sets=["nope"])


def test_peers_give_one_score_a_row():
    X, y = planted(n=100)
    for name, scorer in peers().items():
        if name.startswith("sklearn"):
            assert scorer(X, X, 0).shape == (len(X),)
            assert scorer(X[y == 0], X, 0)[y == 1].min() > np.median(scorer(X[y == 0], X, 0))
