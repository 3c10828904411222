"""HEAD: what GET answers, without its body; balancers and monitors ask so."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
