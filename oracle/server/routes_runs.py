"""Stored runs: append, finish, overrule, list, replay, forget; their events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from oracle.server.http import examples
from oracle.server.http.answers import Json, answer, parse, read_body
from oracle.server.http.openapi import body, described
from oracle.server.http.requests import KnownQueryRoute
from oracle.server.http.wire import (
    PLAIN_PATTERN,
    AboutRequest,
    CheckpointsRequest,
    FinishRequest,
    Override,
    OverrideRequest,
    OverrideTo,
    ReplayAnswer,
    RunDetail,
    RunList,
    RunSummary,
    State,
)
from oracle.server.runs import listing
from oracle.server.runs.events import EventStream, Wanted
from oracle.server.service import service_of
from oracle.server.storage.turns import Subject
from oracle.types import RUN_ID_PATTERN, Decision
from oracle.types.fields import OneForm

router = APIRouter(tags=["runs"], route_class=KnownQueryRoute)

RunName = Annotated[str, Path(pattern=RUN_ID_PATTERN, description="Name of the run.")]
NAMED: dict[str, Any] = {"min_length": 1, "max_length": 200, "pattern": PLAIN_PATTERN}
OF_POPULATION = Query(**NAMED, description="Name of the population.")
OfPopulation = Annotated[str | None, OF_POPULATION, OneForm]
OfDataset = Annotated[str | None, Query(**NAMED, description="Name of the table."), OneForm]
OfRun = Annotated[str | None, Query(**NAMED, description="Name of the run."), OneForm]
EventId = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Last event known.")]


@router.post(
    "/v1/runs/{run_id}/checkpoints",
    status_code=201,
    responses=described(Decision, 404, 409, ok=201, example=examples.FIRST_DECISION)
    | {200: {"model": Decision, "description": "Stored before: the decision made then"}},
    openapi_extra=body(CheckpointsRequest, examples.CHECKPOINT),
)
async def append_checkpoints(request: Request, run_id: RunName) -> Response:
    """Append checkpoints of a run and decide on all of it; committed before the answer."""
    service = service_of(request)
    piece = parse(CheckpointsRequest, await read_body(request, service.settings.max_body_bytes))
    owner = request.scope["owner"]
    done = await service.store.ask(
        lambda connection: service.runs.append(connection, owner, run_id, piece),
        about=Subject(owner, run_id, piece.population_name),
    )
    service.telemetry.decision(done.decision)
    if done.stored:
        service.telemetry.checkpoints.inc(done.stored)
    return answer(done.decision, 201 if done.stored else 200)


@router.post(
    "/v1/runs/{run_id}/finish",
    responses=described(RunSummary, 404, 409),
    openapi_extra=body(FinishRequest, {"final_mqe": 0.11}),
)
async def finish_run(request: Request, run_id: RunName) -> Response:
    """Say how a run ended; its outcome joins its population."""
    service = service_of(request)
    how = parse(FinishRequest, await read_body(request, service.settings.max_body_bytes))
    owner = request.scope["owner"]
    done = await service.store.ask(
        lambda connection: service.runs.finish(connection, owner, run_id, how),
        about=Subject(owner, run_id),
    )
    return answer(done)


@router.post(
    "/v1/runs/{run_id}/keep",
    responses=described(RunSummary, 404, 409),
    openapi_extra=body(OverrideRequest, {}),
)
async def keep_run(request: Request, run_id: RunName) -> Response:
    """Say as a person that this run is never stopped."""
    return await _override(request, run_id, "keep")


@router.post(
    "/v1/runs/{run_id}/stop",
    responses=described(RunSummary, 404, 409),
    openapi_extra=body(OverrideRequest, {}),
)
async def stop_run(request: Request, run_id: RunName) -> Response:
    """Say as a person that this run stops at its next checkpoint."""
    return await _override(request, run_id, "stop")


@router.post(
    "/v1/runs/{run_id}/about",
    responses=described(RunSummary, 404),
    openapi_extra=body(AboutRequest, {"config": {"sigma": 2.0}, "tags": ["baseline"]}),
)
async def describe_run(request: Request, run_id: RunName) -> Response:
    """Say a run's name, settings, tags and notes, also after its end."""
    service = service_of(request)
    said = parse(AboutRequest, await read_body(request, service.settings.max_body_bytes))
    owner = request.scope["owner"]
    about = Subject(owner, run_id)
    return answer(
        await service.store.write(lambda c: service.runs.say(c, owner, run_id, said), about)
    )


@router.post(
    "/v1/runs/{run_id}/override",
    responses=described(RunSummary, 404, 409),
    openapi_extra=body(OverrideTo, {"to": None, "by": "ann"}),
)
async def override_run(request: Request, run_id: RunName) -> Response:
    """Say as a person what becomes of this run; null gives it back to its policy."""
    limit = service_of(request).settings.max_body_bytes
    said = parse(OverrideTo, await read_body(request, limit))
    return await _said(request, run_id, said.to, said.by)


async def _override(request: Request, run_id: str, word: Override) -> Json:
    limit = service_of(request).settings.max_body_bytes
    said = parse(OverrideRequest, await read_body(request, limit))
    return await _said(request, run_id, word, said.by)


async def _said(request: Request, run_id: str, word: Override | None, by: str | None) -> Json:
    service, owner = service_of(request), request.scope["owner"]
    return answer(
        await service.store.write(
            lambda connection: service.runs.override(connection, owner, run_id, word, by),
            Subject(owner, run_id),
        )
    )


@router.get("/v1/runs", responses=described(RunList))
async def list_runs(
    request: Request,
    population: OfPopulation = None,
    dataset: OfDataset = None,
    state: Annotated[State | None, Query(description="Runs of this state alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Runs of a page, at most.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=20, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List runs, newest first."""
    owner = request.scope["owner"]
    return answer(
        await service_of(request).store.read(
            lambda connection: listing.page(
                connection,
                owner,
                population=population,
                dataset=dataset,
                state=state,
                limit=limit,
                cursor=cursor,
            )
        )
    )


@router.get("/v1/runs/{run_id}", responses=described(RunDetail, 404))
async def show_run(request: Request, run_id: RunName) -> Response:
    """Show one run: its history, its decisions over time, its outcome."""
    owner = request.scope["owner"]
    return answer(await service_of(request).store.read(lambda c: listing.detail(c, owner, run_id)))


@router.get(
    "/v1/runs/{run_id}/decisions/{epoch}",
    responses=described(ReplayAnswer, 404),
)
async def show_decision(
    request: Request,
    run_id: RunName,
    epoch: Annotated[
        float, Path(ge=0, allow_inf_nan=False, description="The decided checkpoint's own counter.")
    ],
) -> Response:
    """Show a decision with everything needed to make it again."""
    owner = request.scope["owner"]
    return answer(
        await service_of(request).store.read(lambda c: listing.replay(c, owner, run_id, epoch))
    )


@router.delete("/v1/runs/{run_id}", status_code=204, responses=described(None, 404, ok=204))
async def delete_run(request: Request, run_id: RunName) -> Response:
    """Forget a run and all that is stored about it."""
    service = service_of(request)
    owner = request.scope["owner"]
    about = Subject(owner, run_id)
    await service.store.write(lambda c: service.runs.delete(c, owner, run_id), about)
    return Response(status_code=204)


@router.get(
    "/v1/events",
    status_code=200,
    response_class=EventStream,
    responses=described(None)
    | {200: {"description": "Events", "content": {"text/event-stream": {}}}},
)
async def stream_events(
    request: Request,
    population: OfPopulation = None,
    run_id: OfRun = None,
    after: EventId = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**63 - 1, description="Last event known; goes before `after`.")
    ] = None,
) -> Response:
    """Stream what happens, live; resume with Last-Event-ID."""
    service = service_of(request)
    wanted = Wanted(request.scope["owner"], population, run_id)
    since = last_event_id if last_event_id is not None else after
    frames = service.feed.stream(wanted, since, service.model_news())
    return EventStream(frames, service.streams, service.telemetry.streams.set)
