"""Deadlines and bounds on a connection, which uvicorn leaves open.

uvicorn waits for ever for a request that never comes and for a client that never reads. This
protocol closes both, bounds the head of a request, and answers 503 at once when more requests are
in work than the service accepts.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from oracle.errors import Overloaded
from oracle.server.http.answers import BUSY, raw_answer

#: Longest request line and headers together, bytes.
MAX_HEAD_BYTES = 32_768
#: A body on its way counts as a request in work once so much of it takes memory here.
MAX_UNCOUNTED_BYTES = 16_384
#: More than this is sent without waiting for the end of the turn, bytes.
MAX_HELD_BYTES = 16_384


@dataclass
class Limits:
    """What the protocol needs to know; shared by all connections of a worker.

    Attributes:
        receive_timeout_s: for a whole request, and for the first byte of a connection.
        write_timeout_s: for a client to go on reading.
        max_waiting: requests in work, event streams not counted.
        max_connections: open connections.
        retry_after_s: told with a 503.
        refuse: the application that answers when one of these is reached.
        accepted: requests in work now, event streams included; those whose body is still on
            its way are not in work.
        streams: event streams open now.
    """

    receive_timeout_s: float
    write_timeout_s: float
    max_waiting: int
    max_connections: int
    retry_after_s: int
    refuse: ASGIApp
    accepted: int = 0
    streams: int = 0

    @property
    def are_reached(self) -> bool:
        """Whether one more request is one too many."""
        return self.accepted - self.streams >= self.max_waiting


class JoinedWrites:
    """A transport that sends what one turn of the event loop writes by one system call.

    uvicorn writes the head of an answer and its body one after the other: two system calls, two
    packets, and a client that is woken for a head that it can do nothing with.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with whatever else this turn writes; at once where that is much."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._size += len(data)
        if self._size > MAX_HELD_BYTES:
            self._send()

    def _send(self) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            if not self._transport.is_closing():  # lost meanwhile
                self._transport.write(data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._send()
        self._transport.close()


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with deadlines; the limits come with the lifespan's state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits: Limits = self.app_state["limits"]
        self.receive_deadline: TimerHandle | None = None
        self.write_deadline: TimerHandle | None = None
        self.in_head = False
        self.head_bytes = 0

    # A connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or refuse where too many are open."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        if len(self.connections) > self.limits.max_connections:
            answer = raw_answer(
                503,
                "overloaded",
                "Too many connections are open. Try again soon.",
                self.limits.retry_after_s,
            )
            transport.write(answer)
            transport.close()
            return
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget every deadline."""
        self._cancel_receive_deadline()
        if self.write_deadline is not None:
            self.write_deadline.cancel()
            self.write_deadline = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End event streams too when the server is told to end: they never end by themselves."""
        if getattr(self.cycle, "chunked_encoding", False):  # only streams are, see answers.py
            self.transport.close()
        else:
            super().shutdown()

    # A request

    def on_message_begin(self) -> None:
        """Begin to wait for the whole request."""
        self.in_head = True
        self.head_bytes = 0
        if self.receive_deadline is None:
            self._expect_request()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is here; the body may follow."""
        self.in_head = False
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Hand the request to the application, or refuse it where too many are in work.

        Refused ones are not counted: otherwise a crowd would keep everybody out.
        """
        super()._start_asgi_task(cycle, partial(self._serve, cycle))

    async def _serve(
        self, cycle: RequestResponseCycle, scope: Any, receive: Any, send: Any
    ) -> None:
        if self.limits.are_reached:
            await self.limits.refuse(scope, receive, send)
        elif cycle.more_body:
            await self._serve_when_whole(cycle, scope, receive, send)
        else:
            self.limits.accepted += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.limits.accepted -= 1

    async def _serve_when_whole(
        self, cycle: RequestResponseCycle, scope: Any, receive: Any, send: Any
    ) -> None:
        """Count a request when its body is here: one that trickles in keeps nobody out."""
        limits = self.limits
        counted = size = 0

        async def receive_and_count() -> Any:
            nonlocal counted, size
            message = await receive()
            size += len(message.get("body", b""))
            if not counted and (not cycle.more_body or size > MAX_UNCOUNTED_BYTES):
                if limits.are_reached:
                    raise Overloaded(BUSY)
                limits.accepted += 1
                counted = 1
            return message

        try:
            await self.app(scope, receive_and_count, send)
        finally:
            limits.accepted -= counted

    def on_message_complete(self) -> None:
        """The whole request is here."""
        self._cancel_receive_deadline()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse, and bound a head that does not end."""
        super().data_received(data)
        self._wait_for_next()
        # The parser collects an unfinished head without bound.
        if self.in_head and self.parser is not None:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Answer in the service's error shape; uvicorn's own is plain text."""
        text = "The request must be valid HTTP/1.1 with a head of 32 kB at most."
        self.transport.write(raw_answer(400, "bad_request", text))
        self.transport.close()

    # Clients that do not read

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        if self.write_deadline is None:
            self.write_deadline = self.loop.call_later(
                self.limits.write_timeout_s, self.transport.abort
            )

    def resume_writing(self) -> None:
        """The client reads again."""
        if self.write_deadline is not None:
            self.write_deadline.cancel()
            self.write_deadline = None
        super().resume_writing()

    # Clients that do not send

    def _expect_request(self) -> None:
        self.receive_deadline = self.loop.call_later(
            self.limits.receive_timeout_s, self._receive_too_slow
        )

    def _wait_for_next(self) -> None:
        """Go on waiting where data came that began no request.

        uvicorn ends the wait for the next request with the first byte that comes. That byte may
        be the rest of a body whose answer was given already, or an empty line.
        """
        idle = getattr(self.cycle, "response_complete", False)  # None before the first request
        if idle and self.receive_deadline is None and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _cancel_receive_deadline(self) -> None:
        if self.receive_deadline is not None:
            self.receive_deadline.cancel()
            self.receive_deadline = None

    def _receive_too_slow(self) -> None:
        self.receive_deadline = None
        if not self.transport.is_closing():
            self.transport.close()
