"""How the service answers: JSON, and one shape for every error that repeats nothing received."""

from __future__ import annotations

import json
import math
import os
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from oracle.errors import (
    ArtifactError,
    InvalidHistory,
    Message,
    NotAuthorized,
    OracleError,
    Overloaded,
    RunConflict,
    RunNotFound,
    StoreUnavailable,
    must_be,
)
from oracle.types import NULLABLE, POLICIES, UNION_TAG, path_of, rule_of

JSON_TYPE = "application/json"
#: Longest message of an error, characters.
MAX_MESSAGE_CHARS = 1_000
#: Below it clients know another shape of errors: KServe's, a text alone.
INFERENCE = "/v2/"
BUSY = "The service is busy. Try again soon."
NO_JSON = "The body must be valid JSON in UTF-8."
#: What to send where a metric has no value.
UNKNOWN = " Send [null, ...] where it is unknown."

_CODES: tuple[tuple[type[OracleError], str], ...] = (
    (InvalidHistory, "invalid"),
    (RunConflict, "conflict"),
    (RunNotFound, "not_found"),
    (NotAuthorized, "unauthorized"),
    (Overloaded, "overloaded"),
    (StoreUnavailable, "store_unavailable"),
    (ArtifactError, "no_model"),
)
_CODE_OF_STATUS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    500: "internal",
    503: "overloaded",
}

#: How a message in our form begins, where it was written as a plain text.
_OF_A_FIELD = re.compile(r"`([\w.]+)` must ")

M = TypeVar("M", bound=BaseModel)


class Refused(OracleError):
    """A request that is refused before it reaches the oracle.

    Args:
        status: HTTP status.
        message: rule and remedy.
        retry_after_s: told as Retry-After.
    """

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class Json(Response):
    """A JSON answer from bytes that are JSON already."""

    media_type = JSON_TYPE


def answer(model: BaseModel, status: int = 200) -> Json:
    """Answer with a pydantic model."""
    return Json(model.__pydantic_serializer__.to_json(model), status)


def parse(model: type[M], raw: bytes) -> M:
    """Validate raw JSON bytes, a byte order mark before them or not.

    Raises:
        InvalidHistory: naming the first field that breaks its rule, without its value.
    """
    try:
        return model.model_validate_json(raw.removeprefix(BOM_UTF8))
    except ValidationError as error:
        raise invalid(error, model) from None


class Invalid(InvalidHistory):
    """A body that breaks a rule; `field` is the path to the first that does."""

    def __init__(self, message: str, field: str | None) -> None:
        super().__init__(message)
        self.field = field


def invalid(error: ValidationError, model: type[BaseModel]) -> Invalid:
    """Tell pydantic's first problem in our form, without the value."""
    problems = error.errors(include_url=False, include_input=False)
    # A name that is misspelt is the cause of the one that is missing.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    field, message = _tell(problem, model)
    more = len(problems) - 1
    others = f" ({more} more problem{'s' if more > 1 else ''}.)" if more else ""
    return Invalid(message + others, field or None)


def _tell(problem: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    kind, loc = problem["type"], problem["loc"]
    if kind == "extra_forbidden":  # the unknown name is input too: name the known ones instead
        parent = path_of(loc[:-1])
        known = ", ".join(_fields_at(model, loc[:-1]))
        where = f"`{parent}`" if parent else "The body"
        return parent, f"{where} must have known fields only: {known}."
    field = path_of(loc)
    if kind == "value_error":
        message = problem["ctx"]["error"].args[0]
        if isinstance(message, Message):
            # The rule of a value within names itself, or what holds it: `name` of `policy`.
            outer = [] if not field else field.split(".")
            if outer[-1:] == message.field.split(".")[:1]:
                outer.pop()
            whole = ".".join([*outer, message.field])
            return whole, message.without_value.replace(f"`{message.field}`", f"`{whole}`", 1)
    if kind == "json_invalid":
        return "", f"{NO_JSON.rstrip('.')}: {problem['ctx']['error']}."
    if kind == "missing":
        return field, f"`{field}` must be given." + (UNKNOWN if field in NULLABLE else "")
    return broken_rule(problem)


def broken_rule(problem: ErrorDetails) -> tuple[str, str]:
    """Tell the field, and the rule that its value breaks, in our form."""
    field, rule, advice = rule_of(problem)
    return field, must_be(field or "body", rule, None, advice).without_value


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    for part in loc:
        if isinstance(part, int):
            continue
        if part.startswith(UNION_TAG):
            model = POLICIES[part.removeprefix(UNION_TAG)]
            continue
        if part not in model.model_fields:
            continue
        inner = _model_in(model.model_fields[part].annotation)
        if inner is None:
            break
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next((inner for inner in found if inner is not None), None)


def new_request_id() -> str:
    """Make an id that finds a request in the log."""
    return os.urandom(8).hex()


def error_body(code: str, message: str, request_id: str, field: str | None = None) -> bytes:
    """Render the one error shape."""
    error: dict[str, str] = {"code": code, "message": message[:MAX_MESSAGE_CHARS]}
    if field:
        error["field"] = field
    error["request_id"] = request_id
    return json.dumps({"error": error}, ensure_ascii=False).encode()


def code_of(error: OracleError) -> str:
    """The machine-readable word for an error."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return _CODE_OF_STATUS.get(error.status, "internal")


def error_answer(error: OracleError, scope: Scope, retry_after_s: int) -> Json:
    """Answer a request with one of our errors; 503 and 429 say when to come again."""
    message = message_of(error)
    if f"{scope['path']}/".startswith(INFERENCE):
        body = json.dumps({"error": message[:MAX_MESSAGE_CHARS]}, ensure_ascii=False).encode()
    else:
        body = error_body(code_of(error), message, scope["request_id"], field_of(error))
    response = Json(body, error.status)
    if error.status in (429, 503):
        after = getattr(error, "retry_after_s", None) or retry_after_s
        response.headers["retry-after"] = str(after)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def message_of(error: OracleError) -> str:
    """What an error says, without what was received."""
    text = error.args[0] if error.args else HTTPStatus(error.status).phrase
    return text.without_value if isinstance(text, Message) else str(text)


def field_of(error: OracleError) -> str | None:
    """Path to the field that an error is about, where it is about one."""
    if isinstance(error, Invalid):
        return error.field
    text = error.args[0] if error.args else None
    if isinstance(text, Message):
        return text.field
    found = _OF_A_FIELD.match(text) if isinstance(text, str) else None
    return found[1] if found is not None else None


def status_error(status: int) -> Refused:
    """Turn a bare HTTP status (no such route, wrong method) into one of our errors."""
    messages = {
        404: "There is no such route. GET /docs lists them.",
        405: "This route does not take this method. GET /docs lists them.",
    }
    return Refused(status, messages.get(status, HTTPStatus(status).phrase + "."))


def raw_answer(status: int, code: str, message: str, retry_after_s: int | None = None) -> bytes:
    """Render a whole HTTP answer, for a connection that has no request yet."""
    body = error_body(code, message, new_request_id())
    retry = f"retry-after: {retry_after_s}\r\n" if retry_after_s else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {JSON_TYPE}\r\n"
        f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
    )
    return head.encode() + body


async def read_body(request: Request, limit: int, types: Sequence[str] = (JSON_TYPE,)) -> bytes:
    """Read a JSON body of at most `limit` bytes.

    The type is required because a page of another origin cannot send it without being asked.

    Args:
        request: whose body it is.
        limit: in bytes.
        types: media types that are taken; "" is none.

    Raises:
        Refused: 415 for another type; 413 beyond the limit, whether it was announced or not.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise Refused(415, f"The Content-Type must be {' or '.join(filter(None, types))}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "The body must be sent without Content-Encoding.")
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    message = await request.receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        parts = [body]
        size = len(body)
        while message.get("more_body", False):
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise too_large(limit)
        body = b"".join(parts)
    elif message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > limit:
        raise too_large(limit)
    return body


def too_often(wait_s: float) -> Refused:
    """Refuse a caller that has used up its rate."""
    after = math.ceil(wait_s)
    return Refused(429, f"Fewer requests must be sent: come again in {after} s.", after)


def too_large(limit: int, what: str = "The body") -> Refused:
    """Refuse what has more bytes than it may."""
    return Refused(413, f"{what} must be at most {limit} bytes.")
