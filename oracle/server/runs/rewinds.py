"""Rewinds: a run that goes on from an earlier map, and what it left behind.

A checkpoint counts in the attempt that it was told in and in those after it, until a rewind to
before it, or until a later one shows it to stand too close to the one before. What counts no more
is kept in a table of its own: decisions rested on it, and are made again from it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from oracle.server.storage.schema import checkpoints, decisions, left_behind
from oracle.types.fields import CHECKPOINT

_COLUMNS = ("epoch", *CHECKPOINT[1:])
#: Epochs that are asked for in one statement.
_MANY = 500


def of_run(row: Row[Any]) -> list[dict[str, Any]]:
    """Give the rewinds of a run: `epoch` from which on it was told anew, and `at`, unix seconds."""
    found: list[dict[str, Any]] = json.loads(row.rewinds) if row.rewinds else []
    return found


def attempt(row: Row[Any]) -> int:
    """Count how often a run was rewound."""
    return len(of_run(row))


def thinned(
    connection: Connection, row: Row[Any], epochs: Collection[float]
) -> dict[float, Mapping[str, float | None]]:
    """Read, of these epochs, the checkpoints that stood too close to be kept and still count."""
    rewound = [float(one["epoch"]) for one in of_run(row)]
    found: dict[float, Mapping[str, float | None]] = {}
    wanted = sorted(epochs)
    for at in range(0, len(wanted), _MANY):
        query = select(left_behind).where(
            left_behind.c.run == row.id,
            left_behind.c.until == left_behind.c.attempt,
            left_behind.c.epoch.in_(wanted[at : at + _MANY]),
        )
        for one in connection.execute(query.order_by(left_behind.c.attempt)):
            if any(back <= one.epoch for back in rewound[one.attempt :]):
                continue  # it was told before the run went back beyond it
            found[one.epoch] = {name: getattr(one, name) for name in _COLUMNS}
    return found


def drop(
    connection: Connection, row: Row[Any], dropped: Mapping[float, Mapping[str, float | None]]
) -> None:
    """Put aside checkpoints that stand too close to the one before, and are no longer last."""
    if not dropped:
        return
    now = attempt(row)
    stays = {"run": row.id, "until": now, "attempt": now}
    for epoch in dropped:
        mine = (checkpoints.c.run == row.id, checkpoints.c.epoch == epoch)
        connection.execute(delete(checkpoints).where(*mine))
    connection.execute(insert(left_behind), [{**stays, **one} for one in dropped.values()])


def rewind(connection: Connection, row: Row[Any], epoch: float, now: float) -> dict[str, str]:
    """Leave behind what was told from `epoch` on; gives the column of the run that tells of it."""
    until = attempt(row) + 1
    gone = (checkpoints.c.run == row.id, checkpoints.c.epoch >= epoch)
    names = [checkpoints.c[name] for name in ("run", *_COLUMNS, "attempt")]
    rows = connection.execute(select(*names).where(*gone)).mappings().all()
    if rows:
        connection.execute(insert(left_behind), [{**one, "until": until} for one in rows])
        connection.execute(delete(checkpoints).where(*gone))
    connection.execute(
        update(decisions)
        .where(decisions.c.run == row.id, decisions.c.epoch >= epoch, decisions.c.until.is_(None))
        .values(until=until)
    )
    return {"rewinds": json.dumps([*of_run(row), {"epoch": epoch, "at": now}])}


def seen_by(connection: Connection, decision: Row[Any]) -> list[Any]:
    """Read the checkpoints that a decision rested on, in order of epoch."""
    of_its_time = (checkpoints.c.attempt <= decision.attempt, checkpoints.c.epoch <= decision.epoch)
    counting = select(*(checkpoints.c[name] for name in _COLUMNS)).where(
        checkpoints.c.run == decision.run, *of_its_time
    )
    counted_then = and_(
        left_behind.c.attempt <= decision.attempt, left_behind.c.until > decision.attempt
    )
    was_last = and_(
        left_behind.c.epoch == decision.epoch, left_behind.c.until == left_behind.c.attempt,
        left_behind.c.until == decision.attempt,
    )  # fmt: skip
    gone = select(*(left_behind.c[name] for name in _COLUMNS)).where(
        left_behind.c.run == decision.run,
        left_behind.c.epoch <= decision.epoch,
        or_(counted_then, was_last),
    )
    rows = [*connection.execute(counting), *connection.execute(gone)]
    return sorted(rows, key=lambda one: float(one.epoch))
