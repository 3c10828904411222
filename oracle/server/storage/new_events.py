"""Events of a transaction, written just before it commits, so that their ids are in commit order.

Who follows the events reads those after the last id it knows: one that came later with a smaller
id would be lost to it. Transactions run side by side (turns.py), so each takes its ids last, alone,
until it is committed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event, insert, text

from oracle.server.storage.schema import events
from oracle.server.storage.turns import ALL

# Built once: putting a statement together costs more than running it.
_ADD = insert(events)
_ALONE = text(f"SELECT pg_advisory_xact_lock({ALL + 1})")
_KEPT = "events to write"


def write_with(engine: Engine) -> None:
    """Have the engine's transactions write their events."""
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", _write)


def add(connection: Connection, row: dict[str, Any]) -> None:
    """Write an event with the transaction."""
    _of(connection).append(row)


def so_far(connection: Connection) -> int:
    """Count the events of the transaction."""
    return len(_of(connection))


def undo(connection: Connection, so_far: int) -> None:
    """Let go of what came after so many."""
    del _of(connection)[so_far:]


def rewrite(connection: Connection, owner: str, run_id: str, body: str) -> None:
    """Say something else where the transaction tells of a run."""
    for row in _of(connection):
        if (row["owner"], row["run_id"]) == (owner, run_id):
            row["body"] = body


def _of(connection: Connection) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = connection.info[_KEPT]
    return kept


def _begin(connection: Connection) -> None:
    connection.info[_KEPT] = []


def _write(connection: Connection) -> None:
    rows = _of(connection)
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(_ALONE)
    connection.execute(_ADD, rows)
