"""What every request passes before a route sees it, and every answer before it leaves.

One ASGI layer: host and origin (otherwise any web page could post to a loopback service), key
and rate; then request id, security headers, metrics, and the error shape for whatever
goes wrong inside.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from ipaddress import ip_address
from socket import gethostname

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oracle.errors import OracleError, Overloaded
from oracle.server.http.answers import Refused, error_answer, new_request_id, too_often
from oracle.server.http.keys import Door
from oracle.server.http.telemetry import Telemetry
from oracle.server.settings import LOOPBACK, Settings

log = logging.getLogger("oracle.requests")

_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
#: Paths under which everything needs a key, where there are keys.
PROTECTED = ("/v1/", "/v2/models/", "/metrics")
#: Asked by address, whatever the service is called: by containers, balancers, supervisors.
PROBES = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
#: Headers of which a request may have one.
SINGLE = (b"host", b"authorization", b"origin", b"content-type", b"content-encoding")
FOREIGN = (
    "The page must come from this service. Behind a proxy, hand on Host as the browser sent it, or "
    "name the page's origin in ORACLE_ALLOWED_ORIGINS."
)
ENDING = "The service is ending. Try again soon."
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
]


class Guard:
    """The ASGI layer around all routes."""

    def __init__(self, app: ASGIApp, settings: Settings, door: Door, telemetry: Telemetry) -> None:
        self.app, self.settings, self.door, self.telemetry = app, settings, door, telemetry
        self.hosts = self._hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request; other scopes (lifespan) pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.match(given) else new_request_id()
        scope["request_id"] = request_id
        status = 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                head = message["headers"]
                head.append((b"x-request-id", request_id.encode()))
                head += SECURITY_HEADERS
                if scope["path"].startswith(("/v1/", "/v2/models/")):
                    head.append((b"cache-control", b"no-store"))
            await send(message)

        try:
            self._check(scope, headers)
            await self.app(scope, receive, send_guarded)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except asyncio.CancelledError:  # told to end, and the time for open requests is over
            if not status:
                response = error_answer(Overloaded(ENDING), scope, self.settings.retry_after_s)
                await response(scope, receive, send_guarded)
        except OracleError as error:
            response = error_answer(error, scope, self.settings.retry_after_s)
            await response(scope, receive, send_guarded)
        except Exception:
            log.exception("defect", extra={"request_id": request_id})
            if status:  # the answer has begun: it can only be cut off
                raise
            defect = Refused(500, "The service failed here; the request id finds it in its log.")
            response = error_answer(defect, scope, self.settings.retry_after_s)
            await response(scope, receive, send_guarded)
        finally:
            self._tell(scope, status, time.perf_counter() - began, request_id)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        path = scope["path"]
        if len(headers) < len(scope["headers"]):  # some header is there twice
            _refuse_two(scope)
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if path not in PROBES and not self._is_known(host):
            raise Refused(400, "The Host header must name this service (ORACLE_ALLOWED_HOSTS).")
        origin = headers.get(b"origin")
        if origin is not None and not self._is_ours(origin.decode("latin-1").lower(), headers):
            raise Refused(403, FOREIGN)
        if path.startswith(PROTECTED):
            address = (scope.get("client") or ("",))[0]
            owner, wait_s = self.door.enter(headers.get(b"authorization"), address)
            if wait_s:
                raise too_often(wait_s)
            scope["owner"] = owner

    def _hosts(self) -> frozenset[str]:
        """Names the Host header may have; empty: any."""
        named = self.settings.allowed_hosts
        if named:
            return frozenset() if "*" in named else frozenset(named)
        if self.door.keys:
            return frozenset()  # a page that rebinds a name has no key to send
        ours = (*LOOPBACK, "[::1]")
        return frozenset(ours if self.settings.is_loopback else (*ours, gethostname().lower()))

    def _is_known(self, host: str) -> bool:
        name = _without_port(host)
        if not self.hosts or name in self.hosts:
            return True
        # Only names can be rebound to this address: whoever says an address means it.
        return not (self.settings.allowed_hosts or self.settings.is_loopback) and _is_address(name)

    def _is_ours(self, origin: str, headers: dict[bytes, bytes]) -> bool:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if origin.partition("://")[2] == host or origin in self.settings.allowed_origins:
            return True
        # A proxy may have put a name of its own into Host. The browser tells what it sees, and no
        # page can tell otherwise; but to it a page that rebinds a name is of this origin, too. So
        # it is believed where a key is asked for, which such a page does not have.
        return bool(self.door.keys) and headers.get(b"sec-fetch-site") == b"same-origin"

    def _tell(self, scope: Scope, status: int, took_s: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self.telemetry.request(route, status, took_s)
        if self.settings.log_requests or status >= 500 or status == 0:
            log.log(
                logging.WARNING if status >= 500 else logging.INFO,
                "request",
                extra={
                    "request_id": request_id,
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "took_ms": round(1000 * took_s, 2),
                    "owner": scope.get("owner", ""),
                },
            )


class Cors(CORSMiddleware):
    """Let browsers show the answers to pages of the allowed origins, errors too.

    It stands before the guard: a browser asks first, without a key, whether it may ask. Every
    other origin is the guard's to refuse.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=(
                "Authorization",
                "Content-Type",
                "If-None-Match",
                "Last-Event-ID",
                "X-Request-ID",
            ),
            expose_headers=("ETag", "Retry-After", "X-Request-ID"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or add the headers to an answer."""
        origin = dict(scope.get("headers", ())).get(b"origin", b"").decode("latin-1")
        ours = origin in self.allow_origins
        await (super().__call__ if ours else self.app)(scope, receive, send)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _refuse_two(scope: Scope) -> None:
    """Refuse two of what must be one: a proxy in front may have looked at the other."""
    names = [name for name, _ in scope["headers"]]
    for name in SINGLE:
        if names.count(name) > 1:
            raise Refused(400, f"The {name.decode().title()} header must be sent once.")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
