"""The application without a socket: its lifespan and its ASGI calls, on an event loop of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import uvloop
from serving import MODEL

from oracle.server.app import create_app
from oracle.server.settings import Settings

T = TypeVar("T")


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


class App:
    """The running application."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        quiet = {"model_poll_s": 3600, "store_timeout_s": 30}  # a busy machine migrates slowly
        values = {"data_dir": folder, "model": MODEL, **quiet, **settings}
        self.app = create_app(Settings.model_validate(values))
        self.service = self.app.state.service
        self._loop = uvloop.new_event_loop()  # as `oracle serve` has it
        self._stop = asyncio.Event()
        self._lifespan: asyncio.Task[None] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the application's loop."""
        return self._loop.run_until_complete(work)

    def __enter__(self) -> Self:
        self.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._close())
        self._loop.close()

    async def _open(self) -> None:
        started = asyncio.Event()

        async def live() -> None:
            async with self.app.router.lifespan_context(self.app):
                started.set()
                await self._stop.wait()

        self._lifespan = asyncio.create_task(live())
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({self._lifespan, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if self._lifespan.done():
            waiting.cancel()
            await self._lifespan

    async def _close(self) -> None:
        self._stop.set()
        assert self._lifespan is not None
        await self._lifespan

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        query: bytes = b"",
        *,
        stays: bool = True,
        raw_path: bytes = b"",
    ) -> Answer:
        """Send one request; `path` is taken as it is, decoded.

        Args:
            headers: beside Host and Content-Type; as pairs, all there are.
            raw_path: as the client wrote it, where that is not `path`.
            stays: the client waits for the answer; else it is gone once all is sent.
        """
        pairs = headers
        if not isinstance(headers, list):
            given = {"host": "127.0.0.1", "content-type": "application/json"} | (headers or {})
            pairs = list(given.items())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": raw_path or path.encode("utf-8", "surrogatepass"),
            "query_string": query,
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            message = next(parts, {"type": "http.disconnect"})
            if stays and message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], head, b"".join(m.get("body", b"") for m in sent[1:]))
