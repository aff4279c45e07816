"""Models and their versions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from awry.server.auth import Admin, Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.schemas import (
    Job,
    ModelListed,
    ModelVersion,
    NameInPath,
    PromoteRequest,
    TrainRequest,
    VersionInPath,
)

router = APIRouter(prefix="/models", tags=["models"], route_class=StrictRoute)


@router.get("", response_model=list[ModelListed], summary="The models")
def listed(service: TheService, _: Reader) -> Any:
    return service.models.list()


@router.post("", response_model=Job, status_code=202, summary="Train a model, as a job")
def train(asked: TrainRequest, service: TheService, caller: Writer) -> Any:
    """The first version of a model is its champion; others become it by `promote`."""
    return service.submit("train", asked.model_dump(exclude_none=True), by=caller.id)


@router.get("/{name}", response_model=ModelVersion, summary="The champion of a model")
def champion(name: NameInPath, service: TheService, _: Reader) -> Any:
    return service.models.version(name)


@router.get("/{name}/versions/{version}", response_model=ModelVersion, summary="One version")
def version(name: NameInPath, version: VersionInPath, service: TheService, _: Reader) -> Any:
    return service.models.version(name, version)


@router.post("/{name}/promote", response_model=ModelVersion, summary="Put a version in charge")
def promote(name: NameInPath, asked: PromoteRequest, service: TheService, caller: Admin) -> Any:
    """A version that failed on the golden set is refused, unless `force` is given."""
    return service.models.promote(name, asked.version, by=caller.id, force=asked.force)


@router.post(
    "/{name}/rollback", response_model=ModelVersion, summary="Put the version before in charge"
)
def rollback(name: NameInPath, service: TheService, caller: Admin) -> Any:
    return service.models.rollback(name, by=caller.id)
