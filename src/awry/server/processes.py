"""The server's processes: one, or several that answer at one port."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from typing import Any

import uvicorn
from fastapi import FastAPI

from awry.ops.settings import Settings
from awry.server.app import create_app
from awry.server.logs import log_to_stderr
from awry.server.metrics import SHARED

_LOG_LEVEL = "AWRY_LOG_LEVEL"
#: Seconds a thread computes while another waits; a request changes threads three times.
_TURN = 0.0005


def run(settings: Settings, *, processes: int = 1, log_level: str = "info") -> None:
    """Serve until told to stop.

    Several processes share the database; a job is run by one of them, and what one promotes
    answers in all within half a second.
    """
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": 10,
        # Who asks is told by the connection: a header anybody can send must not be believed.
        "proxy_headers": False,
    }
    log_to_stderr(log_level)
    if processes == 1:
        uvicorn.run(_settled(create_app(settings)), **options)
        return
    # The others read their settings from the environment, as this one did.
    os.environ |= {
        "AWRY_HOST": settings.host,
        "AWRY_PORT": str(settings.port),
        _LOG_LEVEL: log_level,
    }
    # Made once, before several processes would each make the tables of a new database.
    create_app(settings).state.service.close()
    with tempfile.TemporaryDirectory(prefix="awry-metrics-") as folder:
        os.environ[SHARED] = folder
        uvicorn.run(f"{__name__}:create_worker", factory=True, workers=processes, **options)


def create_worker() -> FastAPI:
    """The application of one of several processes."""
    log_to_stderr(os.environ.get(_LOG_LEVEL, "info"))
    return _settled(create_app(Settings.from_environment()))


def _settled(app: FastAPI) -> FastAPI:
    """``app``, so that requests wait less for what goes on beside them.

    What is there now, and once champions are loaded, is not looked at by the garbage collector
    again and again, while all wait; and threads that work beside hand over soon.
    """
    sys.setswitchinterval(_TURN)
    gc.freeze()
    app.state.service.warm.after += [gc.collect, gc.freeze]
    return app
