"""The command line as a person meets it: what it prints, writes, and exits with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from awry import run
from awry.cli import app, main
from awry.data import samples

WDBC = str(samples.path("wdbc"))


def awry(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([*args])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


@pytest.fixture
def csv(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"id": [f"r{i}" for i in range(300)], "x": rng.normal(size=300), "y": rng.normal(size=300)}
    )
    frame.loc[42, "x"] = 50.0
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    return path


def test_detect_prints_what_was_read_what_was_found_and_why(capsys, csv):
    code, out, err = awry(capsys, "detect", str(csv), "-d", "modified_zscore")
    assert (code, err) == (0, "")
    assert "300 rows" in out
    assert "id: " in out
    assert "flagged:" in out
    first = next(line for line in out.splitlines() if line.split()[:1] == ["43"])
    assert "r42" in first
    assert "x 50 (typical" in first


def test_detect_writes_all_it_was_asked_for(capsys, csv, tmp_path):
    names = {"out": "o.parquet", "report": "r.html", "save": "m.awry"}
    paths = {option: tmp_path / name for option, name in names.items()}
    options = [x for k, p in paths.items() for x in (f"--{k}", str(p))]
    code, out, _ = awry(capsys, "detect", str(csv), "-d", "modified_zscore", *options)
    assert code == 0
    assert all(str(p) in out and p.exists() for p in paths.values())
    rows = pq.read_table(paths["out"]).to_pandas()
    assert list(rows.columns) == ["row", "id", "score", "label", "severity", "reasons"]
    assert len(rows) == 300
    assert rows.loc[42, "severity"] in ("warning", "critical", "emergency")
    assert "x 50" in rows.loc[42, "reasons"]
    assert (rows["reasons"][rows["label"] == 0] == "").all()


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_out_formats(capsys, csv, tmp_path, suffix):
    out = tmp_path / f"o.{suffix}"
    assert awry(capsys, "detect", str(csv), "-d", "modified_zscore", "-o", str(out))[0] == 0
    rows = pd.read_csv(out) if suffix == "csv" else pd.read_json(out, lines=True)
    assert len(rows) == 300
    assert rows["score"].argmax() == 42


def test_json_is_for_machines(capsys, csv):
    code, out, _ = awry(capsys, "detect", str(csv), "-d", "modified_zscore", "--json", "--top", "2")
    facts = json.loads(out)
    assert code == 0
    assert facts["rows"] == 300
    assert facts["top"][0]["row"] == 43
    assert facts["top"][0]["reasons"][0]["column"] == "x"
    assert len(facts["top"]) == 2


def test_fail_on_anomaly(capsys, csv, tmp_path):
    assert awry(capsys, "detect", str(csv), "-d", "modified_zscore", "--fail-on-anomaly")[0] == 1
    calm = ["detect", str(csv), "-d", "modified_zscore", "-t", "sigma:1000", "--fail-on-anomaly"]
    assert awry(capsys, *calm)[0] == 0


def test_fit_score_explain(capsys, csv, tmp_path):
    model, scored = tmp_path / "m.awry", tmp_path / "s.csv"
    assert awry(capsys, "fit", str(csv), "-d", "modified_zscore", "--save", str(model))[0] == 0
    code, out, _ = awry(capsys, "score", str(csv), "-m", str(model), "-o", str(scored))
    assert code == 0
    assert "300 rows scored" in out
    assert pd.read_csv(scored)["score"].argmax() == 42
    code, out, _ = awry(capsys, "explain", str(csv), "-m", str(model), "--row", "43", "--json")
    (row,) = json.loads(out)
    assert max(row["contributions"], key=row["contributions"].get) == "x"
    np.testing.assert_allclose(row["base"] + sum(row["contributions"].values()), row["score"])
    code, _, err = awry(capsys, "explain", str(csv), "-m", str(model), "--row", "999")
    assert code == 2
    assert "row 999 is not among the 300 rows read" in err


def test_evaluate_and_compare(capsys, tmp_path):
    page = tmp_path / "c.html"
    args = ["evaluate", WDBC, "--label", "malignant", "-d", "ecod", "--report", str(page)]
    code, out, _ = awry(capsys, *args)
    assert code == 0
    assert "auroc" in out
    assert "accuracy" not in out
    assert "Precision and recall" in page.read_text()
    code, out, _ = awry(
        capsys, "compare", WDBC, "--label", "malignant", "--detectors", "ecod,hbos", "--json"
    )
    assert {one["detector"] for one in json.loads(out)} == {"ecod", "hbos"}
    code, _, err = awry(capsys, "evaluate", WDBC)
    assert code == 2
    assert "--label" in err


def test_a_list_is_written_between_commas(capsys, csv):
    command = ["detect", str(csv), "-d", "ensemble", "--json"]
    code, out, _ = awry(
        capsys, *command, "-p", "detectors=zscore,modified_zscore", "-p", "weights=1,3"
    )
    assert code == 0
    given = json.loads(out)["detector"]["parameters"]
    assert given["detectors"] == "['zscore', 'modified_zscore']"
    assert given["weights"] == "(1, 3)"
    code, out, _ = awry(capsys, *command, "-p", "detectors=zscore")
    assert json.loads(out)["detector"]["parameters"]["detectors"] == "['zscore']"


def test_compare_passes_its_settings_on(capsys):
    args = ["compare", WDBC, "--label", "malignant", "-d", "knn", "--json"]
    found = [json.loads(awry(capsys, *args, "-p", f"n_neighbors={k}")[1])[0] for k in (1, 50)]
    assert [one["detector"] for one in found] == ["knn", "knn"]
    assert found[0]["metrics"]["auroc"] != found[1]["metrics"]["auroc"]
    code, _, err = awry(capsys, *args[:4], "-d", ",")
    assert (code, "names no detector" in err) == (2, True)


def test_help_names_every_threshold(capsys):
    from awry.core.threshold.spec import _SHORT

    _, out, _ = awry(capsys, "detect", "--help")
    assert all(name in out.split("--threshold")[1].split("--context")[0] for name in _SHORT)


def test_all_that_was_set_aside_is_counted(capsys, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("x,y\n" + "1,2\n2,1\n3,2\n" * 500 + "1\n" * 1500)
    page, model = tmp_path / "r.html", tmp_path / "m.awry"
    options = ["-d", "modified_zscore", "--report", str(page), "--save", str(model)]
    code, out, _ = awry(capsys, "detect", str(bad), *options)
    assert code == 0
    assert "set aside in all: 1,500" in out
    assert "has 1 cell where there are 2 columns (1500 times)" in out
    assert "and 1,450 more" in page.read_text()
    _, out, _ = awry(capsys, "detect", str(bad), str(bad), "-d", "modified_zscore", "--json")
    facts = json.loads(out)
    assert (facts["set_aside"], len(facts["problems"])) == (3000, 1000)
    _, out, _ = awry(capsys, "score", str(bad), str(bad), "-m", str(model), "--json")
    assert json.loads(out)["set_aside"] == 3000


def test_detectors_come_from_the_cards(capsys):
    assert "ecod" in awry(capsys, "detectors")[1]
    card = json.loads(awry(capsys, "detectors", "ecod", "--json")[1])
    assert card["year"] == 2022
    code, _, err = awry(capsys, "detectors", "eccod")
    assert code == 2
    assert "did you mean" in err
    assert "ecod" in err


def test_generate(capsys, tmp_path):
    out = tmp_path / "g.parquet"
    assert awry(capsys, "generate", "iot_sensors", "-n", "500", "-o", str(out))[0] == 0
    assert pq.read_table(out).num_rows == 500
    code, lines, _ = awry(capsys, "generate", "iot_sensors", "-n", "3")
    rows = [json.loads(line) for line in lines.splitlines()]
    assert code == 0
    assert len(rows) == 3
    assert "is_anomaly" in rows[0]
    assert awry(capsys, "generate", "iot_sensors", "--kinds", "nope", "-n", "3")[0] == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(capsys, shell):
    code, out, _ = awry(capsys, "completion", shell)
    assert code == 0
    assert "_AWRY_COMPLETE" in out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty.csv"),
        ("header.csv", b"a,b\n", "header.csv"),
        ("junk.parquet", bytes(range(256)) * 4, "junk.parquet"),
        ("one.csv", b"a,b\n1,2\n", "one.csv: holds one row; give"),
        ("same.csv", b"a,b\n" + b"1,2\n" * 50, "same.csv: no column can be judged"),
        ("page.csv", b"\n<!DOCTYPE html>\n<html>\n<p>a, b</p>\n", "page.csv: this is a web page"),
        ("noise.csv", bytes(range(256)) * 4, "noise.csv: this is binary data"),
        ("cut.json", b'[{"a": 1}, {"a"', "cut.json"),
        ("ids.csv", b"id\n" + b"".join(b"u%06d\n" % i for i in range(200)), "no column"),
    ],
)  # fmt: skip
def test_bad_files_give_one_line_and_exit_2(capsys, tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    code, out, err = awry(capsys, "detect", str(path))
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("awry: ")
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["detect", "no_such_file.csv"], "no_such_file.csv"),
        (["detect", WDBC, "-d", "nope"], "no detector 'nope'"),
        (["detect", WDBC, "-p", "nonsense"], "KEY=VALUE"),
        (["detect", WDBC, "-d", "ecod", "-p", "k=1"], "no parameter 'k'"),
        (["detect", WDBC, "-d", "modified_zscore", "-t", "nope"], "threshold"),
        (["detect", WDBC, "-d", "modified_zscore", "-o", "x.doc"], ".parquet, .csv or .jsonl"),
        (["detect", WDBC, "-d", "modified_zscore", "-o", "/no/folder/x.csv"], "does not exist"),
        (["detect", WDBC, "--label", "nope"], "no such column"),
        (["score", WDBC, "-m", WDBC], "not an awry model"),
        (["score", WDBC, "-m", "none.awry"], "none.awry"),
        (["nonsense"], "no such command"),
        (["detect"], "missing argument 'FILE...'; see awry detect --help"),
        (["evaluate", WDBC], "--label COLUMN must name"),
        (
            ["evaluate", WDBC, "--label", "malignat"],
            "wdbc.csv, column 'malignat': there is no such column; did you mean malignant?",
        ),
        (["detect", WDBC, "-d", "ecod", "-t", "f1"], "wdbc.csv: no labels to learn from"),
        (["detect", WDBC, "-d", "xgbod"], "name their column with --label"),
        (["detect", WDBC, "--report", "/no/folder/x.html"], "'/no/folder' does not exist"),
        (["fit", WDBC, "--save", "/no/folder/x.awry"], "'/no/folder' does not exist"),
    ],
)
def test_bad_use_exits_2_and_says_why(capsys, args, words):
    code, _, err = awry(capsys, *args)
    assert code == 2
    assert words in err
    assert err.startswith("awry: ")
    assert len(err.splitlines()) == 1


def test_a_pipe_is_read(csv):
    done = subprocess.run(
        [sys.executable, "-m", "awry", "detect", "-", "-d", "modified_zscore", "--json"],
        stdin=csv.open("rb"), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["top"][0]["row"] == 43


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    out = tmp_path / "g.csv"
    work = subprocess.Popen(
        [sys.executable, "-m", "awry", "generate", "iot_sensors", "-n", "50000000", "-o", str(out)],
        stderr=subprocess.PIPE, env=os.environ,
        # A shell in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for _ in range(600):
        if any(p.stat().st_size for p in tmp_path.iterdir()):
            break
        time.sleep(0.05)
    work.send_signal(signal.SIGINT)
    _, err = work.communicate(timeout=60)
    assert work.returncode == 130
    assert b"interrupted" in err
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_command(capsys):
    code, out, _ = awry(capsys, "--help")
    assert code == 0
    assert all(name in out for name in app.list_commands(None))


@pytest.mark.filterwarnings("default::UserWarning")
def test_what_is_warned_of_is_one_line_and_in_the_json(capsys, csv, monkeypatch):
    found = run.detect

    def warned(*args, **settings):
        for _ in range(2):
            warnings.warn("few rows\nfor a network", FewRows, stacklevel=1)
        return found(*args, **settings)

    class FewRows(UserWarning):
        pass

    monkeypatch.setattr(run, "detect", warned)
    before = warnings.showwarning
    command = ("detect", str(csv), "-d", "modified_zscore")
    code, _, err = awry(capsys, *command)
    assert (code, err) == (0, "awry: few rows for a network\n")
    code, out, err = awry(capsys, *command, "--json")
    assert err == "awry: few rows for a network\n"
    assert "few rows for a network" in json.loads(out)["notes"]
    assert warnings.showwarning is before
