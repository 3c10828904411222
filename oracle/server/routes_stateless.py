"""Forecasts and decisions on histories that come with the request; nothing is stored.

A forecast takes a fraction of a millisecond, less than handing it to a thread: single requests
are answered on the event loop, those that came together at once. Batches
have a thread of their own, see batch.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request, Response

from oracle.decision.policy import decide
from oracle.forecast.explanation import MOST_ASKED
from oracle.forecast.forecaster import Oracle
from oracle.search.lessons import Taught
from oracle.search.suggest import suggest_by
from oracle.search.table import table_of
from oracle.server.batch import answer_batch, default_policy
from oracle.server.http import examples
from oracle.server.http.answers import Json, answer, parse, read_body
from oracle.server.http.openapi import body, described
from oracle.server.http.wire import BatchAnswer, BatchRequest, DecideRequest
from oracle.server.http.wire_suggest import SuggestRequest, read_space
from oracle.server.runs.lessons import Lessons, taught_on
from oracle.server.service import Service, service_of
from oracle.types import Decision, Explanation, Forecast, History, Suggestions, T

router = APIRouter(tags=["stateless"])


@router.post(
    "/v1/forecast",
    responses=described(Forecast, 503, example=examples.FORECAST),
    openapi_extra=body(History, examples.HISTORY, plan=examples.PLAN),
)
async def forecast(request: Request) -> Response:
    """Forecast how the run of one history will end; before its first checkpoint from its plan."""
    service = service_of(request)
    history = parse(History, await read_body(request, service.settings.max_body_bytes))
    history.check_forecastable()
    service.models.require()
    forecast = await service.batcher.forecast(history)
    assert forecast is not None  # noqa: S101 (a loaded model stays loaded)
    return answer(forecast)


@router.post(
    "/v1/explain",
    responses=described(Explanation, 503, example=examples.EXPLANATION),
    openapi_extra=body(History, examples.HISTORY, plan=examples.PLAN),
)
async def explain(request: Request) -> Response:
    """Tell what each checkpoint and each part of the plan did to the forecast of one history."""
    service = service_of(request)
    owner = request.scope["owner"]
    with service.batches.held(owner):  # it asks for as many forecasts as a small batch
        history = parse(History, await read_body(request, service.settings.max_body_bytes))
        history.check_forecastable()
        service.models.require()
        service.door.charge(owner, MOST_ASKED)  # the door has counted the request
        return answer(await _on_the_batch_lane(service, lambda oracle: oracle.explain(history)))


@router.post(
    "/v1/suggest",
    responses=described(Suggestions, 404, 503, example=examples.SUGGESTIONS),
    openapi_extra=body(SuggestRequest, examples.SUGGEST),
)
async def suggest_plans(request: Request) -> Response:
    """Suggest settings for maps of a table that is told by its sizes, scale and shape."""
    service = service_of(request)
    owner = request.scope["owner"]
    with service.batches.held(owner):
        asked = parse(SuggestRequest, await read_body(request, service.settings.max_body_bytes))
        service.models.require()
        service.door.charge(owner, asked.candidates - 1)  # the door has counted the request
        lessons = await _lessons(service, owner, asked)
        return answer(await _on_the_batch_lane(service, partial(_suggested, asked, lessons)))


async def _lessons(service: Service, owner: str, asked: SuggestRequest) -> Lessons | None:
    name, scale = asked.population, asked.context.mqe_of_mean
    if name is None or scale is None:  # without a scale nothing is suggested, either
        return None
    return await service.store.read(lambda c: taught_on(c, owner, name, scale))


def _suggested(asked: SuggestRequest, lessons: Lessons | None, oracle: Oracle) -> Suggestions:
    wanted = asked.model_dump(exclude={"context", "space", "population"})
    space, table = read_space(asked.space), table_of(asked.context)

    def taught(oracle: Oracle) -> Taught:
        known = None if lessons is None else lessons.of(oracle.info.sha256)
        nobody = lessons is not None and known is None
        why = f"no run of {asked.population} that ended teaches this model" if nobody else None
        return Taught(known, why)

    return suggest_by(taught, table, **wanted, space=space, oracle=oracle)


async def _on_the_batch_lane(service: Service, question: Callable[[Oracle], T]) -> T:
    """Ask what takes as many forecasts as a batch, without holding single requests up."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(service.batch_lane, service.models.ask, question)


@router.post(
    "/v1/decide",
    name="decide",
    responses=described(Decision, 503, example=examples.DECISION),
    openapi_extra=body(DecideRequest, examples.HISTORY, plan=examples.PLAN),
)
async def decide_one(request: Request) -> Response:
    """Decide whether the run of one history goes on, stops, or cannot be judged."""
    service = service_of(request)
    asked = parse(DecideRequest, await read_body(request, service.settings.max_body_bytes))
    asked.check_forecastable()
    decision = decide(
        asked,
        await service.batcher.forecast(asked),
        asked.reference,
        asked.policy or default_policy(asked.reference),
        previous=asked.previous,
    )
    service.telemetry.decision(decision)
    return answer(decision)


@router.post(
    "/v1/decide/batch",
    name="decide_batch",
    responses=described(BatchAnswer, 503, example={"results": [{"decision": examples.DECISION}]}),
    openapi_extra=body(BatchRequest, {"histories": [examples.HISTORY]}),
)
async def decide_batch(request: Request) -> Response:
    """Decide on many histories at once; a bad one gets its error, the others their answers."""
    service = service_of(request)
    owner = request.scope["owner"]
    with service.batches.held(owner):  # before the body is read: few of them are in memory
        raw = await read_body(request, service.settings.max_batch_body_bytes)
        return Json(await answer_batch(service, owner, raw, request.is_disconnected))
