"""Runs, models and aliases in a real MLflow server, which is down at first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from awry.ops import leases
from awry.ops.mlflow_mirror import MlflowMirror
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.tables import models, rollouts
from servers import free_port, mlflow_server

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


class Place:
    """A service with two versions of a model, and MLflow, which is not there yet."""

    def __init__(self, home: Path) -> None:
        self.service = Service(Settings(home=home / "awry", workers=0))
        rng = np.random.default_rng(0)
        file = home / "rows.csv"
        self.frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
        self.frame.to_csv(file, index=False)
        with file.open("rb") as opened:
            self.service.datasets.add("rows", opened, format="csv")
        for method in ("mcd", "iforest"):
            asked = {"name": "m", "dataset": "rows", "method": method, "promote": True}
            self.service.submit("train", asked, by="me")
            self.service.jobs.run_next()
        self.port, self.folder = free_port(), home / "mlflow"
        self.folder.mkdir()
        self.last: MlflowMirror | None = None
        self.uri = f"http://127.0.0.1:{self.port}"

    def mirror(self) -> MlflowMirror:
        """A new one, as of a new process; the one before has ended."""
        if self.last is not None:
            self.last.close()
        own = self.service
        self.last = MlflowMirror(self.uri, own.store, own.models, own.datasets)
        return self.last


@pytest.fixture(scope="module")
def down(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("place"))
    yield place
    place.service.close()


@pytest.fixture(scope="module")
def place(down: Place) -> Iterator[Place]:
    with mlflow_server(down.port, down.folder):
        yield down


@pytest.fixture
def client(place: Place) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(place.uri, place.uri)


def test_while_it_is_down_it_is_said_once(down: Place, caplog: pytest.LogCaptureFixture) -> None:
    mirror = down.mirror()
    with pytest.raises(ConnectionRefusedError):
        mirror.check()
    for _ in range(2):
        mirror._not_before = 0.0
        mirror._look()
    with pytest.raises(ConnectionError):
        mirror.check()
    told = [r for r in caplog.records if r.name == "awry.ops.mlflow_mirror"]
    assert [r.levelname for r in told] == ["WARNING"]
    assert mirror._not_before > 0.0


def test_all_that_happened_is_told_when_it_is_there(place: Place, client: Any) -> None:
    mirror = place.mirror()
    # Both versions, what put each in charge, and who is in charge.
    assert mirror.catch_up() == 5
    mirror.check()
    assert mirror.catch_up() == 0
    assert place.mirror().catch_up() == 0, "another process knows what was told"
    found = sorted(client.search_model_versions("name = 'm'"), key=lambda v: int(v.version))
    assert [v.tags["awry.version"] for v in found] == ["1", "2"], "in order, once"
    assert all(any(k.startswith("awry.promoted.") for k in v.tags) for v in found)
    assert client.get_model_version_by_alias("m", "champion").version == "2"
    runs = [client.get_run(v.run_id) for v in found]
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert [run.data.tags["awry.method"] for run in runs] == ["mcd", "isolation_forest"]
    facts = place.service.models.version("m", 1)
    assert runs[0].data.params["settings.detector"] == "mcd"
    assert runs[0].data.metrics["threshold"] == pytest.approx(facts["threshold"])
    assert runs[0].data.metrics["rows"] == 300
    curve = client.get_metric_history(runs[0].info.run_id, "train_score_percentile")
    values = [point.value for point in sorted(curve, key=lambda point: point.step)]
    assert len(values) == 101
    assert values == sorted(values)


def test_it_holds_our_own_bytes_and_gives_scores(place: Place, client: Any, tmp_path: Path) -> None:
    place.mirror().catch_up()
    from mlflow import pyfunc

    version = client.get_model_version_by_alias("m", "champion")
    number = version.run_id
    local = Path(client.download_artifacts(number, "", str(tmp_path)))
    files = {str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()}
    assert {"card.json", "report.html", "model/MLmodel", "model/data/model.awry"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".py", ".bin"))]
    own = place.service.models
    assert (local / "model/data/model.awry").read_bytes() == own.data("m", 2)
    assert json.loads((local / "card.json").read_text())["card"]["name"] == "isolation_forest"
    assert "<svg" in (local / "report.html").read_text()
    loaded = pyfunc.load_model(str(local / "model"))
    scores = loaded.predict(place.frame)
    judge: Any = own.load("m", 2)[1]
    import pyarrow as pa

    np.testing.assert_allclose(scores, judge.score(pa.Table.from_pandas(place.frame)))
    assert len(np.unique(scores)) > 100, "scores, not verdicts"


def test_stage_changes_follow(place: Place, client: Any) -> None:
    mirror = place.mirror()
    mirror.catch_up()
    place.service.models.rollback("m")
    with place.service.store.write() as connection:
        connection.execute(
            rollouts.insert().values(
                model="m", version=2, stage="shadow", share=0.0, since=0.0, by="me",
                automatic=False,
            )
        )  # fmt: skip
    assert mirror.catch_up() == 2
    assert client.get_registered_model("m").aliases == {"champion": "1", "challenger": "2"}
    with place.service.store.write() as connection:
        connection.execute(rollouts.delete())
    place.service.models.promote("m", 2, by="me")
    assert mirror.catch_up() == 3
    assert client.get_registered_model("m").aliases == {"champion": "2"}
    assert mirror.catch_up() == 0


@pytest.mark.parametrize("place_of_end", ["create_model_version", "set_terminated", "_keep"])
def test_an_end_half_way_leaves_nothing_doubled(
    place: Place, client: Any, place_of_end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.mirror().catch_up()
    own = place.service
    own.models.add("m", own.models.load("m", 1)[1], about={}, by="me")
    mirror = place.mirror()

    def end(*_: Any, **__: Any) -> None:
        raise OSError("the process ends")

    where = mirror if place_of_end == "_keep" else mirror._client
    monkeypatch.setattr(where, place_of_end, end)
    with pytest.raises(OSError, match="ends"):
        mirror.catch_up()
    assert place.mirror().catch_up() == 1
    found = client.search_model_versions("name = 'm'")
    told = sorted(int(v.tags["awry.version"]) for v in found)
    assert told == [v for m in own.models.list() for v in m["versions"]]
    where_runs = client.get_experiment_by_name("awry/m").experiment_id
    assert len(client.search_runs([where_runs])) == len(told)


def test_a_version_that_cannot_be_read_holds_nobody_up(place: Place, client: Any) -> None:
    own = place.service
    place.mirror().catch_up()
    added = own.models.add("m", own.models.load("m", 1)[1], about={}, by="me")
    with own.store.read() as connection:
        file = own.models._row("m", added["version"]).file
        assert connection.execute(models.select()).all()
    (own.settings.home / "models" / file).write_bytes(b"damaged")
    after = own.models.add("m", own.models.load("m", 1)[1], about={}, by="me")
    assert place.mirror().catch_up() == 2
    told = {v.tags["awry.version"] for v in client.search_model_versions("name = 'm'")}
    assert str(after["version"]) in told
    assert str(added["version"]) not in told
    assert place.mirror().catch_up() == 0


def test_one_process_tells(place: Place) -> None:
    mirror = place.mirror()
    assert leases.take(place.service.store, "mlflow", "another", 60.0)
    place.service.models.rollback("m")
    mirror._look()
    assert ("m", "champion") in {(name, alias) for name, alias, _ in mirror._aliases()}
    assert leases.take(place.service.store, "mlflow", "another", -1.0)
    mirror._look()
    assert not mirror._aliases()
