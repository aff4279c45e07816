"""A process killed while it works leaves nothing lost, doubled or half done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from awry.ops.audit import entries
from awry.ops.errors import ConflictError
from awry.ops.service import Service
from awry.ops.settings import Settings

#: Runs one job and is killed where it calls what is named.
DIES = """
import os, signal, sys
from awry.ops.audit import entries
from awry.ops.errors import ConflictError
from awry.ops.service import Service
from awry.ops.settings import Settings
import awry.ops.{module} as module

def die(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

module.{place} = die
Service(Settings(home=sys.argv[1], lease_seconds=0.2)).jobs.run_next()
"""


@pytest.mark.parametrize(
    ("kind", "module", "place"),
    [
        ("train", "models", "_set_champion"),  # the file is written, the transaction is open
        ("detect", "jobs.Job", "settle"),  # the result is there, the job is not settled
    ],
)
def test_killed_at(kind: str, module: str, place: str, tmp_path: Path) -> None:
    made = Settings(home=tmp_path / "home", lease_seconds=0.2)
    service = Service(made)
    data = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"a": [float(i % 7) for i in range(200)]}), data)
    with data.open("rb") as file:
        service.datasets.add("data", file)
    request = {"name": "m", "dataset": "data", "method": "modified_zscore"}
    key = service.submit(kind, request, by="me")["id"]
    # The module's name is the first part: `jobs.Job` is a class in one.
    head, _, inner = module.partition(".")
    code = DIES.format(module=head, place=f"{inner}.{place}" if inner else place)
    killed = subprocess.run([sys.executable, "-c", code, str(made.home)], check=False)
    assert killed.returncode == -9
    assert service.jobs.get(key)["state"] == "running"
    assert service.models.list() == []
    time.sleep(0.25)
    assert service.jobs.run_next()
    job = service.jobs.get(key)
    assert (job["state"], job["attempts"]) == ("done", 2)
    if kind == "train":
        assert [one["versions"] for one in service.models.list()] == [[1]]
        assert service.models.load("m")[0] == 1
    else:
        rows = service.workshop.page(job, offset=0, limit=1_000, flagged=False)
        assert [row["row"] for row in rows] == list(range(1, 201))
    assert not service.jobs.run_next()
    files = [p for part in ("datasets", "models", "results") for p in (made.home / part).iterdir()]
    for path in files:
        os.utime(path, (0, 0))
    service.start()
    left = [p for part in ("datasets", "models", "results") for p in (made.home / part).iterdir()]
    assert len(files) == 3, "one of them is what the killed process left"
    assert len(left) == 2
    assert service.jobs.get(key)["state"] == "done"
    service.close()


#: Promotes, or rolls back, and is killed when the champion is set and nothing is committed.
DIES_IN_CHARGE = """
import os, signal, sys
from awry.ops import models
from awry.ops.audit import entries
from awry.ops.errors import ConflictError
from awry.ops.service import Service
from awry.ops.settings import Settings

def die(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

service = Service(Settings(home=sys.argv[1]))
models.write_down = die
service.models.{call}
"""


@pytest.mark.parametrize("call", ['promote("m", 3, by="me")', 'rollback("m", by="me")'])
def test_killed_while_another_is_put_in_charge(call: str, tmp_path: Path) -> None:
    service = Service(Settings(home=tmp_path, workers=0))
    data = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"a": [float(i % 7) for i in range(200)]}), data)
    with data.open("rb") as file:
        service.datasets.add("data", file)
    request = {"name": "m", "dataset": "data", "method": "modified_zscore"}
    for _ in range(3):
        service.submit("train", request, by="me")
        assert service.jobs.run_next()
    service.models.promote("m", 2, by="me")
    before = entries(service.store, cursor=None, limit=100)
    code = DIES_IN_CHARGE.format(call=call)
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    service.close()

    service = Service(Settings(home=tmp_path, workers=0))
    service.start()
    assert service.models.version("m")["version"] == 2
    assert service.models.load("m")[0] == 2
    assert entries(service.store, cursor=None, limit=100) == before, "nothing is half written down"
    # The history is whole: what is undone is undone in turn, and then there is no more.
    service.models.promote("m", 3, by="me")
    assert [service.models.rollback("m", by="me")["version"] for _ in range(2)] == [2, 1]
    with pytest.raises(ConflictError):
        service.models.rollback("m", by="me")
    service.close()
