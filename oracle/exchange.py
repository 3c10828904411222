"""What the client sends as JSON, and how it reads an answer; what is neither is an OracleError.

A service is reached through proxies, by a wrong address, or is of another version: what comes back
may be a page of HTML, a date where seconds are meant, or half an answer.
"""

from __future__ import annotations

import json
from contextlib import suppress
from math import isfinite
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from oracle.errors import (
    ArtifactError,
    InvalidHistory,
    NotAuthorized,
    OracleError,
    Overloaded,
    RunConflict,
    RunNotFound,
    StoreUnavailable,
    must_be,
)
from oracle.types import explain

M = TypeVar("M", bound=BaseModel)

_ERRORS: dict[str, type[OracleError]] = {
    "invalid": InvalidHistory,
    "conflict": RunConflict,
    "not_found": RunNotFound,
    "unauthorized": NotAuthorized,
    "rate_limited": Overloaded,
    "overloaded": Overloaded,
    "store_unavailable": StoreUnavailable,
    "no_model": ArtifactError,
}
#: Longest pause that the client takes because the service asks for it, seconds.
MAX_PAUSE_S = 30.0


def as_json(body: dict[str, Any]) -> bytes:
    """Write a body; numbers of NumPy are numbers.

    Raises:
        InvalidHistory: something in it is no JSON; of its members the first is named.
    """
    written = _written(body)
    if written is None:
        name = next(name for name, value in body.items() if _written(value) is None)
        rule = "of finite numbers, texts and lists of such"
        raise InvalidHistory(must_be(name, rule, body[name]))
    return written


def _written(value: Any) -> bytes | None:
    def plain(number: Any) -> Any:
        return number.item()  # that of an array with several is an error

    try:
        told = json.dumps(
            value, allow_nan=False, default=plain, ensure_ascii=False, separators=(",", ":")
        )
        return told.encode()
    except (AttributeError, TypeError, ValueError, RecursionError):
        return None


def read(model: type[M], raw: bytes) -> M:
    """Read an answer.

    Raises:
        StoreUnavailable: it is none of the service.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        told = explain(error)
        raise StoreUnavailable(
            f"The answer is no {model.__name__} of this version: {told} Check the url."
        ) from None


def error_of(response: httpx.Response) -> OracleError:
    """Give the exception that a refusal stands for."""
    try:
        told = response.json()["error"]
        kind, message = str(told["code"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        kind, message = "", f"The service answered {response.status_code}."
    return _ERRORS.get(kind, OracleError)(message)


def pause_of(response: httpx.Response) -> float:
    """Give the seconds that a busy service asks to wait for; one where it names a date."""
    with suppress(ValueError):
        asked = float(response.headers.get("retry-after", 1))
        if isfinite(asked):
            return min(max(asked, 0.0), MAX_PAUSE_S)
    return 1.0
