"""What a stored run must beat: the outcomes of its population, as they were at a moment.

Outcomes are only appended, so a moment is an outcome id; a cache of the latest moment of each
population reads only what came since.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from oracle.history.quality_score import common_scale, same_scale
from oracle.server.storage.schema import outcomes, runs
from oracle.types import MAX_REFERENCE_RUNS, Outcome, Reference

#: Populations kept in memory, each process.
MAX_CACHED = 256

_COLUMNS = (
    outcomes.c.id,
    outcomes.c.run_id,
    outcomes.c.final_mqe,
    outcomes.c.final_topographic_error,
    outcomes.c.final_dead_neuron_ratio,
    outcomes.c.censored,
    outcomes.c.spread,
    outcomes.c.mqe_of_mean,
)


_OF_POPULATION = (
    outcomes.c.owner == bindparam("of_owner"),
    outcomes.c.population == bindparam("of_population"),
)
#: Last outcome, number of outcomes, and other runs that train; built once, see listing.py.
_NOW = select(
    select(func.coalesce(func.max(outcomes.c.id), 0)).where(*_OF_POPULATION).scalar_subquery(),
    select(func.count()).select_from(outcomes).where(*_OF_POPULATION).scalar_subquery(),
    select(func.count())
    .select_from(runs)
    .where(
        runs.c.owner == bindparam("of_owner"),
        runs.c.population == bindparam("of_population"),
        runs.c.state == "running",
        runs.c.run_id != bindparam("without"),
    )
    .scalar_subquery(),
)


@dataclass(frozen=True)
class Moment:
    """A reference and the id that builds it again.

    Attributes:
        outcome_id: the last outcome known, 0 before the first.
        sha256: digest of the outcomes and the scale, to tell whether it could be built again.
    """

    reference: Reference
    outcome_id: int
    sha256: str


@dataclass
class _Seen:
    outcome_id: int = 0
    count: int = 0
    outcomes: OrderedDict[str, tuple[Outcome, float | None]] = field(default_factory=OrderedDict)
    known: dict[str, tuple[tuple[Outcome, ...], float | None, str]] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        """Enter one more outcome; a run's later outcome replaces its earlier one."""
        self.outcomes.pop(row.run_id, None)
        outcome = Outcome(
            run_id=row.run_id,
            final_mqe=row.final_mqe,
            final_topographic_error=row.final_topographic_error,
            final_dead_neuron_ratio=row.final_dead_neuron_ratio,
            censored=row.censored,
            spread=row.spread,
        )
        self.outcomes[row.run_id] = outcome, row.mqe_of_mean
        if len(self.outcomes) > MAX_REFERENCE_RUNS:
            self.outcomes.popitem(last=False)
        self.outcome_id = row.id
        self.count += 1
        self.known.clear()

    def moment(self, without: str, live: int, population_size: int | None) -> Moment:
        """Give the reference of the run `without`; another table's outcomes are left out."""
        member = without if without in self.outcomes else ""
        if member not in self.known:
            scale = common_scale(its_scale for _, its_scale in self.outcomes.values())
            others = tuple(
                outcome
                for run_id, (outcome, its_scale) in self.outcomes.items()
                if run_id != member and same_scale(its_scale, scale)
            )
            self.known[member] = (others, scale, _digest(others, scale))
        others, scale, sha256 = self.known[member]
        reference = Reference(
            outcomes=others,
            mqe_of_mean=scale,
            live=live,
            population_size=population_size,
        )
        return Moment(reference, self.outcome_id, sha256)


def _digest(others: tuple[Outcome, ...], mqe_of_mean: float | None) -> str:
    digest = hashlib.sha256(repr(mqe_of_mean).encode())
    for o in others:
        values = (o.run_id, o.final_mqe, o.final_topographic_error, o.final_dead_neuron_ratio)
        digest.update(repr((*values, o.censored, o.spread)).encode())
    return digest.hexdigest()


class References:
    """The references of all populations, as of the current transaction.

    Used by the writer thread alone: what it reads may belong to a transaction that is undone,
    so `forget` is called when one is.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    def now(
        self,
        connection: Connection,
        owner: str,
        population: str,
        without: str,
        population_size: int | None,
    ) -> Moment:
        """Give what the run `without` must beat now."""
        key = (owner, population)
        last, count, live = connection.execute(
            _NOW, {"of_owner": owner, "of_population": population, "without": without}
        ).one()
        seen = self._seen.setdefault(key, _Seen())
        if last > seen.outcome_id:
            _read(connection, owner, population, seen, last)
        if count != seen.count:  # outcomes were deleted, perhaps by another process
            seen = self._seen[key] = _Seen()
            _read(connection, owner, population, seen, last)
        self._seen.move_to_end(key)
        if len(self._seen) > MAX_CACHED:
            self._seen.popitem(last=False)
        return seen.moment(without, live, population_size)

    def forget(self, owner: str, population: str | None) -> None:
        """Forget one population: an outcome of it was deleted or undone."""
        self._seen.pop((owner, population or ""), None)

    def forget_all(self) -> None:
        """Forget everything: a transaction was undone."""
        self._seen.clear()


def reference_at(
    connection: Connection,
    owner: str,
    population: str,
    without: str,
    *,
    outcome_id: int,
    live: int,
    population_size: int | None,
) -> Moment:
    """Build a reference again as it was when `outcome_id` was the last outcome known."""
    seen = _Seen()
    _read(connection, owner, population, seen, outcome_id)
    return seen.moment(without, live, population_size)


def _read(connection: Connection, owner: str, population: str, seen: _Seen, until: int) -> None:
    rows = connection.execute(
        select(*_COLUMNS)
        .where(
            outcomes.c.owner == owner,
            outcomes.c.population == population,
            outcomes.c.id > seen.outcome_id,
            outcomes.c.id <= until,
        )
        .order_by(outcomes.c.id)
    )
    for row in rows:
        seen.add(row)
