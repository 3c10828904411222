"""Who writes after whom on PostgreSQL: one after the other about one population, else side by side.

In SQLite there is one writer at a time whatever it is about (BEGIN IMMEDIATE). In PostgreSQL a
transaction takes an advisory lock of each population that it is about, or of the run where that has
none: so the ids of outcomes are in the order of commits within each population, and nothing is
decided on half of what is known. What is about nothing in particular waits for all others, and they
for it. Locks are taken in one order, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from sqlalchemy import Connection, text

#: Advisory lock of all write transactions, shared by those that say what they are about: "SOMO".
ALL = 0x534F4D4F
_ALONE = text(f"SELECT pg_advisory_xact_lock({ALL})")
_TURNS = text(
    f"SELECT pg_advisory_xact_lock_shared({ALL}), pg_advisory_xact_lock(turn) "
    "FROM unnest(CAST(:turns AS bigint[])) turn"
)
_POPULATIONS = text(
    "SELECT r.owner, r.run_id, r.population FROM runs r, "
    "unnest(CAST(:owners AS text[]), CAST(:names AS text[])) AS asked(owner, run_id) "
    "WHERE r.owner = asked.owner AND r.run_id = asked.run_id"
)


@dataclass(frozen=True)
class Subject:
    """What a write is about: equal where it is the same run.

    Attributes:
        population: of the run, where it is told; what is stored of the run counts before it.
    """

    owner: str
    run_id: str
    population: str | None = field(default=None, compare=False)


#: What is about no run at all waits for those alone who are about everything, and for its like.
NO_RUN = Subject("", "")


def wait_for_turn(connection: Connection, subjects: Sequence[Subject | None]) -> None:
    """Wait until nobody else writes about the same things; until the transaction ends nobody does.

    Args:
        connection: of a transaction that has written nothing yet.
        subjects: what it is about; None = whatever there is.
    """
    if connection.dialect.name == "sqlite":
        return
    known = [subject for subject in subjects if subject is not None]
    if len(known) < len(subjects):
        connection.execute(_ALONE)
        return
    held: set[int] = set()
    # A run may have come into its population, or gone, while its turn was waited for.
    while wanted := _turns(connection, known) - held:
        connection.execute(_TURNS, {"turns": sorted(wanted)})
        held |= wanted


def _turns(connection: Connection, subjects: Sequence[Subject]) -> set[int]:
    asked = {"owners": [s.owner for s in subjects], "names": [s.run_id for s in subjects]}
    stored = {
        (row.owner, row.run_id): row.population for row in connection.execute(_POPULATIONS, asked)
    }
    turns = set()
    for one in subjects:
        population = stored.get((one.owner, one.run_id), one.population)
        name = f"run {one.run_id}" if population is None else f"population {population}"
        digest = blake2b(f"{one.owner}\0{name}".encode(), digest_size=8).digest()
        turns.add(int.from_bytes(digest, signed=True))
    return turns
