"""Searches at a glance, and what their people say of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from oracle.errors import RunNotFound
from oracle.server.http.wire_searches import SearchAboutRequest, SearchCard, SearchList
from oracle.server.runs import counts
from oracle.server.runs.listing import iso
from oracle.server.searches.audits import Audits, Measure
from oracle.server.storage.schema import populations, runs

#: Searches told at once.
MAX_SEARCHES = 60


def cards(
    connection: Connection,
    audits: Audits,
    owner: str,
    measure: Measure,
    *,
    archived: bool = False,
    names: tuple[str, ...] = (),
    limit: int = MAX_SEARCHES,
) -> SearchList:
    """List searches, the last heard of first.

    Args:
        connection, audits, owner: of the store.
        measure: of the audit.
        archived: tell those that were put away, too.
        names: only these; empty = all.
        limit: searches told at most.
    """
    c = populations.c
    query = select(populations).where(c.owner == owner)
    if names:
        query = query.where(c.name.in_(names))
    elif not archived:
        query = query.where(c.archived.is_(False))
    rows = connection.execute(query.order_by(c.updated_at.desc()).limit(limit + 1)).all()
    away = select(func.count()).where(c.owner == owner, c.archived.is_(True))
    return SearchList(
        searches=tuple(_card(connection, audits, row, measure) for row in rows[:limit]),
        archived=connection.scalar(away) or 0,
        more=len(rows) > limit,
    )


def say(connection: Connection, owner: str, name: str, said: SearchAboutRequest) -> None:
    """Keep what is said of a search.

    Raises:
        RunNotFound: no run of that population.
    """
    population = counts.of_population(connection, owner, name)
    if population is None:
        raise RunNotFound("There is no such population.")
    told: dict[str, Any] = {field: getattr(said, field) for field in said.model_fields_set}
    if "archived" in told:
        told["archived"] = bool(told["archived"])
    if told:
        connection.execute(
            update(populations).where(populations.c.id == population.id).values(**told)
        )


def _card(
    connection: Connection,
    audits: Audits,
    row: Row[Any],
    measure: Measure,
) -> SearchCard:
    audit = audits.audit(connection, row.owner, row.name, measure)
    best = audits.best(connection, row.owner, row.name, measure.policy)
    curve, relative = audits.curve(connection, row.owner, row.name, measure.policy)
    c = runs.c
    mine = (c.owner == row.owner, c.population == row.name)
    first, planned = connection.execute(
        select(func.min(c.created_at), func.max(c.population_size)).where(*mine)
    ).one()
    planned_epochs = row.planned_epochs
    return SearchCard(
        name=row.name,
        title=row.title,
        note=row.note,
        archived=row.archived,
        running=row.running,
        stopped=row.stopped,
        finished=row.finished,
        planned=planned,
        created_at=iso(first) if first is not None else None,
        updated_at=iso(row.updated_at),
        saved_share=max(0.0, 1 - row.used_epochs / planned_epochs) if planned_epochs else None,
        best=best[1] if best else None,
        best_run_id=best[0] if best else None,
        relative=relative,
        word=audit.word,
        curve=curve,
    )
