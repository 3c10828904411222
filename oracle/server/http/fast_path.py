"""A short way past FastAPI to the routes that take nothing but a body.

FastAPI finds the route, resolves its parameters, and watches over its clean-up; of a decision's
time that is a sixth. Routes that have one fixed path and read the request themselves need none of
it. FastAPI still has them, for the OpenAPI document and for every other method.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from oracle.errors import InvalidHistory
from oracle.server.http.requests import known_only


class FastPath:
    """The ASGI layer inside the guard, which turns our errors into answers.

    Args:
        app: whatever comes on another path.
        router: of functions that take a `Request` alone and give a response.
    """

    def __init__(self, app: ASGIApp, router: APIRouter) -> None:
        self.app = app
        self._routes = {
            (method, route.path): route
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        route = self._routes.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route  # its path labels logs and metrics
        if scope.get("query_string"):
            raise InvalidHistory(known_only())
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
