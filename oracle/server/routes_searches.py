"""Searches as a whole: is the oracle right on them, which settings are good, what needs you."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from oracle.audit.audit import Audit
from oracle.audit.settings import SettingsFound
from oracle.errors import RunNotFound
from oracle.server.http.answers import answer, parse, read_body
from oracle.server.http.openapi import body, described
from oracle.server.http.wire_searches import AlertList, SearchAboutRequest, SearchList
from oracle.server.routes_populations import PopulationName, WordRoute
from oracle.server.search_alerts import alerts_of, audit_of, measure_of
from oracle.server.searches import cards
from oracle.server.service import Service, service_of
from oracle.types.fields import OneForm

router = APIRouter(tags=["searches"], route_class=WordRoute)


@router.get("/v1/populations/{name:path}/audit", responses=described(Audit, 404))
async def audit_population(request: Request, name: PopulationName) -> Response:
    """Hold what was forecast of a population's ended runs against how they ended."""
    service = service_of(request)
    return answer(await audit_of(service, request.scope["owner"], name))


@router.get(
    "/v1/populations/{name:path}/settings",
    responses=described(SettingsFound, 404),
)
async def find_settings(
    request: Request,
    name: PopulationName,
    best: Annotated[float, Query(gt=0, le=0.5, description="Share of runs that are best.")] = 0.1,
) -> Response:
    """Tell which settings of a population explain how its runs end, and where the best lie."""
    service = service_of(request)
    owner, policy = request.scope["owner"], service.settings.policy
    return answer(
        await service.store.read(lambda c: service.audits.settings(c, owner, name, policy, best))
    )


@router.get("/v1/populations/{name:path}/alerts", responses=described(AlertList, 404))
async def list_alerts(request: Request, name: PopulationName) -> Response:
    """List what of a population needs somebody, the most urgent first."""
    found = await alerts_of(service_of(request), request.scope["owner"], name)
    return answer(AlertList(population=name, alerts=found))


@router.get("/v1/searches", responses=described(SearchList))
async def list_searches(
    request: Request,
    archived: Annotated[bool, Query(description="Those that were put away, too.")] = False,
    name: Annotated[
        list[Annotated[str, OneForm]] | None, Query(max_length=12, description="Only these.")
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=cards.MAX_SEARCHES, description="Searches that are told, at most.")
    ] = cards.MAX_SEARCHES,
) -> Response:
    """List searches at a glance, the last heard of first, with the curve of the best."""
    service = service_of(request)
    owner, measure = request.scope["owner"], measure_of(service)
    return answer(
        await service.store.read(
            lambda c: cards.cards(
                c,
                service.audits,
                owner,
                measure,
                archived=archived,
                names=tuple(name or ()),
                limit=limit,
            )
        )
    )


@router.post(
    "/v1/populations/{name:path}/about",
    responses=described(SearchList, 404),
    openapi_extra=body(SearchAboutRequest, {"title": "Wine, third try", "archived": False}),
)
async def describe_search(request: Request, name: PopulationName) -> Response:
    """Say a search's title and note, or put it away; answers with its card."""
    service = service_of(request)
    said = parse(SearchAboutRequest, await read_body(request, service.settings.max_body_bytes))
    owner = request.scope["owner"]
    await service.store.write(lambda c: cards.say(c, owner, name, said))
    return answer(await _about(service, owner, name))


@router.get("/v1/populations/{name:path}/about", responses=described(SearchList, 404))
async def show_search(request: Request, name: PopulationName) -> Response:
    """Show a search at a glance, with what was said of it: a list of its one card."""
    return answer(await _about(service_of(request), request.scope["owner"], name))


async def _about(service: Service, owner: str, name: str) -> SearchList:
    measure = measure_of(service)
    found = await service.store.read(
        lambda c: cards.cards(c, service.audits, owner, measure, names=(name,))
    )
    if not found.searches:
        raise RunNotFound("There is no such population.")
    return found
