"""Events, live: one reader a process follows the store and feeds every open stream.

Events live in the store, so a stream may be resumed at any worker. Between workers news travels
through the database, looked at every POLL_S; within one, a commit wakes the reader at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from oracle.errors import StoreUnavailable
from oracle.server.http.places import Places
from oracle.server.http.wire import Event, EventKind, RunSummary
from oracle.server.runs import outcomes
from oracle.server.runs.listing import summary_of
from oracle.server.storage import new_events
from oracle.server.storage.schema import events
from oracle.server.storage.store import Store

log = logging.getLogger("oracle.events")

POLL_S = 0.5
HEARTBEAT_S = 15.0
#: Events kept in memory; a stream further behind reads the store.
MAX_RECENT = 2_000
_PAGE = 500
RESET = b"event: reset\ndata: {}\n\n"


class StoredEvent(NamedTuple):
    """One row of the events' table."""

    id: int
    owner: str
    population: str | None
    run_id: str
    body: str

    @property
    def deletes(self) -> bool:
        """Whether it says that a run was deleted; `kind` is the first member of a body."""
        return self.body.startswith('{"kind":"deleted"')


class Wanted(NamedTuple):
    """Which events a stream asks for."""

    owner: str
    population: str | None = None
    run_id: str | None = None

    def takes(self, event: StoredEvent) -> bool:
        """Whether this stream gets the event."""
        return (
            event.owner == self.owner
            and self.population in (None, event.population)
            and self.run_id in (None, event.run_id)
        )


class Feed:
    """Follows the store's events for all streams of a process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[StoredEvent] = deque(maxlen=MAX_RECENT)
        self._last: int | None = None
        self._generation = store.generation
        self._streams = 0
        self._wake = asyncio.Event()
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow; call it in the event loop."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        self._store.on_commit = wake
        self._task = loop.create_task(self._follow())

    async def stop(self) -> None:
        """End following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            if not self._streams or self._generation != self._store.generation:
                self._last = None  # nobody listens, or to another database: start afresh
                self._generation = self._store.generation
            if not self._streams:
                continue
            with suppress(StoreUnavailable):
                await self._catch_up()

    async def _catch_up(self) -> None:
        if self._last is None:
            self._recent.clear()
            self._last = await self._store.read(_last_id)
            return
        while rows := await self._store.read(partial(_after, after=self._last)):
            if any(event.deletes for event in rows):
                self._recent.clear()  # it may tell of that run; the store no longer does
            self._recent.extend(rows)
            self._last = rows[-1].id
            async with self._news:
                self._news.notify_all()

    async def stream(
        self, wanted: Wanted, after: int | None, model_news: Callable[[], str | None]
    ) -> AsyncIterator[bytes]:
        """Give the frames of one stream, for ever.

        Args:
            wanted: which events.
            after: id of the last event the client knows; None = only what comes.
            model_news: gives a body once after the worker's model has changed.
        """
        self._streams += 1
        try:
            yield b": connected\n\n"
            first, last = await self._store.read(_bounds)
            if after is None:
                after = last
            elif after > last or after < first - 1:
                yield RESET
                after = last
            quiet_s, generation = 0.0, self._store.generation
            while True:
                if generation != self._store.generation:  # whose events have other ids
                    with suppress(StoreUnavailable):
                        after = (await self._store.read(_bounds))[1]
                        generation = self._store.generation
                        yield RESET
                found = await self._since(after)
                for event in found:
                    if wanted.takes(event):
                        yield f"id: {event.id}\nevent: run\ndata: {event.body}\n\n".encode()
                if (model := model_news()) is not None:
                    yield f"event: model\ndata: {model}\n\n".encode()
                if found:
                    after = found[-1].id
                    quiet_s = 0.0
                    continue
                quiet_s += POLL_S
                if quiet_s >= HEARTBEAT_S:
                    yield b": quiet\n\n"
                    quiet_s = 0.0
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S), self._news:
                        await self._news.wait()
        finally:
            self._streams -= 1

    async def _since(self, after: int) -> list[StoredEvent]:
        """Give events after an id, from memory where it reaches back so far."""
        if self._last is None or self._last == after:
            return []
        if self._recent and self._recent[0].id <= after + 1:
            return [event for event in self._recent if event.id > after]
        with suppress(StoreUnavailable):
            return await self._store.read(partial(_after, after=after))
        return []


def prune(connection: Connection, keep: int) -> None:
    """Drop all but the last `keep` events."""
    last = _last_id(connection)
    connection.execute(delete(events).where(events.c.id <= last - keep))


def _last_id(connection: Connection) -> int:
    return int(connection.scalar(select(func.max(events.c.id))) or 0)


def _bounds(connection: Connection) -> tuple[int, int]:
    first, last = connection.execute(
        select(func.coalesce(func.min(events.c.id), 1), func.coalesce(func.max(events.c.id), 0))
    ).one()
    return int(first), int(last)


def _after(connection: Connection, after: int) -> list[StoredEvent]:
    rows = connection.execute(
        select(events).where(events.c.id > after).order_by(events.c.id).limit(_PAGE)
    )
    return [StoredEvent(r.id, r.owner, r.population, r.run_id, r.body) for r in rows]


class EventStream(StreamingResponse):
    """An answer that streams events, and holds a place while it is open.

    Args:
        frames: what is sent.
        places: of all streams.
        told: how many are open, after each change.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncIterator[bytes], places: Places, told: Callable[[int], None]
    ) -> None:
        # nginx would collect events before it hands them on.
        super().__init__(frames, headers={"x-accel-buffering": "no"})
        self._places, self._told = places, told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client or the server ends it."""
        scope["endless"] = True  # told to end, the protocol ends it
        with self._places.held(scope["owner"]):
            self._told(self._places.taken)
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._told(self._places.taken - 1)


def tell(connection: Connection, row: Row[Any], kind: EventKind) -> RunSummary:
    """Store the event that tells of a run as it is now; gives the run."""
    ended = row.state != "running"
    run = summary_of(row, outcomes.last(connection, row.id) if ended else None)
    add_event(connection, row, Event(kind=kind, run=run))
    return run


def add_event(connection: Connection, row: Row[Any], event: Event) -> None:
    """Store an event about a run, last of all that its transaction stores."""
    new_events.add(
        connection,
        {
            "owner": row.owner,
            "population": row.population,
            "run_id": row.run_id,
            "body": event.model_dump_json(),
        },
    )
