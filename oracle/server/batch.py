"""A batch: many histories in one body, taken apart and answered a piece at a time.

The body is not parsed as a whole: 8 MB of `[],` are millions of objects, made while no other
request gets a turn. Its histories are found by their brackets and each is validated from its own
bytes. Between two pieces others have their turn, and a batch that nobody waits for any more ends.
"""

from __future__ import annotations

import asyncio
import re
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Iterator, Sequence

from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from oracle.decision.policy import decide, decide_population
from oracle.errors import InvalidHistory, Overloaded
from oracle.server.http.answers import (
    NO_JSON,
    Invalid,
    field_of,
    invalid,
    message_of,
    parse,
    too_large,
)
from oracle.server.http.wire import BatchRequest, Problem
from oracle.server.service import Service
from oracle.server.settings import Settings
from oracle.types import Decision, Forecast, History, Policy, Reference

#: Histories answered at once: a few tens of milliseconds.
PIECE = 100

# A string and a list without lists, objects or strings in it are passed over as a whole. A string
# that never ends is one as well: to look for its end again from every quote would be quadratic.
_TOKEN = re.compile(
    rb'"(?:[^"\\]++|\\.?)*+"?|\[[^\[\]{}"]*+\]|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)',
    re.DOTALL,
)
_HISTORIES = b'"histories"'
_LIST = re.compile(rb"\s*:\s*\[")


class _Rest(BatchRequest):
    """A batch without its histories, which `split` has taken out."""

    histories: tuple[()]


async def answer_batch(
    service: Service, owner: str, raw: bytes, is_gone: Callable[[], Awaitable[bool]]
) -> bytes:
    """Decide on all histories of a body.

    Args:
        service: what answers.
        owner: whose rate each history counts against.
        raw: the body.
        is_gone: tells whether the client has closed the connection.

    Raises:
        Invalid: the body breaks a rule; a history that does gets its error in its place.
        Refused: 413, 429.
        Overloaded: not done within the time of a batch.
        ClientDisconnect: nobody is left to answer.
    """
    limit_s = service.settings.batch_timeout_s
    loop = asyncio.get_running_loop()
    done: list[bytes] = []
    try:
        async with asyncio.timeout(limit_s):
            lane = service.batch_lane
            rest, bodies = await loop.run_in_executor(lane, split, raw, service.settings)
            service.door.charge(owner, len(bodies) - 1)  # the door has counted the request
            pieces = _pieces(service, rest, bodies)
            while True:
                piece = await loop.run_in_executor(lane, next, pieces, None)
                if piece is None:
                    break
                done += piece
                if await is_gone():
                    raise ClientDisconnect
    except TimeoutError:
        rule = f"A batch must be done within {limit_s:g} s."
        raise Overloaded(f"{rule} Send fewer histories, or try again.") from None
    return b'{"results":[' + b",".join(done) + b"]}"


def split(raw: bytes, settings: Settings) -> tuple[bytes, list[bytes]]:
    """Take the histories out of a body, each as its own bytes.

    Nothing is validated but brackets: what is no JSON is still none afterwards.

    Returns:
        The body with an empty list of histories, and the histories.

    Raises:
        Invalid: none or too many of them.
        Refused: 413, one of them, or what is not theirs, is larger than a single request may be.
    """
    most, largest = settings.max_batch_histories, settings.max_body_bytes
    raw = raw.removeprefix(BOM_UTF8)
    first = began = _first(raw, largest)
    histories: list[bytes] = []
    depth = 0
    for token in _TOKEN.finditer(raw, first):
        if token.end() - began > largest:
            raise too_large(largest, "Each history")
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close" and depth:
            depth -= 1
        elif kind is not None and not depth:
            history = raw[began : token.start()]
            if histories or kind == "comma" or history.strip():
                histories.append(history)
            if len(histories) > most or (kind == "close" and not histories):
                raise Invalid(f"`histories` must be 1 to {most} of them.", "histories")
            if kind == "close":
                raw = raw[:first] + raw[token.start() :]
                break
            began = token.end()
    else:
        if first < len(raw):
            raise Invalid(NO_JSON, None)
    if len(raw) > largest:
        raise too_large(largest, "What is not of the histories")
    return raw, histories


def _first(raw: bytes, largest: int) -> int:
    """Find where the first history begins; the end where there is no list of them."""
    depth = 0
    for token in _TOKEN.finditer(raw, 0, largest):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif depth == 1 and raw.startswith(_HISTORIES, token.start()):
            found = _LIST.match(raw, token.end())
            if found:
                return found.end()
    return len(raw)


def _pieces(service: Service, rest: bytes, bodies: list[bytes]) -> Iterator[list[bytes]]:
    """Answer the histories, PIECE of them at each step; a generation is ranked in the last."""
    asked = parse(_Rest, rest)
    policy = asked.policy or default_policy(asked.reference)
    oracle = service.models.oracle  # one model from the first piece to the last
    read: list[History | Invalid] = []
    forecasts: list[Forecast | None] = []
    for start in range(0, len(bodies), PIECE):
        piece = [_history(body) for body in bodies[start : start + PIECE]]
        histories = [h for h in piece if isinstance(h, History)]
        given = service.models.forecast_many(histories, oracle)
        found: Sequence[Forecast | None] = [None] * len(histories) if given is None else given
        if asked.generation:
            read += piece
            forecasts += found
            yield []
        else:
            each = zip(histories, found, strict=True)
            yield _results(service, piece, [decide(*h, asked.reference, policy) for h in each])
    if asked.generation:
        histories = [h for h in read if isinstance(h, History)]
        ranked = decide_population(histories, forecasts, asked.reference, policy)
        yield _results(service, read, ranked)


def _history(body: bytes) -> History | Invalid:
    try:
        history = History.model_validate_json(body)
        history.check_forecastable()
        return history
    except ValidationError as error:
        told = invalid(error, History)
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            raise Invalid(NO_JSON, None) from None  # then the body is none either
        return told
    except InvalidHistory as error:
        return Invalid(message_of(error), field_of(error))


def _results(
    service: Service, read: Sequence[History | Invalid], decisions: Sequence[Decision]
) -> list[bytes]:
    for decision in decisions:
        service.telemetry.decision(decision)
    made = iter(decisions)
    return [
        _json(b"decision", next(made))
        if isinstance(h, History)
        else _json(b"error", Problem(code="invalid", message=str(h), field=h.field))
        for h in read
    ]


def _json(which: bytes, result: Decision | Problem) -> bytes:
    """Render a BatchResult without its absent half; a decision is whole, as it is alone."""
    render = result.__pydantic_serializer__.to_json
    return b'{"%b":%b}' % (which, render(result, exclude_none=isinstance(result, Problem)))


_WITH_REFERENCE, _ALONE = Policy(name="population"), Policy(name="threshold")


def default_policy(reference: Reference | None) -> Policy:
    """Choose the rule of a request that names none."""
    return _ALONE if reference is None else _WITH_REFERENCE
