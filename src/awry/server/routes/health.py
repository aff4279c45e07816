"""Whether the service lives, is ready, and how it does."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

import awry
from awry.server.auth import Reader
from awry.server.schemas import Health, Ready

router = APIRouter(tags=["health"])


@router.get("/health", response_model=Health, summary="Whether the process lives")
async def health() -> dict[str, str]:
    return {"status": "ok", "version": awry.__version__}


@router.get(
    "/ready",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Something does not answer."}},
    summary="Whether what the service depends on answers, and how soon",
)
async def ready(request: Request) -> Any:
    service = request.app.state.service
    # The threads of requests may all be waiting for what is asked about here.
    found = await asyncio.to_thread(service.ready)
    answer = {
        "ready": all(probe["ok"] for probe in found.values() if probe["needed"]),
        "degraded": not all(probe["ok"] for probe in found.values()),
        "warming": service.warm.warming,
        "dependencies": found,
    }
    return JSONResponse(answer, 200 if answer["ready"] else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
    summary="Metrics for Prometheus",
)
async def metrics(request: Request, _: Reader) -> Response:
    text = await asyncio.to_thread(request.app.state.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
