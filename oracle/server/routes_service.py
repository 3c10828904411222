"""The service about itself: alive, ready, measured, described."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, PlainTextResponse

from oracle.errors import StoreUnavailable
from oracle.server.docs_page import render
from oracle.server.http import telemetry
from oracle.server.http.answers import answer
from oracle.server.http.openapi import described
from oracle.server.http.requests import KnownQueryRoute
from oracle.server.http.wire_service import Health, ModelCard, ModelsAnswer, Readiness, StoreState
from oracle.server.runs import populations
from oracle.server.service import service_of
from oracle.server.storage.store import Store

router = APIRouter(tags=["service"], route_class=KnownQueryRoute)


@router.get("/healthz", responses=described(Health))
async def healthz() -> Response:
    """Say that the process is alive."""
    return answer(Health())


@router.get(
    "/readyz",
    responses=described(Readiness)
    | {503: {"model": Readiness, "description": "Not ready: says what is missing"}},
)
async def readyz(request: Request) -> Response:
    """Say whether a model passed its self-test and the store can be read and written."""
    service = service_of(request)
    store = await _state_of(service.store)
    active = service.models.active()
    ready = active is not None and store == "ok"
    response = answer(
        Readiness(
            ready=ready,
            model=active,
            model_failure=service.models.failure(),
            store=store,
        ),
        200 if ready else 503,
    )
    if not ready:
        response.headers["retry-after"] = str(service.settings.retry_after_s)
    return response


async def _state_of(store: Store) -> StoreState:
    try:
        await store.check_reading()
    except StoreUnavailable:
        return "unavailable"
    try:
        await store.check_writing()
    except StoreUnavailable:
        return "not_writable"
    return "ok"


@router.get("/v1/models", responses=described(ModelsAnswer))
async def list_models(request: Request) -> Response:
    """List the model in use and those that could be activated."""
    return answer(await asyncio.to_thread(service_of(request).models.report))


@router.get("/v1/models/active", responses=described(ModelCard))
async def show_model(request: Request) -> Response:
    """Show the card of the model in use and the facts of its training."""
    return answer(service_of(request).models.card())


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=described(None) | {200: {"content": {"text/plain": {}}, "description": "Metrics"}},
)
async def metrics(request: Request) -> Response:
    """Give the metrics to Prometheus, all workers together."""
    service = service_of(request)
    with suppress(StoreUnavailable):  # then as it was before
        service.telemetry.controls(*await service.store.read(populations.controls))
    text = await asyncio.to_thread(service.telemetry.exposition)
    return Response(text, media_type=telemetry.CONTENT_TYPE)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """Show this interface to a person; loads nothing from anywhere."""
    state = request.app.state
    if not hasattr(state, "docs_page"):  # made once: anybody may ask, and it holds the loop
        state.docs_page = render(request.app.openapi())
    return HTMLResponse(state.docs_page)
