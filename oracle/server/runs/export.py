"""Stored runs as training data: `oracle collect ingest --store` and `oracle train --store`.

A run that was stopped stays marked as censored and is no label. A run that the policy would have
stopped and the control draw let run on stands for all that were stopped: its weight is 1/share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from oracle.server.runs.listing import history_of, latest_outcomes
from oracle.server.storage.reading import StoredRuns
from oracle.server.storage.schema import runs
from oracle.types import Run

#: A finished run whose last checkpoint lies before this share of its budget is no whole history.
MIN_PROGRESS = 0.9
_CHUNK = 200
#: Longest name of a run, see RUN_ID_PATTERN.
MAX_NAME = 64


class StoredRun(NamedTuple):
    """One ended run and how much it counts in training."""

    run: Run
    weight: float


class Skipped(NamedTuple):
    """One ended run that cannot be used, and why."""

    run_id: str
    reason: str


def read_store(url: str, owner: str | None = None) -> Iterator[StoredRun | Skipped]:
    """Read every ended run of a store, oldest first.

    Args:
        url: SQLAlchemy URL, as ORACLE_DATABASE_URL, or the name of a SQLite file.
        owner: only this key's runs; None = everybody's, with run ids made unique by their owner.

    Raises:
        InvalidHistory: no such kind of database.
        DatasetError: no such file, no store, or one of another version; it is left as it is.
        StoreUnavailable: it does not answer.
    """
    with StoredRuns(url) as store:
        last = 0
        while rows := store.read_now(lambda c, after=last: _chunk(c, owner, after)):  # type: ignore[misc]
            for at, found in rows:
                last = at
                yield found


def _chunk(
    connection: Connection, owner: str | None, after: int
) -> list[tuple[int, StoredRun | Skipped]]:
    query = select(runs).where(runs.c.state != "running", runs.c.id > after)
    if owner is not None:
        query = query.where(runs.c.owner == owner)
    rows = connection.execute(query.order_by(runs.c.id).limit(_CHUNK)).all()
    ends = latest_outcomes(connection, [row.id for row in rows])
    return [(row.id, _stored(connection, row, ends.get(row.id), owner)) for row in rows]


def _stored(
    connection: Connection, row: Row[Any], end: Row[Any] | None, owner: str | None
) -> StoredRun | Skipped:
    run_id = row.run_id if owner is not None or not row.owner else of_owner(row.owner, row.run_id)
    if end is None:
        return Skipped(run_id, "stopped by a person before there was a forecast")
    history = history_of(connection, row)
    progress = 1.0 if history.progress is None else history.progress
    if not end.censored and progress < MIN_PROGRESS and not history.is_whole:
        return Skipped(run_id, f"no whole history: finished at {progress:.0%} of its budget")
    run = Run(
        run_id=run_id,
        source="service",
        dataset=row.dataset or row.population or "unknown",
        final_mqe=end.final_mqe,
        final_topographic_error=end.final_topographic_error,
        final_dead_neuron_ratio=end.final_dead_neuron_ratio,
        censored=end.censored,
        history=history.model_copy(update={"run_id": run_id}),
    )
    weight = 1.0 / row.control_share if row.control and row.control_share else 1.0
    return StoredRun(run, weight)


def of_owner(owner: str, run_id: str) -> str:
    """Make a run's name unique among everybody's: no two runs share one, and it stays the same."""
    plain = f"{owner}.{run_id}"
    if "." not in owner and len(plain) <= MAX_NAME:
        return plain
    digest = hashlib.sha256(f"{owner}/{run_id}".encode()).hexdigest()[:16]
    return f"{plain[: MAX_NAME - 17]}-{digest}"
