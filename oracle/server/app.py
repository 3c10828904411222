"""Put the service together.

`uvicorn --factory oracle.server.app:create_app` works, but only `oracle serve` gives the
deadlines of protocol.py.
"""

from __future__ import annotations

import asyncio
import gc
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

import oracle
from oracle.server import (
    routes_inference,
    routes_populations,
    routes_runs,
    routes_searches,
    routes_service,
    routes_stateless,
)
from oracle.server.http import openapi
from oracle.server.http.answers import Invalid, broken_rule, error_answer, status_error
from oracle.server.http.fast_path import FastPath
from oracle.server.http.guards import Cors, Guard
from oracle.server.http.logs import configure
from oracle.server.http.places import Lanes
from oracle.server.http.requests import NO_HEAD, HeadAsGet
from oracle.server.http.telemetry import Telemetry
from oracle.server.lean import Lean
from oracle.server.search_alerts import tell_news
from oracle.server.service import Service
from oracle.server.settings import Settings, refuse_public_without_keys
from oracle.server.workers import Parent

#: Objects that are made before the garbage collector looks at them. A few requests make more than
#: Python's 700 and free them all without it; now and then it looked at everything, for 50 ms.
GC_THRESHOLD = 10_000
DASHBOARD = Path(__file__).parent / "dashboard"


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application; nothing is opened before its lifespan begins.

    Args:
        settings: None = from the environment.

    Raises:
        InvalidHistory: a setting that breaks its rule.
    """
    settings = settings or Settings.from_environment()
    configure(settings.log_level)
    telemetry = Telemetry()
    service = Service.build(settings, telemetry)
    door = service.door
    refuse_public_without_keys(settings, has_keys=bool(door.keys))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        service.start()
        parent = Parent() if settings.workers > 1 else None
        gc.set_threshold(GC_THRESHOLD)
        house = [
            asyncio.create_task(service.keep_house()),
            asyncio.create_task(tell_news(service)),
        ]
        try:
            yield {"limits": service.limits}
        finally:
            for task in house:
                task.cancel()
            await asyncio.gather(*house, return_exceptions=True)
            await service.stop()
            if parent is not None:
                parent.clear_up()

    app = FastAPI(
        title="SOM Oracle",
        version=oracle.__version__,
        description="Forecasts how a self-organizing map's training will end, and decides.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.add_middleware(FastPath, router=routes_stateless.router)
    app.add_middleware(Lanes, places=service.lanes)
    app.add_middleware(Lean)
    app.add_middleware(Guard, settings=settings, door=door, telemetry=telemetry)
    app.add_middleware(HeadAsGet)
    if settings.allowed_origins:
        app.add_middleware(Cors, origins=settings.allowed_origins)
    # Searches come before populations, whose own route takes every path beneath it.
    routes = (
        routes_stateless,
        routes_inference,
        routes_runs,
        routes_searches,
        routes_populations,
        routes_service,
    )
    routers = [module.router for module in routes]
    for router in routers:
        app.include_router(router)
    # The system's table of media types is read now: a request opens nothing outside.
    mimetypes.init()
    page = StaticFiles(directory=DASHBOARD, html=True)
    app.mount("/", page, name="page")
    openapi.install(app, with_keys=bool(door.keys))

    @app.exception_handler(HTTPException)
    async def on_status(request: Request, error: HTTPException) -> Response:
        status, methods = error.status_code, frozenset[str]()
        if status in (404, 405):  # the page's files stand for every path that is no route's
            path = request.scope["path"]
            methods = openapi.methods_of(routers, request.scope)
            if not methods and _holds(page, path):
                methods = frozenset({"GET"})
            status = 405 if methods else 404
            methods |= {"HEAD"} if "GET" in methods and path != NO_HEAD else methods
        told = status_error(status)
        response = error_answer(told, request.scope, settings.retry_after_s)
        if methods:
            response.headers["allow"] = ", ".join(sorted(methods))
        return response

    @app.exception_handler(RequestValidationError)
    async def on_parameter(request: Request, error: RequestValidationError) -> Response:
        problem = error.errors()[0]
        field, message = broken_rule(problem | {"loc": problem["loc"][1:]})
        told = Invalid(message, field)
        return error_answer(told, request.scope, settings.retry_after_s)

    return app


def _holds(page: StaticFiles, path: str) -> bool:
    """Whether a path is one of the page's files; none has a name that no file system takes."""
    try:
        return page.lookup_path(path.removeprefix("/") or "index.html")[1] is not None
    except (OSError, ValueError):
        return False
