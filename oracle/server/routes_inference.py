"""KServe's Open Inference Protocol V2 over REST: its clients ask for forecasts unchanged.

The same forecast and decision as `/v1/decide` gives, with the same keys, limits and costs; errors
have the protocol's shape.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

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
    Told,
    histories_of,
    read_request,
    write_answer,
)
from oracle.server.service import Service, service_of
from oracle.types import TARGETS, Forecast, History, ModelInfo

router = APIRouter(tags=["inference protocol"])

#: Digits of a digest that stand for it.
SHORT = 12
ModelName = Annotated[str, Path(description="Name of the model in use.")]
Version = Annotated[
    str, Path(description="Its version, its digest, or the digest's first 12 digits.")
]


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
    return _metadata(request, name)


@router.get(
    "/v2/models/{name}/versions/{version}",
    responses=described(ModelMetadata, 404, error=InferenceError),
)
async def version_metadata(request: Request, name: ModelName, version: Version) -> Response:
    """Describe the model in use and its tensors, if this is its version."""
    return _metadata(request, name, version)


@router.get("/v2/models/{name}/ready", responses=described(ModelReady, 404, error=InferenceError))
async def model_ready(request: Request, name: ModelName) -> Response:
    """Say whether the model of this name is the one in use."""
    return _ready(request, name)


@router.get(
    "/v2/models/{name}/versions/{version}/ready",
    responses=described(ModelReady, 404, error=InferenceError),
)
async def version_ready(request: Request, name: ModelName, version: Version) -> Response:
    """Say whether this version of the model of this name is the one in use."""
    return _ready(request, name, version)


_INFER: dict[str, Any] = {
    "responses": described(
        InferenceAnswer, 404, error=InferenceError, example=examples.INFERENCE_ANSWER
    ),
    "openapi_extra": body(InferenceRequest, examples.INFERENCE),
}


@router.post("/v2/models/{name}/infer", **_INFER)
async def infer(request: Request, name: ModelName) -> Response:
    """Forecast and decide on one history, told as tensors, or on a batch of them."""
    return await _infer(request, name)


@router.post("/v2/models/{name}/versions/{version}/infer", **_INFER)
async def version_infer(request: Request, name: ModelName, version: Version) -> Response:
    """Forecast and decide on one history or a batch, if this is the version of the model in use."""
    return await _infer(request, name, version)


def _metadata(request: Request, name: str, version: str | None = None) -> Json:
    info = _named(service_of(request), name, version)
    return answer(ModelMetadata(name=info.name, versions=(info.version,)))


def _ready(request: Request, name: str, version: str | None = None) -> Json:
    return answer(ModelReady(name=_named(service_of(request), name, version).name, ready=True))


async def _infer(request: Request, name: str, version: str | None = None) -> Response:
    service = service_of(request)
    settings = service.settings
    raw = await read_body(request, settings.max_body_bytes, BODY_TYPES)
    asked, told = read_request(raw, request.headers.get(JSON_LENGTH), settings.max_batch_histories)
    if told.together:
        with service.batches.held(request.scope["owner"]):
            # The door has counted the request.
            service.door.charge(request.scope["owner"], len(told.fields) - 1)
            loop = asyncio.get_running_loop()
            lane = service.batch_lane
            work = partial(_batch, service, asked, told, name, version)
            text, json_length = await loop.run_in_executor(lane, work)
    else:
        history = histories_of(told)[0]
        _named(service, name, version)
        forecast = await service.batcher.forecast(history)
        if forecast is None:
            raise ArtifactNotFound(_TAKEN_BACK)
        row, model = _row(service, history, forecast), forecast.model
        text, json_length = write_answer(asked, (model.name, model.version), [row], together=False)
    if json_length is None:
        return Json(text)
    head = {JSON_LENGTH: str(json_length)}
    return Response(text, headers=head, media_type="application/octet-stream")


#: Between the look at its name and the forecast.
_TAKEN_BACK = "A model must be loaded; GET /readyz says what is wrong."

Row = dict[str, tuple[float, ...] | tuple[str, ...]]


def _batch(
    service: Service, asked: InferenceRequest, told: Told, name: str, version: str | None
) -> tuple[bytes, int | None]:
    """Answer a batch, in the thread of batches."""
    histories = histories_of(told)
    info = _named(service, name, version)
    forecasts = service.models.forecast_many(histories)
    if forecasts is None:
        raise ArtifactNotFound(_TAKEN_BACK)
    rows = [_row(service, h, f) for h, f in zip(histories, forecasts, strict=True)]
    model = forecasts[0].model if forecasts else info
    return write_answer(asked, (model.name, model.version), rows, together=True)


def _row(service: Service, history: History, forecast: Forecast) -> Row:
    """Decide on one history; give its outputs."""
    decision = decide(history, forecast, None, default_policy(None))
    service.telemetry.decision(decision)
    return {
        "levels": forecast.levels,
        **{target: forecast.final[target] for target in TARGETS},
        "support": (forecast.support,),
        "action": (str(decision.action),),
        "reason": (str(decision.reason),),
    }


def _named(service: Service, name: str, version: str | None = None) -> ModelInfo:
    """Give the model in use, if that is its name, and its version or digest.

    Raises:
        ArtifactNotFound: none was loaded yet.
        Refused: 404, another is in use.
    """
    info = service.models.require().info
    if name != info.name:
        rule = f"that of the model in use, {info.name}"
        raise Refused(404, must_be("name", rule, name).without_value)
    if version not in (None, info.version, info.sha256, info.sha256[:SHORT]):
        rule = f"that of the model in use, {info.version}, or its digest {info.sha256[:SHORT]}"
        raise Refused(404, must_be("version", rule, version).without_value)
    return info
