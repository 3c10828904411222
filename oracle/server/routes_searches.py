"""Searches as a whole: is the oracle right on them, which settings are good, what needs you."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from oracle.audit.audit import Audit, promise_of
from oracle.server.http.answers import answer
from oracle.server.http.openapi import described
from oracle.server.routes_runs import PopulationName
from oracle.server.service import Service, service_of

router = APIRouter(tags=["searches"])


@router.get("/v1/populations/{name:path}/audit", responses=described(Audit, 404))
async def audit_population(request: Request, name: PopulationName) -> Response:
    """Hold what was forecast of a population's ended runs against how they ended."""
    service = service_of(request)
    return answer(await _audit(service, request.scope["owner"], name))


async def _audit(service: Service, owner: str, name: str) -> Audit:
    oracle = service.models.oracle
    promise = promise_of(oracle.manifest.training.get("score")) if oracle else {}
    policy = service.settings.policy
    proven = (oracle.info, oracle.certificates) if oracle else (None, ())
    return await service.store.read(
        lambda c: service.audits.now(c, owner, name, policy, promise, *proven)
    )
