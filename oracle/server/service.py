"""The parts of one running worker, put together once and handed to every route."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.requests import Request

from oracle.errors import StoreUnavailable
from oracle.server.http.keys import Door, read_keys
from oracle.server.http.places import LANES, Places
from oracle.server.http.protocol import Limits
from oracle.server.http.telemetry import Telemetry
from oracle.server.micro_batching import MicroBatcher
from oracle.server.models import ModelKeeper
from oracle.server.retention import BelievedClock
from oracle.server.runs.events import Feed, prune
from oracle.server.runs.lifecycle import Runs
from oracle.server.runs.listing import newest
from oracle.server.runs.standing import Standings
from oracle.server.searches.audits import Audits
from oracle.server.settings import Settings
from oracle.server.storage.store import Store
from oracle.server.storage.turns import NO_RUN

log = logging.getLogger("oracle.service")

HOUSEKEEPING_S = 60.0
DAY_S = 86_400.0


@dataclass(frozen=True)
class Service:
    """What routes work with.

    Attributes:
        batch_lane: one thread for batches, so that they never hold up single requests.
        batches: places for batches, from their first byte to their answer.
        streams: places for event streams.
        lanes: places of every other kind of work, see places.py.
    """

    settings: Settings
    telemetry: Telemetry
    door: Door
    models: ModelKeeper
    batcher: MicroBatcher
    store: Store
    runs: Runs
    standings: Standings
    audits: Audits
    feed: Feed
    limits: Limits
    batch_lane: ThreadPoolExecutor
    batches: Places
    streams: Places
    lanes: dict[str, Places]

    @classmethod
    def build(cls, settings: Settings, telemetry: Telemetry) -> Service:
        """Put the parts together; nothing is opened yet."""
        models = ModelKeeper(settings, telemetry)
        store = Store(settings.store_url, settings.store_timeout_s, telemetry, models.answer)
        runs = Runs(settings.policy)
        standings = Standings()  # of who reads; the writer's own may be of what is undone
        audits = Audits()

        def forget() -> None:
            runs.references.forget_all()
            standings.forget_all()
            audits.forget_all()

        store.on_rollback = forget
        keys = read_keys(settings)
        callers = len({key.owner for key in keys})
        return cls(
            settings=settings,
            telemetry=telemetry,
            door=Door(settings, keys),
            models=models,
            batcher=MicroBatcher(models.forecast_each),
            store=store,
            runs=runs,
            standings=standings,
            audits=audits,
            feed=Feed(store),
            limits=Limits(
                receive_timeout_s=settings.receive_timeout_s,
                write_timeout_s=settings.write_timeout_s,
                max_connections=settings.max_connections,
                retry_after_s=settings.retry_after_s,
            ),
            batch_lane=ThreadPoolExecutor(1, thread_name_prefix="oracle-batch"),
            batches=Places(settings.max_waiting_batches, callers),
            streams=Places(settings.max_event_streams, callers, "Too many event streams are open."),
            lanes={lane: Places(settings.max_waiting_requests, callers) for lane in LANES},
        )

    def start(self) -> None:
        """Open everything; a store or model that fails now is tried again later."""
        self.models.start()
        self.store.start()
        self.feed.start()

    async def stop(self) -> None:
        """Close everything; what was accepted is written first."""
        await self.feed.stop()
        self.models.stop()
        self.batch_lane.shutdown()
        await asyncio.to_thread(self.store.close)

    async def keep_house(self) -> None:
        """Drop old events and, where a retention is set, old runs, for ever."""
        clock: BelievedClock | None = None
        while True:
            try:
                if clock is None:
                    clock = BelievedClock(await self.store.read(newest))
                await self.store.write(lambda c: prune(c, self.settings.events_kept), NO_RUN)
                before = clock.now() - self.settings.retention_days * DAY_S
                while self.settings.retention_days and await self._retire(before):
                    await asyncio.sleep(0)
            except StoreUnavailable:
                pass  # which tells of itself
            except Exception:  # once is no reason to keep everything for ever
                log.exception("housekeeping failed; it is tried again")
            await asyncio.sleep(HOUSEKEEPING_S)

    async def _retire(self, before: float) -> int:
        return await self.store.write(lambda connection: self.runs.retire(connection, before))

    def model_news(self) -> Callable[[], str | None]:
        """Make a function that gives the models' report once after each change."""
        seen = self.models.changes

        def news() -> str | None:
            nonlocal seen
            if seen == self.models.changes:
                return None
            seen = self.models.changes
            return self.models.report().model_dump_json()

        return news


def service_of(request: Request) -> Service:
    """The service a request came to."""
    service: Service = request.app.state.service
    return service
