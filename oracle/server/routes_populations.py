"""Populations: their list, one in numbers, its runs by column, which of them to finish."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.routing import Match
from starlette.types import Scope

from oracle.server.http.answers import answer
from oracle.server.http.openapi import described
from oracle.server.http.requests import KnownQueryRoute
from oracle.server.http.wire_populations import (
    PopulationBand,
    PopulationDetail,
    PopulationList,
    PopulationTable,
    PromisingList,
)
from oracle.server.routes_runs import NAMED, OF_POPULATION
from oracle.server.runs import band, populations, promising, table
from oracle.server.service import service_of
from oracle.types.fields import OneForm


class WordRoute(KnownQueryRoute):
    """A route whose last word is none of a population's name, which may be `a/table`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match, but where the client wrote that word within the name, as a%2Ftable."""
        word = self.path.rpartition("/")[2].encode()
        raw: bytes = scope.get("raw_path") or b""
        if raw.partition(b"?")[0].lower().endswith(b"%2f" + word):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(tags=["populations"], route_class=WordRoute)

PopulationName = Annotated[str, Path(**NAMED, description="Name of the population."), OneForm]
Cursor = Annotated[
    str | None, Query(max_length=20, description="`next_cursor` of the answer before: older runs.")
]
Newest = Annotated[
    str | None, Query(max_length=20, description="`newest` of an answer: runs that began since.")
]
MOST = "Runs that are told, at most."
#: What a stopped run may be promising in: the quality score, or metrics.
Objective = Literal["score", "mqe", "topographic_error", "dead_neuron_ratio"]


@router.get("/v1/populations", responses=described(PopulationList))
async def list_populations(request: Request) -> Response:
    """List the populations last heard of."""
    owner = request.scope["owner"]
    return answer(await service_of(request).store.read(lambda c: populations.listed(c, owner)))


@router.get(
    "/v1/populations/{name:path}/table",
    responses=described(PopulationTable, 404),
)
async def show_table(
    request: Request,
    name: PopulationName,
    limit: Annotated[int, Query(ge=1, le=table.MAX_ROWS, description=MOST)] = table.MAX_ROWS,
    cursor: Cursor = None,
    after: Newest = None,
) -> Response:
    """Show the runs of a population by column, newest first, with their settings."""
    owner = request.scope["owner"]
    return answer(
        await service_of(request).store.read(
            lambda c: table.table(c, owner, name, limit=limit, cursor=cursor, after=after)
        )
    )


@router.get("/v1/populations/{name:path}/band", responses=described(PopulationBand, 404))
async def show_band(request: Request, name: PopulationName) -> Response:
    """Show how the runs of a population stood after each share of their budget: quartiles."""
    owner = request.scope["owner"]
    return answer(await service_of(request).store.read(lambda c: band.band(c, owner, name)))


@router.get("/v1/populations/{name:path}", responses=described(PopulationDetail, 404))
async def show_population(
    request: Request,
    name: PopulationName,
    outcomes: Annotated[
        int, Query(ge=0, le=populations.MAX_OUTCOMES, description="Latest outcomes, at most.")
    ] = populations.MAX_OUTCOMES,
) -> Response:
    """Show a population: compute saved, wrong stops with their bound, how runs ended."""
    service = service_of(request)
    owner, policy = request.scope["owner"], service.settings.policy
    return answer(
        await service.store.read(
            lambda c: populations.detail(c, service.standings, owner, name, policy, outcomes)
        )
    )


@router.get(
    "/v1/promising",
    responses=described(PromisingList, 404),
)
async def list_promising(
    request: Request,
    population: Annotated[str, OF_POPULATION, OneForm],
    objective: Annotated[
        list[Objective] | None,
        Query(max_length=3, description="What is wanted low; left out: by the service's policy."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description=MOST)] = 20,
) -> Response:
    """List the stopped runs that are worth training to their end, the most promising first."""
    service = service_of(request)
    owner = request.scope["owner"]
    policy = promising.ranking(objective) if objective else service.settings.policy
    return answer(
        await service.store.read(
            lambda c: promising.promising(c, service.standings, owner, population, policy, limit)
        )
    )
