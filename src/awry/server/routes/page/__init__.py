"""The pages people look at in a browser; they use the same service as the routes programs call."""

from __future__ import annotations

from fastapi import APIRouter

from awry.server.pages.render import PageRoute
from awry.server.routes.page import data, events, jobs, models, overview, review, visit

router = APIRouter(route_class=PageRoute)
for module in (overview, data, events, review, models, jobs, visit):
    router.include_router(module.router)
