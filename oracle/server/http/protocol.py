"""Deadlines and bounds on a connection, which uvicorn leaves open.

uvicorn waits for ever for a request that never comes and for a client that never reads. This
protocol closes both, bounds the head of a request, ignores offers to speak another protocol, and
gives every caller a share of the connections.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from oracle.server.http.answers import raw_answer

#: Longest request line and headers together, bytes.
MAX_HEAD_BYTES = 32_768
#: What a head holds besides its names and values, bytes: `: ` and a line's end.
_SEPARATORS = 4
#: Headers that only make sense to whoever takes up an offered protocol.
_OFFERS = (b"upgrade", b"http2-settings")
#: How long a refused client may go on sending before it is cut, seconds.
_LINGER_S = 2.0
#: More than this is sent without waiting for the end of the turn, bytes.
MAX_HELD_BYTES = 16_384


@dataclass(frozen=True)
class Limits:
    """What the protocol needs to know; shared by all connections of a worker.

    Attributes:
        receive_timeout_s: for a whole request, and for the first byte of a connection.
        write_timeout_s: for a client to go on reading.
        max_connections: open connections.
        retry_after_s: told with a 503.
    """

    receive_timeout_s: float
    write_timeout_s: float
    max_connections: int
    retry_after_s: int


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

    def write_eof(self) -> None:
        """Send what is held, and say that nothing follows."""
        self._send()
        self._transport.write_eof()

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
        self.in_head = self.ended = self.refused = False
        self.head_bytes = 0
        self.offered: bytes | None = None

    # A connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or refuse where too many are open."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        if len(self.connections) > self.limits.max_connections and not self._make_room():
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

    def _make_room(self) -> bool:
        """Close the connection that waits longest for whoever holds the most of them.

        Otherwise a crowd of idle connections, which cost their owner nothing, would keep everybody
        else out. False where none of that caller's waits.
        """
        others: list[DeadlineProtocol] = [
            c
            for c in self.connections
            if isinstance(c, DeadlineProtocol) and c is not self and not c.transport.is_closing()
        ]
        if len(others) < self.limits.max_connections:
            return True
        held = Counter(one.caller for one in others)
        most = held.most_common(1)[0][1]
        waiting = [
            (until, i)
            for i, one in enumerate(others)
            if held[one.caller] == most and (until := one.waits_until) is not None
        ]
        if waiting:
            others[min(waiting)[1]].transport.close()
        return bool(waiting)

    @property
    def caller(self) -> str:
        """Whose connection this is: the key's owner once it was shown, else the address."""
        owner = self._scope.get("owner")
        return f"key {owner}" if owner else f"address {self.client[0] if self.client else ''}"

    @property
    def _scope(self) -> Scope:
        """Of the latest request; empty before the first."""
        found: Scope = getattr(self.cycle, "scope", {})
        return found

    @property
    def waits_until(self) -> tuple[bool, float] | None:
        """When it is closed unless its client sends: (amid a request, time); None while in work."""
        for receiving, timer in enumerate((self.timeout_keep_alive_task, self.receive_deadline)):
            if timer is not None:
                return bool(receiving), timer.when()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget every deadline."""
        self._cancel_receive_deadline()
        if self.write_deadline is not None:
            self.write_deadline.cancel()
            self.write_deadline = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End event streams too when the server is told to end: they never end by themselves."""
        if "endless" in self._scope:  # an event stream, see events.py
            self.transport.close()
        else:
            super().shutdown()

    # A request

    def on_message_begin(self) -> None:
        """Begin to wait for the whole request."""
        self.in_head = True
        self.head_bytes = 0
        self.offered = None
        if self.receive_deadline is None:
            self._expect_request()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._count(len(name) + len(value) + _SEPARATORS)
        super().on_header(name, value)

    def _count(self, more: int) -> None:
        self.head_bytes += more
        if self.head_bytes > MAX_HEAD_BYTES:
            raise ValueError("head too long")  # in the parser's call: it becomes the 400

    def on_headers_complete(self) -> None:
        """The head is here; the body may follow."""
        self.in_head = False
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self.offered = self._head_without_offer()
        else:
            super().on_headers_complete()

    def _head_without_offer(self) -> bytes:
        """Write the head again without the protocol that it offers.

        A server may ignore an offer (RFC 9110, 7.8), but this parser then takes the body for
        whatever was offered.
        """
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            if name == b"connection":
                kept = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in kept if token.lower() not in _OFFERS)
            if name not in _OFFERS:
                lines.append(name + b": " + value)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Hand the request to the application."""
        if cycle.scope["http_version"] == "1.0":
            app = partial(_without_chunks, cycle, app)
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """The whole request is here."""
        if self.offered is None:
            self._cancel_receive_deadline()
            self.ended = True
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse, and bound a head that does not end."""
        if self.refused:
            return
        self._unset_keepalive_if_required()
        self.ended = False
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        self._wait_for_next()
        # The parser collects an unfinished head without bound. Where a request ended in the same
        # piece, nobody knows how much of it belongs to the next one's head.
        if self.in_head and not self.ended and self.parser is not None:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("")

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                if self.offered is None:  # CONNECT: what follows it is nobody's
                    return
                rest = rest[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(self.offered)

    def send_400_response(self, msg: str) -> None:
        """Answer in the service's error shape; uvicorn's own is plain text.

        What the client sends after it is read and dropped for a moment (RFC 9112, 9.6): a
        connection that is closed on unread bytes is reset, and a reset may take the answer along.
        """
        if not self.refused and not self.transport.is_closing():
            self.refused = True
            text = (
                "The request must be valid HTTP/1.1: a known method, an address in ASCII, one "
                "length of the body, a head of 32 kB at most."
            )
            self.transport.write(raw_answer(400, "bad_request", text))
            self.transport.write_eof()
            self._cancel_receive_deadline()
            self.receive_deadline = self.loop.call_later(_LINGER_S, self._receive_too_slow)

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
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        waits = cycle is not None and cycle.more_body and not cycle.response_started
        if (self.in_head or waits) and not self.refused:
            within = self.limits.receive_timeout_s
            text = f"The request must arrive whole within {within:g} s."
            self.transport.write(raw_answer(408, "timeout", text))
        self.transport.close()


async def _without_chunks(
    cycle: RequestResponseCycle, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a client of HTTP/1.0, which knows no chunks: the end of the connection ends it."""
    announced = True

    async def send_plain(message: Message) -> None:
        nonlocal announced
        if message["type"] == "http.response.start":
            announced = any(name == b"content-length" for name, _ in message.get("headers", ()))
            if not announced:
                cycle.chunked_encoding = False
        elif not announced:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    await app(scope, receive, send_plain)
