"""Answers made small: 304 where the client has them, gzip where they are large or a stream.

Compression beside secrets would tell them (BREACH): keys travel in headers alone, and no body holds
one. Each event of a stream is flushed as it comes: events are alike, so that a fifth of them is
sent.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Smaller ones fit into a packet or two anyway.
LEAST_BYTES = 1_400
#: Larger ones are sent as they are: they would be held in memory twice.
MOST_BYTES = 32 << 20
#: From here on a thread compresses, so that nobody waits for it.
_LONG_BYTES = 64 << 10
#: Beyond it a tenth less takes twice as long.
_LEVEL = 5
#: Window (gzip's, of 8 kB: the latest six events) and memory of a stream's: 64 kB while it is open.
_STREAM_WINDOW, _STREAM_MEMORY = 16 + 13, 6
_TEXT = ("application/json", "text/", "image/svg+xml", "application/javascript")


class Lean:
    """The ASGI layer that tags what it gives, and compresses it.

    Args:
        app: behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        begun: Message | None = None
        parts: list[bytes] = []
        stream: Any = None

        async def send_lean(message: Message) -> None:
            nonlocal begun, stream
            if message["type"] == "http.response.start" and _is_ours(message):
                begun = message
            elif message["type"] == "http.response.start" and _is_stream(message):
                headers = MutableHeaders(raw=list(message["headers"]))
                headers.add_vary_header("Accept-Encoding")
                if _takes_gzip(asked.get("accept-encoding", "")):
                    headers["content-encoding"] = "gzip"
                    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _STREAM_WINDOW, _STREAM_MEMORY)
                await send({**message, "headers": headers.raw})
            elif stream is not None and message["type"] == "http.response.body":
                more = message.get("more_body", False)
                body = stream.compress(message.get("body", b""))
                body += stream.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)
                await send({**message, "body": body})
            elif begun is None or message["type"] != "http.response.body":
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await _answer(asked, begun, b"".join(parts), send)

        await self.app(scope, receive, send_lean)


def _is_ours(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    size = headers.get("content-length", "")
    return bool(
        start["status"] == 200
        and size.isdigit()
        and LEAST_BYTES <= int(size) <= MOST_BYTES
        and headers.get("content-type", "").startswith(_TEXT)
        and "content-encoding" not in headers
    )


def _is_stream(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "")
    return start["status"] == 200 and kind.startswith("text/event-stream")


async def _answer(asked: Headers, start: Message, body: bytes, send: Send) -> None:
    headers = MutableHeaders(raw=list(start["headers"]))
    # Weak: the same tag stands for the answer with and without compression.
    tag = headers.get("etag") or f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers["etag"] = tag if tag.startswith("W/") else f"W/{tag}"
    headers.add_vary_header("Accept-Encoding")
    status = start["status"]
    if _same(headers["etag"], asked.get("if-none-match", "")):
        status, body = 304, b""
        del headers["content-length"]
    elif _takes_gzip(asked.get("accept-encoding", "")):
        if len(body) >= _LONG_BYTES:
            body = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
        else:
            body = gzip.compress(body, _LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
    await send({**start, "status": status, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})


def _same(tag: str, known: str) -> bool:
    tags = {one.strip().removeprefix("W/") for one in known.split(",")}
    return "*" in tags or tag.removeprefix("W/") in tags


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding takes gzip: what it says of that, else of all that it does not."""
    takes = {}
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        takes[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return takes.get("gzip", takes.get("*", False))
