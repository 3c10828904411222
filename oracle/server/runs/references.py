"""What a stored run must beat: how its population stands, now or at a moment that has passed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from oracle.server.runs import counts
from oracle.server.runs.lessons import Lessons, Taught
from oracle.server.runs.standing import Moment, Standings, moment_at
from oracle.types import Outcome, Reference


@dataclass(frozen=True)
class Beaten:
    """A reference and what builds it again.

    Attributes:
        outcome_id: the last outcome known, 0 before the first.
        sha256: digest of the outcomes and the scale, to tell whether it could be built again.
        population: the counts of the population, where it is as it is now.
    """

    reference: Reference
    outcome_id: int
    sha256: str
    population: Row[Any] | None = None


class References:
    """The references of all populations, as of the current transaction.

    What it reads may belong to a transaction that is undone: then it forgets.
    """

    def __init__(self) -> None:
        self.standings = Standings()
        self._taught = Taught()

    def lessons(self, connection: Connection, row: Row[Any]) -> Lessons | None:
        """Give what the ended runs of its population teach a run; None without a population."""
        population = counts.around(connection, row)
        return None if population is None else self._taught.now(connection, population, row.run_id)

    def now(self, connection: Connection, row: Row[Any]) -> Beaten | None:
        """Give what a stored run must beat now; None where it has no population."""
        population = counts.around(connection, row)
        if population is None:
            return None
        moment = self.standings.now(connection, population, row.run_id)
        live = population.running - (row.state == "running")
        return _beaten(moment, live, row.population_size, population)

    def forget_all(self) -> None:
        """Forget everything: a transaction was undone, or the database is another one."""
        self.standings.forget_all()
        self._taught.forget_all()


def reference_at(connection: Connection, row: Row[Any], outcome_id: int, live: int) -> Beaten:
    """Build a reference again as it was when `outcome_id` was the last outcome known."""
    moment = moment_at(connection, row.owner, row.population, row.run_id, outcome_id)
    return _beaten(moment, live, row.population_size)


def _beaten(
    moment: Moment, live: int, population_size: int | None, population: Row[Any] | None = None
) -> Beaten:
    reference = Reference.of_columns(
        moment.ended.outcomes,
        moment.ended.columns,
        mqe_of_mean=moment.scale,
        live=live,
        population_size=population_size,
    )
    return Beaten(reference, moment.outcome_id, _sha256(moment), population)


def _sha256(moment: Moment) -> str:
    told = f"{moment.scale!r} {len(moment.ended.outcomes)} {moment.ended.digest}"
    return hashlib.sha256(told.encode()).hexdigest()


def earlier_sha256(reference: Reference) -> str:
    """Digest a reference as decisions have it that were stored before schema 0003."""
    digest = hashlib.sha256(repr(reference.mqe_of_mean).encode())
    for o in reference.outcomes:
        digest.update(repr(_values(o)).encode())
    return digest.hexdigest()


def _values(o: Outcome) -> tuple[object, ...]:
    values = (o.run_id, o.final_mqe, o.final_topographic_error, o.final_dead_neuron_ratio)
    return (*values, o.censored, o.spread)
