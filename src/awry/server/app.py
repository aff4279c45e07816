"""The application: routes, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.concurrency import run_in_threadpool

import awry
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.server.batches import Batches
from awry.server.errors import MEDIA_TYPE, add_handlers
from awry.server.gate import Gate
from awry.server.metrics import Metrics
from awry.server.quick import Quick, warm_up
from awry.server.routes import (
    alerts,
    datasets,
    detect,
    drift,
    events,
    health,
    jobs,
    models,
    page,
    review,
    rollout,
)
from awry.server.schemas import Problem

_CODES = {
    400: "The body is no JSON, or no form.",
    401: "A key is missing, or not known.",
    403: "The key's role does not allow this.",
    404: "There is no such thing.",
    409: "It is there already, or in a state that does not allow this.",
    413: "More than a limit allows.",
    422: "The request cannot be met as it stands.",
    429: "Too many requests.",
    503: "Not now: try again.",
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {
        "model": Problem,
        "description": words,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for code, words in _CODES.items()
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as an ASGI application; its workers run while it does.

    Parameters
    ----------
    settings : Settings, optional
        Those of the environment by default.

    Examples
    --------
    >>> import tempfile
    >>> from awry.ops.settings import Settings
    >>> app = create_app(Settings(home=tempfile.mkdtemp()))
    >>> "/v1/detect" in app.openapi()["paths"]
    True
    """
    service = Service(settings)
    metrics = Metrics(service)
    limits = service.settings
    batches = Batches(
        service.judging.answer_quickly, limits.latency_budget_ms / 1e3, 4 * limits.max_rows
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # FastAPI makes routes ready when they are first looked at, with warnings off meanwhile for
        # all threads: so before there are any, and before anybody waits.
        for route in app.routes:
            route.matches({"type": "http", "method": "GET", "path": "/", "headers": []})
        service.start()
        metrics.watch.start()
        try:
            yield
        finally:
            await run_in_threadpool(metrics.watch.close)
            await run_in_threadpool(service.close)
            batches.close()

    app = FastAPI(
        title="awry",
        version=awry.__version__,
        summary="Finds what is out of place in tables and series, and says why.",
        lifespan=lifespan,
        docs_url=None,  # its page would load programs from elsewhere
        redoc_url=None,
        responses=_PROBLEMS,
    )
    app.state.service, app.state.metrics = service, metrics
    service.warm.before.append(warm_up)
    add_handlers(app)
    app.include_router(health.router)
    for module in (detect, datasets, models, jobs, events, review, alerts, rollout, drift):
        app.include_router(module.router, prefix="/v1")
        app.include_router(module.router, include_in_schema=False)
    app.include_router(page.router, include_in_schema=False)
    app.add_middleware(Quick, service=service, metrics=metrics, batches=batches)
    app.add_middleware(Gate, service=service, metrics=metrics)
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
        )
    return app
