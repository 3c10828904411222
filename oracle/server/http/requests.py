"""Requests as they come: HEAD is answered as GET, and a query holds what its route knows.

Balancers and monitors ask by HEAD. A filter misspelt is no filter, so that what is not known is
refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oracle.errors import InvalidHistory

#: Routes under it; probes and pages take what is hung on their address.
_CHECKED = "/v1/"
#: Its answer never ends, so nobody could tell how long it is.
NO_HEAD = "/v1/events"


class HeadAsGet:
    """The ASGI layer that hands HEAD on as GET and keeps the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or its head."""
        if scope.get("method") != "HEAD" or scope["path"] == NO_HEAD:
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        asked = {**scope, "method": "GET"}  # a copy: the server below sends no body to a HEAD
        try:
            await self.app(asked, receive, send_head)
        finally:
            scope["owner"] = asked.get("owner", "")  # whose connection it is, see protocol.py


class KnownQueryRoute(APIRoute):
    """A route that refuses parameters which it does not know, or takes once and is given twice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check a query, where there is one, before FastAPI reads it."""
        handle = super().get_route_handler()
        known = {field.alias: field.field_info for field in self.dependant.query_params}
        several = {name for name, info in known.items() if "list[" in str(info.annotation)}

        async def checked(request: Request) -> Response:
            if request.scope["query_string"] and request.scope["path"].startswith(_CHECKED):
                check_text(request.scope)
                _check(Counter(name for name, _ in request.query_params.multi_items()))
            return await handle(request)

        def _check(given: Counter[str]) -> None:
            if not known.keys() >= given.keys():
                raise InvalidHistory(known_only(known))
            twice = [name for name, n in given.items() if n > 1 and name not in several]
            if twice:
                raise InvalidHistory(f"`{twice[0]}` must be given once.")

        return checked


def known_only(known: Any = ()) -> str:
    """Say which parameters there are; the unknown one is input, and not repeated."""
    if not known:
        return "The query must be empty: this route takes no parameters."
    return f"The query must have known parameters only: {', '.join(known)}."


def check_text(scope: Scope) -> None:
    """Refuse a query that is no text: it would be read as one that nobody wrote."""
    try:
        unquote_to_bytes(scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise InvalidHistory("The query must be UTF-8, percent-encoded.") from None
