"""Room for work: bounded, and shared so that no caller can take all of it.

What a slow store holds up, or one key asks for, must leave the rest alone. So each kind of work has
places of its own, and each caller a share of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oracle.errors import Overloaded
from oracle.server.http.answers import BUSY

#: A body on its way counts as a request in work once so much of it takes memory here.
MAX_UNCOUNTED_BYTES = 16_384
#: Their requests are in work when the body is here: one that trickles in keeps nobody out.
_WITH_BODY = ("POST", "PUT", "PATCH")


class Places:
    """So many places for one kind of work.

    A caller's first place is always free, and none has more than half of them: whatever one key
    does, another is let in. There are as many callers as keys, so that is bounded too.

    Args:
        total: places for all, but for the first of each caller.
        callers: who may come; one alone may have all of them.
        refusal: what is said where there is none.
    """

    def __init__(self, total: int, callers: int = 1, refusal: str = BUSY) -> None:
        self.total, self.refusal = total, refusal
        self.share = total if callers <= 1 else max(1, total // 2)
        self._held: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Places taken now."""
        return self._held.total()

    def take(self, caller: str) -> None:
        """Take a place; give it back.

        Raises:
            Overloaded: there is none for this caller.
        """
        held = self._held[caller]
        if held >= self.share or (held and self.taken >= self.total):
            raise Overloaded(self.refusal)
        self._held[caller] += 1

    def give_back(self, caller: str) -> None:
        """Leave a place."""
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]

    @contextmanager
    def held(self, caller: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            Overloaded: there is none for this caller.
        """
        self.take(caller)
        try:
            yield
        finally:
            self.give_back(caller)


class Lanes:
    """The ASGI layer that refuses a request for which its kind of work has no place.

    Args:
        app: behind it.
        places: of each lane that `lane_of` names.
    """

    def __init__(self, app: ASGIApp, places: Mapping[str, Places]) -> None:
        self.app, self._places = app, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through once there is a place for it."""
        lane = lane_of(scope) if scope["type"] == "http" else None
        if lane is None:
            await self.app(scope, receive, send)
            return
        places, caller = self._places[lane], scope.get("owner", "")
        if scope["method"] not in _WITH_BODY:
            with places.held(caller):
                await self.app(scope, receive, send)
            return
        size, counted = 0, False

        async def receive_and_count() -> Message:
            nonlocal size, counted
            message = await receive()
            size += len(message.get("body", b""))
            whole = message["type"] == "http.request" and not message.get("more_body", False)
            if not counted and (whole or size > MAX_UNCOUNTED_BYTES):
                places.take(caller)
                counted = True
            return message

        try:
            await self.app(scope, receive_and_count, send)
        finally:
            if counted:
                places.give_back(caller)


_PLACES_OF_THEIR_OWN = (
    "/healthz", "/v2/health/live",
    "/v1/events", "/v1/decide/batch", "/v1/explain", "/v1/suggest",
)  # fmt: skip


def lane_of(scope: Scope) -> str | None:
    """Name the lane of a request; None for what costs nothing or has places of its own."""
    path = scope["path"]
    if path in _PLACES_OF_THEIR_OWN:
        return None
    if path in ("/readyz", "/v2/health/ready", "/metrics"):
        return "probes"
    if path.startswith(("/v1/runs", "/v1/populations", "/v1/promising")):
        return "reads" if scope["method"] in ("GET", "HEAD") else "writes"
    return "answers"


#: What `lane_of` names.
LANES = ("answers", "reads", "writes", "probes")
