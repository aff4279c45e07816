"""The runners on series: NAB and labelled sets, on made-up folders whose figures are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from awry.bench import nab, runs, tsb
from awry.cli.bench import bench
from awry.core.errors import DataError
from awry.metrics import nab as metric
from awry.metrics.volume import vus

PLANTED = slice(120, 130)


def _wave(n, seed, d=None):
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(n) * 2 * np.pi / 20) + rng.normal(scale=0.05, size=n)
    return wave if d is None else np.column_stack([wave, *rng.normal(size=(d - 1, n))])


def _labels(n, *parts):
    labels = np.zeros(n, dtype=int)
    for part in parts:
        labels[part] = 1
    return labels


@pytest.fixture
def folder(tmp_path):
    """Set ``one`` of three channels, one series of two without an anomaly; ``two`` of four ones."""
    odd = _wave(300, 1, 3)
    odd[PLANTED] += 9.0
    np.savez(
        tmp_path / "one.npz",
        **{"a:train": _wave(200, 0, 3), "a:test": odd, "a:label": _labels(300, PLANTED)},
        **{"b:train": _wave(200, 2, 3), "b:test": _wave(300, 3, 3), "b:label": _labels(300)},
    )
    kept = {}
    for i in range(4):
        test = _wave(300, 10 + i)
        test[PLANTED] += 9.0
        kept |= {f"{i}:train": _wave(200, 20 + i), f"{i}:train_label": _labels(200, slice(0, 9))}
        kept |= {f"{i}:test": test, f"{i}:test_label": _labels(300, PLANTED)}
    np.savez(tmp_path / "two.npz", **kept)
    return tmp_path


def _of(outcome, detector, **wanted):
    return [
        s
        for s in outcome.scores
        if s.detector == detector and all(getattr(s, k) == v for k, v in wanted.items())
    ]


def test_scores_of_a_known_anomaly(folder):
    outcome = tsb.run(folder, ["ewma"])
    assert outcome.skipped == {"one": 1, "two": 0}
    norm = _of(outcome, "baseline:L2 norm", data="one")[0]
    # It scores all ten points above all others, so only the buffer around them costs something.
    assert (norm.auprc, norm.event_f1, norm.affiliation_f1) == (1.0, 1.0, pytest.approx(1.0))
    with np.load(folder / "one.npz") as file:
        train, test = file["a:train"], file["a:test"]
    by_hand = np.linalg.norm((test - train.mean(axis=0)) / train.std(axis=0), axis=1)
    expected = vus(_labels(300, PLANTED), by_hand, 20)
    assert (norm.vus_pr, norm.vus_roc) == pytest.approx(tuple(reversed(expected)))
    chance = np.mean([s.auprc for s in _of(outcome, "baseline:random")])
    assert chance < 0.15
    assert np.mean([s.auprc for s in _of(outcome, "awry:ewma")]) > 0.5
    # What point adjustment is worth: random scores gain, and that row stands beside.
    adjusted = [s.comparison_only_point_adjusted_f1 for s in _of(outcome, "baseline:random")]
    assert np.mean(adjusted) > 2 * chance


def test_labels_of_the_training_part_are_not_seen(folder):
    before = _of(tsb.run(folder, ["sub_lof"], sets=["two"]), "awry:sub_lof")
    with np.load(folder / "two.npz") as file:
        kept = dict(file)
    kept |= {name: 1 - values for name, values in kept.items() if name.endswith("train_label")}
    np.savez(folder / "two.npz", **kept)
    after = _of(tsb.run(folder, ["sub_lof"], sets=["two"]), "awry:sub_lof")
    assert [s.vus_pr for s in before] == [s.vus_pr for s in after]


def test_summaries_are_means_medians_and_standard_errors(folder):
    outcome = tsb.run(folder, [])
    found = tsb.groups(outcome.scores)
    assert list(found) == ["one, all channels", "two, all channels", "All sets, all channels"]
    row = next(r for r in found["All sets, all channels"] if r.detector == "baseline:random")
    values = [s.vus_pr for s in _of(outcome, "baseline:random")]
    assert row.series == len(values) == 5
    assert row.vus_pr == pytest.approx(np.mean(values))
    assert row.vus_pr_median == pytest.approx(np.median(values))
    assert row.vus_pr_error == pytest.approx(np.std(values, ddof=1) / np.sqrt(5))
    best = found["two, all channels"]
    assert [r.vus_pr for r in best] == sorted((r.vus_pr for r in best), reverse=True)
    assert {r.detector for r in best} == set(tsb.baselines())


def test_baselines_agree_with_their_definition():
    rng = np.random.default_rng(0)
    t = rng.normal(size=60)
    train = np.column_stack([t, 2 * t + rng.normal(scale=0.01, size=60)])
    task = tsb.Task("a", train, np.array([[1.0, 2.0], [1.0, -2.0], train[7]]), np.zeros(3), False)
    learnt, judged = task.filled()
    nearest = [min(np.linalg.norm(x - y) for y in learnt) for x in judged]
    np.testing.assert_allclose(tsb.baselines()["baseline:1-NN"](task), nearest, atol=1e-6)
    # One component keeps the line; what leaves it is the distance along (1, -1).
    errors = tsb.baselines()["baseline:PCA"](task)
    away = np.abs(judged @ [1.0, -1.0]) / np.sqrt(2)
    np.testing.assert_allclose(errors, away, atol=1e-6)
    single = tsb.Task("a", train[:, :1], task.test[:, :1], task.labels, False)
    np.testing.assert_allclose(
        tsb.baselines()["baseline:PCA"](single), np.abs(single.filled()[1][:, 0])
    )


def test_channels_sets_and_number_of_series(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(tsb, "_awry", lambda name: lambda task: seen.append(task) or task.labels)
    both = tsb.run(folder, ["any"], channels=("all", "first"))
    assert {(s.data, s.channels) for s in both.scores} == {
        ("one", "all"), ("one", "first"), ("two", "all"),
    }  # fmt: skip
    assert [(t.train.shape[1], t.test.shape[1]) for t in seen] == [(3, 3), (1, 1)] + [(1, 1)] * 4
    np.testing.assert_array_equal(seen[0].test[:, :1], seen[1].test)
    alone = tsb.run(folder, [], channels=("first",))
    assert {(s.data, s.channels) for s in alone.scores} == {("one", "first"), ("two", "first")}
    spaced = tsb.run(folder, [], sets=["two"], series=2)
    assert {s.series for s in spaced.scores} == {"0", "3"}


def test_long_parts_are_cut_around_the_first_anomaly(tmp_path, monkeypatch):
    monkeypatch.setattr(tsb, "MAX_POINTS", 50)
    x = np.arange(230.0)
    for at, start in ((10, 0), (120, 100), (225, 180)):
        labels = _labels(230, slice(at, at + 3))
        np.savez(tmp_path / "a.npz", **{"a:train": x, "a:test": x, "a:label": labels})
        (task,) = tsb.tasks(tmp_path / "a.npz")
        assert (task.train[0, 0], task.test[0, 0], len(task.test)) == (180, start, 50)
        assert np.flatnonzero(task.labels).tolist() == [at - start + i for i in range(3)]
        assert task.cut
    outcome = tsb.run(tmp_path, [])
    assert outcome.cut == {"a": 1}
    assert any("1 cut to 50" in line for line in tsb.remarks(outcome))


def test_a_failing_detector_counts_as_chance_and_is_named(folder, monkeypatch):
    def fail(task):
        raise IndexError("no such window")

    monkeypatch.setattr(tsb, "_awry", lambda name: fail)
    out = folder / "scores.json"
    outcome = tsb.run(folder, ["broken"], sets=["one"], out=out)
    (failed,), (chance,) = _of(outcome, "awry:broken"), _of(outcome, "baseline:random")
    assert (failed.vus_pr, failed.event_f1) == (chance.vus_pr, chance.event_f1)
    assert "awry:broken failed on one (IndexError: no such window)" in tsb.markdown(outcome)
    monkeypatch.undo()
    monkeypatch.setattr(tsb, "_awry", lambda name: lambda task: task.labels.astype(float))
    again = tsb.run(folder, ["broken"], sets=["one"], out=out)
    assert [(s.auprc, s.failed) for s in _of(again, "awry:broken")] == [(1.0, "")]


def test_it_resumes(folder, monkeypatch):
    out = folder / "scores.json"
    first = tsb.run(folder, ["ewma"], out=out)
    before = json.loads(out.read_text())
    assert len(before) == len(first.scores) == 5 * 5
    monkeypatch.setattr(tsb, "evaluate_series", None)  # to score anything anew would now fail
    again = tsb.run(folder, ["ewma"], out=out)
    assert again.scores == first.scores
    monkeypatch.undo()
    more = tsb.run(folder, ["shewhart"], out=out)
    assert more.scores[:25] == first.scores
    assert len(more.scores) == 30


def test_wrong_folders_sets_and_detectors_are_said(tmp_path, folder):
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"no \.npz file"):
        tsb.run(tmp_path / "none", [])
    with pytest.raises(DataError, match=r"holds none of nope.*it holds one, two"):
        tsb.run(folder, [], sets=["one", "nope"])
    with pytest.raises(ValueError, match="ecod is no detector of series"):
        tsb.run(folder, ["ecod"])
    with pytest.raises(DataError, match="no labelled series"):
        nab.run(_nab(tmp_path / "empty", {}), ["ewma"])
    with pytest.raises(ValueError, match="sub_knn is no online detector"):
        nab.run(_nab(tmp_path / "nab", {"a/x.csv": (_wave(100, 0), [])}), ["sub_knn"])


def test_peers_score_points_by_the_windows_around_them(folder):
    def furthest(train, test, seed):
        assert train.shape[1] == test.shape[1] == 20 * 3
        return np.abs(test).max(axis=1)

    (task, _) = tsb.tasks(folder / "one.npz")
    scores = tsb._windowed(furthest)(task)
    assert scores.shape == (300,)
    assert PLANTED.start - 1 <= scores.argmax() <= PLANTED.stop
    assert set(np.flatnonzero(scores > 2 * np.median(scores))) <= set(range(100, 150))


def test_attempts_give_scores_or_a_reason():
    assert runs.attempt(lambda: np.ones(3), 3)[0].tolist() == [1, 1, 1]
    for bad in (np.ones(2), np.array([1, np.nan, 1])):
        scores, _, why = runs.attempt(lambda bad=bad: bad, 3)
        assert scores is None
        assert "not 3 finite numbers" in why


def _nab(root, files):
    """A folder as NAB lays it out: values and windows (first, last point) by file."""
    windows = {}
    for name, (values, limits) in files.items():
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stamps = [f"2020-01-01 {i // 60:02d}:{i % 60:02d}:00" for i in range(len(values))]
        lines = [f"{t},{v}" for t, v in zip(stamps, values.tolist(), strict=True)]
        path.write_text("\n".join(["timestamp,value", *lines, ""]))
        windows[name] = [[stamps[a] + ".000000", stamps[b] + ".000000"] for a, b in limits]
    (root / "labels").mkdir(parents=True)
    (root / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    return root


@pytest.fixture
def benchmark(tmp_path):
    """Two folders of two files, each with a step at the start of a window."""
    files = {}
    for i, name in enumerate(("a/x.csv", "a/y.csv", "b/x.csv", "b/y.csv")):
        values = _wave(400, i)
        values[200:210] += 20.0
        files[name] = (values, [(200, 239)])
    return _nab(tmp_path / "nab", files)


def test_a_clear_onset_earns_all_and_freezing_costs_nothing(benchmark, tmp_path):
    out = tmp_path / "nab.json"
    scores = nab.run(benchmark, ["ewma"], out=out)
    assert [r["optimised"] for r in json.loads(out.read_text())] == [s.optimised for s in scores]
    found = {s.profile: s for s in scores if s.detector == "awry:ewma"}
    assert set(found) == set(metric.PROFILES)
    assert all(s.optimised == pytest.approx(100.0) for s in found.values())
    assert all(90 < s.frozen <= 100 for s in found.values())
    # Random scores are well below, and no detector's frozen score is above its optimised one.
    assert all(s.optimised < 60 for s in scores if s.detector == "baseline:random")
    assert all(s.frozen <= s.optimised + 1e-9 for s in scores)
    assert [row[0] for row in nab.rows(scores, "frozen")] == ["awry:ewma", "baseline:random"]


def test_the_frozen_threshold_never_sees_its_folder():
    series = metric.Series([], np.zeros(400), np.array([[200, 239]]))
    corpus = {"a/x": series, "b/x": series}
    hit = np.zeros(400)
    hit[200] = 1.0
    # Scales differ by folder: b's best threshold flags all of a, which a's own would not.
    noise = np.random.default_rng(0).random(400) + 5
    scores = {"a/x": np.where(hit > 0, 9.0, noise), "b/x": hit}
    standard = metric.PROFILES["standard"]
    raw = metric.raw_score(scores, {"a/x": series}, 1.0, standard)
    assert raw < -10  # false alarms everywhere
    missed = metric.raw_score(scores, {"b/x": series}, 9.0, standard)
    assert missed == -1.0
    expected = metric.normalise(raw + missed, 2, standard)
    assert nab.frozen_score(scores, corpus, standard) == pytest.approx(expected)
    assert np.isnan(nab.frozen_score(scores, {"a/x": series}, standard))


def test_scores_are_causal(benchmark):
    corpus = metric.read_corpus(benchmark)
    whole = corpus["a/x.csv"]
    changed = whole.values.copy()
    changed[300:] = -50.0
    scorer = nab._online("seasonal_ewma")
    before = scorer("a/x.csv", whole)
    after = scorer("a/x.csv", metric.Series(whole.stamps, changed, whole.windows))
    np.testing.assert_array_equal(before[:300], after[:300])
    assert (before[: metric.probationary(400)] == 0).all()
    assert before[200] > 5


def test_result_files_lead_to_the_same_scores(benchmark, tmp_path):
    scores = nab.run(benchmark, ["seasonal_ewma"], results=tmp_path / "results")
    corpus = metric.read_corpus(benchmark)
    written = metric.read_results(tmp_path / "results", "seasonalewma", corpus)
    for name, found in metric.nab_scores(written, corpus).items():
        own = next(s for s in scores if s.profile == name and s.detector == "awry:seasonal_ewma")
        assert found.score == pytest.approx(own.optimised)
    assert (tmp_path / "results" / "random" / "a" / "random_x.csv").exists()


def test_commands_print_tables_and_write_markdown(folder, benchmark, tmp_path):
    page = tmp_path / "page.md"
    arguments = ["--data", str(folder), "--sets", "one", "--peers", "none", "--detectors", "ewma"]
    result = CliRunner().invoke(bench, ["tsb", *arguments, "--markdown", str(page)])
    assert result.exit_code == 0, result.output
    assert "one: 1 series without an anomaly skipped" in result.output
    for name in ("awry:ewma", *tsb.baselines()):
        assert name in result.output
        assert f"| {name} | 1 |" in page.read_text()
    shown = json.loads(CliRunner().invoke(bench, ["tsb", *arguments, "--json"]).output)
    assert shown["skipped"] == {"one": 1}
    result = CliRunner().invoke(
        bench, ["nab", "--data", str(benchmark), "--detectors", "ewma", "--markdown", str(page)]
    )
    assert result.exit_code == 0, result.output
    assert "ARTime 74.85" in result.output
    assert "| awry:ewma | 100.00 | 100.00 | 100.00 |" in page.read_text()
