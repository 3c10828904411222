"""The audit and the alerts of a search, of the store and the model in use."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, func, select

from oracle.audit.alerts import Alert, Search, alerts
from oracle.audit.audit import Audit, promise_of
from oracle.errors import OracleError, StoreUnavailable
from oracle.server.searches.audits import Measure
from oracle.server.searches.watching import furthest, search_of, unlike
from oracle.server.searches.webhook import News, Webhook
from oracle.server.service import Service
from oracle.server.storage.schema import populations

log = logging.getLogger("oracle.alerts")

#: Populations that are looked at for news: of so late, and so many.
LATELY_S, MOST_LOOKED_AT = 86_400.0, 200


def measure_of(service: Service) -> Measure:
    """Give what searches are audited by: the service's policy, and the model in use."""
    policy, oracle = service.settings.policy, service.models.oracle
    if oracle is None:
        return Measure(policy)
    promise = promise_of(oracle.manifest.training.get("score"))
    return Measure(policy, tuple(promise.items()), oracle.info, oracle.certificates)


async def audit_of(service: Service, owner: str, name: str) -> Audit:
    """Audit a population.

    Raises:
        RunNotFound: no run of that population.
    """
    measure = measure_of(service)
    return await service.store.read(lambda c: service.audits.audit(c, owner, name, measure))


async def alerts_of(service: Service, owner: str, name: str) -> tuple[Alert, ...]:
    """Tell what of a population needs somebody.

    Raises:
        RunNotFound: no run of that population.
    """
    measure = measure_of(service)

    def known(connection: Connection) -> Search:
        audit = service.audits.audit(connection, owner, name, measure)
        best = service.audits.best(connection, owner, name, measure.policy)
        return search_of(connection, owner, name, audit, best)

    search = await service.store.read(known)
    found = alerts(search, time.time())
    oracle = service.models.oracle
    if oracle is not None and any(one.kind == "support_lost" for one in found):
        histories = await service.store.read(lambda c: unlike(c, owner, name))
        field = await asyncio.to_thread(furthest, histories, oracle.manifest.scaling)
        found = alerts(search._replace(unusual=field), time.time())
    return found


async def tell_news(service: Service) -> None:
    """Post alerts that are new to the webhook, for ever; one worker of a service does."""
    settings = service.settings
    if not settings.webhook_url:
        return
    held = None
    while held is None:
        held = _hold(settings.data_dir / "webhook.lock")
        if held is None:
            await asyncio.sleep(settings.webhook_every_s)
    webhook = Webhook(
        settings.webhook_url,
        settings.webhook_key.get_secret_value(),
        private=settings.webhook_private,
    )
    webhook.start()
    news = News(webhook.post)
    try:
        newest: int | None = None  # of the populations that were there at the start
        while True:
            with suppress(StoreUnavailable):
                if newest is None:
                    newest = await service.store.read(lambda one: one.scalar(_NEWEST))
                await _look(service, news, newest or 0)
            await asyncio.sleep(settings.webhook_every_s)
    finally:
        webhook.stop()
        held.close()


_NEWEST = select(func.coalesce(func.max(populations.c.id), 0))


async def _look(service: Service, news: News, newest: int) -> None:
    """Tell what is new of the populations last heard of.

    Raises:
        StoreUnavailable: the store is away.
    """
    since = time.time() - LATELY_S
    c = populations.c
    query = select(c.id, c.owner, c.name).where(c.updated_at > since)
    query = query.order_by(c.updated_at.desc()).limit(MOST_LOOKED_AT)
    for number, owner, name in await service.store.read(lambda one: one.execute(query).all()):
        try:
            found = await alerts_of(service, owner, name)
            news.tell(owner, name, found, began=number > newest)
        except OracleError:
            continue  # it was deleted, or the store is away for a moment
        except Exception:  # alerts are no reason to fall
            log.exception("alerts could not be told")


def _hold(path: Path) -> IO[str] | None:
    """Take a lock that only one process has; None where another one has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
