"""KServe's Open Inference Protocol V2 over REST: its clients ask for forecasts unchanged.

The same forecast and decision as `/v1/decide` gives, with the same keys, limits and costs; errors
have the protocol's shape.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

import oracle
from oracle.decision.policy import decide
from oracle.errors import ArtifactNotFound, must_be
from oracle.server.batch import default_policy
from oracle.server.http import examples
from oracle.server.http.answers import Json, Refused, answer, read_body
from oracle.server.http.openapi import body, described
from oracle.server.http.wire_inference import (
    BODY_TYPES,
    JSON_LENGTH,
    InferenceAnswer,
    InferenceError,
    InferenceRequest,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    history_of,
    read_request,
    write_answer,
)
from oracle.server.service import Service, service_of
from oracle.types import TARGETS, ModelInfo

router = APIRouter(tags=["inference protocol"])

ModelName = Annotated[str, Path(description="Name of the model in use.")]


@router.get("/v2", responses=described(ServerMetadata, error=InferenceError))
async def server_metadata() -> Response:
    """Say who answers, and in which extensions of the protocol."""
    return answer(ServerMetadata(name="som-oracle", version=oracle.__version__))


@router.get("/v2/health/live", responses=described(ServerLive, error=InferenceError))
async def server_live() -> Response:
    """Say that the process is alive."""
    return answer(ServerLive(live=True))


@router.get(
    "/v2/health/ready",
    responses=described(ServerReady, error=InferenceError)
    | {503: {"model": ServerReady, "description": "No model is loaded"}},
)
async def server_ready(request: Request) -> Response:
    """Say whether a model passed its self-test; histories of these routes need no store."""
    service = service_of(request)
    ready = service.models.oracle is not None
    response = answer(ServerReady(ready=ready), 200 if ready else 503)
    if not ready:
        response.headers["retry-after"] = str(service.settings.retry_after_s)
    return response


@router.get("/v2/models/{name}", responses=described(ModelMetadata, 404, error=InferenceError))
async def model_metadata(request: Request, name: ModelName) -> Response:
    """Describe the model in use and its tensors."""
    info = _named(service_of(request), name)
    return answer(ModelMetadata(name=info.name, versions=(info.version,)))


@router.get("/v2/models/{name}/ready", responses=described(ModelReady, 404, error=InferenceError))
async def model_ready(request: Request, name: ModelName) -> Response:
    """Say whether the model of this name is the one in use."""
    return answer(ModelReady(name=_named(service_of(request), name).name, ready=True))


@router.post(
    "/v2/models/{name}/infer",
    responses=described(
        InferenceAnswer, 404, error=InferenceError, example=examples.INFERENCE_ANSWER
    ),
    openapi_extra=body(InferenceRequest, examples.INFERENCE),
)
async def infer(request: Request, name: ModelName) -> Response:
    """Forecast and decide on one history, told as tensors."""
    service = service_of(request)
    raw = await read_body(request, service.settings.max_body_bytes, BODY_TYPES)
    asked, fields = read_request(raw, request.headers.get(JSON_LENGTH))
    history = history_of(fields)
    history.check_forecastable()
    _named(service, name)
    forecast = await service.batcher.forecast(history)
    if forecast is None:  # taken back meanwhile
        raise ArtifactNotFound("A model must be loaded; GET /readyz says what is wrong.")
    decision = decide(history, forecast, None, default_policy(None))
    service.telemetry.decision(decision)
    values: dict[str, tuple[float, ...] | tuple[str, ...]] = {
        "levels": forecast.levels,
        **{target: forecast.final[target] for target in TARGETS},
        "support": (forecast.support,),
        "action": (str(decision.action),),
        "reason": (str(decision.reason),),
    }
    model = forecast.model
    text, json_length = write_answer(asked, (model.name, model.version), values)
    if json_length is None:
        return Json(text)
    head = {JSON_LENGTH: str(json_length)}
    return Response(text, headers=head, media_type="application/octet-stream")


def _named(service: Service, name: str) -> ModelInfo:
    """Give the model in use, if that is its name.

    Raises:
        ArtifactNotFound: none was loaded yet.
        Refused: 404, another is in use.
    """
    info = service.models.require().info
    if name != info.name:
        rule = f"that of the model in use, {info.name}"
        raise Refused(404, must_be("name", rule, name).without_value)
    return info
