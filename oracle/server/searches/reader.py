"""A service's store read as its clients read the service, while it runs or after."""

from __future__ import annotations

from typing import Self

from sqlalchemy import select

from oracle.audit.audit import Audit
from oracle.server.http.wire_populations import PopulationCount, PopulationDetail, PopulationTable
from oracle.server.runs import populations, table
from oracle.server.runs.standing import Standings
from oracle.server.searches.audits import Audits, Measure
from oracle.server.storage import schema
from oracle.server.storage.reading import StoredRuns
from oracle.types import Policy


class StoreReader:
    """The populations of a store; close it, or use it in a `with` block.

    Args:
        url: SQLAlchemy URL of the store.
        population: of whose owner the runs are read, the one heard of last where several have it.
        policy: gives weights and the share that counts as good; None = the service's default.
    """

    def __init__(self, url: str, population: str, policy: Policy | None = None) -> None:
        self._store = StoredRuns(url)
        self._policy = policy or Policy(name="population")
        self._standings, self._audits = Standings(), Audits()
        p = schema.populations.c
        query = select(p.owner).order_by(p.name != population, p.updated_at.desc()).limit(1)
        self._owner: str = self._store.read_now(lambda c: c.scalar(query)) or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._store.close()

    def populations(self) -> tuple[PopulationCount, ...]:
        """List those last heard of."""
        return self._store.read_now(lambda c: populations.listed(c, self._owner)).populations

    def population(self, name: str) -> PopulationDetail:
        """Give its counts, savings and outcomes.

        Raises:
            RunNotFound: there is no such population.
        """
        return self._store.read_now(
            lambda c: populations.detail(c, self._standings, self._owner, name, self._policy)
        )

    def table(self, population: str, **query: str | int) -> PopulationTable:
        """Give a page of its runs by column."""
        cursor = query.get("cursor")
        return self._store.read_now(
            lambda c: table.table(
                c, self._owner, population, cursor=None if cursor is None else str(cursor)
            )
        )

    def audit(self, population: str) -> Audit:
        """Hold what was said of its runs against how they ended."""
        return self._store.read_now(
            lambda c: self._audits.audit(c, self._owner, population, Measure(self._policy))
        )
