"""Data sets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile

from awry.ops.names import PATTERN
from awry.server.auth import Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.schemas import Dataset, DatasetStats, NameInPath

router = APIRouter(prefix="/datasets", tags=["data sets"], route_class=StrictRoute)
Format = Literal["csv", "tsv", "parquet", "arrow", "feather", "json", "jsonl", "ndjson"]


@router.get("", response_model=list[Dataset], summary="The data sets")
def listed(service: TheService, _: Reader) -> Any:
    return service.datasets.list()


@router.post("", response_model=Dataset, status_code=201, summary="Upload a data set")
def upload(
    service: TheService,
    _: Writer,
    name: Annotated[str, Form(pattern=PATTERN, examples=["payments-2024"])],
    file: Annotated[UploadFile, File(description="CSV, Parquet, Arrow, JSON or JSONL.")],
    format: Annotated[
        Format | None, Form(description="Told from the content where it is not given.")
    ] = None,
) -> Any:
    return service.datasets.add(name, file.file, format=format)


@router.get("/{name}", response_model=Dataset, summary="One data set")
def one(name: NameInPath, service: TheService, _: Reader) -> Any:
    return service.datasets.get(name)


@router.get("/{name}/stats", response_model=DatasetStats, summary="What its columns hold")
def stats(name: NameInPath, service: TheService, _: Reader) -> Any:
    """With each column's drift from a reference, once `POST /drift/{dataset}` compared them."""
    found = service.datasets.stats(name)
    drift = service.drift.of_columns(name, [one["name"] for one in found["columns"]])
    columns = [{**one, "drift": drift.get(one["name"])} for one in found["columns"]]
    return {**found, "columns": columns}


@router.delete("/{name}", status_code=204, summary="Delete a data set")
def delete(name: NameInPath, service: TheService, caller: Writer) -> None:
    """What was found in it is kept, so long as the settings say."""
    service.datasets.delete(name, by=caller.id)
