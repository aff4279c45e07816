"""Challengers, golden sets and policies of retraining."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from awry.server.auth import Admin, Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.rollout_schemas import (
    AbRequest,
    Challenger,
    Comparison,
    GoldenRequest,
    GoldenSummary,
    PolicyKept,
    PolicyRequest,
    ShadowRequest,
)
from awry.server.schemas import Job, NameInPath

router = APIRouter(tags=["rollout"], route_class=StrictRoute)


@router.post("/models/{name}/shadow", response_model=Challenger, summary="Try a version unseen")
def shadow(name: NameInPath, asked: ShadowRequest, service: TheService, caller: Admin) -> Any:
    """It judges what the champion answered, and nobody is told; see `comparison`."""
    return service.rollout.start(name, asked.version, by=caller.id, reason=asked.reason)


@router.post("/models/{name}/ab", response_model=Challenger, summary="Let a version answer a share")
def ab(name: NameInPath, asked: AbRequest, service: TheService, caller: Admin) -> Any:
    """The same keys are always answered by the same version."""
    return service.rollout.start(
        name, asked.version, stage="ab", share=asked.share, key=asked.key, by=caller.id,
        reason=asked.reason,
    )  # fmt: skip


@router.get("/models/{name}/challenger", response_model=Challenger, summary="What is tried")
def challenger(name: NameInPath, service: TheService, _: Reader) -> Any:
    return service.rollout.get(name)


@router.delete("/models/{name}/challenger", status_code=204, summary="End the trial")
def stop(name: NameInPath, service: TheService, caller: Admin) -> None:
    service.rollout.stop(name, by=caller.id)


@router.get(
    "/models/{name}/comparison", response_model=Comparison, summary="Champion against challenger"
)
def comparison(name: NameInPath, service: TheService, _: Reader) -> Any:
    """With 95 % intervals; rows are taken for independent."""
    return service.rollout.comparison(name)


@router.get("/models/{name}/golden", response_model=GoldenSummary, summary="How the champion does")
def golden(name: NameInPath, service: TheService, _: Reader) -> Any:
    """On the golden set: rows whose labels are known."""
    return service.golden.summary(name)


@router.post("/models/{name}/golden", response_model=GoldenSummary, summary="Add to the golden set")
def add_golden(name: NameInPath, asked: GoldenRequest, service: TheService, caller: Writer) -> Any:
    """A row that is there gets the new label. What people say of events is added by itself."""
    return service.golden.add(name, asked.data, asked.labels, by=caller.id)


@router.delete("/models/{name}/golden", status_code=204, summary="Empty the golden set")
def clear_golden(name: NameInPath, service: TheService, caller: Admin) -> None:
    service.golden.clear(name, by=caller.id)


@router.get("/policies", response_model=list[PolicyKept], summary="The policies of retraining")
def policies(service: TheService, _: Reader) -> Any:
    return service.retraining.list()


@router.get("/policies/{name}", response_model=PolicyKept, summary="The policy of a model")
def policy(name: NameInPath, service: TheService, _: Reader) -> Any:
    return service.retraining.get(name)


@router.put("/policies/{name}", response_model=PolicyKept, summary="Give a model a policy")
def put_policy(name: NameInPath, asked: PolicyRequest, service: TheService, caller: Admin) -> Any:
    return service.retraining.put(name, asked.policy, enabled=asked.enabled, by=caller.id)


@router.delete("/policies/{name}", status_code=204, summary="Take a model's policy away")
def remove_policy(name: NameInPath, service: TheService, caller: Admin) -> None:
    service.retraining.remove(name, by=caller.id)


@router.post(
    "/policies/{name}/run", response_model=Job, status_code=202, summary="Train anew, as a job"
)
def run_policy(name: NameInPath, service: TheService, caller: Writer) -> Any:
    """Now, whatever the policy waits for."""
    return service.retraining.ask(name, by=caller.id)
