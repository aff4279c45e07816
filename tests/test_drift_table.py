"""Drift of tables of mixed columns, its command and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from awry.cli import app
from awry.core.errors import DataError
from awry.drift.aspects import bins
from awry.drift.table import JOINT_TESTS, LEVEL_TESTS, NUMBER_TESTS, TableDrift


def shop(seed: int, n: int = 1500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2026-01-01")
    return pd.DataFrame(
        {
            "when": start + pd.to_timedelta(np.sort(rng.uniform(0, 28 * 86400, n)), unit="s"),
            "day": (start + pd.to_timedelta(rng.integers(0, 28, n), unit="D")).date,
            "amount": rng.gamma(2, 20, n).round(2),
            "weight": np.where(rng.random(n) < 0.1, np.nan, rng.normal(5, 1, n)),
            "city": rng.choice(["Rome", "Oslo", "Paris"], n, p=[0.5, 0.3, 0.2]),
            "member": rng.random(n) < 0.4,
            "currency": "EUR",
            "note": [
                " ".join(["word"] * k + [str(i)]) for i, k in enumerate(rng.integers(3, 30, n))
            ],
            "order_id": np.arange(n) + 10_000,
        }
    )


def test_nothing_drifts_where_nothing_moved() -> None:
    found = TableDrift().fit(shop(0)).test(shop(1))
    assert not found
    names = {f.feature for f in found.features}
    assert names == {"when (hour)", "day (weekday)", "amount", "weight", "weight (missing)", "city",
                     "member", "currency", "note (length)"}  # fmt: skip
    assert any("order_id is not compared" in note for note in found.notes)


def _later_hours(t: pd.DataFrame) -> pd.Series:
    return t["when"].dt.normalize() + (t["when"] - t["when"].dt.normalize()) / 3


MOVES: dict[str, tuple[str, Any]] = {
    "when (hour)": ("when", _later_hours),
    "day (weekday)": (
        "day",
        lambda t: [d if d.weekday() < 5 else d.replace(day=5) for d in t["day"]],
    ),
    "amount": ("amount", lambda t: t["amount"] * 1.5),
    "weight (missing)": ("weight", lambda t: t["weight"].where(np.arange(len(t)) % 2 == 0)),
    "city": ("city", lambda t: t["city"].where(np.arange(len(t)) % 3 != 0, "Berlin")),
    "member": ("member", lambda t: ~t["member"]),
    "currency": ("currency", lambda t: np.where(np.arange(len(t)) % 4 == 0, "USD", "EUR")),
    "note (length)": ("note", lambda t: t["note"] + " and so on"),
}


@pytest.mark.parametrize("feature", MOVES)
def test_the_feature_that_moved_is_the_one_named(feature: str) -> None:
    column, move = MOVES[feature]
    new = shop(1)
    new[column] = move(new)
    assert [f.feature for f in TableDrift().fit(shop(0)).test(new).drifted] == [feature]


def test_the_change_is_told_in_words_and_shares() -> None:
    new = shop(1)
    new["amount"] *= 2
    new.loc[new["city"] == "Rome", "city"] = "Berlin"
    found = {f.feature: f for f in TableDrift().fit(shop(0)).test(new).features}
    assert found["amount"].change.startswith("median ")
    before, now = found["amount"].change.split(",")[0].removeprefix("median ").split(" → ")
    assert float(now) == pytest.approx(2 * float(before), rel=0.15)
    assert "(new) 0 % → 5" in found["city"].change
    for feature in found.values():
        assert feature.shares.reference.sum() == pytest.approx(1)
        assert feature.shares.current.sum() == pytest.approx(1)


@pytest.mark.parametrize("numbers", NUMBER_TESTS)
@pytest.mark.parametrize("levels", LEVEL_TESTS)
def test_every_choice_of_tests_sees_what_moved(numbers: str, levels: str) -> None:
    old, new = shop(0, 600)[["amount", "city"]], shop(1, 600)[["amount", "city"]]
    test = TableDrift(numbers=numbers, levels=levels).fit(old)
    assert not test.test(new)
    new["amount"] *= 2.5
    new["city"] = np.where(np.arange(600) % 2, "Oslo", new["city"])
    assert {f.feature for f in test.test(new).drifted} == {"amount", "city"}


@pytest.mark.parametrize("joint", JOINT_TESTS)
def test_numbers_that_no_longer_move_together(joint: str) -> None:
    rng = np.random.default_rng(0)
    old, new = (rng.normal(size=(600, 1)) + 0.2 * rng.normal(size=(600, 3)) for _ in range(2))
    test = TableDrift(joint=joint).fit(old)
    assert not test.test(new)
    found = test.test(rng.permuted(new, axis=0))
    assert found
    assert not found.drifted
    assert found.to_dict()["joint"]["drifted"]


def test_a_repeated_column_that_goes_its_own_way_and_an_empty_one_that_fills() -> None:
    old, new = shop(0)[["amount"]], shop(1)[["amount"]]
    old, new = (t.assign(again=t["amount"], blank=None) for t in (old, new))
    test = TableDrift().fit(old)
    assert not test.test(new)
    new["again"] *= 2
    new["blank"] = 1.0
    assert {f.feature for f in test.test(new).drifted} == {"again", "blank (missing)"}


def test_columns_that_are_missing_or_new_are_told_of() -> None:
    old, new = shop(0), shop(1).drop(columns="city").assign(extra=1)
    notes = TableDrift().fit(old).test(new).notes
    assert "city is missing from the new data" in notes
    assert "extra is new" in notes
    with pytest.raises(DataError, match="no column that both"):
        TableDrift().fit(old[["city"]]).test(new[["amount"]])
    with pytest.raises(ValueError, match="numbers must be one of"):
        TableDrift(numbers="t").fit(old)


def run(*args: str) -> Any:
    return CliRunner().invoke(app, ["drift", *args])


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    old, new = tmp_path / "old.csv", tmp_path / "new.parquet"
    shop(0).to_csv(old, index=False)
    shop(1).assign(amount=lambda t: t["amount"] * 2).to_parquet(new)
    return str(old), str(new)


def test_the_command_prints_a_table_writes_a_report_and_sets_its_code(
    files: tuple[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "drift.html"
    shown = run(*files, "--report", str(page))
    assert shown.exit_code == 0, shown.output
    assert "1 of 9 features drifted" in shown.output
    text = page.read_text()
    assert text.count("<figure") == 9
    assert "http" not in text.replace("http://www.w3.org", "")
    assert run(*files, "--fail-on-drift").exit_code == 1
    assert run(*files, "--fail-on-drift", "--ignore", "amount").exit_code == 0


def test_the_command_prints_json(files: tuple[str, str]) -> None:
    out = json.loads(run(*files, "--json", "--test", "wasserstein", "--correction", "none").output)
    first = out["features"][0]
    assert (first["feature"], first["test"], first["drifted"]) == ("amount", "Wasserstein", True)
    assert out["rows"] == {"reference": 1500, "current": 1500}


@pytest.mark.parametrize("most", [1, 24, 31, 1_000, 10**6])
def test_in_a_picture_each_whole_number_has_as_much_room(most: int) -> None:
    rng = np.random.default_rng(0)
    sides = [rng.integers(0, most, size=50_000).astype(float) for _ in range(2)]
    drawn = bins(*sides)
    assert drawn.edges is not None
    held = np.diff(np.floor(drawn.edges))
    assert len(held) <= 31
    assert len(set(held)) == 1
    assert drawn.reference.sum() == pytest.approx(1.0)
    assert drawn.reference[1:-1].min(initial=1.0) > 0.8 / len(held)


def test_names_of_columns_and_levels_are_text_on_the_page(tmp_path: Path) -> None:
    from awry.report.drift_page import write_drift

    data = {"<b>a</b>": ["<i>x</i>", "y"] * 50, "n": list(range(50)) * 2}
    found = TableDrift().fit(data).test(data)
    page = write_drift(found, tmp_path / "p.html", reference="<r>", current="c", settings={})
    assert not {"<b>a", "<i>x", "<r>"} & set(page.read_text().split())
    assert "<i>x</i>" not in page.read_text()


def test_a_column_that_is_gone_has_drifted_and_a_new_one_has_not(tmp_path: Path) -> None:
    old, new = shop(0)[["amount", "city"]], shop(1)[["amount"]].assign(extra=1)
    found = TableDrift().fit(old).test(new)
    assert [f.feature for f in found.drifted] == ["city"]
    gone = found.to_dict()["features"][0]
    assert (gone["feature"], gone["drifted"], gone["change"]) == (
        "city",
        True,
        "the column is gone",
    )
    files = [str(tmp_path / name) for name in ("old.csv", "new.csv")]
    for table, path in zip((old, new), files, strict=True):
        table.to_csv(path, index=False)
    page = tmp_path / "drift.html"
    shown = run(*files, "--fail-on-drift", "--report", str(page))
    assert shown.exit_code == 1
    assert "1 of 2 features drifted" in shown.output
    assert page.read_text().count("the column is gone") == 2
    assert run(*reversed(files), "--fail-on-drift", "--ignore", "extra").exit_code == 0


@pytest.mark.parametrize("value", ["x", 2.5, True, pd.Timestamp("2026-01-01 10:00"), "long text"])
def test_of_objects_a_field_that_none_has_drifted_where_many_had_it(value: Any) -> None:
    def objects(often: int) -> list[dict[str, Any]]:
        return [row | {"field": value} if i % often == 0 else row for i, row in enumerate(bare)]

    bare = [{"n": float(i % 50)} for i in range(300)]
    often = TableDrift().fit(objects(2)).test(bare, sparse=True)
    assert [f.feature for f in often.drifted] == ["field (missing)"]
    assert not TableDrift().fit(objects(299)).test(bare, sparse=True)


def test_lines_of_json_leave_out_what_they_do_not_have(tmp_path: Path) -> None:
    paths = [tmp_path / "old.jsonl", tmp_path / "new.jsonl"]
    for path, every in zip(paths, (299, 1000), strict=True):
        rows = [{"n": i % 50, **({"rare": 1.5} if i and i % every == 0 else {})}
                for i in range(300)]  # fmt: skip
        path.write_text("\n".join(map(json.dumps, rows)))
    assert run(*map(str, paths), "--fail-on-drift").exit_code == 0


def test_tables_without_rows_are_refused(tmp_path: Path) -> None:
    full, empty = tmp_path / "full.csv", tmp_path / "empty.csv"
    shop(0, 50).to_csv(full, index=False)
    shop(0, 50).head(0).to_csv(empty, index=False)
    for pair in ((full, empty), (empty, full)):
        shown = run(*map(str, pair))
        assert isinstance(shown.exception, DataError)
        assert str(shown.exception).startswith(f"{empty}: ")
        assert "holds no rows" in str(shown.exception)


def test_too_few_rows_are_told_and_pass_no_gate(tmp_path: Path) -> None:
    full, short, page = (tmp_path / name for name in ("full.csv", "short.csv", "drift.html"))
    table = shop(0, 200)[["amount", "city"]]
    table.to_csv(full, index=False)
    table.head(3).to_csv(short, index=False)
    for pair in ((full, short), (short, full)):
        shown = run(*map(str, pair), "--report", str(page))
        assert shown.exit_code == 0
        assert shown.output.count("too few values to test") == 2
        assert "2 not tested" in shown.output
        assert page.read_text().count("too few values to test") == 3
        with pytest.raises(DataError, match="too few rows"):
            raise run(*map(str, pair), "--fail-on-drift").exception
        out = json.loads(run(*map(str, pair), "--json").output)
        assert not out["tested"]
        assert [(f["tested"], f["effect"], f["p_value"]) for f in out["features"]] == (
            [(False, None, None)] * 2
        )
