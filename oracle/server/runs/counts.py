"""What is counted of a population as its runs change.

So telling it costs the same for ten runs and for a hundred thousand.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, insert, select, update

from oracle.server.storage.schema import populations
from oracle.types import Reason

#: Counts that follow from one run; a population's are the sums over its runs.
COUNTED = (
    "running", "stopped", "finished", "stops", "held", "waiting",
    "known_runs", "planned_epochs", "used_epochs",
)  # fmt: skip
#: A change of nothing but the time is written once in so many seconds.
_FRESH_S = 1.0

# Built once: putting a statement together costs more than running it.
_OF_ONE = (
    populations.c.owner == bindparam("of_owner"),
    populations.c.name == bindparam("of_name"),
)
_ONE = select(populations).where(*_OF_ONE)
_LATER = case(
    (populations.c.updated_at < bindparam("at"), bindparam("at")), else_=populations.c.updated_at
)
_CHANGE = (
    update(populations)
    .where(*_OF_ONE)
    .values(
        updated_at=_LATER,
        forgotten=populations.c.forgotten + bindparam("more_forgotten"),
        **{name: populations.c[name] + bindparam(f"more_{name}") for name in COUNTED},
    )
)
_ADD = insert(populations)
_EMPTY = delete(populations).where(
    *_OF_ONE, populations.c.running + populations.c.stopped + populations.c.finished == 0
)


def is_left(row: Any) -> bool:
    """Whether a run was said to have finished before its end, without values of an end."""
    return row.state == "finished" and row.told is not None and not converged(row)


def of_run(row: Any) -> dict[str, float]:
    """Give what one run counts for; nothing where there is none."""
    if row is None:
        return dict.fromkeys(COUNTED, 0)
    ended = row.state != "running"
    known = ended and bool(row.total_epochs)
    early = row.state == "stopped" or converged(row)
    # A run that was left would have ended there without us: nothing was saved, nothing more used.
    planned = row.epoch if is_left(row) else row.total_epochs
    used = row.epoch if early else planned
    return {
        "running": not ended,
        "stopped": row.state == "stopped",
        "finished": row.state == "finished",
        "stops": row.control or row.state == "stopped",
        "held": row.control,
        "waiting": row.control and not ended,
        "known_runs": known,
        "planned_epochs": min(planned, row.total_epochs) if known else 0,
        "used_epochs": min(used, row.total_epochs) if known else 0,
    }


def converged(row: Any) -> bool:
    """Whether a run is finished because it has converged, before the end of its budget."""
    return bool(row.state == "finished" and row.reason == Reason.CONVERGED)


def of_population(connection: Connection, owner: str, name: str) -> Row[Any] | None:
    """Read a population's counts, None where there is none."""
    return connection.execute(_ONE, {"of_owner": owner, "of_name": name}).first()


def around(connection: Connection, row: Row[Any]) -> Row[Any] | None:
    """Read the counts of a run's population, None where it has none."""
    return None if row.population is None else of_population(connection, row.owner, row.population)


def change(
    connection: Connection,
    before: Row[Any] | None,
    after: Row[Any] | None,
    at: float,
    population: Row[Any] | None = None,
) -> None:
    """Count a run that has changed.

    Args:
        connection: of the writer.
        before: the run as it was, None for a new one.
        after: the run as it is, None for one that is deleted.
        at: seconds since 1970.
        population: its counts where they were just read, to save writing the time alone.
    """
    row = after if after is not None else before
    if row is None or row.population is None:
        return
    was, now = of_run(before), of_run(after)
    more = {f"more_{name}": now[name] - was[name] for name in COUNTED}
    more["more_forgotten"] = after is None
    if population is not None and not any(more.values()) and at - population.updated_at < _FRESH_S:
        return
    key = {"of_owner": row.owner, "of_name": row.population}
    if not connection.execute(_CHANGE, {**key, **more, "at": at}).rowcount:
        first = {"owner": row.owner, "name": row.population, "updated_at": at}
        connection.execute(_ADD, {**first, "forgotten": 0, "controls": 0, "wrong": 0, **now})
    if after is None:
        connection.execute(_EMPTY, key)


def judge(connection: Connection, population: Row[Any], controls: int, wrong: int) -> None:
    """Note how many control runs have ended, and how many of them a stop would have lost."""
    connection.execute(
        update(populations)
        .where(populations.c.id == population.id)
        .values(controls=controls, wrong=wrong)
    )
