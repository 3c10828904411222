"""Forecasts and decisions on histories that come with the request; nothing is stored.

A forecast takes a fraction of a millisecond, less than handing it to a thread: single requests
are answered on the event loop, those that came together at once. Batches
have a thread of their own.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from pydantic_core import from_json

from oracle.errors import InvalidHistory
from oracle.policy import decide, decide_population
from oracle.server.answers import Invalid, Json, answer, invalid, parse, read_body
from oracle.server.openapi import body, described
from oracle.server.service import Service, service_of
from oracle.server.wire import (
    EXAMPLE_HISTORY,
    BatchAnswer,
    BatchRequest,
    BatchResult,
    DecideRequest,
    Problem,
)
from oracle.types import Decision, Forecast, History, Policy, Reference

router = APIRouter(tags=["stateless"])


@router.post(
    "/v1/forecast",
    responses=described(Forecast, 503),
    openapi_extra=body(History, EXAMPLE_HISTORY),
)
async def forecast(request: Request) -> Response:
    """Forecast how the run of one history will end."""
    service = service_of(request)
    history = parse(History, await read_body(request, service.settings.max_body_bytes))
    service.models.require()
    forecast = await service.gather.forecast(history)
    assert forecast is not None  # noqa: S101 (a loaded model stays loaded)
    return answer(forecast)


@router.post(
    "/v1/decide",
    name="decide",
    responses=described(Decision, 503),
    openapi_extra=body(DecideRequest, EXAMPLE_HISTORY),
)
async def decide_one(request: Request) -> Response:
    """Decide whether the run of one history goes on, stops, or cannot be judged."""
    service = service_of(request)
    asked = parse(DecideRequest, await read_body(request, service.settings.max_body_bytes))
    decision = decide(
        asked,
        await service.gather.forecast(asked),
        asked.reference,
        asked.policy or _default(asked.reference),
        previous=asked.previous,
    )
    service.telemetry.decision(decision)
    return answer(decision)


@router.post(
    "/v1/decide/batch",
    name="decide_batch",
    responses=described(BatchAnswer, 503),
    openapi_extra=body(BatchRequest, {"histories": [EXAMPLE_HISTORY]}),
)
async def decide_batch(request: Request) -> Response:
    """Decide on many histories at once; a bad one gets its error, the others their answers."""
    service = service_of(request)
    raw = await read_body(request, service.settings.max_batch_body_bytes)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(service.batch_lane, _decide_batch, service, raw)


def _decide_batch(service: Service, raw: bytes) -> Response:
    asked = _parse_batch(raw)
    limit = service.settings.max_batch_histories
    if len(asked.histories) > limit:
        raise Invalid(f"`histories` must be at most {limit}.", "histories")
    parsed = [_history(value) for value in asked.histories]
    histories = [h for h in parsed if isinstance(h, History)]
    forecasts: list[Forecast | None] = [None] * len(histories)
    found = service.models.forecast_many(histories)
    if found is not None:
        forecasts = list(found)
    policy = asked.policy or _default(asked.reference)
    if asked.generation:
        decisions = decide_population(histories, forecasts, asked.reference, policy)
    else:
        decisions = [
            decide(history, forecast, asked.reference, policy)
            for history, forecast in zip(histories, forecasts, strict=True)
        ]
    for decision in decisions:
        service.telemetry.decision(decision)
    made = iter(decisions)
    results = (
        BatchResult(decision=next(made))
        if isinstance(h, History)
        else BatchResult(error=Problem(code="invalid", message=str(h), field=h.field))
        for h in parsed
    )
    parts = b",".join(r.model_dump_json(exclude_unset=True).encode() for r in results)
    return Json(b'{"results":[' + parts + b"]}")


def _parse_batch(raw: bytes) -> BatchRequest:
    """Read the JSON once; each history is validated by itself."""
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise Invalid("The body must be valid JSON.", None) from None
    try:
        return BatchRequest.model_validate(value)
    except ValidationError as error:
        raise invalid(error, BatchRequest) from None


def _history(value: Any) -> History | Invalid:
    try:
        return History.model_validate(value)
    except ValidationError as error:
        return invalid(error, History)
    except InvalidHistory as error:
        return Invalid(str(error), None)


def _default(reference: Reference | None) -> Policy:
    return Policy(name="population" if reference is not None else "threshold")
