"""The machine-readable description: bodies are read raw, so they are described here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import Match
from starlette.types import Scope

from oracle.server.http.guards import PROTECTED
from oracle.server.http.wire import ErrorAnswer

_REASONS = {
    200: "Done",
    201: "Stored",
    204: "Done",
    400: "Malformed request or unknown host",
    401: "API key missing or unknown",
    403: "Sent by a page of another origin",
    404: "Not found",
    405: "Wrong method",
    409: "Contradicts what is stored",
    413: "Body too large",
    415: "Not plain application/json",
    422: "A field breaks its rule",
    429: "Too many requests of this key",
    500: "A defect of the service",
    503: "Busy, or a part of the service is unavailable: see Retry-After",
}
#: Errors that any route behind the guard may answer.
_COMMON = (400, 401, 403, 422, 429, 500, 503)
_SCHEMAS: dict[str, type[BaseModel]] = {}
_REF = "#/components/schemas/{model}"


def described(
    model: type[BaseModel] | None,
    *statuses: int,
    ok: int = 200,
    example: Any = None,
    error: type[BaseModel] = ErrorAnswer,
) -> dict[int | str, Any]:
    """Describe a route's answers: the model on success, the error shape otherwise.

    Args:
        model: of the success; None where it has no JSON body.
        statuses: errors beyond the common ones.
        ok: status of the success.
        example: of the success.
        error: of everything else.
    """
    answers: dict[int | str, Any] = {ok: {"description": _REASONS[ok]}}
    if model is not None:
        answers[ok]["model"] = model
    if example is not None:
        answers[ok]["content"] = {"application/json": {"example": example}}
    for status in (*_COMMON, 413, 415, *statuses):
        answers[status] = {"model": error, "description": _REASONS[status]}
        if status in (429, 503):
            seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait"}
            answers[status]["headers"] = {"Retry-After": seconds}
    return answers


def body(
    model: type[BaseModel], example: Any, *, required: bool = True, **others: Any
) -> dict[str, Any]:
    """Describe a route's JSON body.

    Args:
        model: of the body.
        example: the usual one.
        required: whether there must be one.
        others: further examples, by name.
    """
    _SCHEMAS[model.__name__] = model
    schema = {"$ref": _REF.format(model=model.__name__)}
    shown: dict[str, Any] = {"example": example}
    if others:
        named = {"usual": example, **others}
        shown = {"examples": {name: {"value": value} for name, value in named.items()}}
    content = {"application/json": {"schema": schema, **shown}}
    return {"requestBody": {"required": required, "content": content}}


def install(app: FastAPI, *, with_keys: bool) -> None:
    """Make the application describe itself, bodies and keys included."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                openapi_version="3.1.0",
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            models = [(model, "validation") for model in _SCHEMAS.values()]
            _, defs = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
            schemas.update(defs.get("$defs", {}))
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            if with_keys:
                _require_keys(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _require_keys(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        if path.startswith(PROTECTED):
            for operation in operations.values():
                operation["security"] = [{"key": []}]


def methods_of(routers: Iterable[APIRouter], scope: Scope) -> frozenset[str]:
    """Give the methods that a request's path takes; none where there is no such route."""
    found: set[str] = set()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.matches(scope)[0] is not Match.NONE:
                found |= route.methods or set()
    return frozenset(found)
