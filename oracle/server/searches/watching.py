"""What is known of the runs of a search, as its alerts ask for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, case, func, select

from oracle.audit.alerts import LiveRun, Search
from oracle.audit.audit import Audit
from oracle.history.features import FEATURES, encode
from oracle.server.runs import counts
from oracle.server.runs.listing import history_of
from oracle.server.storage.schema import checkpoints, runs
from oracle.types import History, Reason

#: Runs that alerts look at, the latest ones; those asked for the field that is unlike.
MAX_RUNS = 20_000
_ASKED = 8
_MANY = 500
#: Standard deviations beyond which a field is worth naming.
FAR = 2.5
_NAMES = {
    "total_updates": "the number of updates",
    "n_samples": "the number of samples",
    "n_features": "the number of features",
}


def search_of(
    connection: Connection,
    owner: str,
    name: str,
    audit: Audit | None,
    best: tuple[str, float, float] | None,
) -> Search:
    """Read what alerts ask of a population's runs."""
    c = runs.c
    columns = (
        c.id, c.run_id, c.state, c.created_at, c.updated_at, c.n_checkpoints, c.mqe, c.stops,
        c.control, c.override, c.first_stop, c.total_epochs, c.decided,
        c.reason,
        case((c.state == "running", c.context), else_=None).label("context"),
    )  # fmt: skip
    mine = (c.owner == owner, c.population == name)
    query = select(*columns).where(*mine).order_by(c.id.desc()).limit(MAX_RUNS)
    rows = connection.execute(query).all()
    first = _first(connection, [row.id for row in rows if row.state == "running"])
    population = counts.of_population(connection, owner, name)
    saved = None
    if population is not None and population.planned_epochs:
        saved = max(0.0, 1 - population.used_epochs / population.planned_epochs)
    return Search(
        runs=[_run(row, first.get(row.id)) for row in rows],
        planned=connection.scalar(select(func.max(c.population_size)).where(*mine)),
        best=best,
        saved=saved,
        audit=audit,
    )


def unlike(connection: Connection, owner: str, name: str) -> list[History]:
    """Read some runs whose last decision called them unlike the training data."""
    c = runs.c
    mine = (c.owner == owner, c.population == name, c.reason == Reason.NO_SUPPORT)
    rows = connection.execute(select(runs).where(*mine).order_by(c.id.desc()).limit(_ASKED)).all()
    return [history_of(connection, row) for row in rows]


def furthest(histories: Sequence[History], scaling: Any) -> str | None:
    """Name the field in which histories lie furthest from the training data, None where near.

    Args:
        histories: that are called unlike it.
        scaling: mean and standard deviation of each feature there.
    """
    if not histories:
        return None
    last = np.array([scaling.apply(encode(history)[-1]) for history in histories])
    away = np.median(last, axis=0)
    at = int(np.argmax(np.abs(away)))
    if abs(away[at]) < FAR:
        return None
    feature = FEATURES[at]
    name = _NAMES.get(feature, feature.replace("_", " "))
    side = "above" if away[at] > 0 else "below"
    return f"{name}, {abs(away[at]):.1f} standard deviations {side} the mean of training"


def _run(row: Any, first: float | None) -> LiveRun:
    converged = row.state == "finished" and row.reason == Reason.CONVERGED
    return LiveRun(
        run_id=row.run_id,
        state=row.state,
        created_at=row.created_at,
        updated_at=row.updated_at,
        n_checkpoints=row.n_checkpoints,
        mqe=row.mqe,
        first=first,
        scale=json.loads(row.context).get("mqe_of_mean") if row.state == "running" else None,
        stops=0 if converged else row.stops,  # that one was obeyed
        control=row.control,
        overridden=row.override is not None,
        first_stop=row.first_stop / row.total_epochs
        if row.first_stop and row.total_epochs
        else None,
        decided=Counter(json.loads(row.decided)) if row.decided else {},
    )


def _first(connection: Connection, ids: Sequence[int]) -> dict[int, float]:
    """Read the mqe at the first checkpoint of each run."""
    found: dict[int, float] = {}
    c = checkpoints.c
    for i in range(0, len(ids), _MANY):
        of = select(c.run, func.min(c.epoch).label("epoch")).where(c.run.in_(ids[i : i + _MANY]))
        began = of.group_by(c.run).subquery()
        query = select(c.run, c.mqe).join(
            began, (began.c.run == c.run) & (began.c.epoch == c.epoch)
        )
        found.update((run, mqe) for run, mqe in connection.execute(query).all())
    return found
